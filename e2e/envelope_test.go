package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every refusal is OpenAI's envelope with its four keys, on unknown routes too.
func TestEveryErrorIsAnEnvelope(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	file := s.input(line("a", `{"model":"sim-small",`+message+`}`))
	for _, row := range []struct {
		name, method, path, body string
		status                   int
		param                    string
	}{
		{"unknown route", "GET", "/v1/nothing", "", 404, ""},
		{"unknown route outside /v1", "POST", "/nothing", "{}", 404, ""},
		{"trailing slash", "GET", "/v1/batches/", "", 404, ""},
		{"wrong method", "PUT", "/v1/batches", "{}", 405, ""},
		{"unknown file", "GET", "/v1/files/file-none", "", 404, "id"},
		{"unknown batch", "GET", "/v1/batches/batch_none", "", 404, "id"},
		{"unknown generation", "GET", "/v1/generate/gen_none", "", 404, "id"},
		{"unknown job", "GET", "/v1/jobs/none/deliveries", "", 404, "id"},
		{"an ID with NUL", "GET", "/v1/files/file%00", "", 404, "id"},
		{"bad limit", "GET", "/v1/batches?limit=0", "", 400, "limit"},
		{"bad cursor", "GET", "/v1/events?after=evt_none", "", 400, "after"},
		{"bad wait", "GET", "/v1/jobs/none?wait=1y", "", 400, "wait"},
		{"no JSON", "POST", "/v1/batches", "{", 400, ""},
		{"JSON but no object", "POST", "/v1/generate", "[]", 400, ""},
		{"empty body", "POST", "/v1/batches", "", 400, ""},
		{"missing input_file_id", "POST", "/v1/batches", `{"endpoint":"` + chat + `","completion_window":"24h"}`, 400, "input_file_id"},
		{"missing endpoint", "POST", "/v1/batches", `{"input_file_id":"` + file + `","completion_window":"24h"}`, 400, "endpoint"},
		{"unknown endpoint", "POST", "/v1/batches", `{"input_file_id":"` + file + `","endpoint":"/v1/x","completion_window":"24h"}`, 400, "endpoint"},
		{"bad completion_window", "POST", "/v1/batches", `{"input_file_id":"` + file + `","endpoint":"` + chat + `","completion_window":"8d"}`, 400, "completion_window"},
		{"unknown parameter", "POST", "/v1/batches", `{"input_file_id":"` + file + `","endpoint":"` + chat + `","completion_window":"24h","x":1}`, 400, "x"},
		{"metadata of numbers", "POST", "/v1/batches", `{"input_file_id":"` + file + `","endpoint":"` + chat + `","completion_window":"24h","metadata":{"a":1}}`, 400, "metadata.a"},
		{"generate without model", "POST", "/v1/generate", `{"input":"hi"}`, 400, "model"},
		{"generate without input", "POST", "/v1/generate", `{"model":"sim-small"}`, 400, "input"},
		{"generate with an unknown model", "POST", "/v1/generate", `{"model":"gpt-9","input":"hi"}`, 404, "model"},
		{"generate as a stream", "POST", "/v1/generate", `{"model":"sim-small","input":"hi","stream":"yes"}`, 400, "stream"},
		{"unknown endpoint ID", "POST", "/v1/generate", `{"model":"sim-small","input":"hi","webhook_ids":["x"]}`, 400, "webhook_ids"},
		{"reserved header", "POST", "/v1/generate", `{"model":"sim-small","input":"hi","webhook":{"url":"https://example.com","headers":{"webhook-id":"x"}}}`, 400, "webhook.headers.webhook-id"},
		{"body over the limit", "POST", "/v1/generate", `{"input":"` + strings.Repeat("x", 17<<20) + `"}`, 413, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := s.call(row.status, row.method, row.path, row.body)
			require.Equal(t, "application/json", strings.Split(a.header.Get("Content-Type"), ";")[0])
			require.NotEmpty(t, a.header.Get("x-request-id"))
			require.Equal(t, row.param, refused(t, a).Get("param").String(), "%s", a.body)
		})
	}
	require.Empty(t, s.read("/v1/jobs").get("data").Array(), "nothing refused became a job")
}

// While authentication is off, no web page and no rebound name reaches the server, on any route.
func TestStrangersAreKeptOut(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	for _, row := range []struct{ name, header, value string }{
		{"a page of another origin", "Origin", "https://evil.example"},
		{"a fetch across sites", "Sec-Fetch-Site", "cross-site"},
		{"a name rebound to loopback", "Host", "evil.example"},
	} {
		for _, path := range []string{"/v1/jobs", "/v1/webhooks/default/secret", "/healthz", "/nothing"} {
			t.Run(row.name+" at "+path, func(t *testing.T) {
				request, err := http.NewRequest("GET", s.url+path, nil)
				require.NoError(t, err)
				request.Header.Set(row.header, row.value)
				if row.header == "Host" {
					request.Host = row.value
				}
				response, err := s.http.Do(request)
				require.NoError(t, err)
				defer response.Body.Close()
				require.Equal(t, http.StatusForbidden, response.StatusCode)
			})
		}
	}
	t.Run("OPTIONS * at no route", func(t *testing.T) {
		connection := s.dial()
		_, err := connection.Write([]byte("OPTIONS * HTTP/1.1\r\nHost: evil.example\r\nOrigin: https://evil.example\r\nConnection: close\r\n\r\n"))
		require.NoError(t, err)
		text := make([]byte, 12)
		_, err = connection.Read(text)
		require.NoError(t, err)
		require.Equal(t, "HTTP/1.1 403", string(text))
	})
}
