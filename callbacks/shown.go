package callbacks

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"

	"github.com/ringback/ringback/jobs"
)

// hidden stands where reads show nothing: secrets, header values and query values are write-only.
const hidden = "***"

type shownWebhook struct {
	URL     string            `json:"url"`
	Method  string            `json:"method"`
	Headers map[string]string `json:"headers,omitempty"`
	Events  []string          `json:"events,omitempty"`
	Secret  string            `json:"secret,omitempty"`
	Timeout string            `json:"timeout,omitempty"`
}

// Shown is a receiver as reads show it: {"url", "method", "headers": {name: "***"}, "events", "secret": "***",
// "timeout": "10s"}, without what was not given. It is nil for no receiver.
func Shown(w *jobs.Webhook) json.RawMessage {
	if w == nil {
		return nil
	}
	s := shownWebhook{URL: ShownURL(w.URL), Method: w.Method, Events: w.Events}
	if len(w.Headers) > 0 {
		s.Headers = make(map[string]string, len(w.Headers))
	}
	for name := range w.Headers {
		s.Headers[name] = hidden
	}
	if w.Secret != "" {
		s.Secret = hidden
	}
	if w.Timeout > 0 {
		s.Timeout = w.Timeout.String()
	}
	return plain(s)
}

// Hook reads what Shown wrote: who is to be called and for which events, without what is secret. It is nil for nobody.
func Hook(shown json.RawMessage) *jobs.Webhook {
	var s shownWebhook
	if json.Unmarshal(shown, &s) != nil || s.URL == "" {
		return nil
	}
	return &jobs.Webhook{URL: s.URL, Method: s.Method, Events: s.Events}
}

// plain encodes without HTML's escapes, which would turn each & of a URL into six characters.
func plain(v any) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil // texts, numbers and maps of texts always encode
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// ShownURL is a callback's URL as people see it: scheme, host and path, with every value of the query hidden. It is
// empty for what is no URL.
func ShownURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return ""
	}
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath, RawQuery: hideValues(u.RawQuery)}
	return shown.String()
}

// hideValues keeps the names alone; a part without a name is a value.
func hideValues(query string) string {
	if query == "" {
		return ""
	}
	parts := strings.Split(query, "&")
	for i, part := range parts {
		name, _, named := strings.Cut(part, "=")
		if !named {
			parts[i] = hidden
			continue
		}
		parts[i] = name + "=" + hidden
	}
	return strings.Join(parts, "&")
}
