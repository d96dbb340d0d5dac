package store

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// beat gives the life in which the store knows a process.
func (w *world) beat(owner string) int64 {
	w.t.Helper()
	return must(w.Beat(w.t.Context(), owner))(w.t).Life
}

// silent has it that a process was last heard of a lease ago.
func (w *world) silent(owner string) {
	w.t.Helper()
	w.exec("UPDATE owners SET beat_at = beat_at - ? WHERE id = ?", Lease.Milliseconds(), owner)
}

// claimAll has a process claim one of each: a call, a shard, a delivery.
func (w *world) claimAll(owner string) (call, shard jobs.Ref, delivery callbacks.Claimed) {
	w.t.Helper()
	call, shard = w.planned(), host(running(w.t, w.Store).ID+":0")
	e := w.endpoint(wants("file.created"))
	w.fire("file.created")
	require.Len(w.t, must(w.ClaimJobs(w.t.Context(), owner, []jobs.Ref{call}, w.now()))(w.t), 1)
	require.Len(w.t, must(w.ClaimShards(w.t.Context(), owner, []jobs.Ref{shard}, w.now()))(w.t), 1)
	claimed := must(w.ClaimDeliveries(w.t.Context(), owner, behind(e), w.now()))(w.t)
	require.Len(w.t, claimed, 1)
	must(w.ChangeEndpoint(w.t.Context(), e, func(r *callbacks.Registered) error { r.EventTypes = wants0; return nil }))(w.t)
	return call, shard, claimed[0]
}

// wants0 is what an endpoint subscribes to that gets nothing more.
var wants0 = jobs.Texts{"model.deleted"}

func TestBeatsTellWhoIsKnown(t *testing.T) {
	t.Parallel()
	f := fleet(t)
	life := f[0].beat("a")
	require.Equal(t, life, f[0].beat("a"))
	other := f[1].beat("b")
	require.NotEqual(t, life, other)
	require.False(t, must(f[1].TakeOver(t.Context(), "b"))(t), "both live")
	f[0].silent("a")
	require.True(t, must(f[1].TakeOver(t.Context(), "b"))(t))
	require.False(t, must(f[1].TakeOver(t.Context(), "b"))(t))
	again := f[0].beat("a")
	require.NotEqual(t, life, again, "it was taken for dead")
	require.Equal(t, again, f[0].beat("a"))
	require.Equal(t, other, f[1].beat("b"))
}

// TestTakeOverNeedsABeatOfOnesOwn: after a jump of the database's clock, or a pause of it, all others look dead.
func TestTakeOverNeedsABeatOfOnesOwn(t *testing.T) {
	t.Parallel()
	f := fleet(t)
	f[0].beat("alive")
	f[1].beat("own")
	for _, hours := range []int{1, -1} { // set forward, set back
		f[0].exec("UPDATE owners SET beat_at = beat_at - ?", hours*int(time.Hour.Milliseconds()))
		require.False(t, must(f[1].TakeOver(t.Context(), "own"))(t))
		f[1].beat("own")
		require.True(t, must(f[1].TakeOver(t.Context(), "own"))(t), "whoever may ask now finds the dead, also those with a beat of the future")
		f[0].beat("alive")
	}
	require.False(t, must(f[1].TakeOver(t.Context(), "nobody"))(t))
}

// TestTakeOverFreesTheDeadAlone, with an attempt on record for each delivery that may have been sent.
func TestTakeOverFreesTheDeadAlone(t *testing.T) {
	t.Parallel()
	f := fleet(t)
	for _, owner := range []string{"dead", "alive", "self"} {
		f[0].beat(owner)
	}
	call, shard, delivery := f[0].claimAll("dead")
	aliveCall, aliveShard, aliveDelivery := f[0].claimAll("alive")
	f[1].claimAll("self")
	f[1].claimAll("unknown")
	f[0].silent("dead")
	f[0].pass(time.Second)
	require.True(t, must(f[1].TakeOver(t.Context(), "self"))(t))

	for _, table := range []string{"jobs", "shards", "deliveries"} {
		require.Equal(t, 1, f[0].count(table+" WHERE owner = 'alive'"), table)
		require.Equal(t, 1, f[0].count(table+" WHERE owner = 'self'"), table)
		require.Zero(t, f[0].count(table+" WHERE owner IN ('dead', 'unknown')"), table)
	}
	require.Equal(t, 2, f[0].count("attempts WHERE error_class = 'interrupted'"))
	d, attempts := f[0].delivery(delivery.Ref())
	require.Equal(t, callbacks.Waiting, d.State)
	require.Len(t, attempts, 1)
	require.Equal(t, f[0].now(), f[0].wakes(delivery.GateRef()))
	require.Equal(t, 1, f[0].record(f[0].answered(delivery, 200)), "the dead one's late outcome is refused")

	require.Len(t, must(f[1].ClaimJobs(t.Context(), "self", []jobs.Ref{call, aliveCall}, f[1].now()))(t), 1, "it is due at once")
	require.Len(t, must(f[1].ClaimShards(t.Context(), "self", []jobs.Ref{shard, aliveShard}, f[1].now()))(t), 1)
	require.Len(t, must(f[1].ClaimDeliveries(t.Context(), "self", behind(delivery.GateRef(), aliveDelivery.GateRef()), f[1].now()))(t), 1)
	require.Zero(t, f[0].record(f[0].answered(aliveDelivery, 200)), "who lives keeps its claims")
}

// TestTakeOversAtOnce write one attempt for each delivery, and free each row once.
func TestTakeOversAtOnce(t *testing.T) {
	t.Parallel()
	f := fleet(t)
	e := f[0].endpoint()
	for round := range 10 {
		f[0].beat("own")
		f[0].beat("dead")
		for range 5 {
			f[0].fire("file.created")
		}
		n := len(must(f[0].ClaimDeliveries(t.Context(), "dead", behind(e), f[0].now()))(t))
		require.Equal(t, 5*(round+1), n)
		before := f[0].count("attempts")
		f[0].silent("dead")
		var wg sync.WaitGroup
		var errs [4]error
		for i := range errs {
			wg.Go(func() { _, errs[i] = f[i%2].TakeOver(t.Context(), "own") })
		}
		wg.Wait()
		require.Equal(t, [4]error{}, errs)
		require.Equal(t, n, f[0].count("attempts")-before)
		require.Zero(t, f[0].count("deliveries WHERE state = 'sending' OR recorded <> (SELECT count(*) FROM attempts WHERE delivery_id = deliveries.id)"))
		f[0].exec("UPDATE deliveries SET claims = 0")
	}
}

// TestBeatsThroughATakeOver: who is freed hears of it at its next beat, at whatever moment that comes.
func TestBeatsThroughATakeOver(t *testing.T) {
	t.Parallel()
	f := fleet(t)
	for range 60 {
		call := f[0].planned()
		life := f[0].beat("late")
		f[0].beat("own")
		require.Len(t, must(f[0].ClaimJobs(t.Context(), "late", []jobs.Ref{call}, f[0].now()))(t), 1)
		f[0].silent("late")
		var wg sync.WaitGroup
		var heard jobs.Heard
		var errs [2]error
		wg.Go(func() { _, errs[0] = f[1].TakeOver(t.Context(), "own") })
		wg.Go(func() { heard, errs[1] = f[0].Beat(t.Context(), "late") })
		wg.Wait()
		require.Equal(t, [2]error{}, errs)
		require.Equal(t, heard.Life == life, f[0].count("jobs WHERE id = ? AND owner = 'late'", call.ID) == 1, "it holds what it thinks that it holds")
		require.NoError(t, f[0].Leave(t.Context(), "late"))
	}
}

// TestTakeOverThroughAPauseOfTheDatabase: whoever asked just before it, or was just about to write, is answered when it goes
// on, and all others look dead by then.
func TestTakeOverThroughAPauseOfTheDatabase(t *testing.T) {
	t.Parallel()
	w, server := onServer(t)
	life := w.beat("alive")
	w.beat("own")
	call := w.planned()
	require.Len(t, must(w.ClaimJobs(t.Context(), "alive", []jobs.Ref{call}, w.now()))(t), 1)
	w.exec("UPDATE owners SET beat_at = beat_at - ? WHERE id = 'alive'", (Lease - 2*time.Second).Milliseconds())
	require.False(t, must(w.TakeOver(t.Context(), "own"))(t))

	require.NoError(t, server.Pause())
	asked := make(chan error, 1)
	go func() {
		_, err := w.TakeOver(context.Background(), "own")
		asked <- err
	}()
	err := <-asked // it has given up by itself
	require.NoError(t, server.Resume())
	require.True(t, jobs.IsCode(err, jobs.CodeUnavailable), "%v", err)
	require.Equal(t, 1, w.count("jobs WHERE owner = 'alive'"))
	require.Equal(t, life, w.beat("alive"))
}

// TestTakeOverThatIsHeldUp frees whom it found dead, and nobody who has come to look so since.
func TestTakeOverThatIsHeldUp(t *testing.T) {
	t.Parallel()
	f := fleet(t)
	lives := map[string]int64{}
	for _, owner := range []string{"dead", "alive", "own"} {
		call := f[0].planned()
		lives[owner] = f[0].beat(owner)
		require.Len(t, must(f[0].ClaimJobs(t.Context(), owner, []jobs.Ref{call}, f[0].now()))(t), 1)
	}
	f[0].silent("dead")
	f[0].exec("UPDATE owners SET beat_at = beat_at - ? WHERE id = 'alive'", (Lease - 2*time.Second).Milliseconds())
	holding := must(f[0].Store.reading.Begin())(t)
	_, err := holding.Exec("LOCK TABLE owners IN SHARE MODE") // it can be read, not written
	require.NoError(t, err)
	took := make(chan error, 1)
	go func() {
		_, err := f[1].TakeOver(context.Background(), "own")
		took <- err
	}()
	const lapsed = "SELECT EXISTS (SELECT 1 FROM owners WHERE id = 'alive' AND beat_at < " + dbNow + " - 15000)"
	require.Eventually(t, func() (past bool) {
		return f[1].reads.Raw(lapsed).Scan(&past).Error == nil && past
	}, time.Minute, 20*time.Millisecond)
	require.NoError(t, holding.Rollback())
	require.NoError(t, <-took)
	require.Zero(t, f[0].count("jobs WHERE owner = 'dead'"))
	require.Equal(t, 1, f[0].count("jobs WHERE owner = 'alive'"))
	require.Equal(t, lives["alive"], f[0].beat("alive"))
}

func TestOneLeads(t *testing.T) {
	t.Parallel()
	f := fleet(t)
	var leaders tally
	require.Empty(t, together(f, 5, func(w *world, owner string) error {
		leads, err := w.Leads(t.Context(), "clean", owner, time.Minute)
		if leads {
			leaders.add(owner)
		}
		return err
	}))
	leaders.requireOnce(t, 1)
	lead := func(w *world, name, owner string) bool {
		return must(w.Leads(t.Context(), name, owner, time.Minute))(t)
	}
	for owner := range leaders.n {
		require.True(t, lead(f[0], "clean", owner), "it goes on")
		require.True(t, lead(f[0], "expire", "other"), "of another thing")
		require.False(t, lead(f[1], "clean", "other"))
		f[0].exec("UPDATE leases SET until_at = until_at - 60001 WHERE name = 'clean'")
		require.True(t, lead(f[1], "clean", "other"), "its lease is over")
		require.False(t, lead(f[0], "clean", owner))
	}
	require.NoError(t, f[1].Leave(t.Context(), "other"))
	require.True(t, lead(f[0], "clean", "third"), "it has left")
	alone := newWorld(t)
	require.True(t, lead(alone, "clean", "a"))
}

// TestWhoLeavesIsForgotten, and what it held is due, without a claim against it.
func TestWhoLeavesIsForgotten(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		if w.Shared() {
			w.beat("own")
		}
		call, _, _ := w.claimAll("own")
		require.NoError(t, w.Leave(t.Context(), "own"))
		for _, table := range []string{"jobs", "shards", "deliveries"} {
			require.Zero(t, w.count(table+" WHERE owner <> ''"), table)
		}
		again := must(w.ClaimJobs(t.Context(), "other", []jobs.Ref{call}, w.now()))(t)
		require.Equal(t, 1, again[0].Claims)
	})
}
