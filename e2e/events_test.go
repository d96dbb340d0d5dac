package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Who follows /v1/events while hundreds of jobs end at once sees each event exactly once, in order.
func TestEventsAreFollowedWithoutAGap(t *testing.T) {
	t.Parallel()
	const jobs, senders = 300, 50
	s := startServer(t, startUpstream(t, nil).provider(""))
	var ids sync.Map
	var all sync.WaitGroup
	for n := range senders {
		all.Go(func() {
			for range jobs / senders {
				a, err := s.do("POST", "/v1/generate", strings.NewReader(ask(fmt.Sprint("hello ", n))))
				if err != nil || a.status != http.StatusAccepted {
					t.Errorf("%d: %v %s", a.status, err, a.body)
					return
				}
				ids.Store(a.get("id").String(), true)
			}
		})
	}
	seen, order := map[string]bool{}, []string(nil)
	for after, pages := "", 0; len(order) < jobs; pages++ {
		require.Less(t, pages, 100_000, "%d of %d events", len(order), jobs)
		page := s.read("/v1/events?limit=7&after=" + after)
		for _, e := range page.get("data").Array() {
			after = e.Get("id").String()
			require.False(t, seen[after], "an event came twice")
			seen[after], order = true, append(order, after)
			require.Equal(t, "generation.completed", e.Get("type").String())
			_, ours := ids.LoadAndDelete(e.Get("data.id").String())
			if !ours { // its 202 may be on its way still
				all.Wait()
				_, ours = ids.LoadAndDelete(e.Get("data.id").String())
			}
			require.True(t, ours, "an event of an unknown job, or a second one")
		}
	}
	all.Wait()
	listed := s.events("")
	require.Len(t, listed, jobs)
	for i, e := range listed {
		require.Equal(t, order[i], e.Get("id").String(), "the order stands")
	}
	ids.Range(func(id, _ any) bool { t.Errorf("no event of %s", id); return true })
	bare := s.read("/v1/events?limit=100&after=" + order[149])
	require.Equal(t, order[150], bare.get("data.0.id").String())
	require.True(t, bare.get("has_more").Bool())
}
