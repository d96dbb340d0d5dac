package callbacks

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/ringback/ringback/jobs"
)

// world is the gates and, beside them, what must be true of them: what waits at each, what is in hand, and who has been
// told that something waits.
type world struct {
	gs      *gates
	now     time.Time
	refs    []jobs.Ref
	waits   map[jobs.Ref]int // due deliveries that nobody has claimed
	hand    map[jobs.Ref]int
	ended   int               // attempts that have ended and are not on record
	told    map[jobs.Ref]bool // asked for since the last claim that left something, or nothing
	rowShut map[jobs.Ref]jobs.Time
	claim   []Want // under way
}

// TestGatesKeepTheirPromises lets asks, claims, their answers and outcomes come in any order and at any time.
func TestGatesKeepTheirPromises(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		total, most := rapid.IntRange(1, 40).Draw(t, "total"), rapid.IntRange(1, 12).Draw(t, "most")
		w := &world{
			gs: newGates(total, most), now: time.Unix(1700000000, 0), waits: map[jobs.Ref]int{}, hand: map[jobs.Ref]int{},
			told: map[jobs.Ref]bool{}, rowShut: map[jobs.Ref]jobs.Time{},
		}
		for i := range rapid.IntRange(1, 6).Draw(t, "gates") {
			w.refs = append(w.refs, jobs.Ref{ProjectID: fmt.Sprint("p", i%2), ID: fmt.Sprint("g", i/2)})
		}
		t.Repeat(map[string]func(*rapid.T){
			"": w.check, "ask": w.ask, "begin a claim": w.begin, "end a claim": w.end, "fail a claim": w.fail,
			"an attempt ends": w.done, "an outcome is recorded": w.record, "time passes": w.pass, "look": func(*rapid.T) { w.gs.look(w.now) },
		})
		w.drain(t)
	})
}

func (w *world) any(t *rapid.T) jobs.Ref { return rapid.SampledFrom(w.refs).Draw(t, "gate") }

func (w *world) ask(t *rapid.T) {
	ref := w.any(t)
	w.waits[ref] += rapid.IntRange(0, 20).Draw(t, "due")
	w.told[ref] = true
	w.gs.ask([]jobs.Ref{ref}, w.now)
}

func (w *world) begin(t *rapid.T) {
	if w.claim != nil {
		t.Skip("one is under way")
	}
	w.claim = w.gs.wants(w.now)
	seen := map[jobs.Ref]bool{}
	for _, want := range w.claim {
		require.Positive(t, want.Room)
		require.False(t, seen[want.Gate], "a gate stands in a claim once")
		seen[want.Gate] = true
		w.hand[want.Gate] += want.Room
		w.told[want.Gate] = false
	}
}

// end answers a claim as a store does: what is due, up to the room, and one where its row says that the gate is shut.
func (w *world) end(*rapid.T) {
	var got []Claimed
	for _, want := range w.claim {
		room := want.Room
		if w.rowShut[want.Gate] > 0 {
			room = 1
		}
		n := min(room, w.waits[want.Gate])
		w.waits[want.Gate] -= n
		w.hand[want.Gate] -= want.Room - n
		if n == want.Room {
			w.told[want.Gate] = true // there may be more
		}
		for range n {
			got = append(got, Claimed{
				Delivery: Delivery{ProjectID: want.Gate.ProjectID, Gate: want.Gate.ID}, ShutAt: w.rowShut[want.Gate],
			})
		}
	}
	w.gs.settle(w.claim, got, w.now)
	w.claim = nil
}

func (w *world) fail(*rapid.T) {
	for _, want := range w.claim {
		w.hand[want.Gate] -= want.Room
	}
	w.gs.settle(w.claim, nil, w.now)
	w.claim = nil
}

// done brings an outcome of something in hand that no claim is still under way for.
func (w *world) done(t *rapid.T) {
	ref := w.any(t)
	held := w.hand[ref]
	for _, want := range w.claim {
		if want.Gate == ref {
			held -= want.Room
		}
	}
	if held == 0 {
		t.Skip("nothing is in hand")
	}
	w.hand[ref]--
	v := rapid.SampledFrom([]verdict{neutral, works, fails, fails, fails}).Draw(t, "verdict")
	changed, shutAt, openAt := w.gs.ended(ref, v, w.now)
	w.ended++
	require.False(t, changed && v == neutral, "what says nothing changes nothing")
	if !changed {
		return
	}
	w.rowShut[ref] = 0
	if !shutAt.IsZero() {
		w.rowShut[ref] = jobs.At(shutAt)
		require.Equal(t, fails, v)
		require.True(t, openAt.After(w.now))
		require.LessOrEqual(t, openAt.Sub(w.now), gateMost+gateMost/10)
	}
}

func (w *world) record(t *rapid.T) {
	if w.ended == 0 {
		t.Skip("nothing has ended")
	}
	w.ended--
	w.gs.recorded()
}

func (w *world) pass(t *rapid.T) {
	w.now = w.now.Add(time.Duration(rapid.IntRange(1, 90_000).Draw(t, "ms")) * time.Millisecond)
}

func (w *world) check(t *rapid.T) {
	total := w.ended
	for ref, g := range w.gs.byRef {
		total += g.open
		require.Equal(t, w.hand[ref], g.open, "%s", ref)
		require.LessOrEqual(t, g.open, w.gs.most, "%s", ref)
		require.LessOrEqual(t, g.limit, w.gs.most)
		require.GreaterOrEqual(t, g.room(w.now), 0)
		queued := 0
		for _, q := range w.gs.queue {
			if q == g {
				queued++
			}
		}
		require.Equal(t, g.asked, queued == 1, "%s stands in the queue once or not at all", ref)
		require.False(t, g.idle(), "%s is idle and kept", ref)
	}
	for ref, n := range w.hand {
		require.True(t, n == 0 || w.gs.byRef[ref] != nil, "%s is forgotten with deliveries in hand", ref)
	}
	require.Equal(t, total, w.gs.inHand)
	require.LessOrEqual(t, total, w.gs.total)
	for ref, told := range w.told {
		if g := w.gs.byRef[ref]; told && w.waits[ref] > 0 {
			require.True(t, g != nil && g.more, "%s has something due and was told so", ref)
			require.True(t, g.asked || g.room(w.now) == 0 || g.shut(), "%s has room and stands in no queue", ref)
		}
	}
	if len(w.gs.queue) > 0 && w.gs.inHand < w.gs.total && w.claim == nil && len(w.gs.rung) == 0 {
		t.Fatalf("something can be claimed and nobody is rung for")
	}
}

// drain ends it: with a sweeper that asks, all that waits is claimed, and nothing is kept of gates that work.
func (w *world) drain(t *rapid.T) {
	w.end(t)
	for ; w.ended > 0; w.ended-- {
		w.gs.recorded()
	}
	for range 2000 {
		for _, ref := range w.refs {
			if w.waits[ref] > 0 {
				w.gs.ask([]jobs.Ref{ref}, w.now)
			}
			for ; w.hand[ref] > 0; w.hand[ref]-- {
				w.gs.ended(ref, works, w.now)
				w.gs.recorded()
				w.rowShut[ref] = 0
			}
		}
		w.claim = nil
		w.begin(t)
		w.end(t)
		w.now = w.now.Add(time.Minute)
	}
	for _, ref := range w.refs {
		require.Zero(t, w.waits[ref], "%s: what is due is claimed in the end", ref)
	}
	require.Zero(t, w.gs.inHand)
	for _, g := range w.gs.byRef {
		require.True(t, g.known, "only what has answered or failed is remembered")
	}
}

// Gates that nothing is in hand for are bounded, however many receivers fail and whatever waits for them.
func TestGatesAreBounded(t *testing.T) {
	t.Parallel()
	now := time.Unix(1700000000, 0)
	gs := newGates(512, 64)
	ref := func(i int) jobs.Ref { return jobs.Ref{ProjectID: "p", ID: fmt.Sprint(i)} }
	for i := range mostGates + 10 {
		gs.ask([]jobs.Ref{ref(i)}, now)
		wants := gs.wants(now)
		require.Len(t, wants, 1)
		one := Claimed{Delivery: Delivery{ProjectID: "p", Gate: ref(i).ID}, ShutAt: 1}
		gs.settle(wants, []Claimed{one}, now)
		gs.ended(ref(i), fails, now)
		gs.recorded()
		if i%2 == 0 {
			gs.ask([]jobs.Ref{ref(i)}, now) // it is shut, and more waits for it
		}
	}
	require.LessOrEqual(t, len(gs.byRef), mostGates)
	require.Zero(t, gs.inHand)
}

// What is in hand and what stands in the queue is never forgotten.
func TestForgettingKeepsWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	now := time.Unix(1700000000, 0)
	gs := newGates(8, 8)
	busy, queued, failed := jobs.Ref{ID: "busy"}, jobs.Ref{ID: "queued"}, jobs.Ref{ID: "failed"}
	gs.ask([]jobs.Ref{busy, failed}, now)
	wants := gs.wants(now)
	gs.settle(wants, []Claimed{{Delivery: Delivery{Gate: "busy"}}, {Delivery: Delivery{Gate: "failed"}}}, now)
	gs.ended(failed, fails, now)
	gs.recorded()
	gs.ask([]jobs.Ref{queued}, now)
	gs.forget()
	require.Contains(t, gs.byRef, busy)
	require.Contains(t, gs.byRef, queued)
	require.NotContains(t, gs.byRef, failed)
	require.Equal(t, []Want{{queued, gateStart}}, gs.wants(now))
}

// A claim is bounded, and what did not fit is claimed next.
func TestClaimsAreBounded(t *testing.T) {
	t.Parallel()
	now := time.Unix(1700000000, 0)
	gs := newGates(1<<20, 3)
	var refs []jobs.Ref
	for i := range claimMost {
		refs = append(refs, jobs.Ref{ID: fmt.Sprint(i)})
	}
	gs.ask(refs, now)
	for _, want := range []int{claimMost, claimMost, 3 * (claimMost - 2*334), 0} { // the last gate of a claim gets what is left
		n := 0
		for _, w := range gs.wants(now) {
			n += w.Room
		}
		require.Equal(t, want, n)
	}
}

// Asks, claims and outcomes come from many goroutines.
func TestGatesFromManyGoroutines(t *testing.T) {
	t.Parallel()
	gs := newGates(32, 8)
	start := time.Now()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 500 {
				gs.ask([]jobs.Ref{{ID: fmt.Sprint(rand.IntN(10))}}, time.Now())
			}
		})
	}
	var inHand sync.WaitGroup
	for range 500 {
		wants := gs.wants(time.Now())
		var got []Claimed
		for _, w := range wants {
			for range rand.IntN(w.Room + 1) {
				got = append(got, Claimed{Delivery: Delivery{Gate: w.Gate.ID}})
			}
		}
		gs.settle(wants, got, time.Now())
		for _, c := range got {
			inHand.Go(func() {
				gs.ended(c.GateRef(), verdict(rand.IntN(2)), time.Now())
				gs.recorded()
			})
		}
	}
	all.Wait()
	inHand.Wait()
	require.Zero(t, gs.held())
	require.Less(t, time.Since(start), time.Minute)
}

// R13: receivers with long backlogs leave an eighth of all slots to those that hold few, however many they are.
func TestLastEighthIsForGatesThatHoldFew(t *testing.T) {
	t.Parallel()
	now := time.Unix(1700000000, 0)
	gs := newGates(80, 64)
	ask := func(id string) (room int) {
		ref := jobs.Ref{ProjectID: "default", ID: id}
		gs.ask([]jobs.Ref{ref}, now)
		gs.byRef[ref].limit, gs.byRef[ref].proved = 64, true
		for _, w := range gs.wants(now) {
			room += w.Room
		}
		return room
	}
	require.Equal(t, 64, ask("a"))
	require.Equal(t, 6, ask("b"))
	require.Equal(t, 4, ask("c"))
	require.Equal(t, 0, ask("b"), "it holds more than few")
	require.Equal(t, 4, ask("d"))
	require.Equal(t, 2, ask("e"))
	require.Equal(t, 0, ask("f"))
	gs.recorded()
	require.Len(t, gs.rung, 1, "who waits is looked at when one comes free")
	require.Equal(t, []Want{{Gate: jobs.Ref{ProjectID: "default", ID: "f"}, Room: 1}}, gs.wants(now))
}

// R13: however many receivers are dead, together they have no more than half of all slots, and what works goes on.
func TestUnprovedReceiversHaveHalfTogether(t *testing.T) {
	t.Parallel()
	now := time.Unix(1700000000, 0)
	gs := newGates(64, 64)
	ref := func(id string) jobs.Ref { return jobs.Ref{ProjectID: "default", ID: id} }
	ask := func(id string) (room int) {
		gs.ask([]jobs.Ref{ref(id)}, now)
		for _, w := range gs.wants(now) {
			room += w.Room
		}
		return room
	}
	gs.at(ref("proved")).note(works, 64, now)
	open := 0
	for i := range 200 {
		open += ask(fmt.Sprint("dead", i))
	}
	require.Equal(t, 32, open)
	require.Positive(t, ask("proved"), "one that has worked has room beside them")
	first := gs.byRef[ref("dead0")].open
	require.Equal(t, gateStart, first)
	require.Equal(t, 1, gs.byRef[ref("dead15")].open, "one each where they are many")
	for range first {
		gs.ended(ref("dead0"), fails, now)
		gs.recorded()
	}
	require.Equal(t, 28, gs.unproved)
	require.NotEmpty(t, gs.wants(now), "the next ones have their turn")
}
