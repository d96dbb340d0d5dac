package queue

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// testLease is short, so that the dead are soon forgotten.
const testLease = 2 * time.Second

// table is processes around one limit, over a Redis whose clock the test moves.
type table struct {
	t       tester
	redis   *redis.Client
	memory  *memory
	clock   time.Time
	limit   int
	members []*member
	born    int
}

// member is what a process knows of itself.
type member struct {
	sharer *Sharer
	slots  int // that it may use
	flight int // calls in flight
	wants  int
	known  int
	gone   time.Time // when it died; zero: it lives
}

func (m *member) held() int { return max(m.slots, m.flight) }

// tester is a test, or one of a property's.
type tester interface {
	require.TestingT
	Context() context.Context
}

func newTable(t tester, client *redis.Client, mem *memory, limit int) *table {
	require.NoError(t, client.FlushAll(t.Context()).Err())
	tb := &table{t: t, redis: client, memory: mem, clock: time.Unix(1_700_000_000, 0), limit: limit}
	tb.pass(0)
	return tb
}

func memoryClient(t *testing.T) (*redis.Client, *memory) {
	t.Helper()
	client, mem, err := connect("")
	require.NoError(t, err)
	t.Cleanup(func() { client.Close(); mem.close() })
	return client, mem
}

func (tb *table) join() *member {
	tb.born++
	m := &member{sharer: &Sharer{redis: tb.redis, process: fmt.Sprintf("own_%d", tb.born), lease: testLease}}
	tb.members = append(tb.members, m)
	return m
}

func (tb *table) pass(d time.Duration) {
	tb.clock = tb.clock.Add(d)
	tb.memory.server.SetTime(tb.clock)
}

// exchange is one as a limiter makes it; lost loses the answer.
func (tb *table) exchange(m *member, lost bool) {
	m.slots = min(m.slots, max(m.wants, m.flight))
	ask := ShareAsk{Limit: tb.limit, Held: m.held(), Want: max(m.wants, m.flight), Known: m.known}
	share, err := m.sharer.Share(context.Background(), "up/m", ask)
	require.NoError(tb.t, err)
	if !lost {
		m.slots, m.known = share.Slots, share.Known
	}
}

// held is what all may have in flight, the dead within their lease included.
func (tb *table) held() (sum int) {
	for _, m := range tb.members {
		if m.gone.IsZero() || tb.clock.Sub(m.gone) < testLease {
			sum += m.held()
		}
	}
	return sum
}

func (tb *table) living() []*member {
	return slices.DeleteFunc(slices.Clone(tb.members), func(m *member) bool { return !m.gone.IsZero() })
}

// step is anything that can happen.
func (tb *table) step(rt *rapid.T) {
	living := tb.living()
	if len(living) == 0 || len(living) < 5 && rapid.IntRange(0, 9).Draw(rt, "join") == 0 {
		tb.join().wants = rapid.IntRange(0, 2*tb.limit).Draw(rt, "wants")
		return
	}
	m := rapid.SampledFrom(living).Draw(rt, "who")
	switch rapid.IntRange(0, 9).Draw(rt, "what") {
	case 0:
		m.wants = rapid.IntRange(0, 2*tb.limit).Draw(rt, "wants")
	case 1:
		m.flight = rapid.IntRange(0, m.flight).Draw(rt, "left")
	case 2:
		m.flight = max(m.flight, min(m.slots, m.wants))
	case 3:
		tb.pass(time.Duration(rapid.IntRange(0, 400).Draw(rt, "ms")) * time.Millisecond)
		tb.renew()
	case 4:
		if rapid.IntRange(0, 4).Draw(rt, "dies") == 0 {
			m.gone = tb.clock
		}
	case 5:
		tb.exchange(m, true)
	default:
		tb.exchange(m, false)
	}
}

// renew is what each that lives does within half a second.
func (tb *table) renew() {
	for _, m := range tb.living() {
		tb.exchange(m, false)
	}
}

// requireFair finds the limit used as far as it is wanted, and nobody with more than another who wants more.
func (tb *table) requireFair() {
	var wanted, had int
	for _, m := range tb.living() {
		wanted, had = wanted+m.wants, had+m.slots
		for _, o := range tb.living() {
			require.False(tb.t, m.slots > o.slots+1 && o.slots < o.wants, "one has %d, another %d of the %d it wants", m.slots, o.slots, o.wants)
		}
	}
	require.Equal(tb.t, min(wanted, tb.limit), had)
}

// Whatever processes do, together they never hold more than the limit; and once they are left alone they use all of it
// that is wanted, in fair parts.
func TestSharesAddUp(t *testing.T) {
	t.Parallel()
	client, mem := memoryClient(t)
	rapid.Check(t, func(rt *rapid.T) {
		tb := newTable(rt, client, mem, rapid.IntRange(1, 40).Draw(rt, "limit"))
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			tb.step(rt)
			require.LessOrEqual(rt, tb.held(), tb.limit)
		}
		for range 5 {
			tb.pass(testLease / 4)
			tb.renew()
		}
		tb.settleDown()
		if len(tb.living()) <= tb.limit {
			tb.requireFair()
		}
	})
}

// settleDown lets calls end, and each exchange a few times.
func (tb *table) settleDown() {
	for range 4 {
		tb.pass(300 * time.Millisecond)
		for _, m := range tb.living() {
			m.flight = min(m.flight, m.slots, m.wants)
			tb.exchange(m, false)
			require.LessOrEqual(tb.t, tb.held(), tb.limit)
		}
	}
}

// After a wipe what is in flight stands, nothing more begins than the parts allow, and the parts come back.
func TestSharesComeTogetherAfterAWipe(t *testing.T) {
	t.Parallel()
	for _, wants := range [][]int{{40, 40, 40}, {40, 1, 0}, {3, 5, 40}, {12, 0, 0}, {0, 40, 40}} {
		t.Run(fmt.Sprint(wants), func(t *testing.T) {
			t.Parallel()
			client, mem := memoryClient(t)
			tb := newTable(t, client, mem, 12)
			for _, n := range wants {
				tb.join().wants = n
			}
			tb.settleDown()
			require.NoError(t, client.FlushAll(t.Context()).Err())
			for range 12 {
				tb.pass(100 * time.Millisecond)
				for _, m := range tb.living() {
					m.flight = min(m.slots, m.wants)
					tb.exchange(m, false)
					require.LessOrEqual(t, tb.held(), tb.limit)
				}
			}
			tb.settleDown()
			tb.requireFair()
		})
	}
}

// With fewer slots than processes each has its turn.
func TestMoreProcessesThanSlots(t *testing.T) {
	t.Parallel()
	client, mem := memoryClient(t)
	tb := newTable(t, client, mem, 2)
	for range 5 {
		tb.join().wants = 3
	}
	had := map[*member]int{}
	for range 50 { // each has four turns of ten exchanges
		tb.pass(200 * time.Millisecond)
		for _, m := range tb.living() {
			m.flight = 0
			tb.exchange(m, false)
			had[m] += m.slots
			require.LessOrEqual(t, tb.held(), 2)
		}
	}
	for _, m := range tb.living() {
		require.InDelta(t, 20, had[m], 6)
	}
}

// payer is a process that uses a rate.
type payer struct {
	sharer  *Sharer
	wants   float64 // units a second
	granted float64
	used    float64
	backlog float64
}

func (p *payer) exchange(t *testing.T, rate, least float64) {
	t.Helper()
	need := math.Min(math.Floor(p.backlog), math.Max(math.Floor(rate/5), least))
	share, err := p.sharer.Share(context.Background(), "up/m", ShareAsk{
		Limit: 1, TokenRate: rate, TokensUsed: p.used, TokensNeed: need, TokensLeast: least,
	})
	require.NoError(t, err)
	p.granted = share.TokensGranted
	spend := math.Min(p.granted-p.used, p.backlog)
	p.used, p.backlog = p.used+spend, p.backlog-spend
}

// A rate is never exceeded by more than about a second's worth, all of it is used where it is wanted, and those who want
// more than their part have as much as each other.
func TestRatesAddUp(t *testing.T) {
	t.Parallel()
	const seconds = 10
	for _, tc := range []struct {
		rate  float64
		wants []float64 // a second
	}{
		{100, []float64{200, 200, 200}},
		{100, []float64{10, 200, 20}},
		{100, []float64{30, 20, 10}},
		{100, []float64{200}},
		{1, []float64{2, 2}},
		{0.7, []float64{1.4}},
		{3, []float64{1.3, 2.8}},
		{17, []float64{9, 32}},
	} {
		t.Run(fmt.Sprint(tc.rate, tc.wants), func(t *testing.T) {
			t.Parallel()
			client, mem := memoryClient(t)
			tb := newTable(t, client, mem, 1)
			var payers []*payer
			wanted := 0.0
			for _, wants := range tc.wants {
				payers = append(payers, &payer{sharer: tb.join().sharer, wants: wants})
				wanted += wants
			}
			for range 10 * seconds {
				tb.pass(100 * time.Millisecond)
				for _, p := range payers {
					p.backlog += p.wants / 10
					p.exchange(t, tc.rate, 1)
				}
			}
			requireRate(t, payers, tc.rate, wanted, seconds)
		})
	}
}

func requireRate(t *testing.T, payers []*payer, rate, wanted, seconds float64) {
	t.Helper()
	all, burst, chunk := 0.0, math.Max(rate, 1)+rate/5, math.Max(rate/5, 1)
	for _, p := range payers {
		all += p.granted
		for _, o := range payers {
			starves := o.backlog > 1+chunk && p.used > o.used+burst+2*chunk
			require.False(t, starves, "one used %v, another %v of %v", p.used, o.used, o.wants*seconds)
		}
	}
	require.LessOrEqual(t, all, burst+rate*seconds+1e-6)
	require.GreaterOrEqual(t, all, math.Min(wanted, rate)*seconds*0.97-float64(len(payers))*chunk)
}
