package jobs

import (
	"context"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/providers"
)

// madeModels are those that fine-tunings have made; every look at them is counted.
type madeModels struct {
	ModelRecords
	models map[string]Model
	fail   error
	looks  int
}

func (m *madeModels) Model(_ context.Context, ref Ref) (Model, error) {
	m.looks++
	if model, ok := m.models[ref.ID]; ok {
		return model, m.fail
	}
	return Model{}, errors.Join(m.fail, NotFound("none"))
}

// TestRoute: a model that a fine-tuning has made is where it was made, whatever the patterns say; one that is deleted is
// nowhere.
func TestRoute(t *testing.T) {
	t.Parallel()
	registry, err := providers.New(providers.Options{Providers: []providers.Config{
		{Name: "first", BaseURL: "http://127.0.0.1:1/v1", Models: []string{"ft:*", "gpt-*"}},
		{Name: "second", BaseURL: "http://127.0.0.1:2/v1", Models: []string{"small"}},
	}})
	require.NoError(t, err)
	made := &madeModels{models: map[string]Model{
		"ft:small:o:a:1": {Provider: "second"}, "ft:small:o:gone:1": {Provider: "second", DeletedAt: noon},
		"tuned-7": {Provider: "second"}, "ft:small:o:lost:1": {Provider: "removed"},
	}}
	at := func(model string) string {
		p, err := route(t.Context(), registry, made, DefaultProject, model)
		if err != nil {
			require.NotNil(t, providers.AsError(err), model)
			return ""
		}
		return p.Name()
	}
	for model, want := range map[string]string{
		"gpt-5": "first", "ft:small:o:a:1": "second", "ft:small:o:gone:1": "", "tuned-7": "second", "nobody": "",
		"ft:gpt-5:o:other:1": "first", "ft:small:o:lost:1": "first",
	} {
		require.Equal(t, want, at(model), model)
	}
	made.looks = 0
	at("gpt-5")
	require.Zero(t, made.looks, "most calls ask nothing")
	made.fail = errors.New("the disk")
	_, err = route(t.Context(), registry, made, DefaultProject, "ft:small:o:a:1")
	require.ErrorIs(t, err, made.fail, "a failure of our own is no word about the model")
}

func TestShortenKeepsCharactersWhole(t *testing.T) {
	t.Parallel()
	for n := range 4 {
		got := shorten(strings.Repeat("x", 198+n) + strings.Repeat("€", 9))
		require.True(t, utf8.ValidString(got), got)
		require.LessOrEqual(t, len(got), 203)
	}
}
