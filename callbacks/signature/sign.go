// Package signature signs messages and verifies them, as the Standard Webhooks specification says, and finds out why one
// does not verify.
package signature

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
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

// DefaultBodyHeader carries the signature of the body alone where the operator names no other.
const DefaultBodyHeader = "X-Ringback-Signature"

// The versions of signatures that the specification has: by a shared secret, by a key pair.
const (
	versionSecret = "v1"
	versionPublic = "v1a"
)

// What secrets look like; every known verifier takes this form.
const (
	secretPrefix = "whsec_"
	minSecret    = 24
	maxSecret    = 64
	SecretForm   = "whsec_ followed by the padded standard base64 of 24 to 64 bytes"
)

// ErrSecret is the answer to a text that is no signing secret.
var ErrSecret = errors.New("signature: a signing secret must be " + SecretForm)

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

// Sign is a message's signature by one secret: "v1," and the base64 HMAC-SHA256 of id.timestamp.body (Standard Webhooks,
// "Signature scheme"). It is empty for what is no secret (CheckSecret). Keys makes the whole header.
func Sign(secret, id string, ts time.Time, body []byte) string {
	key, err := signingKey(secret)
	if err != nil {
		return ""
	}
	return versionSecret + "," + base64.StdEncoding.EncodeToString(mac(key, signedPrefix(id, unixSeconds(ts)), body))
}

// signedPrefix is what stands before the body in the signed content.
func signedPrefix(id, timestamp string) string { return id + "." + timestamp + "." }

func unixSeconds(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// mac is the HMAC-SHA256 over prefix and body, without a copy of the body.
func mac(key []byte, prefix string, body []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(prefix))
	h.Write(body)
	return h.Sum(nil)
}

// BodySignature is the hex HMAC-SHA256 of the body alone, keyed with the secret's own text, whsec_ included.
func BodySignature(secret string, body []byte) string {
	return hex.EncodeToString(mac([]byte(secret), "", body))
}
