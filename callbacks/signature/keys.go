package signature

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
)

// Keys sign a receiver's callbacks.
type Keys struct {
	Secrets []string           // the live whsec_ secrets, newest first; two during a rotation
	Private ed25519.PrivateKey // nil: no v1a
}

// publicPrefix marks a public key in the Standard Webhooks serialisation.
const publicPrefix = "whpk_"

// ErrPrivateKey is the answer to a private key of the wrong length.
var ErrPrivateKey = errors.New("signature: a private key must be 64 bytes (ed25519); make a new one")

// ErrPublicKey is the answer to a text that is no public key.
var ErrPublicKey = errors.New("signature: a public key must be whpk_ followed by the padded standard base64 of 32 bytes (ed25519)")

// ErrKeySet is the answer to a document without a key that callbacks may be verified with.
var ErrKeySet = errors.New("signature: a JSON Web Key Set must hold an Ed25519 public key (RFC 8037); fetch it anew from the project's jwks.json")

// Check tells whether the keys can sign: ErrSecret if there is no secret or one is none, ErrPrivateKey if a private key
// is set that is none.
func (k Keys) Check() error {
	if len(k.Secrets) == 0 {
		return ErrSecret
	}
	for _, secret := range k.Secrets {
		if err := CheckSecret(secret); err != nil {
			return err
		}
	}
	if k.Private != nil && len(k.Private) != ed25519.PrivateKeySize {
		return ErrPrivateKey
	}
	return nil
}

// Signature is a message's webhook-signature header: a v1 for each live secret, newest first, then a v1a if there is a
// private key, with single spaces between. What cannot sign (Check) is left out.
func (k Keys) Signature(id string, ts time.Time, body []byte) string {
	var header strings.Builder
	for _, secret := range k.Secrets {
		appendEntry(&header, Sign(secret, id, ts, body))
	}
	if len(k.Private) == ed25519.PrivateKeySize {
		message := slices.Concat([]byte(signedPrefix(id, unixSeconds(ts))), body)
		appendEntry(&header, versionPublic+","+base64.StdEncoding.EncodeToString(ed25519.Sign(k.Private, message)))
	}
	return header.String()
}

func appendEntry(header *strings.Builder, entry string) {
	if header.Len() > 0 && entry != "" {
		header.WriteByte(' ')
	}
	header.WriteString(entry)
}

// BodySignature is the signature of the body alone, by the oldest live secret: its receivers know one secret at a time,
// so a rotation leaves them the old one until the overlap ends. It is empty where there is no secret.
func (k Keys) BodySignature(body []byte) string {
	if len(k.Secrets) == 0 {
		return ""
	}
	return BodySignature(k.Secrets[len(k.Secrets)-1], body)
}

// NewPrivateKey makes the private key of a project's key pair.
func NewPrivateKey() ed25519.PrivateKey {
	_, private, _ := ed25519.GenerateKey(nil) // crypto/rand never fails: it ends the program instead
	return private
}

// PublicKeyText is a public key in the Standard Webhooks serialisation: whpk_ and the base64 of its 32 bytes.
func PublicKeyText(public ed25519.PublicKey) string {
	return publicPrefix + base64.StdEncoding.EncodeToString(public)
}

// ParsePublicKey reads what PublicKeyText writes, strictly; the error is ErrPublicKey.
func ParsePublicKey(text string) (ed25519.PublicKey, error) {
	encoded, ok := strings.CutPrefix(text, publicPrefix)
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(key) != ed25519.PublicKeySize || base64.StdEncoding.EncodeToString(key) != encoded {
		return nil, ErrPublicKey
	}
	return key, nil
}

// keySet is a JSON Web Key Set (RFC 7517, section 5).
type keySet struct {
	Keys []webKey `json:"keys"`
}

// webKey is an Ed25519 public key as a JSON Web Key (RFC 8037, section 2).
type webKey struct {
	Type      string `json:"kty"`
	Curve     string `json:"crv"`
	X         string `json:"x"` // base64url without padding
	Use       string `json:"use,omitempty"`
	Algorithm string `json:"alg,omitempty"`
	ID        string `json:"kid,omitempty"`
}

// JWKS is the JSON Web Key Set of public keys, in their order: OKP keys for EdDSA signatures. A key's kid is its
// thumbprint (RFC 7638, RFC 8037 appendix A.3). A key of the wrong length is left out.
func JWKS(public ...ed25519.PublicKey) json.RawMessage {
	set := keySet{Keys: []webKey{}}
	for _, key := range public {
		if len(key) != ed25519.PublicKeySize {
			continue
		}
		x := base64.RawURLEncoding.EncodeToString(key)
		set.Keys = append(set.Keys, webKey{Type: "OKP", Curve: "Ed25519", X: x, Use: "sig", Algorithm: "EdDSA", ID: thumbprint(x)})
	}
	document, _ := json.Marshal(set) // strings alone: it cannot fail
	return document
}

// thumbprint hashes a key's required members in alphabetical order.
func thumbprint(x string) string {
	sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + x + `"}`))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// ParseJWKS takes the Ed25519 keys out of a JSON Web Key Set. Keys of other kinds, or for other uses than signatures,
// are passed over (RFC 7517, section 5). The error is ErrKeySet where none is left.
func ParseJWKS(document []byte) ([]ed25519.PublicKey, error) {
	var set keySet
	if json.Unmarshal(document, &set) != nil {
		return nil, ErrKeySet
	}
	var keys []ed25519.PublicKey
	for _, k := range set.Keys {
		x, err := base64.RawURLEncoding.Strict().DecodeString(k.X)
		if k.Type == "OKP" && k.Curve == "Ed25519" && (k.Use == "" || k.Use == "sig") && err == nil && len(x) == ed25519.PublicKeySize {
			keys = append(keys, x)
		}
	}
	if len(keys) == 0 {
		return nil, ErrKeySet
	}
	return keys, nil
}
