package signature

import (
	"crypto/ed25519"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// FuzzVerify feeds it any headers: nothing but a true signature, by the secret or by the key pair, passes (R28).
func FuzzVerify(f *testing.F) {
	now := time.Unix(1700000000, 0)
	keys := Keys{[]string{testSecret}, rfc8032(f)}
	with := Verifier{Secrets: keys.Secrets, Public: []ed25519.PublicKey{publicOf(keys.Private)}}
	good := keys.Signature("evt_1", now, []byte(testBody))
	f.Add("evt_1", "1700000000", good, []byte(testBody))
	f.Add("evt_1", "1700000000", "v1,x "+good, []byte(testBody))
	f.Add("evt_1", "1700000000", good[strings.IndexByte(good, ' '):], []byte(testBody))
	f.Add("", "-1", "v1,", []byte(nil))
	f.Add("evt_1", "9223372036854775807", good, []byte(testBody))
	f.Fuzz(func(t *testing.T, id, timestamp, signature string, body []byte) {
		h := http.Header{HeaderID: {id}, HeaderTimestamp: {timestamp}, HeaderSignature: {signature}}
		if with.Verify(h, body, now, time.Minute) != nil {
			return
		}
		seconds, err := strconv.ParseInt(timestamp, 10, 64)
		if err != nil {
			t.Fatalf("accepted the time %q", timestamp)
		}
		v1, v1a, _ := strings.Cut(keys.Signature(id, time.Unix(seconds, 0), body), " ")
		if !strings.Contains(signature, v1) && !strings.Contains(signature, v1a) && strconv.FormatInt(seconds, 10) == timestamp {
			t.Fatalf("accepted %q for %q at %q", signature, id, timestamp)
		}
	})
}

// FuzzSignatureHeader feeds any captured request to Diagnose: it agrees with Verify, and never tells what would let
// somebody forge (R29).
func FuzzSignatureHeader(f *testing.F) {
	now := time.Unix(1700000000, 0)
	keys := Keys{Secrets: []string{testSecret}}
	good := keys.Signature("evt_1", now, []byte(testBody))
	f.Add("evt_1", "1700000000", good, keys.BodySignature([]byte(testBody)), []byte(testBody), testSecret)
	f.Add("evt_1", "1700000000", "v1,x v1=00 sha256=ff ,  v1a,"+good, "sha256=0", []byte("{\"a\":\"\\ud800\"}\r\n"), testSecret[6:])
	f.Add("", "1700000000000", good, "", []byte("\xef\xbb\xbf\"\\\"\""), "whsec_")
	f.Fuzz(func(t *testing.T, id, timestamp, signature, alone string, body []byte, secret string) {
		with := Verifier{Secrets: []string{secret}}
		h := canonical(http.Header{
			HeaderID: {id}, HeaderTimestamp: {timestamp}, HeaderSignature: {signature}, DefaultBodyHeader: {alone},
		})
		findings := with.Diagnose(h, body, now, time.Minute)
		verified := with.Verify(h, body, now, time.Minute) == nil
		problems, well := codes(findings, SeverityProblem), codes(findings, SeverityOK)
		if len(problems) == 0 && !verified {
			t.Fatalf("no problem with what does not verify: %+v", findings)
		}
		if verified && !slices.Contains(well, "v1") {
			t.Fatalf("no right signature in what verifies: %+v", findings)
		}
		for _, finding := range findings {
			if said := finding.Text + finding.Next; Sign(secret, id, now, body) != "" && strings.Contains(said, secret) ||
				strings.Contains(said, BodySignature(secret, body)) {
				t.Fatalf("says too much: %q", said)
			}
		}
	})
}
