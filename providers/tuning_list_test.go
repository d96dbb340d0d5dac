package providers

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// feed serves items, newest first, as OpenAI pages them; each is the inside of an object.
type feed struct {
	mu       sync.Mutex
	items    []item
	overlap  int           // how many items of a page come again on the next
	max      int           // items on a page, whatever is asked
	silent   bool          // no has_more
	before   func(l *feed) // what happens before a page is read
	deaf     bool          // always the first page
	answered int
}

type item struct{ id, rest string }

func (l *feed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.before != nil {
		l.before(l)
	}
	l.answered++
	start := 0
	if after := r.URL.Query().Get("after"); after != "" && !l.deaf {
		at := slices.IndexFunc(l.items, func(i item) bool { return i.id == after })
		start = max(at+1-l.overlap, 0)
	}
	end := min(start+l.max, len(l.items))
	var texts []string
	for _, i := range l.items[start:end] {
		texts = append(texts, fmt.Sprintf(`{"id":%q%s}`, i.id, i.rest))
	}
	more := fmt.Sprintf(`,"has_more":%t`, end < len(l.items))
	if l.silent {
		more = ""
	}
	answer(200, jsonType, `{"object":"list","data":[`+strings.Join(texts, ",")+`]`+more+`}`)(w, r)
}

// numbered makes the items n-1 … 0, the newest first.
func numbered(prefix string, n int) []item {
	items := make([]item, 0, n)
	for i := n - 1; i >= 0; i-- {
		items = append(items, item{fmt.Sprintf("%s%04d", prefix, i), fmt.Sprintf(`,"created_at":%d`, 10_000+i)})
	}
	return items
}

func eventIDs(events []TuningEvent) []string {
	var ids []string
	for _, e := range events {
		ids = append(ids, e.ID)
	}
	return ids
}

func named(prefix string, from, to int) []string {
	var ids []string
	for i := from; i < to; i++ {
		ids = append(ids, fmt.Sprintf("%s%04d", prefix, i))
	}
	return ids
}

func TestEventsComeOldestFirst(t *testing.T) {
	t.Parallel()
	arriving := func(l *feed) {
		l.items = append([]item{{fmt.Sprintf("e%04d", len(l.items)), ""}}, l.items...)
	}
	for _, tt := range []struct {
		name  string
		list  *feed
		after string
		want  []string
		pages int
	}{
		{"none", &feed{max: 100}, "", nil, 1},
		{"one page", &feed{items: numbered("e", 7), max: 100}, "", named("e", 0, 7), 1},
		{"pages", &feed{items: numbered("e", 250), max: 100}, "", named("e", 0, 250), 3},
		{"small pages", &feed{items: numbered("e", 50), max: 20}, "", named("e", 0, 50), 3},
		{"after one", &feed{items: numbered("e", 250), max: 100}, "e0147", named("e", 148, 250), 2},
		{"after the newest", &feed{items: numbered("e", 250), max: 100}, "e0249", nil, 1},
		{"after one that is gone", &feed{items: numbered("e", 5), max: 100}, "e9999", named("e", 0, 5), 1},
		{"duplicates at the borders", &feed{items: numbered("e", 250), max: 100, overlap: 3}, "", named("e", 0, 250), 3},
		{"arriving between pages", &feed{items: numbered("e", 249), max: 100, before: arriving}, "", named("e", 0, 250), 3},
		{"full pages without has_more", &feed{items: numbered("e", 250), max: 100, silent: true}, "", named("e", 0, 250), 3},
		{"the same page for ever", &feed{items: numbered("e", 300), max: 100, deaf: true}, "", named("e", 200, 300), 2},
		{"at most 20 pages", &feed{items: numbered("e", 3000), max: 100}, "", named("e", 1000, 3000), 20},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			events, err := upstream(t, tt.list.ServeHTTP).TuningEvents(t.Context(), "j", tt.after)
			require.NoError(t, err)
			require.Equal(t, tt.want, eventIDs(events))
			require.Equal(t, tt.pages, tt.list.answered)
		})
	}
}

func TestEventsAreReadAsTheyAre(t *testing.T) {
	t.Parallel()
	p := upstream(t, answer(200, jsonType, `{"data":[
		{"id":"b","created_at":12.0,"level":"warn","message":"Step 1/2: loss=0.5","type":"metrics","data":{"step":1, "train_loss":0.50}},
		{"message":"no ID"},
		{"id":"a","created_at":null,"level":7,"data":null}]}`))
	events, err := p.TuningEvents(t.Context(), "j", "")
	require.NoError(t, err)
	require.Equal(t, []TuningEvent{
		{ID: "a"},
		{ID: "b", CreatedAt: 12, Level: "warn", Message: "Step 1/2: loss=0.5", Type: "metrics", Data: []byte(`{"step":1, "train_loss":0.50}`)},
	}, events)
}

func TestPagesTogetherAreNoLongerThanOneAnswer(t *testing.T) {
	t.Parallel()
	l := &feed{items: numbered("e", 300), max: 100}
	p := upstream(t, l.ServeHTTP, func(o *Options, _ *Config) { o.AnswerBytes = 8000 })
	_, err := p.TuningEvents(t.Context(), "j", "")
	require.Equal(t, AnswerTooLarge, AsError(err).Kind)
	require.Equal(t, 3, l.answered)
}

func TestAFaultOnALaterPageGivesNothing(t *testing.T) {
	t.Parallel()
	l := &feed{items: numbered("e", 300), max: 100}
	p := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("after") == "" {
			l.ServeHTTP(w, r)
			return
		}
		answer(429, jsonType, limitBody, "Retry-After", "3")(w, r)
	})
	events, err := p.TuningEvents(t.Context(), "j", "")
	require.Equal(t, RateLimited, AsError(err).Kind)
	require.Empty(t, events)
}

func TestCheckpoints(t *testing.T) {
	t.Parallel()
	at := func(step int) string {
		return fmt.Sprintf(`,"created_at":5,"fine_tuned_model_checkpoint":"ft:m:o::1:ckpt-step-%d","step_number":%d,"metrics":{"step":%d}`, step, step, step)
	}
	l := &feed{items: []item{{"c3", at(30)}, {"c2", at(20)}, {"c1", at(10)}}, max: 2, overlap: 1}
	got, err := upstream(t, l.ServeHTTP).TuningCheckpoints(t.Context(), "j")
	require.NoError(t, err)
	require.Len(t, got, 3)
	require.Equal(t, TuningCheckpoint{ID: "c1", CreatedAt: 5, Model: "ft:m:o::1:ckpt-step-10", Step: 10, Metrics: []byte(`{"step":10}`)}, got[0])
	require.Equal(t, "c3", got[2].ID)
	for _, status := range []int{404, 405} {
		got, err := upstream(t, answer(status, "text/plain", "404 page not found")).TuningCheckpoints(t.Context(), "j")
		require.NoError(t, err)
		require.Nil(t, got)
	}
}

func TestFindTuning(t *testing.T) {
	t.Parallel()
	ours := func(at int, rest string) []item {
		items := numbered("j", 350)
		items[at].rest += rest
		return items
	}
	const meta, file = `,"status":"queued","metadata":{"ringback_job":"ours"}`, `,"training_file":"file-ours"`
	for _, tt := range []struct {
		name  string
		list  *feed
		since int64
		found bool
		pages int // the first is the filtered one
	}{
		{"by metadata, on the filtered page", &feed{items: ours(5, meta), max: 100}, 0, true, 1},
		{"by metadata, the filter ignored", &feed{items: ours(205, meta), max: 100}, 0, true, 4},
		{"by its file", &feed{items: ours(205, file), max: 100}, 0, true, 4},
		{"duplicates at the borders", &feed{items: ours(205, file), max: 100, overlap: 2}, 0, true, 4},
		{"no further back than since", &feed{items: ours(205, file), max: 100}, 10_340 + clockSlack, false, 3},
		{"just as far back as since", &feed{items: ours(150, file), max: 100}, 10_199 + clockSlack, true, 3},
		{"not there", &feed{items: numbered("j", 250), max: 100}, 0, false, 4},
		{"at most ten pages", &feed{items: append(numbered("j", 1100), item{"old", meta}), max: 100}, 0, false, 11},
		{"empty names match nothing", &feed{items: []item{{"x", `,"training_file":"","metadata":{"ringback_job":""}`}}, max: 100}, 0, false, 2},
		{"metadata of other types", &feed{items: []item{{"x", `,"metadata":["ours"]`}, {"y", `,"metadata":{"ringback_job":["ours"]}`}}, max: 100}, 0, false, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			name, trained := "ours", "file-ours"
			if strings.HasPrefix(tt.name, "empty") {
				name, trained = "", ""
			}
			_, found, err := upstream(t, tt.list.ServeHTTP).FindTuning(t.Context(), name, trained, tt.since)
			require.NoError(t, err)
			require.Equal(t, tt.found, found)
			require.Equal(t, tt.pages, tt.list.answered)
		})
	}
}

func TestFindTuningWhereTheFilterIsRefusedOrHides(t *testing.T) {
	t.Parallel()
	for name, filtered := range map[string]http.HandlerFunc{
		"refused": answer(400, jsonType, badBody),
		"hides":   answer(200, jsonType, `{"data":[],"has_more":false}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := upstream(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Has("metadata[ringback_job]") {
					filtered(w, r)
					return
				}
				answer(200, jsonType, `{"data":[{"id":"theirs","status":"running","training_file":"file-ours","seed":7}]}`)(w, r)
			})
			job, found, err := p.FindTuning(t.Context(), "ours", "file-ours", 0)
			require.NoError(t, err)
			require.True(t, found)
			require.Equal(t, Tuning{ID: "theirs", Status: "running", Seed: 7}, job)
		})
	}
	_, found, err := upstream(t, answer(400, jsonType, badBody)).FindTuning(t.Context(), "ours", "file-ours", 0)
	require.Equal(t, Rejected, AsError(err).Kind)
	require.False(t, found)
}
