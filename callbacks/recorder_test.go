package callbacks

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

// R10: while the disk is full outcomes wait, however long, and none is lost or repeated when it is not.
func TestR10RecorderKeepsWhatTheStoreRefuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newRows()
		for range 100 {
			store.add(to("default", "it.test"), 1)
		}
		store.failing = 1 << 30
		town := newTown(t, map[string]http.HandlerFunc{"it.test": fine})
		sendIn(t, store, town, func(o *SenderOptions) { o.Concurrency, o.PerReceiver = 20, 16 })
		time.Sleep(time.Hour)
		require.Empty(t, store.outcomes())
		sent := len(town.visits("it.test"))
		require.LessOrEqual(t, sent, 20, "what is sent and cannot be kept is bounded by all slots")
		require.GreaterOrEqual(t, sent, 18, "the eighth that is kept for others may be free")
		synctest.Wait()
		tries := 1<<30 - store.failing
		require.Less(t, tries, 10*3600, "a store that fails is not stormed")
		require.Greater(t, tries, 3000, "nor is it given up")
		store.change(func() { store.failing = 0 })
		time.Sleep(time.Minute)
		require.Equal(t, 100, store.count(Delivered))
		require.Len(t, store.outcomes(), 100)
		require.Len(t, town.visits("it.test"), 100, "none is sent twice")
	})
}

// entriesOf are outcomes of deliveries that a store holds as claimed.
func entriesOf(store *rows, n int) (set []entry) {
	for i := range n {
		c := claim("https://example.com/")
		c.ID, c.State = fmt.Sprintf("dlv_%d", i), Sending
		store.byRef[c.Ref()] = &c
		set = append(set, entry{Outcome{Claimed: c, Decision: Decision{State: Delivered}}, make(chan struct{})})
	}
	return set
}

func TestBadOutcomesHoldUpNoOther(t *testing.T) {
	t.Parallel()
	for bad := range 9 {
		store := newRows()
		rec := newRecorder(store, time.Now, quiet())
		all := entriesOf(store, 9)
		store.poison[all[bad].Claimed.ID] = true
		kept := rec.write(t.Context(), all)
		require.Len(t, kept, 1)
		require.Equal(t, all[bad].Claimed.ID, kept[0].Claimed.ID)
		require.Len(t, store.outcomes(), 8)
		for i := range all {
			select {
			case <-all[i].done:
				require.NotEqual(t, bad, i)
			default:
				require.Equal(t, bad, i, "who waits is told")
			}
		}
	}
}

func TestStoreThatFailsIsNotAskedForEachOutcome(t *testing.T) {
	t.Parallel()
	store := newRows()
	rec := newRecorder(store, time.Now, quiet())
	all := entriesOf(store, 64)
	store.failing = 1000
	require.Len(t, rec.write(t.Context(), all), 64)
	require.Greater(t, store.failing, 980)
}

// While one set is being written the next one gathers.
func TestRecorderWritesSets(t *testing.T) {
	t.Parallel()
	r := receive(t, nil)
	store := newRows()
	for i := range 30 { // gates of their own: each has slots for four
		c := claim(r.URL)
		c.Gate = fmt.Sprint(i)
		store.add(c, 1)
	}
	store.gate = make(chan struct{})
	s, _ := newSender(t, store, openPoster(t), steady())
	s.Work(t.Context(), store.sweep(2))
	eventually(t, func() bool { return store.asks()+s.recorder.waiting() == 30 }, "thirty wait")
	close(store.gate)
	eventually(t, func() bool { return store.count(Delivered) == 30 }, "all")
	require.Less(t, len(store.sets), 10)
}

// An outcome is recorded in sets of a thousand, at most.
func TestSetsAreBounded(t *testing.T) {
	t.Parallel()
	store := newRows()
	rec := newRecorder(store, time.Now, quiet())
	rec.pending = entriesOf(store, 2500)
	rec.ring()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { rec.run(ctx) })
	eventually(t, func() bool { return len(store.outcomes()) == 2500 }, "all")
	cancel()
	running.Wait()
	require.Equal(t, []int{1000, 1000, 500}, store.sets)
}

// R21: what was answered is on record before Run returns, though the stop came while the store failed.
func TestR21RunWritesTheLastOutcomesBeforeItReturns(t *testing.T) {
	t.Parallel()
	r := receive(t, nil)
	one := claim(r.URL)
	store := newRows(one)
	store.failing = 1
	s, stop := newSender(t, store, openPoster(t), steady())
	s.Work(t.Context(), gatesBehind(one))
	<-store.wrote // the first write has failed
	stop()
	require.Equal(t, Delivered, store.delivery(one.Ref()).State)
}

func TestRunReportsWhatItCouldNotWrite(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	store := newRows()
	store.failing = 1000
	rec := newRecorder(store, time.Now, slog.New(slog.NewTextHandler(&text, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rec.record(ctx, Outcome{})
	rec.run(ctx)
	require.Contains(t, text.String(), "could not be recorded")
}

// R11: what another process has taken over is not recorded, and is said.
func TestR11RefusedOutcomesAreSaid(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	store := newRows()
	rec := newRecorder(store, time.Now, slog.New(slog.NewTextHandler(&text, nil)))
	set := entriesOf(store, 2)
	store.byRef[jobs.Ref{ProjectID: "default", ID: "dlv_0"}].Attempt++
	require.Empty(t, rec.write(t.Context(), set))
	require.Len(t, store.outcomes(), 1)
	require.Contains(t, text.String(), "not kept")
	require.Contains(t, text.String(), "outcomes=1")
}

// An outcome that comes just as the recorder has written all that waited is written at once: only a store that fails makes
// it pause.
func TestRecorderPausesOnlyWhenTheStoreFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newRows()
		rec := newRecorder(store, time.Now, quiet())
		ctx, cancel := context.WithCancel(t.Context())
		var running, recording sync.WaitGroup
		running.Go(func() { rec.run(ctx) })
		begun := time.Now()
		all := entriesOf(store, 16_000)
		for i := range 8 {
			recording.Go(func() {
				for _, e := range all[i*2000 : (i+1)*2000] {
					rec.record(ctx, e.Outcome)
				}
			})
		}
		recording.Wait()
		require.Zero(t, time.Since(begun))
		cancel()
		running.Wait()
	})
}
