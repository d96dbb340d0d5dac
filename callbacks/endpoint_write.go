package callbacks

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ringback/ringback/jobs"
)

// The bounds of what an endpoint is given.
const (
	maxName        = 256 // characters
	maxDescription = 1024
	maxFilters     = 64
	maxFilter      = 256
	maxAttempts    = 32
	maxWait        = 7 * 24 * time.Hour // between two attempts
)

// writeEndpoint puts the fields of a request's body, a JSON object, over an endpoint. A field that is null goes back to
// its default; one that is absent stays. What reads show as *** stays as it is, so that what was read may be written
// back. Each problem is a *jobs.Error whose Param names the field; none repeats a URL, a header's value or a secret.
func writeEndpoint(r *Registered, body json.RawMessage, rules Rules) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil || fields == nil {
		return jobs.Errorf(jobs.CodeType, "", "The request body must be an object.")
	}
	for _, key := range sortedKeys(fields) {
		if err := writeField(r, key, fields[key], rules); err != nil {
			return err
		}
	}
	return nil
}

func writeField(r *Registered, key string, raw json.RawMessage, rules Rules) error {
	write := map[string]func(*Registered, json.RawMessage, Rules) error{
		"name": writeName, "description": writeDescription, "url": writeURL, "headers": writeHeaders,
		"event_types": writeEventTypes, "models": writeModels, "is_active": writeActive, "timeout": writeTimeout,
		"schedule": writeSchedule,
	}[key]
	if write == nil {
		return jobs.Errorf(jobs.CodeUnsupported, key, "Unknown parameter: '%s'. An endpoint takes name, url, event_types, "+
			"headers, models, is_active, timeout, schedule and description.", key)
	}
	return write(r, bytes.TrimSpace(raw), rules)
}

// read decodes a field that is not null.
func read(key, want string, raw json.RawMessage, into any) error {
	if isNull(raw) {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return jobs.Errorf(jobs.CodeType, key, "Invalid type for '%s': expected %s.", key, want)
	}
	return nil
}

func readText(key string, raw json.RawMessage, most int) (text string, err error) {
	if err := read(key, "a string", raw, &text); err != nil {
		return "", err
	}
	if n := utf8.RuneCountInString(text); n > most {
		return "", jobs.Errorf(jobs.CodeValue, key, "Invalid '%s': it has %d characters; at most %d are allowed.", key, n, most)
	}
	if strings.ContainsRune(text, 0) {
		return "", jobs.Errorf(jobs.CodeValue, key, "Invalid '%s': it holds a NUL character.", key)
	}
	return text, nil
}

func writeName(r *Registered, raw json.RawMessage, _ Rules) (err error) {
	r.Name, err = readText("name", raw, maxName)
	return err
}

func writeDescription(r *Registered, raw json.RawMessage, _ Rules) (err error) {
	r.Description, err = readText("description", raw, maxDescription)
	return err
}

func writeURL(r *Registered, raw json.RawMessage, rules Rules) error {
	var text string
	if err := read("url", "a string", raw, &text); err != nil {
		return err
	}
	if text != "" && text == r.URL && r.URL != r.Target.URL {
		return nil // as reads show it, with its values hidden
	}
	if err := rules.CheckURL(text); err != nil {
		return ownField(err)
	}
	if _, query, _ := strings.Cut(text, "?"); strings.Contains(query, hidden) {
		return jobs.Errorf(jobs.CodeValue, "url", "'url' holds a value of its query as reads hide it, ***. Write the value out.")
	}
	if text != r.Target.URL {
		r.Failures, r.FailingSince = 0, 0 // another receiver, with a clean slate
	}
	r.Target.URL, r.URL = text, ShownURL(text)
	return nil
}

func writeHeaders(r *Registered, raw json.RawMessage, rules Rules) error {
	var headers map[string]string
	if err := read("headers", "an object of strings", raw, &headers); err != nil {
		return err
	}
	for name, value := range headers {
		kept, had := r.Target.Headers[name]
		switch {
		case value != hidden:
		case had:
			headers[name] = kept
		case isToken(name):
			return jobs.Errorf(jobs.CodeValue, "headers."+name, "headers.%s is %s, which stands for a value that reads hide, "+
				"and no header of this name is kept; write its value.", name, hidden)
		}
	}
	if err := rules.CheckHeaders(headers); err != nil {
		return ownField(err)
	}
	r.Target.Headers = maps.Clone(headers)
	r.HeaderNames = sortedKeys(headers)
	return nil
}

func writeEventTypes(r *Registered, raw json.RawMessage, _ Rules) error {
	filters, err := readFilters("event_types", raw)
	if err != nil {
		return err
	}
	if r.EventTypes, err = eventFilters("event_types", filters, EventTypes()); err != nil {
		return err
	}
	if len(filters) == 0 {
		return jobs.Errorf(jobs.CodeMissing, "event_types", "'event_types' must name at least one type, a family as batch.*, or *.")
	}
	return nil
}

func writeModels(r *Registered, raw json.RawMessage, _ Rules) (err error) {
	filters, err := readFilters("models", raw)
	for _, pattern := range filters {
		if pattern == "" || strings.ContainsFunc(pattern, func(c rune) bool { return c < ' ' }) {
			return jobs.Errorf(jobs.CodeValue, "models", "'models' holds an empty pattern or a control character.")
		}
	}
	r.Models = nil
	if len(filters) > 0 {
		r.Models = filters
	}
	return err
}

func readFilters(key string, raw json.RawMessage) (filters []string, err error) {
	if err := read(key, "an array of strings", raw, &filters); err != nil {
		return nil, err
	}
	if len(filters) > maxFilters {
		return nil, jobs.Errorf(jobs.CodeValue, key, "'%s' has %d entries; at most %d are allowed.", key, len(filters), maxFilters)
	}
	for _, f := range filters {
		if len(f) > maxFilter {
			return nil, jobs.Errorf(jobs.CodeValue, key, "'%s' holds an entry of %d bytes; at most %d are allowed.", key, len(f), maxFilter)
		}
	}
	return filters, nil
}

// writeActive switches an endpoint on or off. One that is switched on begins with a clean slate.
func writeActive(r *Registered, raw json.RawMessage, _ Rules) error {
	active := true
	if err := read("is_active", "a boolean", raw, &active); err != nil {
		return err
	}
	if active && !r.IsActive {
		r.Failures, r.FailingSince = 0, 0
	}
	if active {
		r.Disabled = ""
	}
	r.IsActive = active
	return nil
}

func writeTimeout(r *Registered, raw json.RawMessage, _ Rules) error {
	r.Timeout = 0
	if isNull(raw) {
		return nil
	}
	var w jobs.Webhook
	if err := setTimeout(&w, raw); err != nil {
		return ownField(err)
	}
	r.Timeout = w.Timeout.Milliseconds()
	return nil
}

func writeSchedule(r *Registered, raw json.RawMessage, _ Rules) error {
	var texts []string
	if err := read("schedule", "an array of durations like [\"0s\", \"5m\", \"2h\"]", raw, &texts); err != nil {
		return err
	}
	if len(texts) > maxAttempts {
		return jobs.Errorf(jobs.CodeValue, "schedule", "'schedule' has %d attempts; at most %d are allowed.", len(texts), maxAttempts)
	}
	r.Schedule = nil
	for _, text := range texts {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 || d > maxWait {
			return jobs.Errorf(jobs.CodeValue, "schedule", "'schedule' must hold durations from \"0s\" to \"168h\", the wait before each attempt.")
		}
		r.Schedule = append(r.Schedule, d)
	}
	return nil
}

// complete fills what an endpoint may leave out, and refuses one without its essentials.
func complete(r *Registered) error {
	if r.Target.URL == "" {
		return jobs.Errorf(jobs.CodeMissing, "url", "Missing required parameter: 'url'.")
	}
	if len(r.EventTypes) == 0 {
		return jobs.Errorf(jobs.CodeMissing, "event_types", "Missing required parameter: 'event_types'. Name at least one type, a family as batch.*, or *.")
	}
	if u, err := url.Parse(r.Target.URL); r.Name == "" && err == nil {
		r.Name = u.Hostname()
	}
	return nil
}

// ownField makes an error about a submission's webhook one about an endpoint's own field of the same name.
func ownField(err error) error {
	var e *jobs.Error
	if !errors.As(err, &e) {
		return err
	}
	strip := strings.NewReplacer("webhook.url", "url", "webhook.headers", "headers", "webhook.timeout", "timeout")
	return &jobs.Error{Code: e.Code, Param: strings.TrimPrefix(e.Param, "webhook."), Message: strip.Replace(e.Message), Err: e.Err}
}
