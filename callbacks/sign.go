package callbacks

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers of the Standard Webhooks specification.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
)

// What secrets look like; every known verifier takes this form.
const (
	secretPrefix = "whsec_"
	minSecret    = 24
	maxSecret    = 64
	secretForm   = "whsec_ followed by the padded standard base64 of 24 to 64 bytes"
)

// ErrSecret is the answer to a text that is no signing secret.
var ErrSecret = errors.New("callbacks: a signing secret must be " + secretForm)

// ErrSignature is the answer to a message that does not verify: wrong, incomplete, or too old or too new.
var ErrSignature = errors.New("callbacks: the signature does not verify")

// NewSecret makes a signing secret: whsec_ and the base64 of 32 random bytes.
func NewSecret() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // crypto/rand never fails: it ends the program instead
	return secretPrefix + base64.StdEncoding.EncodeToString(key)
}

// CheckSecret tells whether a text can sign: ErrSecret if not.
func CheckSecret(secret string) error {
	_, err := signingKey(secret)
	return err
}

// signingKey reads a secret strictly: what a lenient decoder would let pass (line breaks, loose bits, no padding), the
// receivers' decoders refuse.
func signingKey(secret string) ([]byte, error) {
	text, ok := strings.CutPrefix(secret, secretPrefix)
	key, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(key) < minSecret || len(key) > maxSecret || base64.StdEncoding.EncodeToString(key) != text {
		return nil, ErrSecret
	}
	return key, nil
}

// Sign is a message's webhook-signature by one secret: "v1," and the base64 HMAC-SHA256 of id.timestamp.body. Several,
// joined by spaces, make one header. It is empty for what is no secret (CheckSecret).
func Sign(secret, id string, ts time.Time, body []byte) string {
	key, err := signingKey(secret)
	if err != nil {
		return ""
	}
	return "v1," + base64.StdEncoding.EncodeToString(standardMAC(key, id, strconv.FormatInt(ts.Unix(), 10), body))
}

func standardMAC(key []byte, id, timestamp string, body []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(id + "." + timestamp + "."))
	h.Write(body)
	return h.Sum(nil)
}

// BodySignature is the hex HMAC-SHA256 of the body alone, keyed with the secret's own text, whsec_ included.
func BodySignature(secret string, body []byte) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// Verify checks a received message as the Standard Webhooks specification says: signed by one of the secrets, and no
// further than tolerance from now in either direction. The error is always ErrSignature.
func Verify(headers http.Header, body []byte, secrets []string, now time.Time, tolerance time.Duration) error {
	id, timestamp := headers.Get(HeaderID), headers.Get(HeaderTimestamp)
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if id == "" || err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > tolerance {
		return ErrSignature
	}
	for _, secret := range secrets {
		key, err := signingKey(secret)
		if err == nil && matches(headers.Get(HeaderSignature), standardMAC(key, id, timestamp, body)) {
			return nil
		}
	}
	return ErrSignature
}

// matches looks for the MAC among a header's signatures; those of other versions are left alone.
func matches(header string, mac []byte) bool {
	for signature := range strings.SplitSeq(header, " ") {
		text, ok := strings.CutPrefix(signature, "v1,")
		given, err := base64.StdEncoding.Strict().DecodeString(text)
		if ok && err == nil && hmac.Equal(given, mac) {
			return true
		}
	}
	return false
}
