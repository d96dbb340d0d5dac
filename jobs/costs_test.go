//go:build !race

package jobs_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
)

// What is large, and measured by its size, would be slow under the race detector and gain nothing by it.

// TestErrorLinesFitIntoALine: where answer and request together are longer than a line of an input may be, the request
// goes; one byte less, and the line is taken as input.
func TestErrorLinesFitIntoALine(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	var answer atomic.Int64
	x.answer = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"error":"%s"}`, strings.Repeat("x", int(answer.Load())))
	}
	const most = 16 << 20
	f := x.large(request(1)[:len(request(1))-5] + strings.Repeat("y", most-1<<20) + `"}]}}`)
	answer.Store(1000)
	first := x.settle(x.again(f.ID))
	room := int64(most - len(x.text(first.ErrorFileID)))
	require.Positive(t, room)
	require.True(t, gjson.Get(x.text(first.ErrorFileID), "body").Exists())

	answer.Store(1000 + room)
	longest := x.settle(x.again(f.ID))
	require.Len(t, x.text(longest.ErrorFileID), most)
	again := x.settle(x.again(longest.ErrorFileID))
	require.Equal(t, jobs.Completed, again.Status, "%s", again.Object())
	require.Len(t, x.text(again.ErrorFileID), most)

	answer.Store(1001 + room)
	s := x.settle(x.again(f.ID))
	require.Equal(t, []string{"id", "custom_id", "response", "error"}, keys(x.text(s.ErrorFileID)))
}

// TestResponsesThatContinueCostLittle is not parallel: the heap that it measures is the whole process's. Twenty short
// requests at once that stand for long conversations are put together a few at a time.
func TestResponsesThatContinueCostLittle(t *testing.T) {
	x := newResponding(t, "")
	r := x.noted(jobs.Limits{BodyBytes: 12 << 20})
	first := x.created(`{"model":"m1","background":true,"input":"` + strings.Repeat("x", 10<<20) + `"}`)
	x.end(first)
	var inside, most atomic.Int64
	r.requested = func() {
		n := inside.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		runtime.Gosched()
	}
	r.created = func() { inside.Add(-1) }
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			_, err := x.create(`{"model":"m1","background":true,"input":"y","previous_response_id":"` + first.ID + `"}`)
			if err != nil {
				t.Error(err)
			}
		})
	}
	peak := peakHeap(&all)
	t.Logf("%d at once, %d MB at most", most.Load(), peak>>20)
	require.LessOrEqual(t, most.Load(), int64(4))
	require.Less(t, peak, uint64(500<<20))
}
