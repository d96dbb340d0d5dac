package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestJ10SmallJobsBehindALargeBatch: a thousand generations that come while a batch of 50,000 lines runs. Their median wait
// for their call grows by less than a second over what it is without the batch.
func TestJ10SmallJobsBehindALargeBatch(t *testing.T) {
	const small, lines = 1000, 50_000
	wait := func(behind int) time.Duration {
		up := startUpstream(t, func(body string) reply { return reply{body: completion("x"), wait: 50 * time.Millisecond} })
		s := startServer(t, up.provider(""))
		var batch string
		if behind > 0 {
			batch = s.batch(s.input(numbered(behind, 0)), "")
			eventually(t, "the batch has all slots", func() bool { return up.busy() == slots })
		}
		sent := s.thousand(small)
		called := map[string]time.Time{}
		eventually(t, "all have been called", func() bool {
			for _, c := range up.seen() {
				if p := prompt(c.body); strings.HasPrefix(p, "small ") && called[p].IsZero() {
					called[p] = c.at
				}
			}
			return len(called) == small
		})
		if behind > 0 {
			require.Equal(t, "in_progress", s.read("/v1/batches/"+batch).get("status").String(), "they were behind it all the time")
			s.call(http.StatusOK, "POST", "/v1/batches/"+batch+"/cancel", "")
		}
		waits := make([]time.Duration, 0, small)
		for p, at := range called {
			waits = append(waits, at.Sub(sent[p]))
		}
		slices.Sort(waits)
		t.Logf("behind %d lines: median %s, longest %s", behind, waits[small/2], waits[small-1])
		return waits[small/2]
	}
	alone := wait(0)
	require.Less(t, wait(lines), alone+time.Second)
}

// thousand submits generations as fast as they are taken and gives when each was sent, by prompt.
func (c *client) thousand(n int) map[string]time.Time {
	const senders = 16
	sent := make(map[string]time.Time, n)
	var mu sync.Mutex
	var all sync.WaitGroup
	for k := range senders {
		all.Go(func() {
			for i := k; i < n; i += senders {
				p := fmt.Sprint("small ", i)
				mu.Lock()
				sent[p] = time.Now()
				mu.Unlock()
				a, err := c.do("POST", "/v1/generate", strings.NewReader(ask(p)))
				if err != nil || a.status != http.StatusAccepted {
					c.t.Errorf("%d: %v %s", a.status, err, a.body)
				}
			}
		})
	}
	all.Wait()
	return sent
}
