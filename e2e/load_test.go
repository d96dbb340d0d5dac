package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Thousands of generations, submitted as fast as they are taken, all come to their end; each is called once.
func TestManyGenerationsAllEnd(t *testing.T) {
	const jobs, senders = 3000, 60
	up := startUpstream(t, nil)
	s := startServer(t, up.provider(""))
	var all sync.WaitGroup
	for n := range senders {
		all.Go(func() {
			for i := range jobs / senders {
				a, err := s.do("POST", "/v1/generate", strings.NewReader(ask(fmt.Sprint(n, " ", i))))
				if err != nil || a.status != http.StatusAccepted {
					t.Errorf("%d: %v %s", a.status, err, a.body)
				}
			}
		})
	}
	all.Wait()
	open := func() []string {
		var ids []string
		for _, status := range []string{"queued", "in_progress"} {
			for _, job := range s.read("/v1/jobs?limit=100&status=" + status).get("data").Array() {
				ids = append(ids, job.Get("id").String())
			}
		}
		return ids
	}
	eventually(t, fmt.Sprint("all have ended; still open: ", open()), func() bool { return len(open()) == 0 })
	require.Len(t, s.events(""), 2*jobs, "each begins and ends")
	require.Equal(t, jobs, up.count(), "each is called once")
}

// Without a crash no line is called twice, however many shards come and go.
func TestManyShardsAreCalledOnce(t *testing.T) {
	const lines, batches = 2000, 3
	up := startUpstream(t, nil)
	s := startServer(t, up.provider(""), "batches.shard_lines=5")
	file := s.input(numbered(lines, 0))
	ids := make([]string, batches)
	for i := range ids {
		ids[i] = s.batch(file, "")
	}
	for _, id := range ids {
		done := s.ended(id)
		require.Equal(t, "completed", done.get("status").String())
		s.whole(done, lines)
	}
	require.Equal(t, batches*lines, up.count())
}
