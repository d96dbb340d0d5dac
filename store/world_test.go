package store

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/callbacks/signature"
	"github.com/ringback/ringback/jobs"
)

// begun is when the clock of a world starts.
const begun = jobs.Time(1_750_000_000_000)

// world is a store whose clock stands until the test moves it, with the service over it.
type world struct {
	*Store
	t     *testing.T
	clock *atomic.Int64
	calls *callbacks.Service
	woken *woken
}

// newWorld is one over SQLite, for what is about SQLite itself; see onEach.
func newWorld(t *testing.T) *world {
	t.Helper()
	return worldOver(t, openSQLiteStore(t))
}

func worldOver(t *testing.T, s *Store) *world {
	t.Helper()
	w := &world{Store: s, t: t, clock: &atomic.Int64{}, woken: &woken{}}
	w.clock.Store(int64(begun))
	s.options.Now = func() time.Time { return time.UnixMilli(w.clock.Load()) }
	w.calls = callbacks.NewService(callbacks.ServiceOptions{Records: s, Waker: w.woken, Now: s.options.Now})
	return w
}

func (w *world) pass(d time.Duration) { w.clock.Add(d.Milliseconds()) }

// woken notes what was woken.
type woken struct {
	mu   sync.Mutex
	refs []string
}

func (w *woken) Wake(_ context.Context, _ string, refs ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refs = append(w.refs, refs...)
}

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		require.NoError(t, err)
		return v
	}
}

// endpoint registers a receiver of everything; change it as the test needs.
func (w *world) endpoint(change ...func(*callbacks.Registered)) jobs.Ref {
	w.t.Helper()
	r := callbacks.Registered{
		Endpoint: callbacks.Endpoint{
			ProjectID: "default", ID: uuid.NewString(), Name: "e", URL: "https://e.example.com/hook", EventTypes: jobs.Texts{"*"},
			IsActive: true, CreatedAt: w.now(), ChangedAt: w.now(),
		},
		Target: callbacks.Target{URL: "https://e.example.com/hook", Secrets: callbacks.Secrets{{Text: signature.NewSecret()}}},
	}
	for _, c := range change {
		c(&r)
	}
	require.NoError(w.t, w.CreateEndpoint(w.t.Context(), r, nil, nil))
	return r.Ref()
}

func wants(types ...string) func(*callbacks.Registered) {
	return func(r *callbacks.Registered) { r.EventTypes = types }
}

// fire writes an event of no job with what it owes to the project's endpoints, and gives its ID.
func (w *world) fire(typ jobs.EventType, change ...func(*jobs.Fact)) string {
	w.t.Helper()
	fact := jobs.Fact{ProjectID: "default", Type: typ, SubjectID: "thing", Sequence: 1, Scope: jobs.ScopeKey, Object: []byte(`{}`), At: w.now()}
	for _, c := range change {
		c(&fact)
	}
	e := fact.Event()
	w.do(func(tx *gorm.DB) error {
		to, err := w.receivers(tx, e.ProjectID, nil)
		if err != nil {
			return err
		}
		_, err = w.recordEvent(tx, &e, to)
		return err
	})
	return e.ID
}

// oneOff makes a job that has failed, and owes that to a host.
func (w *world) oneOff(host string, change ...func(*jobs.NewJob)) jobs.Ref {
	w.t.Helper()
	hook := &jobs.Webhook{URL: "https://" + host + "/hook?k=v", Method: "PUT", Headers: map[string]string{"X-T": "t"}}
	n := jobs.NewJob{Job: newBatch(w.now()), Webhook: hook, Events: []jobs.EventType{jobs.BatchFailed}}
	n.Job.Rest()
	n.Job.Status = jobs.Failed
	for _, c := range change {
		c(&n)
	}
	n.Job.Webhook = callbacks.Shown(n.Webhook)
	must(w.CreateJob(w.t.Context(), n))(w.t)
	return n.Job.Ref()
}

func host(name string) jobs.Ref { return jobs.Ref{ProjectID: "default", ID: name} }

func behind(gates ...jobs.Ref) []callbacks.Want {
	wants := make([]callbacks.Want, len(gates))
	for i, g := range gates {
		wants[i] = callbacks.Want{Gate: g, Room: 64}
	}
	return wants
}

func (w *world) claim(gates ...jobs.Ref) []callbacks.Claimed {
	w.t.Helper()
	return must(w.ClaimDeliveries(w.t.Context(), "own", behind(gates...), w.now()))(w.t)
}

func (w *world) claimOne(gate jobs.Ref) callbacks.Claimed {
	w.t.Helper()
	claimed := w.claim(gate)
	require.Len(w.t, claimed, 1)
	return claimed[0]
}

var policy = callbacks.Policy{
	Schedule: []time.Duration{0, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 8 * time.Hour},
	Rand:     func() float64 { return 0 },
}

// answered is the outcome of an attempt that a receiver answered with a status.
func (w *world) answered(c callbacks.Claimed, status int) callbacks.Outcome {
	a := callbacks.Attempt{
		ProjectID: c.ProjectID, ID: jobs.NewID("att_"), DeliveryID: c.ID, Number: c.Recorded + 1, StartedAt: w.now(),
		StatusCode: status, Manual: c.Manual, Request: []byte(`{"method":"POST"}`), Timings: []byte(`{}`), Snippet: []byte("answer"),
	}
	d := policy.Decide(callbacks.Result{Attempt: a}, c.Tries+1, w.now().Time())
	a.Rule = d.Rule
	return callbacks.Outcome{Claimed: c, Attempt: a, Decision: d}
}

// record keeps outcomes, and gives how many were refused.
func (w *world) record(outcomes ...callbacks.Outcome) int {
	w.t.Helper()
	return must(w.RecordAttempts(w.t.Context(), outcomes, w.now()))(w.t)
}

// end gives a delivery up, or delivers it, at its first attempt.
func (w *world) end(c callbacks.Claimed, state callbacks.State) {
	w.t.Helper()
	status := 200
	if state == callbacks.Failed {
		status, c.Tries = 500, len(policy.Schedule)
	}
	w.record(w.answered(c, status))
}

func (w *world) do(do func(tx *gorm.DB) error) {
	w.t.Helper()
	require.NoError(w.t, w.write(w.t.Context(), do))
}

func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	w.do(func(tx *gorm.DB) error { return tx.Exec(query, args...).Error })
}

func (w *world) count(query string, args ...any) (n int) {
	w.t.Helper()
	require.NoError(w.t, w.reads.Raw("SELECT count(*) FROM "+query, args...).Scan(&n).Error)
	return n
}

// wakes is when a gate is looked at: its wake_at.
func (w *world) wakes(ref jobs.Ref) jobs.Time {
	w.t.Helper()
	var at jobs.Time
	require.NoError(w.t, w.reads.Raw("SELECT coalesce(min(wake_at), 0) FROM wakes WHERE project_id = ? AND gate = ?", ref.ProjectID, ref.ID).Scan(&at).Error)
	return at
}

// all are a project's deliveries, oldest first.
func (w *world) all(f callbacks.DeliveryFilter) []callbacks.Delivery {
	w.t.Helper()
	if f.ProjectID == "" {
		f.ProjectID = "default"
	}
	var rows []callbacks.Delivery
	require.NoError(w.t, matching(w.reads, f).Order("created_at, id").Find(&rows).Error)
	return rows
}

func (w *world) delivery(ref jobs.Ref) (callbacks.Delivery, []callbacks.Attempt) {
	w.t.Helper()
	d, attempts, err := w.Delivery(w.t.Context(), ref)
	require.NoError(w.t, err)
	return d, attempts
}

// backlog puts n deliveries of one event behind an endpoint's gate, each of another webhook ID, due one after another.
func (w *world) backlog(to jobs.Ref, state callbacks.State, n int) {
	w.t.Helper()
	event := w.fire("quiet.event", func(f *jobs.Fact) { f.Type = "quiet.event" })
	w.exec("DELETE FROM deliveries WHERE event_id = ?", event)
	due := "0"
	if state == callbacks.Waiting {
		due = fmt.Sprintf("%d + i", begun)
	}
	w.exec(fmt.Sprintf(`INSERT INTO deliveries (project_id, id, event_id, event_type, job_id, webhook_id, endpoint_id, gate, url, state, reason,
			created_at, ended_at, attempt, claims, tries, owner, due_at, wake_at)
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
		SELECT ?, 'dlv_' || substr(CAST(100000000 + i AS TEXT), 2), ?, 'quiet.event', '', 'whk_' || substr(CAST(100000000 + i AS TEXT), 2), ?, ?, 'u', ?, '',
			CAST(? AS BIGINT) + i, 0, 0, 0, 3, '', %s, 0 FROM n`, n, due), to.ProjectID, event, to.ID, to.ID, state, begun)
	w.exec("INSERT INTO wakes (project_id, gate, wake_at) VALUES (?, ?, ?)", to.ProjectID, to.ID, begun)
}
