package providers

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const chatPath = "/v1/chat/completions"

// upstream starts a real HTTP server and returns a provider that points at it.
func upstream(t *testing.T, handler http.HandlerFunc, change ...func(*Options, *Config)) *Provider {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return providerAt(t, server.URL+"/v1", change...)
}

func providerAt(t *testing.T, baseURL string, change ...func(*Options, *Config)) *Provider {
	t.Helper()
	c := Config{Name: "up", BaseURL: baseURL, APIKey: "sk-test-0123456789", Models: []string{"*"}}
	o := Options{Rand: func() float64 { return 0 }}
	for _, f := range change {
		f(&o, &c)
	}
	o.Providers = append(o.Providers, c)
	r, err := New(o)
	require.NoError(t, err)
	t.Cleanup(r.Close)
	return r.Providers()[0]
}

func chat(body string) Request { return Request{Path: chatPath, Model: "m", Body: []byte(body)} }

// answer is a handler that reads the request and answers the same each time.
func answer(status int, contentType, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header()["Content-Type"] = []string{contentType}
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func logTo(w io.Writer) func(*Options, *Config) {
	return func(o *Options, _ *Config) {
		o.Log = slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
}
