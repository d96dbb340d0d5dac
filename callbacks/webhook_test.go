package callbacks

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/callbacks/signature"
	"github.com/ringback/ringback/jobs"
)

func TestParseWebhookReads(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		raw  string
		want *jobs.Webhook
	}{
		"nothing":  {"", nil},
		"null":     {" null ", nil},
		"bare URL": {`"https://example.com/h"`, &jobs.Webhook{URL: "https://example.com/h", Method: "POST"}},
		"whole": {
			`{"url":"https://example.com/h","method":"patch","headers":{"X-Custom-Token":"t","Content-Type":"application/cloudevents+json"},
			  "events":["generation.*","batch.completed","*","batch.completed"],"secret":"` + testSecret + `","timeout":"2.5s"}`,
			&jobs.Webhook{
				URL: "https://example.com/h", Method: "PATCH",
				Headers: map[string]string{"X-Custom-Token": "t", "Content-Type": "application/cloudevents+json"},
				Events:  []string{"*", "batch.completed", "generation.*"}, Secret: testSecret, Timeout: 2500 * time.Millisecond,
			},
		},
		"whole seconds": {`{"url":"https://example.com/h","timeout":30}`, &jobs.Webhook{
			URL: "https://example.com/h", Method: "POST", Timeout: 30 * time.Second,
		}},
		"nulls are absent": {
			`{"url":"https://example.com/h","method":null,"headers":null,"events":null,"secret":null,"timeout":null}`,
			&jobs.Webhook{URL: "https://example.com/h", Method: "POST"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseWebhook(json.RawMessage(c.raw), Rules{})
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

// headersOf writes a webhook with n headers and one of the given name and value.
func headersOf(n int, name, value string) string {
	h := map[string]string{name: value}
	for i := range n {
		h[fmt.Sprintf("X-H%d", i)] = "v"
	}
	b, _ := json.Marshal(map[string]any{"url": "https://example.com/", "headers": h})
	return string(b)
}

func secretOf(bytes int) string {
	return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, bytes))
}

func TestParseWebhookRefuses(t *testing.T) {
	t.Parallel()
	field := func(key, value string) string { return `{"url":"https://example.com/","` + key + `":` + value + `}` }
	for name, c := range map[string]struct {
		raw, param string
		code       jobs.Code
	}{
		"a number":                   {`7`, "webhook", jobs.CodeType},
		"a list":                     {`["https://example.com/"]`, "webhook", jobs.CodeType},
		"broken JSON":                {`{"url":`, "webhook", jobs.CodeType},
		"no url":                     {`{"method":"POST"}`, "webhook.url", jobs.CodeMissing},
		"empty url":                  {`""`, "webhook.url", jobs.CodeValue},
		"url of another type":        {`{"url":7}`, "webhook.url", jobs.CodeType},
		"unknown key":                {field("foo", `1`), "webhook.foo", jobs.CodeUnsupported},
		"key in another case":        {`{"URL":"https://example.com/"}`, "webhook.URL", jobs.CodeUnsupported},
		"method GET":                 {field("method", `"GET"`), "webhook.method", jobs.CodeValue},
		"method with a line break":   {field("method", `"POST\r\n"`), "webhook.method", jobs.CodeValue},
		"headers as a list":          {field("headers", `[]`), "webhook.headers", jobs.CodeType},
		"header value of a number":   {field("headers", `{"X-A":1}`), "webhook.headers", jobs.CodeType},
		"S8 CR LF in a value":        {headersOf(0, "X-Bad", "a\r\nX-Evil: 1"), "webhook.headers.X-Bad", jobs.CodeValue},
		"S8 NUL in a value":          {headersOf(0, "X-Bad", "a\x00"), "webhook.headers.X-Bad", jobs.CodeValue},
		"S8 CR LF in a name":         {headersOf(0, "X-Bad\r\nX: y", "a"), "webhook.headers", jobs.CodeValue},
		"S8 no token":                {headersOf(0, "X Bad", "a"), "webhook.headers", jobs.CodeValue},
		"S8 empty name":              {headersOf(0, "", "a"), "webhook.headers", jobs.CodeValue},
		"S8 Host":                    {headersOf(0, "Host", "a"), "webhook.headers.Host", jobs.CodeValue},
		"S8 Content-Length":          {headersOf(0, "content-length", "1"), "webhook.headers.content-length", jobs.CodeValue},
		"S8 Transfer-Encoding":       {headersOf(0, "Transfer-Encoding", "a"), "webhook.headers.Transfer-Encoding", jobs.CodeValue},
		"S8 Connection":              {headersOf(0, "Connection", "a"), "webhook.headers.Connection", jobs.CodeValue},
		"S8 User-Agent":              {headersOf(0, "user-agent", "a"), "webhook.headers.user-agent", jobs.CodeValue},
		"S8 Proxy-Authorization":     {headersOf(0, "Proxy-Authorization", "a"), "webhook.headers.Proxy-Authorization", jobs.CodeValue},
		"S8 webhook-signature":       {headersOf(0, "WEBHOOK-Signature", "a"), "webhook.headers.WEBHOOK-Signature", jobs.CodeValue},
		"S8 our attempt header":      {headersOf(0, "x-ringback-attempt", "9"), "webhook.headers.x-ringback-attempt", jobs.CodeValue},
		"S8 body signature header":   {headersOf(0, "x-my-SIGNATURE", "a"), "webhook.headers.x-my-SIGNATURE", jobs.CodeValue},
		"S8 100 headers":             {headersOf(100, "X-A", "a"), "webhook.headers", jobs.CodeValue},
		"S8 64 KB value":             {headersOf(0, "X-Long", strings.Repeat("a", 64<<10)), "webhook.headers.X-Long", jobs.CodeValue},
		"S8 the same in other case":  {field("headers", `{"X-A":"1","x-a":"2"}`), "webhook.headers.x-a", jobs.CodeValue},
		"events as a string":         {field("events", `"batch.*"`), "webhook.events", jobs.CodeType},
		"unknown event":              {field("events", `["batch.done"]`), "webhook.events", jobs.CodeValue},
		"unknown family":             {field("events", `["foo.*"]`), "webhook.events", jobs.CodeValue},
		"half a family":              {field("events", `["bat*"]`), "webhook.events", jobs.CodeValue},
		"S14 empty secret":           {field("secret", `""`), "webhook.secret", jobs.CodeValue},
		"S14 no prefix":              {field("secret", `"`+strings.TrimPrefix(testSecret, "whsec_")+`"`), "webhook.secret", jobs.CodeValue},
		"S14 not base64":             {field("secret", `"whsec_%%%%"`), "webhook.secret", jobs.CodeValue},
		"S14 23 bytes":               {field("secret", `"`+secretOf(23)+`"`), "webhook.secret", jobs.CodeValue},
		"S14 65 bytes":               {field("secret", `"`+secretOf(65)+`"`), "webhook.secret", jobs.CodeValue},
		"S14 unpadded":               {field("secret", `"`+strings.TrimRight(secretOf(25), "=")+`"`), "webhook.secret", jobs.CodeValue},
		"S14 line break inside":      {field("secret", `"`+secretOf(24)[:20]+`\n`+secretOf(24)[20:]+`"`), "webhook.secret", jobs.CodeValue},
		"S14 URL alphabet":           {field("secret", `"whsec_`+strings.Repeat("-_", 16)+`"`), "webhook.secret", jobs.CodeValue},
		"timeout under 1 s":          {field("timeout", `"999ms"`), "webhook.timeout", jobs.CodeValue},
		"timeout over 30 s":          {field("timeout", `31`), "webhook.timeout", jobs.CodeValue},
		"timeout of no unit":         {field("timeout", `"10"`), "webhook.timeout", jobs.CodeValue},
		"timeout of a fraction":      {field("timeout", `1.5`), "webhook.timeout", jobs.CodeType},
		"timeout of another type":    {field("timeout", `{}`), "webhook.timeout", jobs.CodeType},
		"a refused URL in an object": {`{"url":"https://127.0.0.1/"}`, "webhook.url", jobs.CodeValue},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, err := ParseWebhook(json.RawMessage(c.raw), Rules{BodySignatureHeader: "X-My-Signature"})
			require.Nil(t, w)
			var e *jobs.Error
			require.True(t, errors.As(err, &e), "%v", err)
			require.Equal(t, c.param, e.Param)
			require.Equal(t, c.code, e.Code)
			require.NotEmpty(t, e.Message)
		})
	}
}

func TestParseWebhookAcceptsTheBounds(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		headersOf(31, "X-A", strings.Repeat("a", 8<<10)),
		`{"url":"https://example.com/","secret":"` + secretOf(24) + `"}`,
		`{"url":"https://example.com/","secret":"` + secretOf(64) + `"}`,
		`{"url":"https://example.com/","secret":"` + signature.NewSecret() + `"}`,
		`{"url":"https://example.com/","headers":{"Authorization":"Bearer a\tb","X-Empty":""}}`,
	} {
		_, err := ParseWebhook(json.RawMessage(raw), Rules{})
		require.NoError(t, err)
	}
}

func TestUnknownEventNamesTheKnown(t *testing.T) {
	t.Parallel()
	_, err := ParseWebhook(json.RawMessage(`{"url":"https://example.com/","events":["x"]}`), Rules{})
	for _, want := range jobEventTypes() {
		require.ErrorContains(t, err, want)
	}
}

func TestErrorsNeverRepeatSecrets(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		headersOf(0, "Host", "canary"), headersOf(0, "X-A", "canary\r\n"), `{"url":"https://h/","secret":"canary"}`,
		headersOf(0, "X-A", "canary"+strings.Repeat("a", 9<<10)), `{"url":"https://h/","secret":["canary"]}`,
		`{"url":"https://h/","headers":["canary"]}`,
	} {
		_, err := ParseWebhook(json.RawMessage(raw), Rules{})
		require.Error(t, err)
		require.NotContains(t, err.Error(), "canary")
	}
}

func TestShownHidesWhatIsWriteOnly(t *testing.T) {
	t.Parallel()
	w := &jobs.Webhook{
		URL: "https://u:canary@example.com/a%2Fb?token=canary&x=canary&canary#canary", Method: "POST",
		Headers: map[string]string{"X-Token": "canary"}, Events: []string{"batch.*"}, Secret: "whsec_canary", Timeout: 10 * time.Second,
	}
	shown := string(Shown(w))
	require.NotContains(t, shown, "canary")
	require.Equal(t, `{"url":"https://example.com/a%2Fb?token=***&x=***&***","method":"POST","headers":{"X-Token":"***"},`+
		`"events":["batch.*"],"secret":"***","timeout":"10s"}`, shown)
	require.Equal(t, `{"url":"https://example.com/","method":"PUT"}`, string(Shown(&jobs.Webhook{URL: "https://example.com/", Method: "PUT"})))
	require.Nil(t, Shown(nil))
	require.Empty(t, ShownURL("::not a url::canary"))
}
