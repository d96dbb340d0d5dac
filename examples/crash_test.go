package examples

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	crashEvents  = 200
	crashKills   = 5
	crashSenders = 8
)

// kill -9 at random moments, while events are sent until they are taken: each counts exactly once at the end.
func TestKilledAtRandom(t *testing.T) {
	forEach(t, func(t *testing.T, k kind) {
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		dice := rand.New(rand.NewPCG(seed, 0))
		data := t.TempDir()
		var running atomic.Pointer[process]
		running.Store(k.start(t, data))
		s, lost := startSenders(&running), 0
		for kill := range crashKills {
			s.waitFor(t, (kill+1)*crashEvents/(crashKills+2)+dice.IntN(20))
			time.Sleep(time.Duration(dice.IntN(4000)) * time.Microsecond) // the random moment
			running.Load().kill()
			lost += known(running.Load())
			running.Store(k.start(t, data))
		}
		s.all.Wait()
		require.EqualValues(t, crashEvents, s.taken.Load(), "not all events were taken in time")
		running.Load().kill()
		lost += known(running.Load())
		var ids []string
		for n := range crashEvents {
			ids = append(ids, eventID(n))
		}
		got := k.stored(t, data)
		got.once(t, ids...)
		for job, state := range got.jobs {
			require.Equal(t, crashEvents/10, state.sequence, job)
		}
		t.Logf("%d kills, %d tries for %d events, %d failed, %d of them recorded before the kill took the answer",
			crashKills, s.tries.Load(), crashEvents, s.failed.Load(), lost)
		require.NotZero(t, s.failed.Load(), "no kill met a request")
	})
}

// known counts the repeats that a receiver recognised, by what it said.
func known(p *process) int { return strings.Count(strings.ToLower(p.stderr.String()), "new=false") }

func eventID(n int) string { return fmt.Sprintf("evt_%03d", n) }

// senders send the events of ten jobs, each until it is taken, as Ringback does.
type senders struct {
	all                  sync.WaitGroup
	taken, tries, failed atomic.Int64
	next                 atomic.Int64
	deadline             time.Time
}

func startSenders(running *atomic.Pointer[process]) *senders {
	s := &senders{deadline: time.Now().Add(patience)}
	for range crashSenders {
		s.all.Go(func() {
			for n := int(s.next.Add(1)) - 1; n < crashEvents; n = int(s.next.Add(1)) - 1 {
				s.send(running, n)
			}
		})
	}
	return s
}

// send tries every 5 ms until the deadline.
func (s *senders) send(running *atomic.Pointer[process], n int) {
	for time.Now().Before(s.deadline) {
		s.tries.Add(1)
		status, err := running.Load().try(http.MethodPost, callback(eventID(n), fmt.Sprintf("job_%d", n%10), n/10+1, "batch.progress"))
		if err == nil && status == http.StatusNoContent {
			s.taken.Add(1)
			return
		}
		s.failed.Add(1)
		time.Sleep(5 * time.Millisecond)
	}
}

func (s *senders) waitFor(t *testing.T, taken int) {
	t.Helper()
	require.Eventually(t, func() bool { return int(s.taken.Load()) >= taken }, patience, time.Millisecond)
}
