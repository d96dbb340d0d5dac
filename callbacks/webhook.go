package callbacks

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ringback/ringback/callbacks/signature"
	"github.com/ringback/ringback/jobs"
)

// The bounds of a client's timeout for one attempt.
const (
	minTimeout = time.Second
	maxTimeout = 30 * time.Second
)

// ParseWebhook reads a submission's webhook field: a URL, or {url, method, headers, events, secret, timeout}. It gives
// nil where the field is absent or null. Each problem is a *jobs.Error whose Param names the field; none repeats a
// URL, a header's value or a secret.
func ParseWebhook(raw json.RawMessage, rules Rules) (*jobs.Webhook, error) {
	raw = bytes.TrimSpace(raw)
	if isNull(raw) {
		return nil, nil
	}
	fields, err := webhookFields(raw)
	if err != nil {
		return nil, err
	}
	w := &jobs.Webhook{Method: "POST"}
	for _, key := range sortedKeys(fields) {
		if err := setField(w, key, fields[key]); err != nil {
			return nil, err
		}
	}
	if isNull(fields["url"]) {
		return nil, jobs.Errorf(jobs.CodeMissing, "webhook.url", "webhook.url is missing; name the URL to call back.")
	}
	if err := rules.CheckURL(w.URL); err != nil {
		return nil, err
	}
	if err := rules.CheckHeaders(w.Headers); err != nil {
		return nil, err
	}
	return w, nil
}

// webhookFields gives the fields of an object, or a bare URL as the one field it is.
func webhookFields(raw []byte) (map[string]json.RawMessage, error) {
	if raw[0] == '"' {
		return map[string]json.RawMessage{"url": raw}, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, jobs.Errorf(jobs.CodeType, "webhook", "webhook must be a URL, or an object with a url.")
	}
	return fields, nil
}

func setField(w *jobs.Webhook, key string, raw json.RawMessage) error {
	set := map[string]func() error{
		"url":     func() error { return decode("url", "a string", raw, &w.URL) },
		"method":  func() error { return setMethod(w, raw) },
		"headers": func() error { return decode("headers", "an object of strings", raw, &w.Headers) },
		"events":  func() error { return setEvents(w, raw) },
		"secret":  func() error { return setSecret(w, raw) },
		"timeout": func() error { return setTimeout(w, raw) },
	}[key]
	if set == nil {
		return jobs.Errorf(jobs.CodeUnsupported, "webhook."+key,
			"webhook knows no such field; it takes url, method, headers, events, secret and timeout.")
	}
	if isNull(raw) {
		return nil
	}
	return set()
}

func isNull(raw []byte) bool { return len(raw) == 0 || string(raw) == "null" }

func decode(key, want string, raw json.RawMessage, into any) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return jobs.Errorf(jobs.CodeType, "webhook."+key, "webhook.%s must be %s.", key, want)
	}
	return nil
}

func setMethod(w *jobs.Webhook, raw json.RawMessage) error {
	if err := decode("method", "a string", raw, &w.Method); err != nil {
		return err
	}
	w.Method = strings.ToUpper(w.Method)
	if !slices.Contains([]string{"POST", "PUT", "PATCH"}, w.Method) {
		return jobs.Errorf(jobs.CodeValue, "webhook.method", "webhook.method must be POST, PUT or PATCH.")
	}
	return nil
}

func setSecret(w *jobs.Webhook, raw json.RawMessage) error {
	if err := decode("secret", "a string", raw, &w.Secret); err != nil {
		return err
	}
	if err := signature.CheckSecret(w.Secret); err != nil {
		return jobs.Errorf(jobs.CodeValue, "webhook.secret", "webhook.secret must be %s.", signature.SecretForm)
	}
	return nil
}

// setTimeout takes "10s" and, as several other services write it, a whole number of seconds.
func setTimeout(w *jobs.Webhook, raw json.RawMessage) error {
	text := string(raw) + "s"
	if raw[0] == '"' {
		if err := decode("timeout", "a duration", raw, &text); err != nil {
			return err
		}
	} else if _, err := strconv.ParseInt(string(raw), 10, 32); err != nil {
		return jobs.Errorf(jobs.CodeType, "webhook.timeout", "webhook.timeout must be a duration like \"10s\", or whole seconds.")
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < minTimeout || d > maxTimeout {
		return jobs.Errorf(jobs.CodeValue, "webhook.timeout", "webhook.timeout must be a duration from \"1s\" to \"30s\".")
	}
	w.Timeout = d
	return nil
}
