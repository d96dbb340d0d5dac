package e2e

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/providers/simulator"
)

// chaosSchedule tries a delivery so often and so soon that no run ends one for want of tries.
var chaosSchedule = "callbacks.schedule=[0s, 50ms" + strings.Repeat(", 100ms", 18) + strings.Repeat(", 1s", 20) + "]"

// chaos is a run: a Ringback, the provider behind it, its customers, and what its receivers saw.
type chaos struct {
	t         *testing.T
	f         *fleet
	up        *upstream // records each call to the simulator
	sim       *client   // the simulator itself
	weather   weather
	oneOff    *receiver
	endpoints []endpoint // *, then whole families, then one type alone and whatever names it
	training  string     // file

	mu       sync.Mutex
	arrivals []arrival
	accepted map[string]chaosJob // by ID

	closed    chan struct{} // no customer submits any more
	closing   sync.Once
	customers sync.WaitGroup
}

// close has customers submit no more, and waits for the answers to what they have submitted.
func (c *chaos) close() {
	c.closing.Do(func() { close(c.closed) })
	c.customers.Wait()
}

// weather is what a run has to bear.
type weather struct {
	// Shares, from 0 to 1: of callbacks that are answered 500, late, or by a reset; and of model calls that are answered 500
	// or 429.
	failed, slow, reset, callFailed, callRefused float64
	// calm is how many times as long as usual customers wait between two submissions.
	calm time.Duration
}

// usual is one callback in five answered 500, and one in ten late.
var usual = weather{failed: 0.2, slow: 0.1, callFailed: 0.005, calm: 1}

// chaosJob is what a submission asked for.
type chaosJob struct {
	kind           *kind
	webhook, named bool
}

// arrival is one POST that reached a receiver.
type arrival struct {
	to, event string // an endpoint's ID, or empty for the one-off receiver
	number    int    // as X-Ringback-Attempt says
	taken     bool   // answered with a 2xx
}

// startChaos starts a provider, a Ringback and its receivers, and lets customers submit jobs until end.
func startChaos(t *testing.T, start func(t *testing.T, settings ...string) *fleet, w weather) *chaos {
	t.Helper()
	c := &chaos{t: t, weather: w, accepted: map[string]chaosJob{}, closed: make(chan struct{})}
	sim := simulator.New(simulator.Options{
		TTFT: 10 * time.Millisecond, TPOT: time.Millisecond, TuneTime: 300 * time.Millisecond, MediaTime: 300 * time.Millisecond,
	})
	t.Cleanup(func() { require.NoError(t, sim.Close()) })
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	c.sim = &client{t: t, http: server.Client(), url: server.URL}
	c.up = startUpstream(t, nil)
	c.up.behind = c.provider(sim)
	c.f = start(t, append(openCallbacks(), chaosSchedule, "callbacks.timeout=8s", "simulator.enabled=false",
		c.up.provider(whoamI+`, media: [{path: /v1/videos, fetch: "/v1/videos/{id}/content"}]`))...)
	for _, types := range []string{`"*"`, `"generation.*","batch.*"`, `"batch.completed"`} {
		e := c.f.apis[0].register(startReceiver(t), types, "")
		e.answers(func(w http.ResponseWriter, got callback) { c.answer(w, e.id, e.secret, got) })
		c.endpoints = append(c.endpoints, e)
	}
	secret := c.f.apis[0].secret()
	c.oneOff = startReceiver(t)
	c.oneOff.answers(func(w http.ResponseWriter, got callback) { c.answer(w, "", secret, got) })
	c.training = c.f.upload(http.StatusOK, part{"purpose", "", "fine-tune"}, part{"file", "train.jsonl", examples(12)}).get("id").String()
	t.Cleanup(c.close) // a test that has failed leaves no customer behind
	for i := range kinds {
		c.customers.Go(func() { c.customer(&kinds[i]) })
	}
	return c
}

// provider is the simulator with some of its model calls refused.
func (c *chaos) provider(sim http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		dice := rand.Float64()
		model := r.Method == http.MethodPost && !strings.HasPrefix(r.URL.Path, "/v1/fine_tuning") && r.URL.Path != "/v1/files"
		switch {
		case model && dice < c.weather.callFailed:
			http.Error(w, `{"error":{"message":"trouble","type":"server_error","param":null,"code":null}}`, http.StatusInternalServerError)
		case model && dice < c.weather.callFailed+c.weather.callRefused:
			w.Header().Set("Retry-After", "0")
			http.Error(w, `{"error":{"message":"slowly","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}`, http.StatusTooManyRequests)
		default:
			sim.ServeHTTP(w, r)
		}
	})
}

// answer is what a receiver does: some it makes wait, some it fails, some it cuts off. An arrival counts from here on.
func (c *chaos) answer(w http.ResponseWriter, to, secret string, got callback) {
	if err := got.verify(secret); err != nil {
		c.t.Errorf("a signature does not verify: %v", err)
	}
	number, err := strconv.Atoi(got.attempt())
	if err != nil {
		c.t.Error(err)
	}
	dice, late := rand.Float64(), rand.Float64() < c.weather.slow
	a := arrival{to: to, event: got.id(), number: number, taken: dice >= c.weather.failed+c.weather.reset}
	c.mu.Lock()
	c.arrivals = append(c.arrivals, a)
	c.mu.Unlock()
	if late {
		time.Sleep(time.Duration(300+rand.IntN(500)) * time.Millisecond)
	}
	switch {
	case a.taken:
		w.WriteHeader(http.StatusNoContent)
	case dice < c.weather.failed:
		w.WriteHeader(http.StatusInternalServerError)
	default:
		c.reset(w)
	}
}

// reset ends a connection as a crash of its other side does.
func (c *chaos) reset(w http.ResponseWriter) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		c.t.Error(err)
		return
	}
	_ = connection.(*net.TCPConn).SetLinger(0) // so that Close sends RST
	_ = connection.Close()
}

// customer submits one job of a kind after the other, each until it has its answer.
func (c *chaos) customer(k *kind) {
	for i := 0; ; i++ {
		select {
		case <-c.closed:
			return
		case <-time.After(c.weather.calm * (k.every/2 + rand.N(k.every))):
		}
		job := chaosJob{kind: k, webhook: i%2 == 0, named: i%3 == 0}
		path, body := k.submission(c, fmt.Sprintf("%s-%d", k.name, i), c.receivers(job))
		if body == "" {
			return // the test has failed
		}
		if id := c.insist(path, body, fmt.Sprintf("%s-%d", k.name, i)); id != "" {
			c.mu.Lock()
			c.accepted[id] = job
			c.mu.Unlock()
		}
	}
}

// receivers are the members of a submission that say who is to hear of its end.
func (c *chaos) receivers(job chaosJob) (more string) {
	if job.webhook {
		more += c.oneOff.field()
	}
	if job.named {
		more += fmt.Sprintf(`,"webhook_ids":[%q]`, c.endpoints[2].id)
	}
	return more
}

// insist sends a submission with its key until it is answered, and gives the job's ID. A test that has given up on it
// is failed.
func (c *chaos) insist(path, body, key string) (id string) {
	return c.insisting(path, func() (answer, error) {
		return c.f.do("POST", path, strings.NewReader(body), "Content-Type", "application/json", "Idempotency-Key", key)
	})
}

// insisting sends until it is answered, and gives the ID of what was made.
func (c *chaos) insisting(what string, send func() (answer, error)) string {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline) && !c.t.Failed(); time.Sleep(10 * time.Millisecond) {
		a, err := c.f.timed(send)
		switch {
		case err == nil && a.status/100 == 2:
			return a.get("id").String()
		case err == nil && a.status != http.StatusConflict && a.status/100 != 5:
			c.t.Errorf("%s was answered %d: %s", what, a.status, a.body)
			return ""
		}
	}
	if !c.t.Failed() {
		c.t.Errorf("%s was not answered for %s", what, patience)
	}
	return ""
}
