package callbacks

import (
	"encoding/base64"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
)

// signed is a message's headers, signed by each secret.
func signed(id string, ts time.Time, body []byte, secrets ...string) http.Header {
	var signatures []string
	for _, s := range secrets {
		signatures = append(signatures, Sign(s, id, ts, body))
	}
	return http.Header{
		HeaderID: {id}, HeaderTimestamp: {strconv.FormatInt(ts.Unix(), 10)},
		HeaderSignature: {strings.Join(signatures, " ")},
	}
}

func TestSignMatchesTheSpecificationsExample(t *testing.T) {
	t.Parallel()
	got := Sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	require.Equal(t, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", got)
	require.Empty(t, Sign("whsec_no", "msg", time.Unix(1, 0), nil))
}

func TestBodySignatureIsKeyedWithTheSecretsText(t *testing.T) {
	t.Parallel()
	// printf '{"a":1}' | openssl dgst -sha256 -hmac 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
	require.Equal(t, "45ec03b2b33403c8043a90de06bedad0827183927115fd7e448ef97eeb13c5be", BodySignature(testSecret, []byte(`{"a":1}`)))
}

func TestStandardWebhooksLibraryAccepts(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{testSecret, NewSecret(), secretOf(24), secretOf(64)} {
		wh, err := standardwebhooks.NewWebhook(secret)
		require.NoError(t, err)
		body := []byte(`{"ü":"💩","n":9007199254740993}`)
		require.NoError(t, wh.Verify(body, signed("evt_1", time.Now(), body, secret)), "R28")
		require.NoError(t, wh.Verify(body, signed("evt_1", time.Now(), body, NewSecret(), secret)), "R28: rotation")
		require.Error(t, wh.Verify(body, signed("evt_1", time.Now(), body, NewSecret())))
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

// R28: each of a thousand single-bit changes to what is signed, or to the signature, is noticed.
func TestVerifyRejectsEveryFlippedBit(t *testing.T) {
	t.Parallel()
	now := time.Unix(1700000000, 0)
	wh, err := standardwebhooks.NewWebhook(testSecret)
	require.NoError(t, err)
	for range 1000 {
		h, body := signed("evt_1", now, []byte(testBody), testSecret), []byte(testBody)
		mac, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(h.Get(HeaderSignature), "v1,"))
		require.NoError(t, err)
		if bit := rand.IntN(8 * (len(body) + len(mac))); bit < 8*len(body) {
			body[bit/8] ^= 1 << (bit % 8)
		} else {
			bit -= 8 * len(body)
			mac[bit/8] ^= 1 << (bit % 8)
			h.Set(HeaderSignature, "v1,"+base64.StdEncoding.EncodeToString(mac))
		}
		require.ErrorIs(t, Verify(h, body, []string{testSecret}, now, time.Minute), ErrSignature)
		require.Error(t, wh.VerifyIgnoringTimestamp(body, h))
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	a, b := NewSecret(), NewSecret()
	require.NotEqual(t, a, b)
	require.NoError(t, CheckSecret(a))
	key, err := signingKey(a)
	require.NoError(t, err)
	require.Len(t, key, 32, "S14")
	for name, bad := range map[string]string{
		"empty": "", "prefix alone": "whsec_", "23 bytes": secretOf(23), "65 bytes": secretOf(65), "no prefix": secretOf(32)[6:],
		"loose bits": "whsec_" + strings.Repeat("A", 34) + "B=", "line break": secretOf(32) + "\n",
	} {
		require.ErrorIs(t, CheckSecret(bad), ErrSecret, "S14 %s", name)
	}
}
