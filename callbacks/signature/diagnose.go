package signature

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Severity says whether a finding keeps a message from being accepted as it stands.
type Severity string

// The severities.
const (
	SeverityOK      Severity = "ok"
	SeverityProblem Severity = "problem"
)

// Finding is one thing that Diagnose saw. It never holds a secret or a signature that would be right: with one of these
// anybody could forge.
type Finding struct {
	Severity Severity `json:"severity"`
	Code     string   `json:"code"`           // stable, for programs: "timestamp_old"
	Text     string   `json:"text"`           // one sentence
	Next     string   `json:"next,omitempty"` // what to do; empty for what is well
}

// What to do about the mistakes that have one remedy.
const (
	nextBody = "Verify the raw bytes of the request, read before any parser or text decoding touches them; " +
		"a sender signs exactly the bytes that it sends."
	nextSigner = "Have the sender make it as the Standard Webhooks specification says; Ringback's own callbacks are made so."
	nextSecret = "Take the secret of the endpoint that was called or, where the job named one, the job's webhook.secret; " +
		"after a rotation, the newest."
)

func problem(code, next, format string, args ...any) Finding {
	return Finding{SeverityProblem, code, fmt.Sprintf(format, args...), next}
}

// Diagnose says what is right and what is wrong with a captured message, and what to do next. A message without a
// problem verifies (header names in any case, values without white space around, as HTTP reads them); one that verifies
// may have some: a superfluous key, a wrong signature of the body. Where a signature does not fit, it
// tries the common mistakes: other bytes of the body, other contents, keys and spellings. That takes some hundred passes
// over the body, so it is for a person at a terminal, never for requests as they come.
func (v Verifier) Diagnose(headers http.Header, body []byte, now time.Time, tolerance time.Duration) []Finding {
	d := &diagnosis{Verifier: v, headers: canonical(headers), body: body}
	d.judgeKeys()
	complete := d.judgeHeaders()
	d.judgeTime(now, tolerance)
	d.judgeLength()
	secret, public, alone := d.secretCheck(), d.publicCheck(), d.bodyCheck()
	if !complete {
		secret, public = &check{}, &check{}
	}
	for _, c := range []*check{secret, public, alone} {
		c.search(body)
	}
	d.report(secret, func() Finding { return d.secretUnexplained(secret, public, alone) })
	d.report(public, func() Finding { return d.publicUnexplained(public, secret) })
	d.report(alone, func() Finding { return d.bodyUnexplained(alone, secret) })
	return d.findings
}

// diagnosis is one run of Diagnose.
type diagnosis struct {
	Verifier
	headers  http.Header
	body     []byte
	findings []Finding
}

// canonical lets headers be found whose names came in another case, as from a JSON file.
func canonical(headers http.Header) http.Header {
	out := make(http.Header, len(headers))
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		for _, value := range headers[name] {
			out.Add(name, strings.TrimSpace(value))
		}
	}
	return out
}

// add leaves out what another check has said already.
func (d *diagnosis) add(f Finding) {
	same := func(g Finding) bool { return g.Code == f.Code && g.Text == f.Text }
	if !slices.ContainsFunc(d.findings, same) {
		d.findings = append(d.findings, f)
	}
}

func (d *diagnosis) ok(code, format string, args ...any) {
	d.add(Finding{Severity: SeverityOK, Code: code, Text: fmt.Sprintf(format, args...)})
}

func (d *diagnosis) judgeKeys() {
	if len(d.Secrets)+len(d.Public) == 0 {
		d.add(problem("key_missing", "Give the whsec_ secret of the endpoint or the project, or the project's public key.",
			"There is neither a secret nor a public key to verify with."))
	}
	for i, secret := range d.Secrets {
		if _, _, fault := mendSecret(secret); fault != "" {
			d.add(problem("secret_form", "Write it as "+SecretForm+", just as it was shown when it was made.", "Secret %d %s.", i+1, fault))
		}
	}
	for i, key := range d.Public {
		if len(key) != ed25519.PublicKeySize {
			d.add(problem("public_key_form", "Give an ed25519 public key, as whpk_ or from the project's jwks.json.",
				"Public key %d is %d bytes long, not %d.", i+1, len(key), ed25519.PublicKeySize))
		}
	}
}

// judgeHeaders tells whether there is what a signature can be checked with.
func (d *diagnosis) judgeHeaders() bool {
	complete := true
	for _, name := range []string{HeaderID, HeaderTimestamp, HeaderSignature} {
		shown := strings.ToLower(name)
		switch values := d.headers.Values(name); {
		case strings.Join(values, "") == "":
			complete = false
			d.add(problem("header_missing", "Capture all headers of the request; a proxy or a framework may drop or rename them, and a caller without them is not Ringback.",
				"The header %s is missing or empty.", shown))
		case len(values) > 1 && name != HeaderSignature:
			d.add(problem("header_repeated", "Reject it: programs might not agree on which of them counts. Look for a proxy that adds headers.",
				"The header %s stands %d times.", shown, len(values)))
		}
	}
	return complete
}

func (d *diagnosis) judgeTime(now time.Time, tolerance time.Duration) {
	text := d.headers.Get(HeaderTimestamp)
	if text == "" {
		return
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	age := now.Sub(time.Unix(seconds, 0))
	switch {
	case err != nil:
		d.add(problem("timestamp_form", "webhook-timestamp must be Unix time in whole seconds, in digits alone.", "The timestamp %.40q is not a number of seconds.", text))
	case inMilliseconds(seconds):
		d.add(problem("timestamp_milliseconds", "Have the sender write Unix time in seconds: divide by 1000.", "The timestamp is in milliseconds or finer, not in seconds."))
	case age > tolerance:
		d.add(problem("timestamp_old", "If the request was captured earlier, verify it for the time at which it came. If it came just now, set this machine's clock; if that is right, somebody repeats an old request: reject it.",
			"The timestamp is %s old; %s is allowed.", age.Round(time.Millisecond), tolerance))
	case age < -tolerance:
		d.add(problem("timestamp_new", "Set this machine's clock and the sender's by NTP.", "The timestamp is %s ahead of this clock; %s is allowed.", age.Abs().Round(time.Millisecond), tolerance))
	default:
		d.ok("timestamp", "The timestamp is %s from now; %s is allowed.", age.Abs().Round(time.Millisecond), tolerance)
	}
}

// inMilliseconds tells times apart by size: as seconds this would be the year 5138.
func inMilliseconds(timestamp int64) bool { return timestamp >= 1e11 }

func (d *diagnosis) judgeLength() {
	length, err := strconv.Atoi(d.headers.Get("Content-Length"))
	if err == nil && length != len(d.body) {
		d.add(problem("body_length", nextBody, "Content-Length says %d bytes; the body has %d.", length, len(d.body)))
	}
}

// mendSecret reads a secret leniently: its text with the usual slips mended, its key (nil if there is none in it), and
// what was wrong with it.
func mendSecret(secret string) (text string, key []byte, fault string) {
	trimmed := strings.Trim(secret, " \t\r\n\"'")
	encoded := strings.NewReplacer("-", "+", "_", "/", "=", "").Replace(strings.TrimPrefix(trimmed, secretPrefix))
	key, err := base64.RawStdEncoding.DecodeString(encoded)
	if err != nil || len(key) == 0 {
		return trimmed, nil, secretFault(secret, trimmed, nil)
	}
	return secretPrefix + base64.StdEncoding.EncodeToString(key), key, secretFault(secret, trimmed, key)
}

func secretFault(secret, trimmed string, key []byte) string {
	encoded, ok := strings.CutPrefix(trimmed, secretPrefix)
	switch {
	case CheckSecret(secret) == nil:
		return ""
	case trimmed == "":
		return "is empty"
	case trimmed != secret:
		return "has white space or quotes around it"
	case strings.HasPrefix(trimmed, publicPrefix) || strings.HasPrefix(trimmed, "whsk_"):
		return "is half of a key pair; give whpk_ as a public key, and whsk_ to nobody"
	case !ok:
		return "does not begin with whsec_"
	case key == nil:
		return "is not base64 after whsec_"
	case len(key) < minSecret || len(key) > maxSecret:
		return fmt.Sprintf("holds %d bytes, not %d to %d", len(key), minSecret, maxSecret)
	case strings.ContainsAny(encoded, "-_"):
		return "is written in URL-safe base64"
	}
	return "is not padded as standard base64"
}
