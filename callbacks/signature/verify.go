package signature

import (
	"crypto/ed25519"
	"crypto/hmac"
	"encoding/base64"
	"errors"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrSignature is the answer to a message that does not verify: wrong, incomplete, or too old or too new.
var ErrSignature = errors.New("signature: the signature does not verify")

// Verifier holds what a receiver may verify with; either kind of key suffices.
type Verifier struct {
	Secrets    []string            // whsec_ secrets, for v1
	Public     []ed25519.PublicKey // for v1a
	BodyHeader string              // that Diagnose looks at; empty for DefaultBodyHeader
}

// Verify checks a received message as the Standard Webhooks specification says: by one of the secrets.
func Verify(headers http.Header, body []byte, secrets []string, now time.Time, tolerance time.Duration) error {
	return Verifier{Secrets: secrets}.Verify(headers, body, now, tolerance)
}

// Verify checks a received message as the Standard Webhooks specification says: one of its signatures is by one of the
// keys over webhook-id, webhook-timestamp and these very bytes, and the timestamp is no further than tolerance from now,
// in either direction. Entries of other versions, or that are none at all, are passed over. A message with two IDs or
// two timestamps is refused: its readers might not agree on which. The error is always ErrSignature; Diagnose says more.
func (v Verifier) Verify(headers http.Header, body []byte, now time.Time, tolerance time.Duration) error {
	id, oneID := only(headers, HeaderID)
	timestamp, oneTime := only(headers, HeaderTimestamp)
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if !oneID || !oneTime || err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > tolerance {
		return ErrSignature
	}
	prefix := signedPrefix(id, timestamp)
	if v.bySecret(headers, prefix, body) || v.byPublicKey(headers, prefix, body) {
		return nil
	}
	return ErrSignature
}

// only is the value of a header that stands once, and is not empty.
func only(headers http.Header, name string) (string, bool) {
	values := headers.Values(name)
	if len(values) != 1 {
		return "", false
	}
	return values[0], values[0] != ""
}

func (v Verifier) bySecret(headers http.Header, prefix string, body []byte) bool {
	for _, secret := range v.Secrets {
		key, err := signingKey(secret)
		if err != nil {
			continue
		}
		want := mac(key, prefix, body)
		for given := range signatures(headers, versionSecret) {
			if hmac.Equal(given, want) {
				return true
			}
		}
	}
	return false
}

func (v Verifier) byPublicKey(headers http.Header, prefix string, body []byte) bool {
	if len(v.Public) == 0 {
		return false
	}
	message := slices.Concat([]byte(prefix), body)
	for _, key := range v.Public {
		for given := range signatures(headers, versionPublic) {
			if len(key) == ed25519.PublicKeySize && ed25519.Verify(key, message, given) {
				return true
			}
		}
	}
	return false
}

// signatures are those of one version, out of all lines of the header.
func signatures(headers http.Header, version string) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for entry := range entries(headers) {
			text, ok := strings.CutPrefix(entry, version+",")
			given, err := base64.StdEncoding.Strict().DecodeString(text)
			if ok && err == nil && !yield(given) {
				return
			}
		}
	}
}

// entries are the words of all lines of the signature header.
func entries(headers http.Header) iter.Seq[string] {
	return strings.FieldsSeq(strings.Join(headers.Values(HeaderSignature), " "))
}
