package callbacks

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

// town is a network in memory, so that it lives by a test's own time: a receiver for each host name.
type town struct {
	*Client
	mu      sync.Mutex
	hosts   map[string]http.HandlerFunc // nil refuses the connection
	conns   chan net.Conn
	serving sync.WaitGroup
	now     map[string]int // requests under way, by host
	most    map[string]int
	came    map[string][]time.Time
	got     map[string][]http.Header
}

func newTown(t *testing.T, hosts map[string]http.HandlerFunc) *town {
	t.Helper()
	town := &town{
		hosts: hosts, conns: make(chan net.Conn), now: map[string]int{}, most: map[string]int{},
		came: map[string][]time.Time{}, got: map[string][]http.Header{},
	}
	client, err := NewClient(ClientOptions{Rules: openRules()})
	require.NoError(t, err)
	client.transport.DialContext = town.dial
	town.Client = client
	server := &http.Server{Handler: town}
	town.serving.Go(func() { _ = server.Serve(town) })
	t.Cleanup(func() {
		client.transport.CloseIdleConnections()
		_ = server.Close()
		town.serving.Wait()
	})
	return town
}

func (n *town) dial(ctx context.Context, _, address string) (net.Conn, error) {
	host, _, _ := net.SplitHostPort(address)
	if n.host(host) == nil {
		return nil, &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	}
	mine, theirs := net.Pipe()
	select {
	case n.conns <- theirs:
		return mine, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept, Close and Addr make the town the listener of its one server.
func (n *town) Accept() (net.Conn, error) {
	c, open := <-n.conns
	if !open {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (n *town) Close() error {
	close(n.conns)
	return nil
}

func (n *town) Addr() net.Addr { return &net.IPAddr{} }

func (n *town) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host := r.Host
	n.serving.Add(1)
	defer n.serving.Done()
	_, _ = io.Copy(io.Discard, r.Body) // only then is the end of the connection seen
	n.mu.Lock()
	n.came[host] = append(n.came[host], time.Now())
	n.got[host] = append(n.got[host], r.Header.Clone())
	n.now[host]++
	n.most[host] = max(n.most[host], n.now[host])
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.now[host]--
	}()
	if answer := n.host(host); answer != nil {
		answer(w, r)
	}
}

func (n *town) host(name string) http.HandlerFunc {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.hosts[name]
}

func (n *town) set(name string, answer http.HandlerFunc) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hosts[name] = answer
}

func (n *town) visits(host string) []time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]time.Time(nil), n.came[host]...)
}

func (n *town) headers(host string) []http.Header {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]http.Header(nil), n.got[host]...)
}

// peak is how many requests a host has had under way at once since the last call.
func (n *town) peak(host string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	most := n.most[host]
	n.most[host] = n.now[host]
	return most
}

// Receivers of every kind.
func fine(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

func broken(w http.ResponseWriter, _ *http.Request)  { w.WriteHeader(http.StatusInternalServerError) }
func stalled(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// takes answers after a while.
func takes(d time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(d)
		w.WriteHeader(http.StatusNoContent)
	}
}

// sendIn runs a Sender over a town until the test's bubble ends, with a sweeper that looks each second.
func sendIn(t *testing.T, store *rows, n *town, change func(o *SenderOptions)) (s *Sender, stop func()) {
	t.Helper()
	o := SenderOptions{Store: store, Policy: steady(), Owner: "me", Now: time.Now, Log: quiet()}
	change(&o)
	o.Poster = NewPoster(PosterOptions{Client: n.Client, Now: o.Now})
	s, end := startSender(t, o)
	ctx, cancel := context.WithCancel(context.Background())
	var sweeper sync.WaitGroup
	sweeper.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			s.Work(ctx, store.sweep(jobs.At(s.Now())))
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
	stop = sync.OnceFunc(func() {
		cancel()
		sweeper.Wait()
		end()
	})
	t.Cleanup(stop)
	return s, stop
}

// to is a delivery to a host of the town.
func to(project, host string) Claimed {
	c := claim("http://" + host + "/")
	c.ProjectID = project
	return c
}

// toEndpoint is one to a registered endpoint there.
func toEndpoint(id, host string) Claimed {
	c := to("default", host)
	c.EndpointID, c.Gate = id, id
	return c
}

// R13: one receiver is dead and has a large backlog, another one works. The healthy one's callbacks take no longer; the
// dead one is shut after 8 failures in a row and costs one probe at a time, with growing pauses; once it works again its
// backlog drains, slowly at first.
func TestR13DeadReceiverHoldsUpNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const backlog = 1000
		store := newRows()
		for range backlog {
			store.add(to("default", "dead.test"), 1)
		}
		n := newTown(t, map[string]http.HandlerFunc{"dead.test": stalled, "alive.test": fine})
		s, _ := sendIn(t, store, n, func(o *SenderOptions) { o.Concurrency, o.PerReceiver = 40, 32 })
		dead := jobs.Ref{ProjectID: "default", ID: "dead.test"}

		// While the dead one is found out, and for as long as it is dead, the other one is served at once.
		begun := time.Now()
		for range 600 {
			one := store.add(to("default", "alive.test"), jobs.At(time.Now()))
			s.Work(t.Context(), gatesBehind(one))
			synctest.Wait()
			require.Equal(t, Delivered, store.delivery(one.Ref()).State, "after %s", time.Since(begun))
			time.Sleep(500 * time.Millisecond)
		}
		visits := n.visits("dead.test")
		require.LessOrEqual(t, n.peak("dead.test"), 2*gateStart, "the receiver may still be at attempts that have ended here")
		require.Greater(t, store.gateOf(dead).shut, jobs.Time(0))
		probes := visits[:0:0]
		for _, at := range visits {
			if at.Sub(begun) > 20*time.Second { // twice four attempts of 10 s have shut it
				probes = append(probes, at)
			}
		}
		require.LessOrEqual(t, len(visits)-len(probes), gateFailures+gateStart)
		require.InDelta(t, 8, len(probes), 1, "5 minutes of a dead receiver")
		for i := 1; i < len(probes); i++ {
			pause := probes[i].Sub(probes[i-1]) - 10*time.Second // one attempt
			want := min(gatePause<<i, gateMost)
			require.GreaterOrEqual(t, pause, want, "probe %d", i)
			require.Less(t, pause, want+want/10+2*time.Second, "probe %d", i)
		}
		claims := 0
		for _, wants := range store.wants() {
			for _, w := range wants {
				if w.Gate == dead {
					claims++
				}
			}
		}
		require.LessOrEqual(t, claims, len(visits)+2, "a gate that is shut is not claimed for")

		n.set("dead.test", takes(100*time.Millisecond))
		before := len(n.visits("dead.test"))
		time.Sleep(2 * time.Minute)
		visits = n.visits("dead.test")[before:]
		require.GreaterOrEqual(t, visits[1].Sub(visits[0]), 100*time.Millisecond, "one probe first")
		var rounds []int // how many begin together
		for i, at := range visits[1:] {
			if i == 0 || at != visits[i] {
				rounds = append(rounds, 0)
			}
			rounds[len(rounds)-1]++
		}
		require.LessOrEqual(t, rounds[0], gateStart+1, "not all at once")
		require.LessOrEqual(t, rounds[1], 2*(gateStart+1))
		require.Equal(t, 32, slices.Max(rounds), "then as fast as it may")
		time.Sleep(20 * time.Minute) // those that were tried come back by their schedule
		require.Equal(t, backlog+600, store.count(Delivered))
		require.Zero(t, store.gateOf(dead).shut)
	})
}

// R14: ten thousand callbacks to one host, never more than its slots at once, few at first.
func TestR14OneHostGetsNoMoreThanItsSlots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newRows()
		for range 10_000 {
			store.add(to("default", "busy.test"), 1)
		}
		n := newTown(t, map[string]http.HandlerFunc{"busy.test": takes(10 * time.Millisecond)})
		sendIn(t, store, n, func(o *SenderOptions) { o.Concurrency, o.PerReceiver = 512, 64 })
		time.Sleep(9 * time.Millisecond)
		synctest.Wait()
		require.Equal(t, gateStart, n.peak("busy.test"), "a receiver that has proved nothing")
		time.Sleep(10 * time.Millisecond)
		require.Equal(t, 2*gateStart, n.peak("busy.test"), "one slot more for each success")
		time.Sleep(400 * time.Millisecond)
		synctest.Wait()
		require.Equal(t, 64, n.peak("busy.test"), "and no more than its slots")
		require.LessOrEqual(t, store.peak(), 512)
		require.Greater(t, store.count(Delivered), 2000)
		require.Greater(t, store.count(Waiting), 7000, "what no slot is free for is not claimed")
	})
}

// The bound on all of them holds over many gates, and each of them comes to its turn.
func TestAllGatesTogetherAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hosts, store := map[string]http.HandlerFunc{}, newRows()
		for _, host := range strings.Fields("a b c d e f g h i j k l") {
			hosts[host+".test"] = takes(time.Second)
			for range 20 {
				store.add(to("default", host+".test"), 1)
			}
		}
		n := newTown(t, hosts)
		sendIn(t, store, n, func(o *SenderOptions) { o.Concurrency, o.PerReceiver = 10, 8 })
		time.Sleep(time.Hour)
		require.Equal(t, 10, store.peak())
		require.Equal(t, 240, store.count(Delivered))
		for host := range hosts {
			require.LessOrEqual(t, n.visits(host)[0].Sub(n.visits("a.test")[0]).Abs(), 8*time.Second)
		}
	})
}

// A host's gate is shut by what its network does, never by statuses; an endpoint's by both.
func TestWhatShutsAGate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		one    Claimed
		shut   bool
	}{
		"a host, by 500s":        {broken, to("default", "it.test"), false},
		"a host, by refusals":    {nil, to("default", "it.test"), true},
		"a host, by timeouts":    {stalled, to("default", "it.test"), true},
		"a host, by no success":  {fine, to("default", "it.test"), false},
		"an endpoint, by 500s":   {broken, toEndpoint("ep", "it.test"), true},
		"an endpoint, by a fall": {nil, toEndpoint("ep", "it.test"), true},
		"an endpoint, by 204s":   {fine, toEndpoint("ep", "it.test"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := newRows()
				var last Claimed
				for range 30 {
					one := c.one
					one.ID = jobs.NewID("dlv_")
					last = store.add(one, 1)
				}
				n := newTown(t, map[string]http.HandlerFunc{"it.test": c.answer})
				sendIn(t, store, n, func(*SenderOptions) {})
				time.Sleep(4 * time.Minute) // before the first retry
				require.Equal(t, c.shut, store.gateOf(last.GateRef()).shut > 0)
				if !c.shut {
					require.Len(t, store.outcomes(), 30)
				}
			})
		})
	}
}

// The verdict on each class, for a registered endpoint and for a host of one-offs.
func TestJudge(t *testing.T) {
	t.Parallel()
	answer := func(code int) Attempt { return Attempt{StatusCode: code} }
	for name, c := range map[string]struct {
		attempt        Attempt
		endpoint, host verdict
	}{
		"200":                {answer(200), works, works},
		"500":                {answer(500), fails, works},
		"404":                {answer(404), fails, works},
		"410":                {answer(410), fails, works},
		"302":                {Attempt{StatusCode: 302, ErrorClass: ClassRedirect}, fails, works},
		"101":                {Attempt{StatusCode: 101, ErrorClass: ClassInvalid}, fails, fails},
		"dns":                {Attempt{ErrorClass: ClassDNS}, fails, fails},
		"connect":            {Attempt{ErrorClass: ClassConnect}, fails, fails},
		"tls":                {Attempt{ErrorClass: ClassTLS}, fails, fails},
		"timeout":            {Attempt{ErrorClass: ClassTimeout}, fails, fails},
		"reset":              {Attempt{ErrorClass: ClassReset}, fails, fails},
		"blocked":            {Attempt{ErrorClass: ClassBlocked}, neutral, neutral},
		"self":               {Attempt{ErrorClass: ClassSelf}, neutral, neutral},
		"closed port":        {Attempt{ErrorClass: ClassClosed}, neutral, neutral},
		"secret":             {Attempt{ErrorClass: ClassSecret}, neutral, neutral},
		"unreadable":         {Attempt{ErrorClass: ClassUnreadable}, neutral, neutral},
		"claimed too often":  {Attempt{ErrorClass: ClassClaims}, neutral, neutral},
		"a panic":            {Attempt{ErrorClass: ClassInternal}, neutral, neutral},
		"no files left":      {Attempt{ErrorClass: ClassLocal}, neutral, neutral},
		"an interrupted one": {Attempt{ErrorClass: ClassInterrupted}, neutral, neutral},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.endpoint, judge(&Delivery{EndpointID: "ep"}, &c.attempt))
			require.Equal(t, c.host, judge(&Delivery{}, &c.attempt))
		})
	}
}

// One tenant's trouble with a host is nobody else's.
func TestProjectsShareNoGate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newRows()
		for range 20 {
			store.add(to("a", "it.test"), 1)
		}
		n := newTown(t, map[string]http.HandlerFunc{})
		s, _ := sendIn(t, store, n, func(*SenderOptions) {})
		time.Sleep(30 * time.Second)
		require.Greater(t, store.gateOf(jobs.Ref{ProjectID: "a", ID: "it.test"}).shut, jobs.Time(0))
		n.set("it.test", fine)
		theirs := store.add(to("b", "it.test"), 1)
		s.Work(t.Context(), gatesBehind(theirs))
		synctest.Wait()
		require.Equal(t, Delivered, store.delivery(theirs.Ref()).State)
		require.Zero(t, store.gateOf(theirs.GateRef()).shut)
	})
}

// What was begun before a gate was shut says nothing new when it fails later: it lengthens no pause.
func TestStragglersLengthenNoPause(t *testing.T) {
	t.Parallel()
	g := &gate{limit: 64, open: 40}
	now := time.Unix(1700000000, 0)
	for range gateFailures {
		g.note(fails, 64, now)
		g.open--
	}
	require.True(t, g.shut())
	for range 32 {
		now = now.Add(3 * time.Second) // long after the pause
		require.False(t, g.note(fails, 64, now))
		require.Equal(t, gatePause, g.pause)
		require.Zero(t, g.room(now), "no probe while others are in hand")
		g.open--
	}
	require.Equal(t, 1, g.room(now))
}

// Only failures in a row shut a gate, and one that has recovered begins with few slots, however many it had.
func TestGateAfterASuccess(t *testing.T) {
	t.Parallel()
	g := &gate{limit: 64}
	now := time.Unix(1700000000, 0)
	for range 3 {
		for range gateFailures - 1 {
			require.False(t, g.note(fails, 64, now))
		}
		require.False(t, g.note(works, 64, now))
	}
	require.False(t, g.shut())
	require.Equal(t, 64, g.limit)
	for range gateFailures {
		g.note(fails, 64, now)
	}
	require.True(t, g.shut())
	require.True(t, g.note(works, 64, now))
	require.False(t, g.shut())
	require.Equal(t, gateStart+1, g.limit)
}

// What this process has seen of a receiver counts for more than what its row says.
func TestGateThatIsKnownTrustsItself(t *testing.T) {
	t.Parallel()
	now := time.Unix(1700000000, 0)
	fresh, known := &gate{limit: 4}, &gate{limit: 4}
	known.note(works, 64, now)
	fresh.remember(5, now)
	known.remember(5, now)
	require.True(t, fresh.shut())
	require.Equal(t, 5, int(jobs.At(fresh.shutAt)))
	require.False(t, known.shut())
	open := &gate{limit: 4}
	open.remember(0, now)
	require.False(t, open.shut())
}

// A process that begins while a gate is shut probes it, and does not send all that its slots have room for.
func TestGateThatWasShutBeforeIsProbed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newRows()
		for range 50 {
			store.add(to("default", "it.test"), 1)
		}
		ref := jobs.Ref{ProjectID: "default", ID: "it.test"}
		since := jobs.At(time.Now().Add(-time.Hour))
		store.change(func() { store.row(ref).shut = since })
		n := newTown(t, map[string]http.HandlerFunc{})
		_, stop := sendIn(t, store, n, func(*SenderOptions) {})
		time.Sleep(20 * time.Second)
		require.Equal(t, 1, store.peak(), "one probe at a time")
		require.Less(t, len(store.outcomes()), 6)
		require.Equal(t, since, store.gateOf(ref).shut, "what waits there is given up by when it was shut first")
		n.set("it.test", fine)
		time.Sleep(2 * time.Minute)
		require.GreaterOrEqual(t, store.count(Delivered), 44)
		require.Zero(t, store.gateOf(ref).shut)
		stop()
	})
}

// A gate whose opening could not be kept is opened by the next success: its row must not hold it at one claim at a time,
// nor have what waits behind it given up.
func TestGateWhoseOpeningWasNotKeptIsOpenedLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newRows()
		for range 200 {
			store.add(to("default", "it.test"), 1)
		}
		ref := jobs.Ref{ProjectID: "default", ID: "it.test"}
		n := newTown(t, map[string]http.HandlerFunc{})
		sendIn(t, store, n, func(*SenderOptions) {})
		time.Sleep(20 * time.Second)
		require.Greater(t, store.gateOf(ref).shut, jobs.Time(0))
		store.change(func() { store.mute = 1 })
		n.set("it.test", takes(7*time.Second)) // so long that something is always in hand, and the gate never begins anew
		time.Sleep(4 * time.Minute)
		synctest.Wait()
		require.Zero(t, store.mute)
		require.Zero(t, store.gateOf(ref).shut)
		require.GreaterOrEqual(t, store.count(Delivered), 180)
	})
}

// R12: the clock of the day jumps by an hour, to and fro. Nothing comes in a storm, and a gate that was shut is not kept
// shut by a pause that ends in an hour.
func TestR12ClockJumps(t *testing.T) {
	t.Parallel()
	for name, jump := range map[string]time.Duration{"back": -time.Hour, "forth": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var offset atomic.Int64
				now := func() time.Time { return time.Now().Round(0).Add(time.Duration(offset.Load())) }
				store := newRows()
				for range 100 {
					store.add(to("default", "dead.test"), 1)
				}
				n := newTown(t, map[string]http.HandlerFunc{"alive.test": fine})
				s, _ := sendIn(t, store, n, func(o *SenderOptions) { o.Now, o.PerReceiver = now, 16 })
				dead := jobs.Ref{ProjectID: "default", ID: "dead.test"}
				for i := range 6 {
					offset.Store(offset.Load() + int64(jump)*int64(1-i%2*2))
					time.Sleep(20 * time.Second)
				}
				require.Greater(t, store.gateOf(dead).shut, jobs.Time(0))
				require.Less(t, len(store.outcomes()), 60, "probes, not a storm")
				require.LessOrEqual(t, store.peak(), 16)
				for _, o := range store.outcomes() {
					require.GreaterOrEqual(t, o.Decision.Delay, time.Duration(0))
					require.GreaterOrEqual(t, o.Attempt.DurationMS, int64(0))
				}
				offset.Add(int64(jump))
				n.set("dead.test", fine)
				one := store.add(to("default", "alive.test"), jobs.At(now()))
				s.Work(t.Context(), gatesBehind(one))
				synctest.Wait()
				require.Equal(t, Delivered, store.delivery(one.Ref()).State)
				require.Equal(t, strconv.FormatInt(now().Unix(), 10), n.headers("alive.test")[0].Get("webhook-timestamp"), "the time of the day")
				time.Sleep(3 * time.Minute)
				untried := 0
				store.change(func() {
					for _, c := range store.byRef {
						if c.State == Waiting && c.Recorded == 0 {
							untried++
						}
					}
				})
				require.Zero(t, untried, "it has been answering for three minutes")
				require.Zero(t, store.gateOf(dead).shut)
			})
		})
	}
}

// What has waited too long is given up beside the claims: a store that is busy with it delays nobody.
func TestGivingUpDelaysNoClaim(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newRows()
		release := make(chan struct{})
		left := 3
		store.expire = func() (int, error) {
			<-release
			left--
			return left, nil
		}
		n := newTown(t, map[string]http.HandlerFunc{"it.test": fine})
		s, _ := sendIn(t, store, n, func(*SenderOptions) {})
		time.Sleep(expireEvery + time.Second)
		one := store.add(to("default", "it.test"), 1)
		s.Work(t.Context(), gatesBehind(one))
		synctest.Wait()
		require.Equal(t, 1, store.expired)
		require.Equal(t, Delivered, store.delivery(one.Ref()).State)
		close(release)
		synctest.Wait()
		require.Equal(t, 3, store.expired, "until nothing is left")
	})
}
