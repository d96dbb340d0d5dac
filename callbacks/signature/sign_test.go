package signature

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

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
		"line break inside": secretOf(32)[:20] + "\n" + secretOf(32)[20:], "not base64": "whsec_" + strings.Repeat("!", 40),
		"URL-safe": "whsec_" + strings.Repeat("-_", 16), "unpadded": strings.TrimRight(secretOf(25), "="),
	} {
		require.ErrorIs(t, CheckSecret(bad), ErrSecret, "S14 %s", name)
		require.Empty(t, Sign(bad, "evt_1", time.Unix(1, 0), nil), "S14 %s", name)
	}
	for _, good := range []string{secretOf(24), secretOf(64), "whsec_" + strings.Repeat("+/", 16)} {
		require.NoError(t, CheckSecret(good), "S14")
	}
}
