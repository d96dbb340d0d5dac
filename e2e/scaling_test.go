package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// scaling is what a fleet's batches wait for: a provider that takes its time, and more of its slots than a worker may use.
const (
	scalingWait  = 50 * time.Millisecond
	scalingShare = 32
	scalingSlots = 256
)

// A batch whose lines wait for their provider is done faster by more workers: twice as fast by two, four times by four, but
// for what it costs to begin and to end. Each number of workers has a fleet of its own, and they take turns: what else
// the machine does falls on all of them, and the best of each counts. RINGBACK_SCALING_LINES sets the lines; the short form's
// bounds leave room for a machine that is busy with other tests, the bench's do not.
func TestMoreWorkersFinishABatchSooner(t *testing.T) {
	lines, rounds := 3200, 2
	if text := os.Getenv("RINGBACK_SCALING_LINES"); text != "" {
		var err error
		lines, err = strconv.Atoi(text)
		require.NoError(t, err, "RINGBACK_SCALING_LINES")
	}
	up, input := startSwift(t, scalingWait), numbered(lines, 0)
	workers := []int{1, 2, 4}
	fleets := map[int]*fleet{}
	for _, n := range workers {
		fleets[n] = startFleet(t, fleetOptions{apis: 1, workers: n, settings: []string{
			fmt.Sprintf(`providers=[{name: up, type: openai, base_url: "%s/v1", models: ["*"], concurrency: %d, per_process: %d}]`,
				up.server.URL, scalingSlots, scalingShare),
		}})
	}
	best := map[int]time.Duration{}
	share := func(n int) float64 { return best[n].Seconds() / best[1].Seconds() }
	most := 4 * rounds // what runs beside may take the cores from any one: it is looked at again before it is blamed
	done := 0
	for ; done < rounds || done < most && (share(2) >= 0.7 || share(4) >= 0.5); done++ {
		for _, n := range workers {
			took := fleets[n].batchTime(input, lines)
			t.Logf("%d workers: %d lines in %s", n, lines, took.Round(time.Millisecond))
			if best[n] == 0 || took < best[n] {
				best[n] = took
			}
		}
	}
	require.EqualValues(t, done*len(workers)*lines, up.calls.Load(), "no line is called twice, whoever works on it")
	t.Logf("of one worker's time: two %.2f, four %.2f", share(2), share(4))
	require.Less(t, share(2), 0.7, "two workers")
	require.Less(t, share(4), 0.5, "four workers")
}

// batchTime is how long one batch over this input takes, from its submission to its end, as a client sees it.
func (f *fleet) batchTime(input string, lines int) time.Duration {
	f.t.Helper()
	file := f.input(input)
	began := time.Now()
	id := f.batch(file, "")
	f.ended(id)
	took := time.Since(began)
	done := f.read("/v1/batches/" + id)
	require.Equal(f.t, "completed", done.get("status").String(), string(done.body))
	require.EqualValues(f.t, lines, done.get("request_counts.completed").Int())
	return took
}

// swift is an upstream for many calls: it counts them and keeps nothing, and all of its answers are the same.
type swift struct {
	server *httptest.Server
	calls  atomic.Int64
	wait   time.Duration
	answer string
}

func startSwift(t *testing.T, wait time.Duration) *swift {
	t.Helper()
	s := &swift{wait: wait, answer: completion("an answer")}
	s.server = httptest.NewServer(s)
	t.Cleanup(s.server.Close)
	return s
}

// ServeHTTP takes a call, and answers the look at its models when a server starts.
func (s *swift) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodGet {
		_, _ = io.WriteString(w, `{"object":"list","data":[{"id":"m","object":"model"}]}`)
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)
	s.calls.Add(1)
	time.Sleep(s.wait) // the model thinks
	_, _ = io.WriteString(w, s.answer)
}
