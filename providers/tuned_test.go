package providers

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRouteTakesATunedModelToItsBase(t *testing.T) {
	t.Parallel()
	config := func(name string, models ...string) Config {
		return Config{Name: name, BaseURL: "https://" + name + ".example/v1", Models: models}
	}
	r, err := New(Options{Providers: []Config{config("gpt", "gpt-*"), config("own", "ft:*:acme:*"), config("local", "meta/*")}})
	require.NoError(t, err)
	for model, want := range map[string]string{
		"ft:gpt-4o:org::1":               "gpt",
		"ft:gpt-4o:org:s:1:ckpt-step-90": "gpt",
		"ft:gpt-4o:":                     "gpt",
		"ft:gpt-4o:acme::1":              "own", // a pattern goes first
		"ft:meta/llama/3:org::1":         "local",
	} {
		p, err := r.Route(model)
		require.NoError(t, err, model)
		require.Equal(t, want, p.Name(), model)
	}
	for _, model := range []string{"ft:claude:org::1", "ft:gpt-4o", "ft::gpt-4o", "ft:", "FT:gpt-4o:org::1", "x:gpt-4o:y", "ft:ft:gpt-4o:x", "ft:claude-3:organisation:" + strings.Repeat("s", 64) + ":7p4lURel:ckpt-step-1000"} {
		_, err := r.Route(model)
		e := AsError(err)
		require.NotNil(t, e, model)
		require.Equal(t, NoProvider, e.Kind)
		require.Contains(t, e.Message, `"`+model+`"`)
	}
}
