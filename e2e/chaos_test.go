package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// chaosSchedule tries a delivery so often and so soon that no run ends one for want of tries.
var chaosSchedule = "callbacks.schedule=[0s, 50ms" + strings.Repeat(", 100ms", 18) + "]"

// chaos is a run: its server, its customers, and what its receivers saw.
type chaos struct {
	t         *testing.T
	s         *server
	url       atomic.Pointer[string] // of the server's present life
	oneOff    *receiver
	endpoints []endpoint // *, then whole families, then one type alone and whatever names it
	file      string

	mu       sync.Mutex
	arrivals []arrival
	accepted map[string]chaosJob // by ID
}

// chaosJob is what a submission asked for.
type chaosJob struct{ webhook, named bool }

// arrival is one POST that reached a receiver.
type arrival struct {
	to, event string // an endpoint's ID, or empty for the one-off receiver
	number    int    // as X-Ringback-Attempt says
	taken     bool   // answered with a 2xx
}

// R8, R30: with one answer in five a 500 and one in ten slow, the server is killed again and again while customers
// submit. Every job that was accepted ends, every callback that is owed arrives, and whatever was sent twice has its
// attempts on record. RINGBACK_CHAOS_KILLS sets how often it is killed (`make chaos`).
func TestChaosLosesNothing(t *testing.T) {
	kills := chaosKills(t)
	c := startChaos(t)
	owed := c.through(kills, c.s.kill9)
	c.balance(fmt.Sprint(kills, " kills"), owed)
}

// R21: SIGTERM under the same load, with endpoints, loses nothing either, and repeats nothing: what is being sent ends
// within the grace period.
func TestSIGTERMUnderLoadOfCallbacks(t *testing.T) {
	const stops = 3
	c := startChaos(t)
	owed := c.through(stops, func() {
		code, _ := c.s.stop()
		require.Zero(t, code)
	})
	require.Zero(t, c.balance(fmt.Sprint(stops, " times SIGTERM"), owed), "a stop in order repeats nothing")
}

// R8: a kill while a callback is being sent, with nothing else to wake its receiver's gate: it is sent again at once
// after the restart, as the same event, and the attempt that was broken off is on record.
func TestKilledInMidSend(t *testing.T) {
	t.Parallel()
	s := startServer(t, append(openCallbacks(), startUpstream(t, nil).provider(""))...)
	e := s.register(startReceiver(t), `"generation.completed"`, "")
	oneOff := startReceiver(t)
	killed := make(chan struct{})
	for _, r := range []*receiver{e.receiver, oneOff} {
		r.answers(func(w http.ResponseWriter, c callback) {
			if c.attempt() == "1" {
				<-killed
			}
			w.WriteHeader(http.StatusNoContent)
		})
	}
	job := s.generate("hello", oneOff.field())
	e.arrived(1)
	oneOff.arrived(1)
	s.kill9()
	close(killed)
	s.restart()
	for _, d := range s.settled(job) {
		require.Less(t, time.Since(s.started), 5*time.Second, "at once")
		require.Equal(t, "delivered", d.Get("status").String())
		require.Equal(t, []string{"interrupted", ""}, []string{d.Get("attempts.0.error_class").String(), d.Get("attempts.1.error_class").String()})
		require.Len(t, d.Get("attempts").Array(), 2)
	}
	for _, r := range []*receiver{e.receiver, oneOff} {
		got := r.all()
		require.Len(t, got, 2)
		require.Equal(t, got[0].id(), got[1].id())
		require.Equal(t, "2", got[1].attempt())
	}
}

// through ends the server's life again and again, at random moments, while customers submit; then it waits for the rest
// and gives what was owed. The server is stopped.
func (c *chaos) through(times int, end func()) (owed map[debt]bool) {
	c.t.Helper()
	random := dice(c.t)
	stop := make(chan struct{})
	var customers sync.WaitGroup
	for n := range 4 {
		customers.Go(func() { c.customer(n, stop) })
	}
	for range times {
		time.Sleep(time.Duration(random.IntN(900)) * time.Millisecond) // the moment is the dice's
		end()
		c.s.restart()
		url := c.s.url
		c.url.Store(&url)
	}
	close(stop)
	customers.Wait()
	began := time.Now()
	c.s.quiet()
	c.t.Logf("all was quiet %s after the last submission", time.Since(began).Round(time.Millisecond))
	owed = c.owed()
	code, _ := c.s.stop()
	require.Zero(c.t, code)
	integrity(c.t, c.s.dir)
	return owed
}

func chaosKills(t *testing.T) int {
	t.Helper()
	text := os.Getenv("RINGBACK_CHAOS_KILLS")
	if text == "" {
		return 8
	}
	kills, err := strconv.Atoi(text)
	require.NoError(t, err, "RINGBACK_CHAOS_KILLS")
	return kills
}

func startChaos(t *testing.T) *chaos {
	t.Helper()
	up := startUpstream(t, func(body string) reply {
		return reply{wait: time.Duration(rand.IntN(20)) * time.Millisecond, body: completion("answer to " + prompt(body))}
	})
	c := &chaos{t: t, accepted: map[string]chaosJob{}}
	c.s = startServer(t, append(openCallbacks(), up.provider(""), chaosSchedule, "callbacks.timeout=2s")...)
	url := c.s.url
	c.url.Store(&url)
	for _, types := range []string{`"*"`, `"generation.*","batch.*"`, `"batch.completed"`} {
		e := c.s.register(startReceiver(t), types, "")
		e.handle = func(got callback) int { return c.answer(e.id, e.secret, got) }
		c.endpoints = append(c.endpoints, e)
	}
	c.file = c.s.input(numbered(10, 0)) // the first event: all receivers are there
	secret := c.s.secret()
	c.oneOff = startReceiver(t)
	c.oneOff.handle = func(got callback) int { return c.answer("", secret, got) }
	return c
}

// answer is what a receiver does: one in ten waits, one in five fails. An arrival counts from its answer on.
func (c *chaos) answer(to, secret string, got callback) int {
	if err := got.verify(secret); err != nil {
		c.t.Errorf("a signature does not verify: %v", err)
	}
	number, err := strconv.Atoi(got.attempt())
	if err != nil {
		c.t.Error(err)
	}
	a := arrival{to: to, event: got.id(), number: number, taken: rand.IntN(5) > 0}
	c.mu.Lock()
	c.arrivals = append(c.arrivals, a)
	c.mu.Unlock()
	if rand.IntN(10) == 0 {
		time.Sleep(time.Duration(300+rand.IntN(500)) * time.Millisecond)
	}
	if a.taken {
		return http.StatusNoContent
	}
	return http.StatusInternalServerError
}

// customer submits one job after the other, each until it has its answer.
func (c *chaos) customer(n int, stop <-chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		case <-time.After(20 * time.Millisecond):
		}
		job := chaosJob{webhook: i%2 == 0, named: i%3 == 0}
		path, body := c.submission(i, job)
		id := c.insist(path, body, fmt.Sprintf("customer-%d-%d", n, i))
		c.mu.Lock()
		c.accepted[id] = job
		c.mu.Unlock()
	}
}

func (c *chaos) submission(i int, job chaosJob) (path, body string) {
	more := ""
	if job.webhook {
		more += c.oneOff.field()
	}
	if job.named {
		more += fmt.Sprintf(`,"webhook_ids":[%q]`, c.endpoints[2].id)
	}
	if i%7 == 3 {
		return "/v1/batches", fmt.Sprintf(`{"input_file_id":%q,"endpoint":%q,"completion_window":"24h"%s}`, c.file, chat, more)
	}
	return "/v1/generate", fmt.Sprintf(`{"model":"m","input":"hello"%s}`, more)
}

// insist sends a submission with its key until it is answered, and gives the job's ID. A test that has given up on it
// is failed.
func (c *chaos) insist(path, body, key string) string {
	return insisting(c.t, func() *client { return &client{t: c.t, http: c.s.http, url: *c.url.Load()} }, path, body, key)
}
