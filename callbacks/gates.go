package callbacks

import (
	"sync"
	"time"

	"github.com/ringback/ringback/jobs"
)

// mostGates bounds the receivers that are remembered while nothing is in hand for them.
const mostGates = 65536

// fewSlots are too few to keep some for receivers that have proved to work.
const fewSlots = 16

// claimMost bounds the deliveries of one claim.
const claimMost = 1000

// gates hold the gates of this process, and bound the deliveries in hand behind all of them, from claim to record. A
// gate's slot is free again as soon as its attempt has ended, so that outcomes gather and are recorded in sets.
type gates struct {
	most  int // slots of one gate
	total int // deliveries in hand

	mu       sync.Mutex
	byRef    map[jobs.Ref]*gate
	queue    []*gate // those with something to claim, first come first
	inHand   int
	unproved int // slots taken at gates that are not proved
	rung     chan struct{}
}

func newGates(total, most int) *gates {
	return &gates{most: most, total: total, byRef: map[jobs.Ref]*gate{}, rung: make(chan struct{}, 1)}
}

// ask notes that deliveries may be due behind a gate.
func (gs *gates) ask(refs []jobs.Ref, now time.Time) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	for _, ref := range refs {
		g := gs.at(ref)
		g.more = true
		gs.offer(g, now)
	}
}

func (gs *gates) at(ref jobs.Ref) *gate {
	g := gs.byRef[ref]
	if g == nil {
		if len(gs.byRef) >= mostGates {
			gs.forget()
		}
		g = &gate{ref: ref, limit: min(gateStart, gs.most)}
		gs.byRef[ref] = g
	}
	return g
}

// forget drops the gates that hold nothing. The store remembers which are shut, and has the sweeper ask again for what is
// due behind them.
func (gs *gates) forget() {
	for ref, g := range gs.byRef {
		if g.open == 0 && !g.asked {
			delete(gs.byRef, ref)
		}
	}
}

// offer queues a gate that has something to claim and room for it.
func (gs *gates) offer(g *gate, now time.Time) {
	if !g.more || g.asked || g.room(now) == 0 {
		return
	}
	g.asked = true
	gs.queue = append(gs.queue, g)
	gs.ring()
}

// look offers the gates whose pause is over, in case nothing has asked for them: the store wakes them by the clock of the
// day, which may have been set back.
func (gs *gates) look(now time.Time) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	for _, g := range gs.byRef {
		gs.offer(g, now)
	}
}

func (gs *gates) ring() {
	select {
	case gs.rung <- struct{}{}:
	default:
	}
}

// wants takes slots for what may be claimed now, of each gate in turn. The slots are the caller's until settle gives back
// those that were not needed. A gate over its share keeps its place in the queue until slots come free.
func (gs *gates) wants(now time.Time) (wants []Want) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	n, asked := 0, gs.queue
	gs.queue = nil
	for i, g := range asked {
		if n >= claimMost {
			gs.queue = append(gs.queue, asked[i:]...)
			break
		}
		if g.room(now) == 0 {
			g.asked = false
			continue
		}
		room := min(g.room(now), gs.share(g), claimMost-n)
		if room == 0 {
			gs.queue = append(gs.queue, g)
			continue
		}
		g.asked, g.more, g.probing = false, false, g.shut() // what is due from here on is asked for anew
		gs.change(g, func() { g.open += room })
		gs.inHand += room
		n += room
		wants = append(wants, Want{Gate: g.ref, Room: room})
	}
	return wants
}

// share is how much of what is free a gate may take. The last eighth is kept for gates that hold few, so that some slow
// receivers with long backlogs do not take everything. And receivers that have not proved to work may have no more than
// half of all slots together, and one each where they have more than a quarter: so dead ones, however many there are, hold
// up none that works.
func (gs *gates) share(g *gate) int {
	free := gs.total - gs.inHand
	most := max(free-gs.total/8, min(free, gateStart-g.open), 0)
	switch {
	case g.proved || gs.total < fewSlots:
		return most
	case gs.unproved >= (gs.total+1)/2:
		return 0
	case gs.unproved >= (gs.total+3)/4:
		return min(most, max(1-g.open, 0))
	}
	return min(most, (gs.total+1)/2-gs.unproved)
}

// settle takes in what a claim got. A gate whose room was filled may have more that is due.
func (gs *gates) settle(wants []Want, claimed []Claimed, now time.Time) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	got := make(map[jobs.Ref]int, len(wants))
	for i := range claimed {
		ref := claimed[i].GateRef()
		got[ref]++
		gs.at(ref).remember(claimed[i].ShutAt, now)
	}
	for _, w := range wants {
		g := gs.at(w.Gate)
		g.more = g.more || got[w.Gate] == w.Room
		gs.leave(g, w.Room-got[w.Gate], now)
		gs.let(w.Room - got[w.Gate])
	}
}

// ended frees an attempt's slot, and takes in what the attempt said of the receiver. When that has shut or opened the
// gate, it gives since when it is shut (zero: it is open) and when it is probed next.
func (gs *gates) ended(ref jobs.Ref, v verdict, now time.Time) (changed bool, shutAt, openAt time.Time) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	g := gs.at(ref)
	gs.change(g, func() { changed = g.note(v, gs.most, now) })
	gs.leave(g, 1, now)
	return changed, g.shutAt, g.openAt
}

// leave gives n of a gate's slots back.
func (gs *gates) leave(g *gate, n int, now time.Time) {
	gs.change(g, func() { g.open -= n })
	gs.offer(g, now)
	if g.idle() {
		delete(gs.byRef, g.ref)
	}
}

// change keeps count of what is open at gates that are not proved, whatever do changes of a gate.
func (gs *gates) change(g *gate, do func()) {
	gs.unproved -= g.doubted()
	do()
	gs.unproved += g.doubted()
}

// recorded lets go of a delivery whose outcome is on record, or that is left to others.
func (gs *gates) recorded() {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	gs.let(1)
}

func (gs *gates) let(n int) {
	gs.inHand -= n
	if n > 0 && len(gs.queue) > 0 {
		gs.ring()
	}
}
