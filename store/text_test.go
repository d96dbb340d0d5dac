package store

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

// TestTextsThatCannotBeKept are the client's mistake, and are told so.
func TestTextsThatCannotBeKept(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"a\x00b", "a\xffb"} {
		w := worldOver(t, openPostgresStore(t))
		for name, do := range map[string]func() error{
			"a file's name": func() error {
				return w.CreateFile(t.Context(), jobs.File{ProjectID: "default", ID: "file-1", Filename: text, Purpose: "batch", CreatedAt: w.now()}, nil)
			},
			"a model": func() error {
				j := newBatch(w.now())
				j.Model = text
				_, err := w.CreateJob(t.Context(), jobs.NewJob{Job: j})
				return err
			},
			"an Idempotency-Key": func() error {
				_, err := w.CreateJob(t.Context(), jobs.NewJob{Job: newBatch(w.now()), Idempotency: &jobs.Idempotency{Key: text, Hash: []byte("h")}})
				return err
			},
			"a filter": func() error {
				_, _, err := w.Jobs(t.Context(), jobs.JobQuery{ProjectID: "default", Status: jobs.Status(text), Limit: 1})
				return err
			},
			"an event's ID": func() error { _, _, err := w.Events(t.Context(), "default", text, 1); return err },
			"a reference":   func() error { _, err := w.Job(t.Context(), host(text)); return err },
			"a key asked for": func() error {
				return w.Replayed(t.Context(), "default", &jobs.Idempotency{Key: text, Hash: []byte("h")})
			},
			"metadata asked for": func() error {
				_, _, err := w.Jobs(t.Context(), jobs.JobQuery{ProjectID: "default", Metadata: map[string]string{"k": text}, Limit: 1})
				return err
			},
		} {
			require.True(t, jobs.IsCode(do(), jobs.CodeValue), "%s: %v", name, do())
		}
		require.Zero(t, w.count("files")+w.count("jobs")+w.count("events"))
	}
}

// TestMetadataIsFound whatever it says, and what cannot be compared hides nothing else.
func TestMetadataIsFound(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		keep := func(metadata string) string {
			j := newBatch(w.now())
			j.Metadata = []byte(metadata)
			must(w.CreateJob(t.Context(), jobs.NewJob{Job: j}))(t)
			return j.ID
		}
		pairs := map[string]string{
			"plain": "v", `quote"d`: `"; DROP TABLE jobs; --`, "slash\\": `\u0041`, "": "empty key", "empty value": "", "é": "日本 😀", "$1": "?", "%": "_",
			"line\nbreak": "tab\tand \u2028", "null": "null", "true": "true", "1": "1e3",
			`\u0000`: `\ud800 in letters`,
		}
		text, err := json.Marshal(pairs)
		require.NoError(t, err)
		id := keep(string(text))
		none := []string{keep(""), keep("{}"), keep("null")}
		nul := keep(`{"plain":"a\u0000b","other":"v"}`)
		for _, odd := range []string{`{"unlike":"v"}`, `{"plain":"a\ud800b"}`, `{"plain":"\udc00\ud83d"}`, `{"\ud83d":"v"}`} {
			keep(odd)
		}
		pair := keep(`{"plain":"\ud83d\ude00","slash":"\\"}`)
		escaped, _, err := w.Jobs(t.Context(), jobs.JobQuery{ProjectID: "default", Metadata: map[string]string{"plain": "😀", "slash": `\`}, Limit: 10})
		require.NoError(t, err)
		require.Len(t, escaped, 1)
		require.Equal(t, pair, escaped[0].ID)
		for key, value := range pairs {
			page, _, err := w.Jobs(t.Context(), jobs.JobQuery{ProjectID: "default", Metadata: map[string]string{key: value}, Limit: 10})
			require.NoError(t, err, key)
			require.Len(t, page, 1, key)
			require.Equal(t, id, page[0].ID, key)
			require.JSONEq(t, string(text), string(page[0].Metadata))
		}
		page, _, err := w.Jobs(t.Context(), jobs.JobQuery{ProjectID: "default", NoMetadata: true, Limit: 10})
		require.NoError(t, err)
		var ids []string
		for _, j := range page {
			ids = append(ids, j.ID)
		}
		require.ElementsMatch(t, none, ids)
		require.Equal(t, `{"plain":"a\u0000b","other":"v"}`, string(must(w.Job(t.Context(), host(nul)))(t).Metadata), "kept as it came")
	})
}
