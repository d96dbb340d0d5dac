package signature

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// rfc8032 is the first key of RFC 8032, section 7.1; RFC 8037, appendix A, has the same as a JSON Web Key.
func rfc8032(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	seed, err := hex.DecodeString("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
	require.NoError(t, err)
	return ed25519.NewKeyFromSeed(seed)
}

// R28: a golden vector for v1a. The v1 is the Standard Webhooks specification's own example. The v1a is by OpenSSL 3.0,
// over the same content with the key above (and Python's cryptography 48.0 made the same):
//
//	printf '302e020100300506032b657004220420%s' 9d61b19d...cae7f60 | xxd -r -p >key.der
//	printf 'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}' >message
//	openssl pkeyutl -sign -inkey key.der -keyform DER -rawin -in message | base64 -w0
func TestSignatureIsTheGoldenVectors(t *testing.T) {
	t.Parallel()
	keys := Keys{[]string{testSecret}, rfc8032(t)}
	require.NoError(t, keys.Check())
	require.Equal(t, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= "+
		"v1a,fldxM4gAKugP6nnt1hdz3sgGfZ6d99nzrMFnZOELIxbzEHoVmAb2ADpkJK7zgPePmPsle0zV9jSeGlHFG2NVAw==",
		keys.Signature("msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`)))
}

func TestRotationSignsByBoth(t *testing.T) {
	t.Parallel()
	now, body := time.Unix(1700000000, 0), []byte(testBody)
	newest, oldest := NewSecret(), NewSecret()
	keys := Keys{Secrets: []string{newest, oldest}}
	header := keys.Signature("evt_1", now, body)
	require.Equal(t, Sign(newest, "evt_1", now, body)+" "+Sign(oldest, "evt_1", now, body), header)
	for _, secret := range keys.Secrets {
		h := signed("evt_1", now, body)
		h.Set(HeaderSignature, header)
		require.NoError(t, Verify(h, body, []string{secret}, now, time.Minute))
	}
	require.Equal(t, BodySignature(oldest, body), keys.BodySignature(body))
	require.Equal(t, BodySignature(newest, body), Keys{Secrets: []string{newest}}.BodySignature(body))

	keys.Private = rfc8032(t)
	require.Equal(t, []string{"v1", "v1", "v1a"}, versionsOf(keys.Signature("evt_1", now, body)))
}

func versionsOf(header string) []string {
	var versions []string
	for entry := range strings.SplitSeq(header, " ") {
		version, _, _ := strings.Cut(entry, ",")
		versions = append(versions, version)
	}
	return versions
}

func TestKeysCheck(t *testing.T) {
	t.Parallel()
	good := NewSecret()
	for name, c := range map[string]struct {
		keys Keys
		want error
	}{
		"a secret":            {Keys{Secrets: []string{good}}, nil},
		"and a key pair":      {Keys{[]string{good, testSecret}, NewPrivateKey()}, nil},
		"no secret":           {Keys{Private: NewPrivateKey()}, ErrSecret},
		"an empty secret":     {Keys{Secrets: []string{good, ""}}, ErrSecret},
		"S14 23 bytes":        {Keys{Secrets: []string{secretOf(23), good}}, ErrSecret},
		"S14 65 bytes":        {Keys{Secrets: []string{secretOf(65)}}, ErrSecret},
		"a short private key": {Keys{[]string{good}, NewPrivateKey()[:32]}, ErrPrivateKey},
	} {
		require.Equal(t, c.want, c.keys.Check(), name)
	}
	bad := Keys{[]string{"", good}, NewPrivateKey()[:32]}
	require.Equal(t, Sign(good, "evt_1", time.Unix(1, 0), nil), bad.Signature("evt_1", time.Unix(1, 0), nil))
	require.Empty(t, Keys{}.BodySignature([]byte(testBody)))
}

func TestPublicKeyText(t *testing.T) {
	t.Parallel()
	public := publicOf(rfc8032(t))
	text := PublicKeyText(public)
	require.Equal(t, "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", text)
	parsed, err := ParsePublicKey(text)
	require.NoError(t, err)
	require.Equal(t, public, parsed)
	for name, bad := range map[string]string{
		"empty": "", "prefix alone": "whpk_", "no prefix": text[5:], "a secret": secretOf(32), "unpadded": strings.TrimRight(text, "="),
		"31 bytes": "whpk_" + base64.StdEncoding.EncodeToString(public[:31]), "URL-safe": strings.ReplaceAll(text, "/", "_"),
		"loose bits": strings.Replace(text, "o=", "p=", 1), "line break": text + "\n",
		"33 bytes": "whpk_" + base64.StdEncoding.EncodeToString(append([]byte{1}, public...)),
	} {
		_, err := ParsePublicKey(bad)
		require.ErrorIs(t, err, ErrPublicKey, name)
	}
	require.NotEqual(t, NewPrivateKey(), NewPrivateKey())
}

// The x and the kid are those of RFC 8037, appendix A.2 and A.3.
func TestJWKSIsTheRFCsExample(t *testing.T) {
	t.Parallel()
	require.Equal(t, `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",`+
		`"use":"sig","alg":"EdDSA","kid":"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"}]}`, string(JWKS(publicOf(rfc8032(t)))))
	require.Equal(t, `{"keys":[]}`, string(JWKS()))
	require.Equal(t, `{"keys":[]}`, string(JWKS(nil, make(ed25519.PublicKey, 31))))
}

func TestJWKSRoundTrip(t *testing.T) {
	t.Parallel()
	a, b := publicOf(NewPrivateKey()), publicOf(NewPrivateKey())
	keys, err := ParseJWKS(JWKS(a, b))
	require.NoError(t, err)
	require.Equal(t, []ed25519.PublicKey{a, b}, keys)

	x := base64.RawURLEncoding.EncodeToString(a)
	keys, err = ParseJWKS([]byte(`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"},{"kty":"OKP","crv":"X25519","x":"` + x + `"},
		{"kty":"OKP","crv":"Ed25519","use":"enc","x":"` + x + `"},{"kty":"OKP","crv":"Ed25519","x":"` + x[1:] + `"},
		{"kty":"OKP","crv":"Ed25519","x":"` + x + `","more":{}}]}`))
	require.NoError(t, err)
	require.Equal(t, []ed25519.PublicKey{a}, keys)
	for _, bad := range []string{``, `[]`, `{}`, `{"keys":[]}`, `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"` + x + `="}]}`} {
		_, err = ParseJWKS([]byte(bad))
		require.ErrorIs(t, err, ErrKeySet, bad)
	}
}
