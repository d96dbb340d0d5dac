package callbacks

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

// registered is an endpoint with all its fields set.
func registered() Registered {
	e := endpoint("a", "batch.completed")
	e.Name, e.Description, e.Models, e.Timeout = "name", "text", jobs.Texts{"m"}, 5000
	e.HeaderNames, e.Schedule, e.URL = jobs.Texts{"X-Token"}, Schedule{0}, "https://example.com/h?k=***"
	return Registered{Endpoint: e, Target: Target{
		URL: "https://example.com/h?k=canary", Headers: map[string]string{"X-Token": "canary"}, Secrets: Secrets{{Text: testSecret}},
	}}
}

// wrongly is a request with one field, and the rest of what an endpoint needs.
func wrongly(key string, value any) string {
	fields := map[string]any{"url": "https://example.com/", "event_types": []string{"*"}, key: value}
	return string(plain(fields))
}

func repeated(n int, s string) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = s
	}
	return all
}

func manyHeaders(n int) map[string]string {
	all := map[string]string{}
	for i := range n {
		all[fmt.Sprint("X-", i)] = "v"
	}
	return all
}

type refused struct {
	body, param string
	code        jobs.Code
}

// refusals are bodies that neither a new endpoint nor a change may have.
func refusals() map[string]refused {
	const value, typ = jobs.CodeValue, jobs.CodeType
	all := map[string]refused{
		"no object":                         {`[]`, "", typ},
		"null":                              {`null`, "", typ},
		"half an object":                    {`{"name":`, "", typ},
		"an unknown field":                  {wrongly("secret", "canary"), "secret", jobs.CodeUnsupported},
		"a field of a one-off":              {wrongly("method", "PUT"), "method", jobs.CodeUnsupported},
		"name: a number":                    {wrongly("name", 5), "name", typ},
		"name: too long":                    {wrongly("name", strings.Repeat("é", 257)), "name", value},
		"name: NUL":                         {wrongly("name", "a\x00b"), "name", value},
		"description: a list":               {wrongly("description", []string{"canary"}), "description", typ},
		"description: too long":             {wrongly("description", strings.Repeat("canary", 200)), "description", value},
		"description: NUL":                  {wrongly("description", "a\x00b"), "description", value},
		"event_types: text":                 {wrongly("event_types", "*"), "event_types", typ},
		"event_types: null":                 {wrongly("event_types", nil), "event_types", jobs.CodeMissing},
		"event_types: none":                 {wrongly("event_types", []string{}), "event_types", jobs.CodeMissing},
		"event_types: unknown":              {wrongly("event_types", []string{"batch.done"}), "event_types", value},
		"event_types: unknown family":       {wrongly("event_types", []string{"canary.*"}), "event_types", value},
		"event_types: half a family":        {wrongly("event_types", []string{"bat*"}), "event_types", value},
		"event_types: a test":               {wrongly("event_types", []string{"webhook.test"}), "event_types", value},
		"event_types: too many":             {wrongly("event_types", repeated(65, "*")), "event_types", value},
		"event_types: too long":             {wrongly("event_types", []string{strings.Repeat("*", 257)}), "event_types", value},
		"models: text":                      {wrongly("models", "m"), "models", typ},
		"models: empty":                     {wrongly("models", []string{"a", ""}), "models", value},
		"models: a line break":              {wrongly("models", []string{"a\nb"}), "models", value},
		"models: too many":                  {wrongly("models", repeated(65, "m")), "models", value},
		"models: too long":                  {wrongly("models", []string{strings.Repeat("m", 257)}), "models", value},
		"is_active: text":                   {wrongly("is_active", "yes"), "is_active", typ},
		"timeout: short":                    {wrongly("timeout", "999ms"), "timeout", value},
		"timeout: long":                     {wrongly("timeout", 31), "timeout", value},
		"timeout: no unit":                  {wrongly("timeout", "10"), "timeout", value},
		"timeout: a list":                   {wrongly("timeout", []int{1}), "timeout", typ},
		"schedule: text":                    {wrongly("schedule", "5m"), "schedule", typ},
		"schedule: numbers":                 {wrongly("schedule", []int{5}), "schedule", typ},
		"schedule: no duration":             {wrongly("schedule", []string{"canary"}), "schedule", value},
		"schedule: below zero":              {wrongly("schedule", []string{"-1s"}), "schedule", value},
		"schedule: over a week":             {wrongly("schedule", []string{"0s", "168h1ms"}), "schedule", value},
		"schedule: too many":                {wrongly("schedule", repeated(33, "1m")), "schedule", value},
		"headers: a list":                   {wrongly("headers", []string{"canary"}), "headers", typ},
		"headers: a number":                 {wrongly("headers", map[string]any{"X-A": 5}), "headers", typ},
		"headers: hidden and unknown":       {wrongly("headers", map[string]string{"x-token": "***"}), "headers.x-token", value},
		"S8 CR LF":                          {wrongly("headers", map[string]string{"X-A": "canary\r\nX-B: 1"}), "headers.X-A", value},
		"S8 NUL":                            {wrongly("headers", map[string]string{"X-A": "canary\x00"}), "headers.X-A", value},
		"S8 a name that is no token":        {wrongly("headers", map[string]string{"X A": "canary"}), "headers", value},
		"S8 a name with a line break":       {wrongly("headers", map[string]string{"X\r\nA": "canary"}), "headers", value},
		"S8 Host":                           {wrongly("headers", map[string]string{"hOST": "canary"}), "headers.hOST", value},
		"S8 Content-Length":                 {wrongly("headers", map[string]string{"Content-Length": "canary"}), "headers.Content-Length", value},
		"S8 Transfer-Encoding":              {wrongly("headers", map[string]string{"transfer-encoding": "canary"}), "headers.transfer-encoding", value},
		"S8 Connection":                     {wrongly("headers", map[string]string{"Connection": "canary"}), "headers.Connection", value},
		"S8 webhook-signature":              {wrongly("headers", map[string]string{"WEBHOOK-Signature": "canary"}), "headers.WEBHOOK-Signature", value},
		"S8 the body's signature":           {wrongly("headers", map[string]string{"x-ringback-signature": "canary"}), "headers.x-ringback-signature", value},
		"S8 100 headers":                    {wrongly("headers", manyHeaders(100)), "headers", value},
		"S8 a value of 64 KB":               {wrongly("headers", map[string]string{"X-A": strings.Repeat("canary", 11_000)}), "headers.X-A", value},
		"S8 the same name in other letters": {wrongly("headers", map[string]string{"X-A": "canary", "x-a": "canary"}), "headers.x-a", value},
		"url: a number":                     {wrongly("url", 5), "url", typ},
		"url: null":                         {wrongly("url", nil), "url", value},
	}
	for name, url := range map[string]string{
		"S1 loopback": "https://127.0.0.1/canary", "S1 private": "https://10.1.2.3/canary", "S1 private 172": "https://172.16.0.1/canary",
		"S1 private 192": "https://192.168.0.1/canary", "S1 metadata": "https://169.254.169.254/canary", "S1 CGNAT": "https://100.64.0.1/canary",
		"S1 zero": "https://0.0.0.0/canary", "S1 192.0.0.8": "https://192.0.0.8/canary", "S1 benchmark": "https://198.18.0.1/canary",
		"S1 multicast": "https://224.0.0.1/canary", "S1 broadcast": "https://255.255.255.255/canary",
		"S2 loopback": "https://[::1]/canary", "S2 any": "https://[::]/canary", "S2 mapped": "https://[::ffff:127.0.0.1]/canary",
		"S2 mapped in hex": "https://[::ffff:7f00:1]/canary", "S2 metadata": "https://[fd00:ec2::254]/canary",
		"S2 a zone": "https://[fe80::1%25eth0]/canary", "S2 site-local": "https://[fec0::1]/canary", "S2 NAT64": "https://[64:ff9b::a9fe:a9fe]/canary",
		"S2 local NAT64": "https://[64:ff9b:1::1]/canary", "S2 6to4": "https://[2002:7f00:1::]/canary", "S2 Teredo": "https://[2001:0::1]/canary",
		"S2 5f00":    "https://[5f00::1]/canary",
		"S3 decimal": "https://2130706433/canary", "S3 hex": "https://0x7f.1/canary", "S3 octal": "https://0177.0.0.1/canary",
		"S3 short": "https://127.1/canary", "S3 localhost.": "https://localhost./canary", "S3 LOCALHOST": "https://LOCALHOST/canary",
		"S3 full-width":        "https://１２７.0.0.1/canary",
		"S7 user and password": "https://u:canary@example.com/", "S7 user": "https://canary@example.com/", "S7 fragment": "https://example.com/#canary",
		"S7 javascript": "javascript:canary", "S7 file": "file:///canary", "S7 gopher": "gopher://example.com/canary", "S7 unix": "http+unix://canary/",
		"S7 no host": "https:///canary", "S7 port 0": "https://example.com:0/canary", "S7 port 65536": "https://example.com:65536/canary",
		"S7 port 22": "https://example.com:22/canary", "S7 port 25": "https://example.com:25/canary", "S7 no port": "https://example.com:/canary",
		"S7 8 KB": "https://example.com/" + strings.Repeat("canary", 1400), "S7 a space": "https://example.com/a canary",
		"S7 backslash": `https://example.com\@canary/`, "S7 brackets": "https://[canary]/", "S7 http": "http://example.com/canary",
		"S7 relative": "/canary", "S7 empty": "", "S7 no scheme": "example.com/canary", "S7 opaque": "https:canary",
	} {
		all[name] = refused{wrongly("url", url), "url", value}
	}
	return all
}

// S1, S2, S3, S7, S8 on this path, and each field's own bounds: a 4xx that names the field as the endpoint has it, and
// repeats neither a URL nor a value.
func TestEndpointWriteRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range refusals() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := registered()
			err := writeEndpoint(&r, json.RawMessage(c.body), Rules{})
			var e *jobs.Error
			require.True(t, errors.As(err, &e), "%v", err)
			require.Equal(t, c.param, e.Param)
			require.Equal(t, c.code, e.Code, e.Message)
			require.NotEmpty(t, e.Message)
			require.NotContains(t, e.Error(), "webhook.")
			require.NotContains(t, e.Error(), "canary")
		})
	}
}

func TestEndpointWriteAccepts(t *testing.T) {
	t.Parallel()
	full := registered()
	for name, c := range map[string]struct {
		body string
		want func(r *Registered)
	}{
		"nothing":                {`{}`, func(*Registered) {}},
		"name":                   {`{"name":"` + strings.Repeat("é", 256) + `"}`, func(r *Registered) { r.Name = strings.Repeat("é", 256) }},
		"name null":              {`{"name":null}`, func(r *Registered) { r.Name = "example.com" }},
		"description":            {`{"description":"a\nb"}`, func(r *Registered) { r.Description = "a\nb" }},
		"description null":       {`{"description":null}`, func(r *Registered) { r.Description = "" }},
		"event types, sorted":    {`{"event_types":["file.*","*","batch.failed","*"]}`, func(r *Registered) { r.EventTypes = jobs.Texts{"*", "batch.failed", "file.*"} }},
		"the operator's events":  {`{"event_types":["endpoint.*","delivery.exhausted"]}`, func(r *Registered) { r.EventTypes = jobs.Texts{"delivery.exhausted", "endpoint.*"} }},
		"models":                 {`{"models":["gpt-*","org/m?"]}`, func(r *Registered) { r.Models = jobs.Texts{"gpt-*", "org/m?"} }},
		"models null":            {`{"models":null}`, func(r *Registered) { r.Models = nil }},
		"models none":            {`{"models":[]}`, func(r *Registered) { r.Models = nil }},
		"off":                    {`{"is_active":false}`, func(r *Registered) { r.IsActive = false }},
		"timeout in seconds":     {`{"timeout":30}`, func(r *Registered) { r.Timeout = 30_000 }},
		"timeout as text":        {` {"timeout": "1.5s"}`, func(r *Registered) { r.Timeout = 1500 }},
		"timeout null":           {`{"timeout":null}`, func(r *Registered) { r.Timeout = 0 }},
		"schedule":               {`{"schedule":["0s","1m30s","168h"]}`, func(r *Registered) { r.Schedule = Schedule{0, 90 * time.Second, maxWait} }},
		"schedule null":          {`{"schedule":null}`, func(r *Registered) { r.Schedule = nil }},
		"schedule none":          {`{"schedule":[]}`, func(r *Registered) { r.Schedule = nil }},
		"the URL as it is shown": {`{"url":"https://example.com/h?k=***"}`, func(*Registered) {}},
		"another URL": {`{"url":"https://example.org:443/x?y=z"}`, func(r *Registered) {
			r.URL, r.Target.URL = "https://example.org:443/x?y=***", "https://example.org:443/x?y=z"
		}},
		"headers as they are shown": {`{"headers":{"X-Token":"***"}}`, func(*Registered) {}},
		"headers beside": {`{"headers":{"X-Token":"***","A":"1"}}`, func(r *Registered) {
			r.HeaderNames, r.Target.Headers = jobs.Texts{"A", "X-Token"}, map[string]string{"X-Token": "canary", "A": "1"}
		}},
		"headers anew": {`{"headers":{"X-Token":"new"}}`, func(r *Registered) { r.Target.Headers = map[string]string{"X-Token": "new"} }},
		"headers null": {`{"headers":null}`, func(r *Registered) { r.HeaderNames, r.Target.Headers = nil, nil }},
		"headers none": {`{"headers":{}}`, func(r *Registered) { r.HeaderNames, r.Target.Headers = nil, nil }},
		"what was read is written back": {`{"name":"name","description":"text","url":"https://example.com/h?k=***","headers":{"X-Token":"***"},` +
			`"event_types":["batch.completed"],"models":["m"],"is_active":true,"timeout":"5s","schedule":["0s"]}`, func(*Registered) {}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, want := registered(), registered()
			require.NoError(t, writeEndpoint(&got, json.RawMessage(c.body), Rules{}))
			require.NoError(t, complete(&got))
			c.want(&want)
			require.Equal(t, flat(want), flat(got))
			require.Equal(t, registered(), full, "nothing is shared")
		})
	}
}

// flat tells no empty list from none, as the rows do not.
func flat(r Registered) Registered {
	if len(r.HeaderNames) == 0 {
		r.HeaderNames = nil
	}
	if len(r.Target.Headers) == 0 {
		r.Target.Headers = nil
	}
	r.Target.Headers = maps.Clone(r.Target.Headers)
	return r
}

func TestSwitchingOnBeginsAnew(t *testing.T) {
	t.Parallel()
	failing := func() Registered {
		r := registered()
		r.IsActive, r.Disabled, r.Failures, r.FailingSince = false, DisabledFailing, 99, someTime
		return r
	}
	for _, body := range []string{`{"is_active":true}`, `{"is_active":null}`} {
		r := failing()
		require.NoError(t, writeEndpoint(&r, json.RawMessage(body), Rules{}))
		require.True(t, r.IsActive)
		require.Empty(t, r.Disabled)
		require.Zero(t, r.Failures)
		require.Zero(t, r.FailingSince)
	}
	r := failing()
	require.NoError(t, writeEndpoint(&r, json.RawMessage(`{"is_active":false}`), Rules{}))
	require.Equal(t, failing(), r)
	r.IsActive = true
	require.NoError(t, writeEndpoint(&r, json.RawMessage(`{"is_active":true}`), Rules{}))
	require.Equal(t, 99, r.Failures, "one that is on stays as it is")
}
