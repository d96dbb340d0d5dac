package signature

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// captured is a request as a receiver may have written it down, and what it verifies with.
type captured struct {
	headers http.Header
	body    []byte
	with    Verifier
	now     time.Time
}

var capturedAt = time.Unix(1700000000, 0)

// eventBody has what libraries write differently: an order of keys, a slash, HTML, other letters, an escape.
const eventBody = `{"id":"evt_1","object":"event","created":1700000000,"data":{"b":"<a/> & ü 💩 \" \\","a":[1.0,{},[]]}}`

// intact is a callback with both kinds of signature, as it should be.
func intact(t *testing.T) *captured {
	t.Helper()
	body := []byte(eventBody)
	keys := Keys{[]string{testSecret}, rfc8032(t)}
	h := signed("evt_1", capturedAt, body)
	h.Set(HeaderSignature, keys.Signature("evt_1", capturedAt, body))
	h.Set(DefaultBodyHeader, keys.BodySignature(body))
	h.Set("Content-Length", strconv.Itoa(len(body)))
	with := Verifier{Secrets: []string{testSecret}, Public: []ed25519.PublicKey{publicOf(rfc8032(t))}}
	return &captured{h, body, with, capturedAt.Add(12 * time.Second)}
}

func (c *captured) findings() []Finding {
	return c.with.Diagnose(c.headers, c.body, c.now, 5*time.Minute)
}

// signedOver replaces all signatures by one v1 with another key or content.
func (c *captured) signedOver(key []byte, content string) {
	c.headers.Set(HeaderSignature, "v1,"+base64.StdEncoding.EncodeToString(mac(key, content, nil)))
	c.headers.Del(DefaultBodyHeader)
	c.with.Public = nil
}

// received changes the body on its way, the length with it.
func (c *captured) received(body []byte) {
	c.body = body
	c.headers.Del("Content-Length")
}

func codes(findings []Finding, severity Severity) []string {
	found := []string{}
	for _, f := range findings {
		if f.Severity == severity {
			found = append(found, f.Code)
		}
	}
	return slices.Compact(found)
}

func TestDiagnoseOfAnIntactMessage(t *testing.T) {
	t.Parallel()
	findings := intact(t).findings()
	require.Empty(t, codes(findings, SeverityProblem))
	require.Equal(t, []string{"timestamp", "v1", "v1a", "body_signature"}, codes(findings, SeverityOK))
	require.Contains(t, findings[0].Text, "12s")

	lower := intact(t)
	for name, values := range maps.Clone(lower.headers) {
		delete(lower.headers, name)
		lower.headers[strings.ToLower(name)] = values
	}
	require.Equal(t, findings, lower.findings(), "names in lower case, as in a JSON file")
}

// Each row is a mistake, the code of each problem found, and a word that the first of them says.
func TestDiagnose(t *testing.T) {
	t.Parallel()
	key, err := signingKey(testSecret)
	require.NoError(t, err)
	standard := "evt_1.1700000000." + eventBody
	for name, c := range map[string]struct {
		mistake func(*captured)
		codes   []string
		says    string
	}{
		"no ID": {func(c *captured) { c.headers.Del(HeaderID) }, []string{"header_missing"}, "webhook-id"},
		"no timestamp": {
			func(c *captured) { c.headers.Del(HeaderTimestamp) }, []string{"header_missing"}, "webhook-timestamp",
		},
		"no signature": {
			func(c *captured) { c.headers.Set(HeaderSignature, " ") }, []string{"header_missing"}, "webhook-signature",
		},
		"two IDs": {func(c *captured) { c.headers.Add(HeaderID, "evt_2") }, []string{"header_repeated"}, "webhook-id"},

		"a date": {
			func(c *captured) { c.headers.Set(HeaderTimestamp, "2023-11-14T22:13:20Z") },
			[]string{"timestamp_form", "message_changed", "public_key_or_body_wrong"},
			"2023-11-14",
		},
		"milliseconds, and signed so": {func(c *captured) {
			c.headers.Set(HeaderTimestamp, "1700000000000")
			c.signedOver(key, "evt_1.1700000000000."+eventBody)
		}, []string{"timestamp_milliseconds"}, "milliseconds"},
		"milliseconds, signed in seconds": {
			func(c *captured) { c.headers.Set(HeaderTimestamp, "1700000000000") },
			[]string{"timestamp_milliseconds", "v1_content", "v1a_content"},
			"milliseconds",
		},
		"too old":      {func(c *captured) { c.now = capturedAt.Add(2 * time.Hour) }, []string{"timestamp_old"}, "2h0m0s"},
		"just too old": {func(c *captured) { c.now = capturedAt.Add(300001 * time.Millisecond) }, []string{"timestamp_old"}, "5m0.001s"},
		"too new":      {func(c *captured) { c.now = capturedAt.Add(-10 * time.Minute) }, []string{"timestamp_new"}, "10m0s"},
		"far from any clock": {
			func(c *captured) { c.headers.Set(HeaderTimestamp, "-9223372036854775808") },
			[]string{"timestamp_old", "message_changed", "public_key_or_body_wrong"},
			"old",
		},

		"no keys":        {func(c *captured) { c.with = Verifier{} }, []string{"key_missing"}, "neither"},
		"another secret": {func(c *captured) { c.with.Secrets = []string{NewSecret()} }, []string{"secret_wrong", "body_signature_wrong"}, "secret"},
		"another secret, no public key": {func(c *captured) {
			c.with = Verifier{Secrets: []string{NewSecret()}}
		}, []string{"secret_or_body_wrong", "body_signature_wrong"}, "secret"},
		"another public key": {func(c *captured) {
			c.with.Public = []ed25519.PublicKey{publicOf(NewPrivateKey())}
		}, []string{"public_key_wrong"}, "v1 signature"},
		"half a public key": {func(c *captured) {
			c.with.Public = []ed25519.PublicKey{c.with.Public[0][:16]}
		}, []string{"public_key_form", "public_key_wrong"}, "16 bytes"},
		"only a secret asked for, only v1a there": {func(c *captured) {
			c.headers.Set(HeaderSignature, strings.Fields(c.headers.Get(HeaderSignature))[1])
		}, []string{"v1_missing"}, "no v1 "},
		"no v1a there": {func(c *captured) {
			c.headers.Set(HeaderSignature, strings.Fields(c.headers.Get(HeaderSignature))[0])
		}, []string{"v1a_missing"}, "no v1a"},
		"the old secret signs the body": {func(c *captured) {
			c.headers.Set(DefaultBodyHeader, BodySignature(NewSecret(), c.body))
		}, []string{"body_signature_other_secret"}, "X-Ringback-Signature"},

		"S14 secret without its prefix": {func(c *captured) {
			c.with.Secrets = []string{testSecret[6:]}
		}, []string{"secret_form"}, "whsec_"},
		"S14 secret with a line break": {func(c *captured) {
			c.with.Secrets = []string{testSecret + "\n"}
		}, []string{"secret_form"}, "white space"},
		"S14 secret unpadded": {func(c *captured) {
			c.with.Secrets = []string{strings.TrimRight(secretOf(25), "=")}
		}, []string{"secret_form", "secret_wrong", "body_signature_wrong"}, "padded"},
		"S14 secret in the URL-safe alphabet": {func(c *captured) {
			c.with.Secrets = []string{"whsec_" + strings.Repeat("-_", 16)}
		}, []string{"secret_form", "secret_wrong", "body_signature_wrong"}, "URL-safe"},
		"S14 secret of 23 bytes": {func(c *captured) {
			c.with.Secrets = []string{secretOf(23)}
		}, []string{"secret_form", "secret_wrong", "body_signature_wrong"}, "23 bytes"},
		"S14 secret of 65 bytes": {func(c *captured) {
			c.with.Secrets = []string{secretOf(65)}
		}, []string{"secret_form", "secret_wrong", "body_signature_wrong"}, "65 bytes"},
		"S14 no base64": {func(c *captured) {
			c.with.Secrets = []string{"whsec_hunter2!"}
		}, []string{"secret_form", "secret_wrong", "body_signature_wrong"}, "not base64"},
		"S14 an empty secret": {func(c *captured) {
			c.with.Secrets = []string{""}
		}, []string{"secret_form", "secret_wrong", "body_signature_wrong"}, "empty"},
		"a public key as the secret": {func(c *captured) {
			c.with.Secrets = []string{PublicKeyText(c.with.Public[0])}
		}, []string{"secret_form", "secret_wrong", "body_signature_wrong"}, "key pair"},

		"line break added":      {func(c *captured) { c.received([]byte(eventBody + "\n")) }, []string{"body_newline"}, "without the line break"},
		"CR and LF added":       {func(c *captured) { c.received([]byte(eventBody + "\r\n")) }, []string{"body_newline"}, "without the line break"},
		"byte order mark added": {func(c *captured) { c.received([]byte("\xef\xbb\xbf" + eventBody)) }, []string{"body_bom"}, "without"},
		"decoded as Latin-1":    {func(c *captured) { c.received(decodeLatin1([]byte(eventBody))) }, []string{"body_latin1"}, "decoded as Latin-1"},
		"a string of JSON": {func(c *captured) {
			quoted, _ := json.Marshal(eventBody)
			c.received(quoted)
		}, []string{"body_string"}, "JSON string"},
		"indented": {func(c *captured) {
			c.received([]byte(strings.ReplaceAll(eventBody, ",", ",\n  ")))
		}, []string{"body_json"}, "without spaces"},
		"written again by Python": {func(c *captured) {
			c.received([]byte(`{"id": "evt_1", "object": "event", "created": 1700000000, "data": ` +
				`{"b": "<a/> & \u00fc \ud83d\udca9 \" \\", "a": [1.0, {}, []]}}`))
		}, []string{"body_json"}, "without needless escapes"},
		"written again by Go": {func(c *captured) {
			c.received([]byte(`{"id":"evt_1","object":"event","created":1700000000,"data":` +
				`{"b":"\u003ca/\u003e \u0026 ü 💩 \" \\","a":[1.0,{},[]]}}`))
		}, []string{"body_json"}, "without needless escapes"},
		"keys sorted": {func(c *captured) {
			c.received(sortKeys([]byte(eventBody)))
			c.with.Public = nil
		}, []string{"secret_or_body_wrong", "body_signature_wrong"}, "alphabetical order"},
		"body read before": {func(c *captured) {
			c.received(nil)
			c.with.Public = nil
		}, []string{"secret_or_body_wrong", "body_signature_wrong"}, "empty"},
		"another body": {func(c *captured) {
			c.received([]byte("<html>"))
			c.with.Public = nil
		}, []string{"secret_or_body_wrong", "body_signature_wrong"}, "not JSON"},
		"body cut short": {func(c *captured) {
			c.body = c.body[:20]
			c.with.Public = nil
		}, []string{"body_length", "secret_or_body_wrong", "body_signature_wrong"}, "the body has 20"},

		"signed with a line break, sent without": {func(c *captured) { c.signedOver(key, standard+"\n") }, []string{"body_newline"}, "with a line break"},
		"signed with a CRLF, sent without":       {func(c *captured) { c.signedOver(key, standard+"\r\n") }, []string{"body_newline"}, "CR and LF"},
		"signed with CRLF, sent with LF": {func(c *captured) {
			c.received([]byte("{\n\"a\":1}"))
			c.signedOver(key, "evt_1.1700000000.{\r\n\"a\":1}")
		}, []string{"body_line_ends"}, "with CRLF"},
		"signed with LF, sent with CRLF": {func(c *captured) {
			c.received([]byte("{\r\n\"a\":1}"))
			c.signedOver(key, "evt_1.1700000000.{\n\"a\":1}")
		}, []string{"body_line_ends"}, "with LF"},
		"signed with a byte order mark": {func(c *captured) {
			c.signedOver(key, "evt_1.1700000000.\xef\xbb\xbf"+eventBody)
		}, []string{"body_bom"}, "with a byte order mark"},
		"sent as Latin-1": {func(c *captured) {
			c.received([]byte("{\"a\":\"\xfc\"}"))
			c.signedOver(key, `evt_1.1700000000.{"a":"ü"}`)
		}, []string{"body_latin1"}, "encoded as Latin-1"},
		"signed as Python writes it": {func(c *captured) {
			c.signedOver(key, `evt_1.1700000000.{"id": "evt_1", "object": "event", "created": 1700000000, "data": `+
				`{"b": "<a/> & \u00fc \ud83d\udca9 \" \\", "a": [1.0, {}, []]}}`)
		}, []string{"body_json"}, "all but ASCII escaped, with a space"},
		"signed with sorted keys": {func(c *captured) {
			c.signedOver(key, `evt_1.1700000000.{"created":1700000000,"data":{"a":[1.0,{},[]],"b":"<a/> & ü 💩 \" \\"},"id":"evt_1","object":"event"}`)
		}, []string{"body_json"}, "with sorted keys, without spaces"},
		"signed as Go escapes it": {func(c *captured) {
			c.signedOver(key, `evt_1.1700000000.{"id":"evt_1","object":"event","created":1700000000,"data":`+
				`{"b":"\u003ca/\u003e \u0026 ü 💩 \" \\","a":[1.0,{},[]]}}`)
		}, []string{"body_json"}, "<, > and & escaped"},
		"signed as PHP escapes it": {func(c *captured) {
			c.signedOver(key, `evt_1.1700000000.{"id":"evt_1","object":"event","created":1700000000,"data":`+
				`{"b":"<a\/> & \u00fc \ud83d\udca9 \" \\","a":[1.0,{},[]]}}`)
		}, []string{"body_json"}, "slashes"},
		"signed indented": {func(c *captured) {
			c.received([]byte(`{"a":[1,{}],"b":""}`))
			c.signedOver(key, "evt_1.1700000000.{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": \"\"\n}")
		}, []string{"body_json"}, "two spaces"},

		"in hex": {func(c *captured) {
			c.signedOver(nil, "")
			c.headers.Set(HeaderSignature, "v1,"+hex.EncodeToString(mac(key, standard, nil)))
		}, []string{"v1_coding"}, "hex"},
		"unpadded signature": {func(c *captured) {
			c.signedOver(key, standard)
			c.headers.Set(HeaderSignature, strings.TrimRight(c.headers.Get(HeaderSignature), "="))
		}, []string{"v1_coding"}, "unpadded"},
		"as another vendor writes it": {func(c *captured) {
			c.signedOver(nil, "")
			c.headers.Set(HeaderSignature, "sha256="+hex.EncodeToString(mac(key, eventBody, nil)))
		}, []string{"v1_content", "v1_version", "v1_coding"}, "body alone"},
		"labelled v2": {func(c *captured) {
			c.signedOver(key, standard)
			c.headers.Set(HeaderSignature, "v2"+c.headers.Get(HeaderSignature)[2:])
		}, []string{"v1_version"}, `"v2"`},
		"no label": {func(c *captured) {
			c.signedOver(key, standard)
			c.headers.Set(HeaderSignature, c.headers.Get(HeaderSignature)[3:])
		}, []string{"v1_version"}, `""`},
		"v1a labelled v1": {func(c *captured) {
			c.headers.Set(HeaderSignature, strings.Replace(c.headers.Get(HeaderSignature), "v1a,", "v1,", 1))
		}, []string{"v1a_version"}, "v1a"},
		"keyed with the secret's text":      {func(c *captured) { c.signedOver([]byte(testSecret), standard) }, []string{"v1_key"}, "text"},
		"keyed with the text behind whsec_": {func(c *captured) { c.signedOver([]byte(testSecret[6:]), standard) }, []string{"v1_key"}, "text"},
		"over the body alone":               {func(c *captured) { c.signedOver(key, eventBody) }, []string{"v1_content"}, "body alone"},
		"over the time and body":            {func(c *captured) { c.signedOver(key, "1700000000."+eventBody) }, []string{"v1_content"}, "timestamp.body"},
		"over the ID and body":              {func(c *captured) { c.signedOver(key, "evt_1."+eventBody) }, []string{"v1_content"}, "id.body"},
		"over the body alone, by the text":  {func(c *captured) { c.signedOver([]byte(testSecret), eventBody) }, []string{"v1_content", "v1_key"}, "body alone"},
		"another message's ID":              {func(c *captured) { c.headers.Set(HeaderID, "evt_2"); c.with.Public = nil }, []string{"message_changed"}, "webhook-id"},
		"rubbish for a signature":           {func(c *captured) { c.signedOver(key, ""); c.headers.Set(HeaderSignature, "no") }, []string{"v1_missing"}, "no v1 "},
		"the body's signature in base64": {func(c *captured) {
			c.headers.Set(DefaultBodyHeader, base64.StdEncoding.EncodeToString(mac([]byte(testSecret), eventBody, nil)))
		}, []string{"body_signature_coding"}, "base64"},
		"the body's signature with a label": {func(c *captured) {
			c.headers.Set(DefaultBodyHeader, "sha256="+BodySignature(testSecret, c.body))
		}, []string{"body_signature_version"}, "sha256="},
		"the body's signature by the bytes": {func(c *captured) {
			c.headers.Set(DefaultBodyHeader, hex.EncodeToString(mac(key, eventBody, nil)))
		}, []string{"body_signature_key"}, "whsec_"},
		"the body's signature over all": {func(c *captured) {
			c.headers.Set(DefaultBodyHeader, hex.EncodeToString(mac([]byte(testSecret), standard, nil)))
		}, []string{"body_signature_content"}, "body alone"},
		"the body's signature in another header": {func(c *captured) {
			c.with.BodyHeader = "x-other"
			c.headers.Set("X-Other", "00")
		}, []string{"body_signature_other_secret"}, "X-Other"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := intact(t)
			c.mistake(m)
			findings := m.findings()
			require.Equal(t, c.codes, codes(findings, SeverityProblem), "%+v", findings)
			first := findings[slices.IndexFunc(findings, func(f Finding) bool { return f.Severity == SeverityProblem })]
			require.Contains(t, first.Text, c.says)
			requireDiscreet(t, m, findings)
		})
	}
}

// requireDiscreet looks for what would let a reader forge, and for advice.
func requireDiscreet(t *testing.T, c *captured, findings []Finding) {
	t.Helper()
	said, err := json.Marshal(findings)
	require.NoError(t, err)
	for _, secret := range append(slices.Clone(c.with.Secrets), testSecret, testSecret[6:]) {
		if len(secret) > 6 {
			require.NotContains(t, string(said), secret)
		}
		right := Keys{Secrets: []string{secret}}
		for _, text := range []string{right.Signature(c.headers.Get(HeaderID), capturedAt, c.body), right.BodySignature(c.body)} {
			if text != "" {
				require.NotContains(t, string(said), text)
			}
		}
	}
	for _, f := range findings {
		require.Equal(t, f.Severity == SeverityProblem, f.Next != "", "%+v", f)
	}
}

// In a rotation a receiver has one of two secrets, and a message two signatures: the second fits.
func TestDiagnoseInARotation(t *testing.T) {
	t.Parallel()
	c := intact(t)
	c.with = Verifier{Secrets: []string{testSecret}}
	c.headers.Set(HeaderSignature, Keys{Secrets: []string{NewSecret(), testSecret}}.Signature("evt_1", capturedAt, c.body))
	require.Empty(t, codes(c.findings(), SeverityProblem))
	c.headers.Set(HeaderSignature, "v2"+Sign(NewSecret(), "evt_1", capturedAt, c.body)[2:]+" "+Sign(testSecret, "evt_1", capturedAt, c.body))
	require.Empty(t, codes(c.findings(), SeverityProblem), "an unknown version beside it")
}

// A signature that is there twice counts as it is written best.
func TestDiagnosePrefersTheRightSpelling(t *testing.T) {
	t.Parallel()
	c := intact(t)
	right := Sign(testSecret, "evt_1", capturedAt, c.body)
	c.with.Public = nil
	c.headers.Set(HeaderSignature, "v2"+right[2:]+" "+right)
	c.received([]byte(eventBody + "\n"))
	require.Equal(t, []string{"body_newline"}, codes(c.findings(), SeverityProblem))
}

// S14: an empty secret is nobody's key, though an HMAC can be made with it.
func TestDiagnoseTakesNoEmptyKey(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"", "whsec_", "whsec_==", " "} {
		c := intact(t)
		c.with.Secrets = []string{secret}
		c.signedOver(nil, "evt_1.1700000000."+eventBody)
		require.Contains(t, codes(c.findings(), SeverityProblem), "secret_form")
		require.NotContains(t, codes(c.findings(), SeverityOK), "v1", "%q", secret)
	}
}

// Only what came in the headers is repeated, and that in quotes, without control characters.
func TestDiagnoseQuotesWhatItRepeats(t *testing.T) {
	t.Parallel()
	c := intact(t)
	c.headers.Set(HeaderTimestamp, "\x1b[2J"+strings.Repeat("x", 1000))
	for _, f := range c.findings() {
		require.NotContains(t, f.Text, "\x1b")
		require.Less(t, len(f.Text), 300)
	}
}

func TestDiagnoseOfALargeBodyIsDoneSoon(t *testing.T) {
	t.Parallel()
	c := intact(t)
	c.received([]byte(`{"id":"evt_1","data":"` + string(bytes.Repeat([]byte("ü/<"), 16<<10)) + `"}`))
	begun := time.Now()
	require.Contains(t, codes(c.findings(), SeverityProblem), "secret_or_body_wrong")
	require.Less(t, time.Since(begun), 30*time.Second)
}
