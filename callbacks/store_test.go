package callbacks

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

var errFull = errors.New("database or disk is full")

// rows keeps deliveries and gates in memory by the Store's promises, and writes down what it was asked and told.
type rows struct {
	mu       sync.Mutex
	byRef    map[jobs.Ref]*Claimed
	waiting  map[jobs.Ref][]*Claimed // by gate; those due longest first
	gates    map[jobs.Ref]*gateRow
	off      map[jobs.Ref]string // gates of endpoints that get nothing any more, and why
	recorded []Outcome
	asked    [][]Want        // what each claim wanted
	most     int             // deliveries that were claimed at the same time
	sending  int             // of them, now
	refusing int             // claims that fail from now on
	begun    int             // outcomes that writes were asked to keep
	sets     []int           // how many outcomes each write had
	failing  int             // writes that fail from now on
	mute     int             // gates that cannot be kept from now on
	kept     []gateRow       // what each gate was told to be
	poison   map[string]bool // IDs of deliveries that no write may hold
	expired  int             // calls of ExpireDeliveries
	expire   func() (int, error)
	gate     chan struct{} // each write waits for one, if set
	claiming chan struct{} // each claim waits for one, if set
	wrote    chan struct{} // rung after each write, failed or not
}

// gateRow is what the store keeps of a gate.
type gateRow struct{ shut, wake jobs.Time }

// newRows holds the claims as deliveries that wait and are due.
func newRows(claims ...Claimed) *rows {
	r := &rows{
		byRef: map[jobs.Ref]*Claimed{}, waiting: map[jobs.Ref][]*Claimed{}, gates: map[jobs.Ref]*gateRow{},
		off: map[jobs.Ref]string{}, poison: map[string]bool{}, wrote: make(chan struct{}, 1<<16),
	}
	for _, c := range claims {
		r.add(c, 1)
	}
	return r
}

// add commits a delivery that becomes due at a time.
func (r *rows) add(c Claimed, due jobs.Time) Claimed {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.Gate == "" {
		c.Gate = hostGate(c.Receiver.URL)
	}
	c.State, c.Attempt, c.Claims, c.DueAt = Waiting, c.Attempt-1, c.Claims-1, due
	r.byRef[c.Ref()] = &c
	r.wait(&c)
	return c
}

// wait puts a delivery in its gate's line, and has the gate woken.
func (r *rows) wait(c *Claimed) {
	line := r.waiting[c.GateRef()]
	at, _ := slices.BinarySearchFunc(line, c.DueAt+1, func(in *Claimed, due jobs.Time) int { return int(in.DueAt - due) })
	r.waiting[c.GateRef()] = slices.Insert(line, at, c)
	if g := r.row(c.GateRef()); g.wake == 0 || c.DueAt < g.wake {
		g.wake = c.DueAt
	}
}

func (r *rows) row(ref jobs.Ref) *gateRow {
	g := r.gates[ref]
	if g == nil {
		g = &gateRow{}
		r.gates[ref] = g
	}
	return g
}

func (r *rows) ClaimDeliveries(_ context.Context, owner string, wants []Want, now jobs.Time) (got []Claimed, err error) {
	r.mu.Lock()
	r.asked = append(r.asked, slices.Clone(wants))
	r.mu.Unlock()
	if r.claiming != nil {
		<-r.claiming
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refusing > 0 {
		r.refusing--
		return nil, errFull
	}
	for _, w := range wants {
		got = append(got, r.take(owner, w, now)...)
	}
	r.sending += len(got)
	r.most = max(r.most, r.sending)
	return got, nil
}

// take claims what is due behind one gate, or ends what waits there.
func (r *rows) take(owner string, w Want, now jobs.Time) (got []Claimed) {
	g, line := r.row(w.Gate), r.waiting[w.Gate]
	room := w.Room
	if g.shut > 0 {
		room = min(room, 1)
	}
	for ; len(line) > 0; line = line[1:] {
		c := line[0]
		if why := r.off[w.Gate]; why != "" {
			c.State, c.Reason, c.DueAt = Cancelled, why, 0
			continue
		}
		if len(got) == room || c.DueAt > now {
			break
		}
		c.State, c.Owner, c.ShutAt, c.Attempt, c.Claims = Sending, owner, g.shut, c.Attempt+1, c.Claims+1
		got = append(got, *c)
	}
	r.waiting[w.Gate] = line
	g.wake = 0
	if len(line) > 0 {
		g.wake = max(line[0].DueAt, now.Add(5*time.Second))
		if line[0].DueAt > now {
			g.wake = line[0].DueAt
		}
	}
	return got
}

func (r *rows) RecordAttempts(_ context.Context, outcomes []Outcome, now jobs.Time) (refused int, err error) {
	defer func() { r.wrote <- struct{}{} }()
	r.mu.Lock()
	r.begun += len(outcomes)
	r.mu.Unlock()
	if r.gate != nil {
		<-r.gate
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failing > 0 {
		r.failing--
		return 0, errFull
	}
	for _, o := range outcomes {
		if r.poison[o.Claimed.ID] {
			return 0, errFull
		}
	}
	r.sets = append(r.sets, len(outcomes))
	for _, o := range outcomes {
		if !r.record(o, now) {
			refused++
		}
	}
	return refused, nil
}

// record writes one outcome whose claim still holds.
func (r *rows) record(o Outcome, now jobs.Time) bool {
	c := r.byRef[o.Claimed.Ref()]
	if c.State != Sending || c.Attempt != o.Claimed.Attempt {
		return false
	}
	r.sending--
	c.State, c.Reason, c.Recorded, c.Claims = o.Decision.State, o.Decision.Reason, c.Recorded+1, 0
	if !o.Decision.NoTry {
		c.Tries++
	}
	c.Manual, c.Owner, c.DueAt = false, "", 0
	if c.State == Waiting {
		c.DueAt = now.Add(o.Decision.Delay)
		r.wait(c)
	}
	r.recorded = append(r.recorded, o)
	return true
}

func (r *rows) ShutGate(_ context.Context, gate jobs.Ref, since, wake jobs.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mute > 0 {
		r.mute--
		return errFull
	}
	*r.row(gate) = gateRow{since, wake}
	r.kept = append(r.kept, gateRow{since, wake})
	return nil
}

func (r *rows) ExpireDeliveries(context.Context, jobs.Time) (int, error) {
	r.mu.Lock()
	expire := r.expire
	r.expired++
	r.mu.Unlock()
	if expire == nil {
		return 0, nil
	}
	return expire()
}

// sweep is what the sweeper finds: gates whose time has come, each left alone for some seconds from then on.
func (r *rows) sweep(now jobs.Time) (ids []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for ref, g := range r.gates {
		if g.wake > 0 && g.wake <= now {
			g.wake = now.Add(5 * time.Second)
			ids = append(ids, ref.String())
		}
	}
	return ids
}

// ended counts the deliveries that are in a state.
func (r *rows) count(state State) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.byRef {
		if c.State == state {
			n++
		}
	}
	return n
}

func (r *rows) peak() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.most
}

func (r *rows) asks() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.begun
}

func (r *rows) wants() [][]Want {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.asked)
}

func (r *rows) outcomes() []Outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.recorded)
}

func (r *rows) delivery(ref jobs.Ref) Claimed {
	r.mu.Lock()
	defer r.mu.Unlock()
	return *r.byRef[ref]
}

func (r *rows) gateOf(ref jobs.Ref) gateRow {
	r.mu.Lock()
	defer r.mu.Unlock()
	return *r.row(ref)
}

// change does something to the rows under their lock.
func (r *rows) change(do func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	do()
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// clock is a time that tests move. It has no monotonic part: a jump is all that a process sees of it.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

// newSender makes a Sender that runs until the test ends, or stop is called. A stop breaks off what is in flight.
func newSender(t *testing.T, store Store, p *Poster, policy Policy) (s *Sender, stop func()) {
	t.Helper()
	return startSender(t, SenderOptions{Store: store, Poster: p, Policy: policy, Owner: "me", Now: p.Now, Log: quiet()})
}

// startSender is newSender with options of the test's own.
func startSender(t *testing.T, o SenderOptions) (s *Sender, stop func()) {
	t.Helper()
	s = NewSender(o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
	})
	t.Cleanup(stop)
	return s, stop
}

// gatesBehind are the wake-ups of the gates behind which deliveries wait.
func gatesBehind(claims ...Claimed) (ids []string) {
	for i := range claims {
		gate := claims[i].Gate
		if gate == "" {
			gate = hostGate(claims[i].Receiver.URL)
		}
		ids = append(ids, jobs.Ref{ProjectID: claims[i].ProjectID, ID: gate}.String())
	}
	return ids
}

// eventually waits for what other goroutines bring about.
func eventually(t *testing.T, is func() bool, what string) {
	t.Helper()
	require.Eventually(t, is, 10*time.Second, time.Millisecond, what)
}

func claimsOf(n int, url string) (claims []Claimed) {
	for range n {
		claims = append(claims, claim(url))
	}
	return claims
}
