package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Who follows /v1/events while hundreds of jobs begin and end at once sees each event exactly once, in order.
func TestEventsAreFollowedWithoutAGap(t *testing.T) {
	t.Parallel()
	const jobs, senders = 300, 50
	s := startServer(t, startUpstream(t, nil).provider(""))
	var all sync.WaitGroup
	accepted := make(chan string, jobs)
	for n := range senders {
		all.Go(func() {
			for range jobs / senders {
				a, err := s.do("POST", "/v1/generate", strings.NewReader(ask(fmt.Sprint("hello ", n))))
				if err != nil || a.status != http.StatusAccepted {
					t.Errorf("%d: %v %s", a.status, err, a.body)
					continue
				}
				accepted <- a.get("id").String()
			}
		})
	}
	order, about := s.follow(t, 2*jobs)
	all.Wait()
	close(accepted)
	for id := range accepted {
		if got := strings.Join(about[id], " "); got != "generation.in_progress generation.completed" {
			t.Errorf("the events of %s are %q, and it says %s", id, got, s.read("/v1/jobs/"+id).body)
		}
	}
	listed := s.events("")
	require.Equal(t, 2*jobs, len(listed), "%d followed", len(order))
	for i, e := range listed {
		require.Equal(t, order[i], e.Get("id").String(), "the order stands")
	}
	rest := s.read("/v1/events?limit=100&after=" + order[149])
	require.Equal(t, order[150], rest.get("data.0.id").String())
	require.True(t, rest.get("has_more").Bool())
}

// follow pages on until it has seen that many events, or none has come for a while. It gives their IDs in the order
// in which they came, and the types of each job's.
func (s *server) follow(t *testing.T, most int) (order []string, about map[string][]string) {
	t.Helper()
	seen, after, last := map[string]bool{}, "", time.Now()
	for about = map[string][]string{}; len(order) < most && time.Since(last) < patience/2; {
		for _, e := range s.read("/v1/events?limit=7&after=" + after).get("data").Array() {
			after, last = e.Get("id").String(), time.Now()
			require.False(t, seen[after], "an event came twice")
			seen[after], order = true, append(order, after)
			id := e.Get("data.id").String()
			about[id] = append(about[id], e.Get("type").String())
		}
	}
	return order, about
}
