package signature

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// check is one of a message's signatures: what it should be, and the ways in which it commonly is not.
type check struct {
	code, name      string // "v1", "v1 signature"
	version, coding string // as it should be written
	size            int    // of a signature, in bytes
	given           []given
	keys            []candidate
	contents        []content
	right           bool      // it verifies as it stands
	found           bool      // it fits, if mistakes are undone
	mistakes        []Finding // the mistakes
}

// given is a signature that the message has.
type given struct {
	version, coding string
	bytes           []byte
}

// candidate is a key that may have signed. Its mistake, like a content's, has no code where all is as it should be.
type candidate struct {
	mistake Finding
	digest  func(prefix string, body []byte) []byte
	fits    func(digest, signature []byte) bool
}

// content is what may have been signed: the body behind a prefix.
type content struct {
	mistake Finding
	prefix  string
}

// search looks for the way in which a signature was made, the right one first.
func (c *check) search(body []byte) {
	possible := func(g given) bool { return len(g.bytes) == c.size }
	if c.right || !slices.ContainsFunc(c.given, possible) {
		return
	}
	for changed, bytes := range bodies(body) {
		for _, content := range c.contents {
			for _, key := range c.keys {
				digest := key.digest(content.prefix, bytes)
				fits := func(g given) bool { return key.fits(digest, g.bytes) }
				if i := slices.IndexFunc(c.given, fits); i >= 0 {
					wrong := append([]Finding{changed, content.mistake, key.mistake}, c.spelling(c.given[i])...)
					c.found, c.mistakes = true, slices.DeleteFunc(wrong, func(f Finding) bool { return f.Code == "" })
					return
				}
			}
		}
	}
}

// spelling is what is wrong with the way in which a signature is written.
func (c *check) spelling(g given) []Finding {
	var wrong []Finding
	if g.version != c.version {
		wrong = append(wrong, problem(c.code+"_version", nextSigner, "The %s is labelled %.20q, not %q.", c.name, g.version, c.version))
	}
	if g.coding != c.coding {
		wrong = append(wrong, problem(c.code+"_coding", nextSigner, "The %s is written in %s, not in %s.", c.name, g.coding, c.coding))
	}
	return wrong
}

func (d *diagnosis) report(c *check, unexplained func() Finding) {
	switch {
	case c.right || c.found && len(c.mistakes) == 0:
		d.ok(c.code, "The %s is right.", c.name)
	case c.found:
		for _, f := range c.mistakes {
			d.add(f)
		}
	case len(c.keys) > 0 && c.given != nil:
		d.add(unexplained())
	}
}

// The codings of signatures.
const (
	codingBase64 = "standard base64"
	codingLoose  = "URL-safe or unpadded base64"
	codingHex    = "hex"
)

// readGiven takes an entry apart, in the specification's form or in others' ("sha256=", none).
func readGiven(entry string) given {
	version, text, ok := strings.Cut(entry, ",")
	if !ok {
		version, text = "", entry
		for _, label := range []string{"v1", "v1a", "sha256"} {
			if rest, ok := strings.CutPrefix(entry, label+"="); ok {
				version, text = label+"=", rest
			}
		}
	}
	if b, err := hex.DecodeString(text); err == nil {
		return given{version, codingHex, b}
	}
	if b, err := base64.StdEncoding.Strict().DecodeString(text); err == nil {
		return given{version, codingBase64, b}
	}
	b, _ := base64.RawURLEncoding.DecodeString(strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(text))
	return given{version, codingLoose, b}
}

// readAll puts what is written as it should be first.
func (c *check) readAll(entries iter.Seq[string]) *check {
	for entry := range entries {
		c.given = append(c.given, readGiven(entry))
	}
	slices.SortStableFunc(c.given, func(a, b given) int { return len(c.spelling(a)) - len(c.spelling(b)) })
	return c
}

// standardContents are what a webhook-signature may be over.
func (d *diagnosis) standardContents(code, name string) []content {
	id, timestamp := d.headers.Get(HeaderID), d.headers.Get(HeaderTimestamp)
	wrong := func(what string) Finding {
		return problem(code+"_content", nextSigner, "The %s is over %s, not over id.timestamp.body.", name, what)
	}
	contents := []content{
		{prefix: signedPrefix(id, timestamp)},
		{wrong("the body alone"), ""},
		{wrong("timestamp.body"), timestamp + "."},
		{wrong("id.body"), id + "."},
	}
	if n, err := strconv.ParseInt(timestamp, 10, 64); err == nil && inMilliseconds(n) {
		contents = append(contents, content{wrong("the time in seconds, while webhook-timestamp has milliseconds"), signedPrefix(id, strconv.FormatInt(n/1000, 10))})
	}
	return contents
}

func (d *diagnosis) secretCheck() *check {
	c := &check{code: "v1", name: "v1 signature", version: versionSecret, coding: codingBase64, size: sha256.Size}
	c.right = d.bySecret(d.headers, signedPrefix(d.headers.Get(HeaderID), d.headers.Get(HeaderTimestamp)), d.body)
	c.contents = d.standardContents(c.code, c.name)
	asText := problem("v1_key", "Decode the base64 behind whsec_ and key the HMAC with these bytes.", "The v1 signature is keyed with the secret's text, not with the bytes that it encodes.")
	var texts []candidate
	for _, secret := range d.Secrets {
		text, key, _ := mendSecret(secret)
		if key != nil {
			c.keys = append(c.keys, byMAC(Finding{}, key))
		}
		texts = append(texts, byMAC(asText, []byte(text)), byMAC(asText, []byte(strings.TrimPrefix(text, secretPrefix))))
	}
	c.keys = append(c.keys, texts...)
	return c.readAll(entries(d.headers))
}

func byMAC(mistake Finding, key []byte) candidate {
	return candidate{mistake, func(prefix string, body []byte) []byte { return mac(key, prefix, body) }, hmac.Equal}
}

func (d *diagnosis) publicCheck() *check {
	c := &check{code: "v1a", name: "v1a signature", version: versionPublic, coding: codingBase64, size: ed25519.SignatureSize}
	c.right = d.byPublicKey(d.headers, signedPrefix(d.headers.Get(HeaderID), d.headers.Get(HeaderTimestamp)), d.body)
	c.contents = d.standardContents(c.code, c.name)
	for _, key := range d.Public {
		c.keys = append(c.keys, candidate{
			digest: func(prefix string, body []byte) []byte { return slices.Concat([]byte(prefix), body) },
			fits: func(message, signature []byte) bool {
				return len(key) == ed25519.PublicKeySize && ed25519.Verify(key, message, signature)
			},
		})
	}
	return c.readAll(entries(d.headers))
}

func (d *diagnosis) bodyCheck() *check {
	header := cmp.Or(http.CanonicalHeaderKey(d.BodyHeader), DefaultBodyHeader)
	c := &check{code: "body_signature", name: header + " header", coding: codingHex, size: sha256.Size}
	c.contents = []content{{}, {
		problem("body_signature_content", nextSigner, "The %s is over id.timestamp.body, not over the body alone.", c.name),
		signedPrefix(d.headers.Get(HeaderID), d.headers.Get(HeaderTimestamp)),
	}}
	asBytes := problem("body_signature_key", "Key the HMAC with the secret's whole text, whsec_ included, as UTF-8.", "The %s is not keyed with the secret's whole text, whsec_ included.", c.name)
	var others []candidate
	for _, secret := range d.Secrets {
		text, key, _ := mendSecret(secret)
		c.right = c.right || hmac.Equal([]byte(d.headers.Get(header)), []byte(BodySignature(secret, d.body)))
		c.keys = append(c.keys, byMAC(Finding{}, []byte(text)))
		others = append(others, byMAC(asBytes, []byte(strings.TrimPrefix(text, secretPrefix))))
		if key != nil {
			others = append(others, byMAC(asBytes, key))
		}
	}
	c.keys = append(c.keys, others...)
	return c.readAll(strings.FieldsSeq(strings.Join(d.headers.Values(header), " ")))
}

// labelled tells whether the message has a signature of the check's version at all.
func (c *check) labelled() bool {
	return slices.ContainsFunc(c.given, func(g given) bool { return g.version == c.version })
}

// fits tells whether the check shows that these bytes of the body are what was sent.
func (c *check) fits() bool { return c.right || c.found && len(c.mistakes) == 0 }

// secretUnexplained tells a wrong secret from a changed message by what the other signatures say.
func (d *diagnosis) secretUnexplained(c, public, alone *check) Finding {
	switch {
	case !c.labelled():
		return problem("v1_missing", nextSigner, "webhook-signature holds no v1 signature: \"v1,\" and base64.")
	case public.fits():
		return problem("secret_wrong", nextSecret, "The secret is not the one that signed: the v1a signature of the same bytes is right.")
	case alone.fits():
		return problem("message_changed", "Take all headers from one and the same request, and look for a program on the way that sets them.",
			"The %s is right, so the secret and the body are; webhook-id or webhook-timestamp is not what was signed.", alone.name)
	}
	return problem("secret_or_body_wrong", nextSecret+" If it is the right one, the body was changed. "+nextBody,
		"The v1 signature fits no secret given, whatever common mistake is undone: the secret is another one, or the body is.%s", d.hint())
}

func (d *diagnosis) publicUnexplained(c, secret *check) Finding {
	switch next := "Fetch the project's jwks.json: each project has a key of its own."; {
	case !c.labelled():
		return problem("v1a_missing", "Verify by the secret, or give the project a key pair.", "webhook-signature holds no v1a signature.")
	case secret.fits():
		return problem("public_key_wrong", next, "The public key is not the one that signed: the v1 signature of the same bytes is right.")
	default:
		return problem("public_key_or_body_wrong", next+" If it is the right one, the body was changed. "+nextBody,
			"The v1a signature fits no public key given: the key is another one, or the message was changed.%s", d.hint())
	}
}

func (d *diagnosis) bodyUnexplained(c, secret *check) Finding {
	if secret.fits() {
		return problem("body_signature_other_secret", "In a rotation it is by the old secret until the overlap ends: verify it with that one, or rely on webhook-signature.",
			"The %s fits no secret given, while the v1 signature does.", c.name)
	}
	return problem("body_signature_wrong", nextSecret+" "+nextBody, "The %s fits neither the secret nor the body given.", c.name)
}

// hint names what can be seen in a body that no undoing mends.
func (d *diagnosis) hint() string {
	var compact bytes.Buffer
	switch {
	case len(d.body) == 0:
		return " The body is empty, as if something had read it before."
	case json.Compact(&compact, d.body) != nil:
		return " The body is not JSON, while Ringback's always are."
	case !bytes.HasPrefix(compact.Bytes(), []byte(`{"id":`)) && bytes.Equal(sortKeys(compact.Bytes()), compact.Bytes()):
		return " The JSON's keys are in alphabetical order, as if a parser had sorted them, which cannot be undone."
	}
	return ""
}
