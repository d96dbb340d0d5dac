package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// signatureTolerance is the specification's.
const signatureTolerance = 5 * time.Minute

// verifySignature checks a callback as the Standard Webhooks specification
// says: one of the v1 signatures is the HMAC-SHA256 of "id.timestamp.body"
// under the key in the secret. It shares no code with the sender.
func verifySignature(secret string, header http.Header, body []byte, now time.Time) error {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || len(key) == 0 || !strings.HasPrefix(secret, "whsec_") {
		return errors.New("the signing secret is not whsec_ and base64")
	}
	id, stamp := header.Get("webhook-id"), header.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if id == "" || err != nil {
		return errors.New("the callback lacks webhook-id or webhook-timestamp")
	}
	if age := now.Sub(time.Unix(seconds, 0)).Abs(); age > signatureTolerance {
		return fmt.Errorf("the callback's webhook-timestamp is %s away", age.Round(time.Second))
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, stamp, body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for got := range strings.FieldsSeq(header.Get("webhook-signature")) {
		if hmac.Equal([]byte(got), []byte(want)) {
			return nil
		}
	}
	return errors.New("no signature of the callback matches")
}
