package store

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
	"github.com/ringback/ringback/testservers"
)

// onServer is a store on a server of its own, which the test may stop.
func onServer(t *testing.T) (*world, *testservers.Postgres) {
	t.Helper()
	server := must(testservers.StartPostgres())(t)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	dsn := must(server.NewDatabase())(t)
	return worldOver(t, openWith(t, func(o *Options) { o.DSN = dsn })), server
}

// writers create jobs until they are stopped, and note what became of each.
type writers struct {
	*world
	mu    sync.Mutex
	told  map[string]error
	stop  chan struct{}
	group sync.WaitGroup
}

func (w *world) writing(n int) *writers {
	ws := &writers{world: w, told: map[string]error{}, stop: make(chan struct{})}
	for range n {
		ws.group.Go(func() {
			for !stopped(ws.stop) {
				ws.create()
			}
		})
	}
	return ws
}

func (ws *writers) create() {
	job := newBatch(ws.now())
	_, err := ws.CreateJob(context.Background(), jobs.NewJob{Job: job})
	if err != nil {
		time.Sleep(10 * time.Millisecond) // as a client would
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.told[job.ID] = err
}

// done counts the writes that stood, as they were told.
func (ws *writers) done() (n int) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, err := range ws.told {
		if err == nil {
			n++
		}
	}
	return n
}

// more waits until others have been told that they stood.
func (ws *writers) more() {
	ws.t.Helper()
	before := ws.done()
	require.Eventually(ws.t, func() bool { return ws.done() > before+20 }, time.Minute, 5*time.Millisecond, "it works again by itself")
}

func (ws *writers) end() {
	close(ws.stop)
	ws.group.Wait()
}

// TestWritesThroughCrashesOfTheServer: what was told as written is there, what was told as refused is not, and only of what
// was being committed at that moment nobody can tell.
func TestWritesThroughCrashesOfTheServer(t *testing.T) {
	t.Parallel()
	w, server := onServer(t)
	ws := w.writing(6)
	for range 3 {
		ws.more()
		require.NoError(t, server.Kill())
		require.NoError(t, server.Start())
	}
	ws.more()
	ws.end()
	var stands []string
	require.NoError(t, w.reads.Model(&jobs.Job{}).Pluck("id", &stands).Error)
	there := map[string]bool{}
	for _, id := range stands {
		there[id] = true
	}
	unknown := 0
	for id, err := range ws.told {
		switch {
		case err == nil:
			require.True(t, there[id], "a write that was told as done is lost")
		case errors.Is(err, errUnknown):
			unknown++
		default:
			require.False(t, there[id], "a write that was told as refused stands: %v", err)
		}
		require.True(t, err == nil || jobs.IsCode(err, jobs.CodeUnavailable), "%v", err)
	}
	t.Logf("%d writes, %d refused, of them %d not known", len(ws.told), len(ws.told)-ws.done(), unknown)
}

// TestWritesWaitForAServerThatIsHeldUp, and are done when it goes on; those who cannot wait are told so.
func TestWritesWaitForAServerThatIsHeldUp(t *testing.T) {
	t.Parallel()
	w, server := onServer(t)
	ws := w.writing(4)
	ws.more()
	require.NoError(t, server.Pause())
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, readErr := w.Job(ctx, host("batch_none"))
	_, _, moveErr := w.Move(ctx, host("batch_none"), func(*jobs.Job) (jobs.Effects, error) { return jobs.Effects{}, nil })
	_, beatErr := w.Beat(t.Context(), "own") // three seconds
	require.NoError(t, server.Resume())
	ws.more()
	ws.end()
	require.Error(t, readErr)
	require.Error(t, moveErr)
	require.True(t, jobs.IsCode(beatErr, jobs.CodeUnavailable), "%v", beatErr)
	for _, err := range ws.told {
		require.True(t, err == nil || jobs.IsCode(err, jobs.CodeUnavailable), "%v", err)
	}
	require.Equal(t, ws.done(), w.count("jobs"))
}
