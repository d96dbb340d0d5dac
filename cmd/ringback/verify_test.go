package main

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/callbacks/signature"
)

const capturedBody = `{"id":"evt_1","type":"batch.completed","data":{"id":"batch_1","object":{"text":"Grüße"}}}`

// capturedAt is a raw request as it came at a time, with its headers in order.
func capturedAt(at time.Time, body string, change func(http.Header)) string {
	header := signedCallback(testSigningKey, "evt_1", at, []byte(body)).Header
	header.Set("Content-Length", fmt.Sprint(len(body)))
	if change != nil {
		change(header)
	}
	var text strings.Builder
	text.WriteString("POST /hook HTTP/1.1\r\nHost: localhost:3000\r\n")
	_ = header.Write(&text) // a Builder takes everything
	return text.String() + "\r\n" + body
}

// codes are the findings that are problems, in order.
func codes(t *testing.T, out string) []string {
	t.Helper()
	require.True(t, json.Valid([]byte(out)), out)
	found := []string{}
	for _, code := range gjson.Get(out, `findings.#(severity=="problem")#.code`).Array() {
		found = append(found, code.String())
	}
	return found
}

func TestVerifyCaptures(t *testing.T) {
	t.Parallel()
	now := time.Now()
	other := signature.NewSecret()
	old := now.Add(-time.Hour)
	plain := capturedAt(now, capturedBody, nil)
	head, _, _ := strings.Cut(plain, "\r\n\r\n")
	for _, test := range []struct {
		name     string
		text     string
		args     []string
		problems []string
		fails    bool
	}{
		{name: "as it came", text: plain},
		{name: "without a request line", text: strings.TrimPrefix(plain, "POST /hook HTTP/1.1\r\n")},
		{name: "with HTTP/2's names", text: ":method: POST\n:path: /hook\n" + strings.TrimPrefix(plain, "POST /hook HTTP/1.1\r\n")},
		{name: "with LF line ends", text: strings.ReplaceAll(plain, "\r\n", "\n")},
		{name: "with what an editor added", text: plain + "\n"},
		{name: "with folded headers", text: strings.Replace(plain, "X-Ringback-Signature: ", "X-Ringback-Signature: \r\n\t", 1)},
		{name: "with another request behind it", text: plain + "POST / HTTP/1.1\r\n\r\n"},
		{name: "in another layout", text: strings.Replace(plain, `,"type":`, `, "type": `, 1), problems: []string{"body_length", "body_json"}, fails: true},
		{name: "with frames", text: strings.Replace(head, "Content-Length: ", "Transfer-Encoding: chunked\r\nX-Length: ", 1) +
			fmt.Sprintf("\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(capturedBody), capturedBody)},
		{name: "in a rotation", text: plain, args: []string{"--secret", other, "--secret", testSigningKey}},
		{name: "an old one", text: capturedAt(old, capturedBody, nil), problems: []string{"timestamp_old"}, fails: true},
		{name: "an old one as of then", text: capturedAt(old, capturedBody, nil), args: []string{"--at", fmt.Sprint(old.Unix())}},
		{name: "an old one as of then in words", text: capturedAt(old, capturedBody, nil), args: []string{"--at", old.UTC().Format(time.RFC3339)}},
		{name: "an old one with patience", text: capturedAt(old, capturedBody, nil), args: []string{"--tolerance", "2h"}},
		{name: "one from ahead", text: capturedAt(now.Add(time.Hour), capturedBody, nil), problems: []string{"timestamp_new"}, fails: true},
		{name: "written anew", text: capturedAt(now, capturedBody, func(h http.Header) { h.Set("Content-Length", "120") }) + "\n", problems: []string{"body_length", "body_newline"}, fails: true},
		{name: "the body cut short", text: plain[:len(plain)-5], problems: []string{"body_length", "secret_or_body_wrong", "body_signature_wrong"}, fails: true},
		{name: "another secret", text: plain, args: []string{"--secret", other}, problems: []string{"secret_or_body_wrong", "body_signature_wrong"}, fails: true},
		{name: "a secret that is none", text: plain, args: []string{"--secret", "whsec_x y"}, problems: []string{"secret_form"}, fails: true},
		{name: "without a signature", text: capturedAt(now, capturedBody, func(h http.Header) { h.Del("Webhook-Signature") }), problems: []string{"header_missing"}, fails: true},
		{name: "a wrong signature of the body alone", text: capturedAt(now, capturedBody, func(h http.Header) {
			h.Set("X-Ringback-Signature", strings.Repeat("0", 64))
		}), problems: []string{"body_signature_other_secret"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"verify", written(t, test.text), "--json"}, test.args...)
			if !strings.Contains(strings.Join(test.args, " "), "--secret") {
				args = append(args, "--secret", testSigningKey)
			}
			code, out, errs := runCommand(t, "", args...)
			require.Empty(t, errs)
			require.Subset(t, codes(t, out), test.problems, out)
			require.Equal(t, len(test.problems) == 0, len(codes(t, out)) == 0, out)
			require.Equal(t, test.fails, code == exitFailure, out)
			require.Equal(t, !test.fails, gjson.Get(out, "verified").Bool())
			require.Equal(t, "evt_1", gjson.Get(out, "webhook_id").String())
		})
	}
}

func TestVerifyShowsNoSecret(t *testing.T) {
	t.Parallel()
	right := signedCallback(testSigningKey, "evt_1", time.Now(), []byte(capturedBody)).Header
	forged := capturedAt(time.Now(), capturedBody, func(h http.Header) {
		h.Set("Webhook-Signature", "v1,"+strings.Repeat("A", 43)+"=")
		h.Set("X-Ringback-Signature", strings.Repeat("0", 64))
	})
	for _, form := range [][]string{nil, {"--json"}} {
		code, out, errs := runCommand(t, testSigningKey, append([]string{"verify", written(t, forged), "--secret-file", "-"}, form...)...)
		require.Equal(t, exitFailure, code)
		require.Empty(t, errs)
		require.NotContains(t, out, testSigningKey[len("whsec_"):])
		require.NotContains(t, out, right.Get("Webhook-Signature")[len("v1,"):])
		require.NotContains(t, out, right.Get("X-Ringback-Signature"))
	}
}

func TestVerifyForPeople(t *testing.T) {
	t.Parallel()
	old := time.Now().Add(-time.Hour)
	code, out, _ := runCommand(t, capturedAt(old, capturedBody, nil), "verify", "-", "--secret", testSigningKey)
	require.Equal(t, exitFailure, code)
	require.True(t, strings.HasPrefix(out, `The callback does not verify: "evt_1", 91 bytes`), out)
	require.Regexp(t, `(?m)^  problem  The timestamp is 1h0m0\.?\d*m?s old; 5m0s is allowed\.$`, out)
	require.Contains(t, out, fmt.Sprintf("--at %d checks it", old.Unix()))
	require.Contains(t, out, "  ok       The v1 signature is right.")
}

func TestVerifyHeadersAndBody(t *testing.T) {
	t.Parallel()
	header := signed(testSigningKey, "evt_1", time.Now(), []byte(capturedBody))
	args := []string{"verify", "--secret", testSigningKey, "--json"}
	for name := range header {
		args = append(args, "--header", strings.ToLower(name)+": "+header.Get(name))
	}
	code, out, errs := runCommand(t, capturedBody, append(args, "--body", "-")...)
	require.Equal(t, exitOK, code, out+errs)
	code, out, _ = runCommand(t, "", append(args, "--body", written(t, capturedBody+"\n"))...)
	require.Equal(t, exitFailure, code)
	require.Equal(t, []string{"body_newline"}, codes(t, out))
}

func TestVerifyAsksTheServer(t *testing.T) {
	t.Parallel()
	private := signature.NewPrivateKey()
	public := private.Public().(ed25519.PublicKey)
	keys := signature.Keys{Secrets: []string{testSigningKey}, Private: private}
	both := capturedAt(time.Now(), capturedBody, func(h http.Header) {
		h.Set("Webhook-Signature", keys.Signature("evt_1", time.Now(), []byte(capturedBody)))
	})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/webhooks/default/secret", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, 200, map[string]string{"key": testSigningKey})
	})
	mux.HandleFunc("GET /.well-known/jwks.json", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(signature.JWKS(public)) })
	server := httptest.NewServer(mux)
	defer server.Close()

	code, out, errs := runCommand(t, "", "verify", written(t, both), "--server", server.URL)
	require.Equal(t, exitOK, code, out+errs)
	require.Contains(t, out, "The v1 signature is right.")
	require.Contains(t, out, "The v1a signature is right.")

	code, out, _ = runCommand(t, "", "verify", written(t, capturedAt(time.Now(), capturedBody, nil)), "--server", server.URL, "--json")
	require.Equal(t, exitOK, code, out)
	require.Empty(t, codes(t, out), "a project's key pair is no reason to miss a v1a signature")

	code, out, _ = runCommand(t, "", "verify", written(t, both), "--public-key", signature.PublicKeyText(public), "--json")
	require.Equal(t, exitOK, code, out)
	code, out, _ = runCommand(t, "", "verify", written(t, capturedAt(time.Now(), capturedBody, nil)), "--public-key", signature.PublicKeyText(public), "--json")
	require.Equal(t, exitFailure, code)
	require.Equal(t, []string{"v1a_missing"}, codes(t, out))

	without := newFakeServer(t) // it has no key set
	code, out, errs = runCommand(t, "", "verify", written(t, both), "--server", without.URL, "--json")
	require.Equal(t, exitOK, code, out+errs)
}

func TestCapturesThatAreNone(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                              "no empty line",
		"webhook-id: x":                 "no empty line",
		"webhook-id: x\nnonsense\n\n{}": `line 2 of the captured request is no header ('Name: value'): "nonsense"`,
		" folded\n\n":                   "line 1",
		"{\"id\":1}\n\n":                "line 1",
	} {
		code, out, errs := runCommand(t, "", "verify", written(t, text), "--secret", testSigningKey)
		require.Equal(t, exitFailure, code)
		require.Empty(t, out)
		require.Contains(t, errs, want)
	}
	code, _, errs := runCommand(t, "", "verify", "/nowhere/x", "--secret", testSigningKey)
	require.Equal(t, exitFailure, code)
	require.Contains(t, errs, "/nowhere/x")
}

func TestSigningSecretSources(t *testing.T) {
	empty := written(t, "\n")
	t.Setenv(envSecret, testSigningKey+" "+signature.NewSecret())
	var flags secretFlags
	found, err := flags.read(strings.NewReader(""))
	require.NoError(t, err)
	require.Len(t, found, 2)
	require.Equal(t, testSigningKey, found[0])
	_, err = flags.one(strings.NewReader(""))
	require.ErrorContains(t, err, "one secret signs here, and 2 were given")

	flags.file = empty
	_, err = flags.read(nil)
	require.ErrorContains(t, err, "is empty")
	flags.file = "-"
	one, err := flags.one(strings.NewReader(testSigningKey + "\n"))
	require.NoError(t, err)
	require.Equal(t, testSigningKey, one.Reveal(), "a file goes before the environment")
	flags.file = empty + ".none"
	_, err = flags.read(nil)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestWrapped(t *testing.T) {
	t.Parallel()
	require.Equal(t, "äb cd\n  efg\n  toolongaword\n  h", wrapped("äb cd efg  toolongaword h", "  ", 7))
	require.Empty(t, wrapped("", "  ", 7))
}
