package providers

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRouteTakesTheFirstMatch(t *testing.T) {
	t.Parallel()
	config := func(name string, models ...string) Config {
		return Config{Name: name, BaseURL: "https://" + name + ".example/v1", Models: models}
	}
	r, err := New(Options{Providers: []Config{config("mini", "gpt-*-mini"), config("gpt", "gpt-*", "o?"), config("local", "meta/*", "gpt-*")}})
	require.NoError(t, err)
	for model, want := range map[string]string{
		"gpt-4o-mini": "mini", "gpt-4o": "gpt", "o3": "gpt", "meta/llama/3": "local", "gpt-": "gpt",
	} {
		p, err := r.Route(model)
		require.NoError(t, err)
		require.Equal(t, want, p.Name(), model)
	}
	_, err = r.Route("claude\n" + strings.Repeat("x", 5000))
	e := AsError(err)
	require.Equal(t, NoProvider, e.Kind)
	require.False(t, e.Retry)
	require.Contains(t, e.Message, `"claude\n`)
	require.Contains(t, e.Message, "gpt-*-mini, gpt-*, o?, meta/*.")
	require.Less(t, len(e.Message), 300)
	require.Equal(t, []string{"gpt-*-mini", "gpt-*", "o?", "meta/*"}, r.Models())
	p, ok := r.Provider("local")
	require.True(t, ok)
	require.Same(t, r.Providers()[2], p)
	require.Equal(t, []string{"meta/*", "gpt-*"}, p.Models())
	_, ok = r.Provider("none")
	require.False(t, ok)
}

func TestRouteWithoutProviders(t *testing.T) {
	t.Parallel()
	r, err := New(Options{})
	require.NoError(t, err)
	_, err = r.Route("m")
	require.Equal(t, NoProvider, AsError(err).Kind)
	require.Contains(t, err.Error(), "ask the operator")
}

func TestNewReportsAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := New(Options{UserAgent: "a\nb", Providers: []Config{
		{Name: "Bad Name", Type: "azure", BaseURL: "ftp://x", APIKey: "sk-secret\n", Models: []string{"a", ""}},
		{Name: "nul", BaseURL: "http://a b\x7f/", Models: []string{"*"}},
		{Name: "two", BaseURL: "https://user:hunter2@host/v1", Concurrency: -1, RequestsPerMinute: -1, TokensPerMinute: -1, Timeout: -1},
		{Name: "two", BaseURL: "https://host/v1#x", Models: []string{"*"}, Headers: map[string]string{"Host": "x", "Bad Name": "x", "X-A": "hunter3\n"}},
	}})
	require.Error(t, err)
	for _, want := range []string{
		`providers[0] "Bad Name".name: `, `providers[0] "Bad Name".type: `, `providers[0] "Bad Name".base_url: `,
		`providers[0] "Bad Name".api_key: `, `providers[0] "Bad Name".models[1]: `,
		`providers[1] "nul".base_url: `, `providers[2] "two".base_url: `, `providers[2] "two".models: `, `providers[2] "two".concurrency: `,
		`providers[2] "two".requests_per_minute: `, `providers[2] "two".tokens_per_minute: `, `providers[2] "two".timeout: `,
		`providers[3] "two".name: `, `providers[3] "two".base_url: `, `providers[3] "two".headers.Host: `,
		`providers[3] "two".headers: "Bad Name"`, `providers[3] "two".headers.X-A: `, `user agent: `,
	} {
		require.Contains(t, err.Error(), want)
	}
	require.Len(t, strings.Split(err.Error(), "\n"), 18)
	for _, secret := range []string{"sk-secret", "hunter2", "hunter3"} {
		require.NotContains(t, err.Error(), secret)
	}
}

func TestConfigDefaults(t *testing.T) {
	t.Parallel()
	got := Config{}.filled()
	require.Equal(t, 32, got.Concurrency)
	require.Equal(t, 10*time.Minute, got.Timeout)
	require.Equal(t, 5, got.Retries)
	require.Equal(t, 0, Config{Retries: -1}.filled().Retries)
}

func TestNewWarnsOfAKeyInClear(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]bool{
		"http://api.example/v1": true, "https://api.example/v1": false, "http://127.0.0.1:9/v1": false,
		"http://localhost/v1": false, "http://[::1]/v1": false, "http://10.0.0.8/v1": true,
	} {
		var log bytes.Buffer
		providerAt(t, base, logTo(&log))
		require.Equal(t, want, strings.Contains(log.String(), "in clear"), base)
		require.NotContains(t, log.String(), "sk-test")
	}
}
