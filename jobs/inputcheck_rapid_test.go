package jobs

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ringback/ringback/providers"
)

// oneFile is a store and a file store that hold one input.
type oneFile struct {
	Store
	Blobs
	text string
}

func (o oneFile) InputFile(context.Context, Ref) (File, error) {
	return File{Purpose: PurposeBatch}, nil
}

func (o oneFile) Open(context.Context, string, int64) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(o.text)), nil
}

func (oneFile) Model(context.Context, Ref) (Model, error) { return Model{}, NotFound("no model") }

// twoModels routes m1 and m2.
type twoModels struct{ Router }

func (twoModels) Route(model string) (*providers.Provider, error) {
	if model == "m1" || model == "m2" {
		return nil, nil
	}
	return nil, &providers.Error{Kind: providers.NoProvider}
}

// TestACheckSaysWhatTheBatchWill: what a look at a file finds is what the batch over it would fail with, and nothing else.
func TestACheckSaysWhatTheBatchWill(t *testing.T) {
	t.Parallel()
	request := func(i int) string {
		return fmt.Sprintf(`{"custom_id":"r%d","method":"POST","url":"/v1/chat/completions","body":{"model":"m1","messages":[{"role":"user","content":"%d"}]}}`, i, i)
	}
	but := func(i int, replace, with string) string { return strings.Replace(request(i), replace, with, 1) }
	sound := rapid.Custom(func(t *rapid.T) string { return request(rapid.IntRange(0, 10_000).Draw(t, "n")) })
	odd := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
		"", " ", "\r", "\ufeff", "{}", "null", "[1]", "{oops", "\xff", `{"custom_id":"a"}`, but(70, "m1", "m2"), but(71, "m1", "x1"), but(72, "chat/completions", "embeddings"), but(73, "POST", "GET"),
		but(74, `"model"`, `"stream":true,"model"`), but(75, "user", "us\x00er"), but(76, `"r76"`, `""`), but(77, "/v1/chat/completions", ""),
	}))
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.OneOf(sound, sound, sound, sound, sound, sound, odd), 0, rapid.SampledFrom([]int{1, 8, 60, 200}).Draw(t, "most")).Draw(t, "lines")
		files := oneFile{text: strings.Join(lines, "\n") + rapid.SampledFrom([]string{"", "\n"}).Draw(t, "end")}
		limits := Limits{BatchLines: 150, ShardLines: 4}
		const path = "/v1/chat/completions"
		check, err := (&Service{ServiceOptions: ServiceOptions{Records: noModels{}, Router: twoModels{}, Limits: limits}}).CheckInput(
			context.Background(), DefaultProject, KindBatch, path, strings.NewReader(files.text), nil)
		require.NoError(t, err)
		runner := &Runner{RunnerOptions: RunnerOptions{Store: files, Blobs: files, Router: twoModels{}, Limits: limits}}
		ix, err := runner.index(context.Background(), Job{ProjectID: DefaultProject, ID: "batch_1", Path: path})
		require.NoError(t, err)
		require.Equal(t, ix.errs, check.Problems)
		if len(ix.errs) == 0 {
			require.Equal(t, ix.total, check.Lines)
			require.Equal(t, ix.model, check.Model)
		}
	})
}

// noModels are records of a service, of which a check asks for models alone.
type noModels struct{ Records }

func (noModels) Model(context.Context, Ref) (Model, error) { return Model{}, NotFound("no model") }
