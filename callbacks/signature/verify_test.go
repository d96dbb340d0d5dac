package signature

import (
	"crypto/ed25519"
	"encoding/base64"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
)

func TestStandardWebhooksLibraryAccepts(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{testSecret, NewSecret(), secretOf(24), secretOf(64)} {
		wh, err := standardwebhooks.NewWebhook(secret)
		require.NoError(t, err)
		body := []byte(`{"ü":"💩","n":9007199254740993}`)
		require.NoError(t, wh.Verify(body, signed("evt_1", time.Now(), body, secret)), "R28")
		require.NoError(t, wh.Verify(body, signed("evt_1", time.Now(), body, NewSecret(), secret)), "R28: rotation")
		require.Error(t, wh.Verify(body, signed("evt_1", time.Now(), body, NewSecret())))

		h := signed("evt_1", time.Now(), body)
		h.Set(HeaderSignature, Keys{[]string{secret}, NewPrivateKey()}.Signature("evt_1", time.Now(), body))
		require.NoError(t, wh.Verify(body, h), "R28: v1a beside it")
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	now, body, other := time.Unix(1700000000, 0), []byte(testBody), NewSecret()
	good := signed("evt_1", now, body, testSecret)
	verify := func(h http.Header, body []byte, at time.Time, secrets ...string) error {
		return Verify(h, body, secrets, at, 5*time.Minute)
	}
	require.NoError(t, verify(good, body, now, testSecret))
	require.NoError(t, verify(good, body, now.Add(5*time.Minute), other, testSecret))
	require.NoError(t, verify(good, body, now.Add(-5*time.Minute), testSecret))
	require.NoError(t, verify(signed("evt_1", now, body, other, testSecret), body, now, testSecret))

	require.ErrorIs(t, verify(good, body, now.Add(301*time.Second), testSecret), ErrSignature)
	require.ErrorIs(t, verify(good, body, now.Add(-301*time.Second), testSecret), ErrSignature)
	require.ErrorIs(t, verify(good, body, now, other), ErrSignature)
	require.ErrorIs(t, verify(good, body, now), ErrSignature)
	require.ErrorIs(t, verify(good, body[1:], now, testSecret), ErrSignature)
	require.ErrorIs(t, verify(http.Header{}, body, now, testSecret), ErrSignature)
	for name, value := range map[string]string{
		HeaderID: "evt_2", HeaderTimestamp: "1700000001", HeaderSignature: strings.Replace(good.Get(HeaderSignature), "v1,", "v2,", 1),
	} {
		h := good.Clone()
		h.Set(name, value)
		require.ErrorIs(t, verify(h, body, now, testSecret), ErrSignature, name)
		h.Del(name)
		require.ErrorIs(t, verify(h, body, now, testSecret), ErrSignature, name)
	}
}

func TestVerifyReadsEveryLineAndPassesOverTheRest(t *testing.T) {
	t.Parallel()
	now, body := time.Unix(1700000000, 0), []byte(testBody)
	good := Sign(testSecret, "evt_1", now, body)
	for name, c := range map[string]struct {
		lines []string
		want  error
	}{
		"several spaces":           {[]string{"  v1,x   " + good + "  "}, nil},
		"unknown versions":         {[]string{"v9," + good[3:] + " v1a,x nothing , " + good}, nil},
		"a second line":            {[]string{"v1,AAAA", good}, nil},
		"another version alone":    {[]string{"v1a," + good[3:]}, ErrSignature},
		"no version":               {[]string{good[3:]}, ErrSignature},
		"version in capitals":      {[]string{"V1," + good[3:]}, ErrSignature},
		"loose bits":               {[]string{good[:len(good)-2] + string(good[len(good)-2]+1) + "="}, ErrSignature},
		"unpadded":                 {[]string{strings.TrimRight(good, "=")}, ErrSignature},
		"split over two":           {[]string{good[:20] + " " + good[20:]}, ErrSignature},
		"joined by a comma alone":  {[]string{good + "," + good}, ErrSignature},
		"empty signature":          {[]string{"v1,"}, ErrSignature},
		"beginning of a signature": {[]string{"v1," + base64.StdEncoding.EncodeToString([]byte("k"))}, ErrSignature},
	} {
		h := signed("evt_1", now, body, testSecret)
		h[HeaderSignature] = c.lines
		require.Equal(t, c.want, Verify(h, body, []string{testSecret}, now, time.Minute), name)
	}
}

func TestVerifyRefusesTwoIDsOrTimes(t *testing.T) {
	t.Parallel()
	now, body := time.Unix(1700000000, 0), []byte(testBody)
	for _, name := range []string{HeaderID, HeaderTimestamp} {
		h := signed("evt_1", now, body, testSecret)
		require.NoError(t, Verify(h, body, []string{testSecret}, now, time.Minute))
		h.Add(name, h.Get(name)+"0")
		require.ErrorIs(t, Verify(h, body, []string{testSecret}, now, time.Minute), ErrSignature, name)
	}
}

func TestVerifyByPublicKey(t *testing.T) {
	t.Parallel()
	now, body := time.Unix(1700000000, 0), []byte(testBody)
	private := NewPrivateKey()
	public, stranger := publicOf(private), publicOf(NewPrivateKey())
	h := signed("evt_1", now, body)
	h.Set(HeaderSignature, Keys{[]string{testSecret}, private}.Signature("evt_1", now, body))
	verify := func(v Verifier, at time.Time) error { return v.Verify(h, body, at, time.Minute) }

	require.NoError(t, verify(Verifier{Public: []ed25519.PublicKey{stranger, public}}, now))
	require.NoError(t, verify(Verifier{Secrets: []string{NewSecret()}, Public: []ed25519.PublicKey{public}}, now))
	require.NoError(t, verify(Verifier{Secrets: []string{testSecret}, Public: []ed25519.PublicKey{stranger}}, now))
	require.ErrorIs(t, verify(Verifier{Public: []ed25519.PublicKey{stranger}}, now), ErrSignature)
	require.ErrorIs(t, verify(Verifier{Public: []ed25519.PublicKey{nil, public[:31]}}, now), ErrSignature)
	require.ErrorIs(t, verify(Verifier{Public: []ed25519.PublicKey{public}}, now.Add(61*time.Second)), ErrSignature)
	require.ErrorIs(t, verify(Verifier{}, now), ErrSignature)
}

func publicOf(private ed25519.PrivateKey) ed25519.PublicKey {
	return private.Public().(ed25519.PublicKey)
}

// R28: each of a thousand single-bit changes to the ID, the timestamp, the body or the signature is noticed, by either
// kind of key, and by another's verifier where that knows the kind. The tolerance has no end, so that it is the
// signature alone that guards the timestamp.
func TestVerifyRejectsEveryFlippedBit(t *testing.T) {
	t.Parallel()
	now, private := time.Unix(1700000000, 0), NewPrivateKey()
	wh, err := standardwebhooks.NewWebhook(testSecret)
	require.NoError(t, err)
	flip := func(text []byte) string {
		bit := rand.IntN(8 * len(text))
		text[bit/8] ^= 1 << (bit % 8)
		return string(text)
	}
	for version, v := range map[string]Verifier{
		"v1": {Secrets: []string{testSecret}}, "v1a": {Public: []ed25519.PublicKey{publicOf(private)}},
	} {
		for i := range 1000 {
			h, body := signed("evt_1", now, []byte(testBody)), []byte(testBody)
			signature := signatureOf(t, Keys{[]string{testSecret}, private}.Signature("evt_1", now, body), version)
			h.Set(HeaderSignature, version+","+base64.StdEncoding.EncodeToString(signature))
			require.NoError(t, v.Verify(h, body, now, time.Minute))
			switch i % 4 {
			case 0:
				h.Set(HeaderID, flip([]byte("evt_1")))
			case 1:
				h.Set(HeaderTimestamp, flip([]byte("1700000000")))
			case 2:
				body = []byte(flip(body))
			case 3:
				h.Set(HeaderSignature, version+","+base64.StdEncoding.EncodeToString([]byte(flip(signature))))
			}
			require.ErrorIs(t, v.Verify(h, body, now, 1<<62), ErrSignature, "R28 %s", version)
			if version == "v1" {
				require.Error(t, wh.VerifyIgnoringTimestamp(body, h), "R28")
			}
		}
	}
}

// signatureOf takes the signature of a version out of a header.
func signatureOf(t *testing.T, header, version string) []byte {
	t.Helper()
	for entry := range strings.SplitSeq(header, " ") {
		if text, ok := strings.CutPrefix(entry, version+","); ok {
			signature, err := base64.StdEncoding.DecodeString(text)
			require.NoError(t, err)
			return signature
		}
	}
	t.Fatalf("no %s in %q", version, header)
	return nil
}
