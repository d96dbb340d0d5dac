package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// outage is a fleet under load while something on which it depends is away: a batch runs, and customers submit generations
// with callbacks.
type outage struct {
	t     *testing.T
	f     *fleet
	up    *upstream
	hook  *receiver
	batch string
	lines int

	mu     sync.Mutex
	told   []told
	closed chan struct{} // nobody submits any more
	asking sync.WaitGroup
}

// told is what a customer heard about one submission.
type told struct {
	mark    string // its prompt, and its Idempotency-Key
	at      time.Time
	took    time.Duration // until its first answer
	control time.Duration // what a request that keeps nothing took just before
	status  int           // of that answer; zero for none
	id      string        // of the job; empty where it was refused, and not sent again
	insists bool          // sent again until it is accepted
}

// longForm tells whether outages take as long as they do by the book; else they are as short as what they show allows.
func longForm() bool { return os.Getenv("RINGBACK_LONG") != "" }

// startOutage starts a fleet and its load. An answer of the provider takes from wait to twice that.
func startOutage(t *testing.T, o fleetOptions, lines int, wait time.Duration) *outage {
	t.Helper()
	w := &outage{t: t, lines: lines, closed: make(chan struct{})}
	w.up = startUpstream(t, func(body string) reply {
		return reply{wait: wait + rand.N(wait), body: completion("answer to " + prompt(body))}
	})
	w.hook = startReceiver(t)
	w.hook.answers(func(rw http.ResponseWriter, _ callback) {
		time.Sleep(100*time.Millisecond + rand.N(200*time.Millisecond)) // so that some are under way at any moment
		rw.WriteHeader(http.StatusNoContent)
	})
	o.settings = slices.Concat(openCallbacks(), []string{chaosSchedule, w.up.provider(whoamI), "batches.shard_lines=50"}, o.settings)
	w.f = startFleet(t, o)
	return w
}

// begins submits the batch, and a generation every so often until the end.
func (o *outage) begins(every time.Duration) {
	o.t.Helper()
	o.batch = o.f.batch(o.f.input(numbered(o.lines, 0)), o.hook.field())
	o.asking.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-o.closed:
				return
			case <-time.After(every):
				o.asking.Go(func() { o.submit(i) })
			}
		}
	})
}

// submit is one customer: every second one takes no for an answer, the others come again until they are accepted.
func (o *outage) submit(i int) {
	began := time.Now()
	_, _ = o.f.do("GET", "/v1/jobs/none", nil) // whatever it says
	s := told{mark: fmt.Sprintf("g-%06d", i), at: time.Now(), control: time.Since(began), insists: i%2 == 0}
	body := fmt.Sprintf(`{"model":"m","input":%q%s}`, s.mark, o.hook.field())
	for deadline := s.at.Add(2 * patience); s.id == ""; time.Sleep(100 * time.Millisecond) {
		a, err := o.f.timed(func() (answer, error) {
			return o.f.do("POST", "/v1/generate", strings.NewReader(body), "Content-Type", "application/json", "Idempotency-Key", s.mark)
		})
		if s.took == 0 {
			s.took, s.status = time.Since(s.at), a.status
		}
		switch {
		case err == nil && a.status == http.StatusAccepted:
			s.id = a.get("id").String()
		case err == nil && a.status != http.StatusServiceUnavailable && a.status != http.StatusConflict && a.status != http.StatusBadGateway:
			o.t.Errorf("%s was answered %d: %s", s.mark, a.status, a.body)
		case time.Now().After(deadline):
			o.t.Errorf("%s was not accepted", s.mark)
		case s.insists:
			continue
		}
		break
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told = append(o.told, s)
}

// heard are the submissions that were sent and answered between two instants.
func (o *outage) heard(from, to time.Time) (all []told) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range o.told {
		if !s.at.Before(from) && !s.at.After(to) {
			all = append(all, s)
		}
	}
	return all
}

// firmly waits until every member has been known for a lease: only then would it take over from another.
func (o *outage) firmly() {
	o.t.Helper()
	eventually(o.t, "all have stood for a lease", func() bool {
		return o.f.count("SELECT count(*) FROM owners WHERE beat_at - started_at > 16000") == len(o.f.members())
	})
}

// reaches waits until so many of the batch's lines have been called.
func (o *outage) reaches(lines int) {
	o.t.Helper()
	eventually(o.t, fmt.Sprintf("%d lines have been called", lines), func() bool { return o.called() >= lines })
}

func (o *outage) called() (n int) {
	for _, c := range o.up.seen() {
		if strings.HasPrefix(number(c.body), "q-") {
			n++
		}
	}
	return n
}

// says tells in whose logs a text stands.
func (f *fleet) says(text string) (names []string) {
	f.t.Helper()
	for _, s := range f.members() {
		if strings.Contains(string(s.log()), text) {
			names = append(names, s.name)
		}
	}
	return names
}

// Sentences of the log.
const (
	takenForDead = "this process was taken for dead"
	hasTakenOver = "a process has died or is not heard of"
)

// end lets all that was begun end, and holds it against what was promised. unknown is how many submissions may stand although
// they were answered 503: a commit whose answer was lost.
func (o *outage) end(unknown int) ledger {
	o.t.Helper()
	close(o.closed)
	o.asking.Wait()
	if o.t.Failed() {
		o.t.FailNow()
	}
	o.quiet()
	l := ledger{mode: scaled, kills: len(o.f.kills), before: o.f.answeredBefore()}
	done := o.f.read("/v1/batches/" + o.batch)
	require.Equal(o.t, "completed", done.get("status").String(), "%s", done.body)
	l.lines, _ = o.f.whole(done, o.lines)
	require.Equal(o.t, o.lines, l.lines)
	answersFit(o.t, o.f.lines(done.get("output_file_id")))
	for _, s := range o.told {
		if s.id != "" {
			l.accepted++
		}
	}
	stand := o.f.count("SELECT count(*) FROM jobs WHERE kind = 'generation'")
	require.GreaterOrEqual(o.t, stand, l.accepted)
	require.LessOrEqual(o.t, stand, l.accepted+unknown, "what was answered 503 left something")
	l.accepted, l.ended = stand+1, o.f.count("SELECT count(*) FROM jobs WHERE status = 'completed' OR status = 'succeeded'")
	require.Equal(o.t, l.accepted, l.ended, "jobs that ended well")
	o.callbacks(&l)
	o.calls(&l)
	return l
}

// quiet waits until nothing is open and nothing is claimed.
func (o *outage) quiet() {
	o.t.Helper()
	const open = `SELECT (SELECT count(*) FROM jobs WHERE ended_at = 0 OR owner <> '') + (SELECT count(*) FROM shards WHERE NOT done OR owner <> '') +
		(SELECT count(*) FROM deliveries WHERE state IN ('waiting', 'sending') OR owner <> '')`
	least := 1 << 30
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		n := o.f.count(open)
		if n == 0 {
			return
		}
		if n > 0 && n < least {
			least, deadline = n, time.Now().Add(patience)
		}
		if time.Now().After(deadline) {
			o.t.Fatalf("%d rows are open or claimed, and have been for %s:\n%s", n, patience, o.f.stuck())
		}
	}
}

// callbacks holds what arrived against what the jobs owe: one callback each.
func (o *outage) callbacks(l *ledger) {
	o.t.Helper()
	secret, arrived := o.f.apis[0].secret(), map[string]int{} // by job
	for _, c := range o.hook.all() {
		require.NoError(o.t, c.verify(secret))
		arrived[c.get("data.id").String()]++
		l.posts++
	}
	l.owed = l.accepted
	l.lost = l.owed - len(arrived)
	require.Zero(o.t, l.lost, "callbacks lost")
	for job, n := range arrived {
		if n == 1 {
			continue
		}
		l.repeated += n - 1
		l.recorded += min(n-1, o.f.count(`SELECT count(*) FROM attempts WHERE error_class = 'interrupted' AND delivery_id IN
			(SELECT id FROM deliveries WHERE job_id = $1)`, job))
	}
	require.Equal(o.t, l.repeated, l.recorded, "a callback was repeated that nobody had in hand")
}

// calls holds the provider's calls against one for each line and each generation.
func (o *outage) calls(l *ledger) {
	o.t.Helper()
	of := map[string][]call{}
	for _, c := range o.up.seen() {
		of[number(c.body)] = append(of[number(c.body)], c)
		l.calls++
	}
	require.Len(o.t, of, o.lines+l.accepted-1, "what was called")
	for what, all := range of {
		good, lost := o.f.excused(all)
		l.callRepeats, l.bound = l.callRepeats+good-1, l.bound+lost
		if good-1 > lost {
			o.t.Errorf("%s was called again without need: %s", what, o.f.story(all))
		}
	}
}

// p99 is the time in which 99 of 100 of them were answered, and what requests that keep nothing took meanwhile.
func p99(all []told) (took, control time.Duration) {
	if len(all) == 0 {
		return 0, 0
	}
	var times, controls []time.Duration
	for _, s := range all {
		times, controls = append(times, s.took), append(controls, s.control)
	}
	slices.Sort(times)
	slices.Sort(controls)
	place := len(all) * 99 / 100
	return times[place], controls[place]
}

// statuses counts first answers.
func statuses(all []told) map[int]int {
	n := map[int]int{}
	for _, s := range all {
		n[s.status]++
	}
	return n
}
