package callbacks

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/callbacks/signature"
	"github.com/ringback/ringback/jobs"
)

// records keep what a Service asks for in memory, by the promises of Records. err fails everything.
type records struct {
	mu         sync.Mutex
	endpoints  map[jobs.Ref]Registered
	answers    [][]byte // what CreateEndpoint was given to keep
	deliveries map[jobs.Ref]Delivery
	attempts   []Attempt
	expired    map[string]bool // IDs of events that are gone
	secrets    map[string]Secrets
	private    ed25519.PrivateKey
	pages      []page     // what RetryDeliveries and Replay answer, one after the other
	seen       []any      // with what they were asked
	woken      []jobs.Ref // of the deliveries lane
	err        error
}

// page is one answer to a command that works in pages.
type page struct {
	n    int
	last string
}

func newRecords() *records {
	return &records{
		endpoints: map[jobs.Ref]Registered{}, deliveries: map[jobs.Ref]Delivery{}, expired: map[string]bool{},
		secrets: map[string]Secrets{"default": {{Text: testSecret}}},
	}
}

func (r *records) Wake(_ context.Context, lane string, refs ...string) {
	if lane == jobs.LaneDeliveries {
		r.woken = append(r.woken, jobs.ParseRefs(refs)...)
	}
}

func (r *records) CreateEndpoint(_ context.Context, e Registered, _ *jobs.Idempotency, answer []byte) error {
	if r.err != nil {
		return r.err
	}
	r.endpoints[e.Ref()] = e
	r.answers = append(r.answers, answer)
	return nil
}

func (r *records) Endpoint(_ context.Context, ref jobs.Ref) (Registered, error) {
	e, known := r.endpoints[ref]
	if !known || e.DeletedAt > 0 {
		return Registered{}, jobs.NotFound("No webhook endpoint found with id '%s'.", ref.ID)
	}
	return e, r.err
}

func (r *records) ChangeEndpoint(ctx context.Context, ref jobs.Ref, change func(*Registered) error) (Registered, error) {
	e, err := r.Endpoint(ctx, ref)
	if err != nil {
		return Registered{}, err
	}
	e.Target.Headers = maps.Clone(e.Target.Headers)
	if err := change(&e); err != nil {
		return Registered{}, err // nothing is written
	}
	r.endpoints[ref] = e
	return e, nil
}

func (r *records) Endpoints(_ context.Context, project, after string, limit int) (page []Endpoint, more bool, err error) {
	for ref, e := range r.endpoints {
		if ref.ProjectID == project && e.DeletedAt == 0 && e.ID > after {
			page = append(page, e.Endpoint)
		}
	}
	slices.SortFunc(page, func(a, b Endpoint) int { return strings.Compare(a.ID, b.ID) })
	return page[:min(limit, len(page))], len(page) > limit, r.err
}

func (r *records) JobDeliveries(_ context.Context, job jobs.Ref) (found []Delivery, attempts []Attempt, err error) {
	for _, d := range r.deliveries {
		if d.ProjectID == job.ProjectID && d.JobID == job.ID {
			found = append(found, d)
		}
	}
	slices.SortFunc(found, func(a, b Delivery) int { return strings.Compare(a.ID, b.ID) })
	return found, r.attempts, r.err
}

func (r *records) Deliveries(_ context.Context, q DeliveryQuery) (found []Delivery, attempts []Attempt, more bool, err error) {
	r.seen = append(r.seen, q)
	for _, d := range r.deliveries {
		if d.ProjectID == q.ProjectID {
			found = append(found, d)
		}
	}
	return found, r.attempts, true, r.err
}

func (r *records) Delivery(_ context.Context, ref jobs.Ref) (Delivery, []Attempt, error) {
	d, known := r.deliveries[ref]
	if !known {
		return Delivery{}, nil, jobs.NotFound("No delivery found with id '%s'.", ref.ID)
	}
	return d, r.attempts, r.err
}

func (r *records) ChangeDelivery(ctx context.Context, ref jobs.Ref, change func(*Delivery, *Endpoint, bool) error) (Delivery, []Attempt, error) {
	d, attempts, err := r.Delivery(ctx, ref)
	if err != nil {
		return Delivery{}, nil, err
	}
	var to *Endpoint
	if e, known := r.endpoints[jobs.Ref{ProjectID: ref.ProjectID, ID: d.EndpointID}]; known {
		to = &e.Endpoint
	}
	if err := change(&d, to, r.expired[d.EventID]); err != nil {
		return Delivery{}, nil, err
	}
	r.deliveries[ref] = d
	return d, attempts, nil
}

func (r *records) next() (p page) {
	if len(r.pages) > 0 {
		p, r.pages = r.pages[0], r.pages[1:]
	}
	return p
}

func (r *records) RetryDeliveries(_ context.Context, f DeliveryFilter, after string, _ jobs.Time) (int, string, error) {
	r.seen = append(r.seen, f, after)
	p := r.next()
	return p.n, p.last, r.err
}

func (r *records) Replay(_ context.Context, _ jobs.Ref, q ReplayQuery, after int64, _ jobs.Time) (int, int64, error) {
	r.seen = append(r.seen, q, after)
	p := r.next()
	return p.n, int64(len(p.last)), r.err
}

func (r *records) ReplayEvent(_ context.Context, endpoint jobs.Ref, eventID string, now jobs.Time) (string, error) {
	e := r.endpoints[endpoint]
	d := e.Again(&jobs.Event{ProjectID: endpoint.ProjectID, ID: eventID, Type: "batch.completed"}, now)
	r.deliveries[d.Ref()] = d
	return d.ID, r.err
}

func (r *records) Secrets(_ context.Context, project string) (Secrets, error) {
	if r.secrets[project] == nil {
		return nil, jobs.NotFound("No project found with id '%s'.", project)
	}
	return r.secrets[project], r.err
}

func (r *records) RotateSecrets(ctx context.Context, project string, change func(Secrets) (Secrets, error)) (Secrets, error) {
	old, err := r.Secrets(ctx, project)
	if err != nil {
		return nil, err
	}
	fresh, err := change(old)
	if err == nil {
		r.secrets[project] = fresh
	}
	return fresh, err
}

func (r *records) Keys(ctx context.Context, project string, now jobs.Time) (signature.Keys, error) {
	s, err := r.Secrets(ctx, project)
	return signature.Keys{Secrets: s.Live(now), Private: r.private}, err
}

// service works over records at a fixed time.
func service(t *testing.T, r *records) *Service {
	t.Helper()
	return NewService(ServiceOptions{
		Records: r, Rules: Rules{}, Poster: openPoster(t), Waker: r, Now: func() time.Time { return someTime.Time() },
	})
}

// made creates an endpoint and gives what was answered.
func made(t *testing.T, s *Service, body string) (ref jobs.Ref, o endpointObject) {
	t.Helper()
	answer, err := s.CreateEndpoint(t.Context(), "default", json.RawMessage(body), nil)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(answer, &o))
	return jobs.Ref{ProjectID: "default", ID: o.ID}, o
}

func TestCreateEndpoint(t *testing.T) {
	t.Parallel()
	r := newRecords()
	s := service(t, r)
	ref, o := made(t, s, `{"url":"https://example.com/h?k=canary","event_types":["batch.*"],"headers":{"X-A":"canary"}}`)
	require.Regexp(t, "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$", o.ID, "a UUID v4")
	require.Equal(t, "example.com", o.Name, "named by its host")
	require.True(t, o.IsActive)
	require.NoError(t, signature.CheckSecret(o.Secret))
	require.Equal(t, "…"+o.Secret[len(o.Secret)-4:], o.SecretHint)
	require.NotContains(t, string(r.answers[0]), "canary")
	kept := r.endpoints[ref]
	require.Equal(t, Secrets{{Text: o.Secret}}, kept.Target.Secrets)
	require.Equal(t, "https://example.com/h?k=canary", kept.Target.URL)
	require.Equal(t, someTime, kept.CreatedAt)

	shown, err := s.Endpoint(t.Context(), ref)
	require.NoError(t, err)
	require.NotContains(t, string(shown), "signing_secret\"", "shown nowhere else")
	require.NotContains(t, string(shown), "canary")
	_, other := made(t, s, `{"url":"https://example.com/","event_types":["*"],"name":"mine"}`)
	require.NotEqual(t, o.Secret, other.Secret)
	require.Equal(t, "mine", other.Name)
	page, more, err := s.Endpoints(t.Context(), "default", "", 1)
	require.NoError(t, err)
	require.True(t, more)
	require.Len(t, page, 1)
	require.NotContains(t, string(page[0]), "signing_secret\"")
}

func TestCreateEndpointRefuses(t *testing.T) {
	t.Parallel()
	r := newRecords()
	s := service(t, r)
	all := refusals()
	all["no url"] = refused{`{"event_types":["*"]}`, "url", jobs.CodeMissing}
	all["no event types"] = refused{`{"url":"https://example.com/"}`, "event_types", jobs.CodeMissing}
	ref, _ := made(t, s, `{"url":"https://example.com/","event_types":["*"]}`)
	before := r.endpoints[ref]
	for name, c := range all {
		_, err := s.CreateEndpoint(t.Context(), "default", json.RawMessage(c.body), nil)
		require.True(t, jobs.IsCode(err, c.code), "%s: %v", name, err)
		if !strings.HasPrefix(name, "no ") || name == "no object" {
			_, err = s.UpdateEndpoint(t.Context(), ref, json.RawMessage(c.body))
			require.True(t, jobs.IsCode(err, c.code), "%s, at an update: %v", name, err)
		}
	}
	require.Equal(t, map[jobs.Ref]Registered{ref: before}, r.endpoints, "nothing is written")
}

func TestUpdateRotateAndDeleteEndpoint(t *testing.T) {
	t.Parallel()
	r := newRecords()
	s := service(t, r)
	ref, o := made(t, s, `{"url":"https://example.com/","event_types":["*"]}`)

	got, err := s.UpdateEndpoint(t.Context(), ref, json.RawMessage(`{"name":null,"timeout":"3s"}`))
	require.NoError(t, err)
	require.Contains(t, string(got), `"timeout":"3s"`)
	require.Contains(t, string(got), `"name":"example.com"`, "its default")
	require.NotContains(t, string(got), "signing_secret\"")
	require.Empty(t, r.woken)
	_, err = s.UpdateEndpoint(t.Context(), ref, json.RawMessage(`{"is_active":false}`))
	require.NoError(t, err)
	require.Equal(t, []jobs.Ref{ref}, r.woken, "what waits there ends")

	for _, keep := range []bool{true, false} {
		got, err = s.RotateEndpointSecret(t.Context(), ref, keep)
		require.NoError(t, err)
		live := r.endpoints[ref].Target.Secrets.Live(someTime)
		require.Contains(t, string(got), `"signing_secret":"`+live[0]+`"`)
		require.Contains(t, string(got), `"signing_secret_hint":"`+hintOf(live[0])+`"`)
		require.NotEqual(t, o.Secret, live[0])
		require.Equal(t, keep, slices.Contains(live, o.Secret))
	}

	require.NoError(t, s.DeleteEndpoint(t.Context(), ref))
	kept := r.endpoints[ref]
	require.Equal(t, someTime, kept.DeletedAt)
	require.False(t, kept.IsActive)
	require.Equal(t, Target{}, kept.Target, "nothing secret is kept of it")
	require.Equal(t, ref, r.woken[len(r.woken)-1])
	for _, again := range []func() error{
		func() error { return s.DeleteEndpoint(t.Context(), ref) },
		func() error { _, err := s.Endpoint(t.Context(), ref); return err },
		func() error { _, err := s.UpdateEndpoint(t.Context(), ref, json.RawMessage(`{}`)); return err },
		func() error { _, err := s.RotateEndpointSecret(t.Context(), ref, true); return err },
		func() error { _, err := s.TestEndpoint(t.Context(), ref, ""); return err },
	} {
		require.True(t, jobs.IsCode(again(), jobs.CodeNotFound))
	}
}

func TestProjectSecrets(t *testing.T) {
	t.Parallel()
	r := newRecords()
	s := service(t, r)
	secret, err := s.Secret(t.Context(), "default")
	require.NoError(t, err)
	require.Equal(t, testSecret, secret)
	fresh, err := s.RotateSecret(t.Context(), "default", true)
	require.NoError(t, err)
	require.Equal(t, []string{fresh, testSecret}, r.secrets["default"].Live(someTime))
	_, err = s.RotateSecret(t.Context(), "nobody", true)
	require.True(t, jobs.IsCode(err, jobs.CodeNotFound))
	_, err = s.Secret(t.Context(), "nobody")
	require.True(t, jobs.IsCode(err, jobs.CodeNotFound))

	s.SecretIsSet = true
	_, err = s.RotateSecret(t.Context(), "default", false)
	require.True(t, jobs.IsCode(err, jobs.CodeConflict))
	require.Equal(t, fresh, r.secrets["default"][0].Text, "the configuration's stays")

	keys, err := s.PublicKeys(t.Context(), "default")
	require.NoError(t, err)
	require.JSONEq(t, `{"keys":[]}`, string(keys))
	r.private = signature.NewPrivateKey()
	keys, err = s.PublicKeys(t.Context(), "default")
	require.NoError(t, err)
	read, err := signature.ParseJWKS(keys)
	require.NoError(t, err)
	require.True(t, read[0].Equal(r.private.Public()))
}

// R16: what can be sent again by hand, and what cannot, and why.
func TestR16Retriable(t *testing.T) {
	t.Parallel()
	on, off, gone := endpoint("a", "*"), endpoint("a", "*"), endpoint("a", "*")
	off.IsActive = false
	gone.IsActive, gone.DeletedAt = false, 5
	for name, c := range map[string]struct {
		state   State
		to      *Endpoint
		expired bool
		code    jobs.Code
		says    string
	}{
		"R16 failed":                    {Failed, &on, false, "", ""},
		"R16 a one-off":                 {Failed, nil, false, "", ""},
		"R16 delivered":                 {Delivered, &on, false, "", ""},
		"R16 cancelled":                 {Cancelled, &on, false, "", ""},
		"R16 waiting":                   {Waiting, &on, false, "", ""},
		"R16 under way":                 {Sending, &on, false, jobs.CodeConflict, "under way"},
		"R16 after its event's end":     {Failed, &on, true, CodeExpired, "no longer kept"},
		"R16 a one-off's event is gone": {Failed, nil, true, CodeExpired, "no longer kept"},
		"R17 endpoint off":              {Failed, &off, false, jobs.CodeConflict, "is_active"},
		"R17 endpoint deleted":          {Failed, &gone, true, jobs.CodeConflict, "deleted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := (&Delivery{State: c.state}).retriable(c.to, c.expired)
			if c.code == "" {
				require.NoError(t, err)
				return
			}
			require.True(t, jobs.IsCode(err, c.code), "%v", err)
			require.ErrorContains(t, err, c.says)
		})
	}
}

// R16: a retry by hand takes the place of the scheduled one; what had ended begins its schedule anew.
func TestR16RetryDelivery(t *testing.T) {
	t.Parallel()
	for state, tries := range map[State]int{Waiting: 3, Failed: 0, Delivered: 0, Cancelled: 0} {
		r := newRecords()
		s := service(t, r)
		d := Delivery{ProjectID: "default", ID: "dlv_1", EventID: "evt_1", Gate: "host", State: state, Reason: "status_500", Recorded: 3, EndedAt: 7}
		d.Tries, d.Claims, d.DueAt = 3, 2, someTime.Add(time.Hour)
		r.deliveries[d.Ref()] = d
		o, err := s.RetryDelivery(t.Context(), d.Ref())
		require.NoError(t, err)
		got := r.deliveries[d.Ref()]
		require.Equal(t, Waiting, got.State)
		require.Equal(t, someTime, got.DueAt)
		require.True(t, got.Manual)
		require.Empty(t, got.Reason)
		require.Zero(t, got.EndedAt)
		require.Equal(t, tries, got.Tries, "%s", state)
		require.Equal(t, 3, got.Recorded, "the numbers go on")
		require.Equal(t, Waiting, o.Status)
		require.Equal(t, someTime.Unix(), *o.NextAttemptAt)
		require.Equal(t, []jobs.Ref{{ProjectID: "default", ID: "host"}}, r.woken)
	}
}

// S13: another tenant's delivery is not there.
func TestS13DeliveriesOfOthersAreNotThere(t *testing.T) {
	t.Parallel()
	r := newRecords()
	s := service(t, r)
	r.deliveries[jobs.Ref{ProjectID: "a", ID: "dlv_1"}] = Delivery{ProjectID: "a", ID: "dlv_1", State: Waiting}
	theirs := jobs.Ref{ProjectID: "b", ID: "dlv_1"}
	for _, do := range []func(context.Context, jobs.Ref) (DeliveryObject, error){s.Delivery, s.RetryDelivery, s.CancelDelivery} {
		_, err := do(t.Context(), theirs)
		require.True(t, jobs.IsCode(err, jobs.CodeNotFound))
	}
	require.Empty(t, r.woken)
}

func TestCancelDelivery(t *testing.T) {
	t.Parallel()
	for state, fine := range map[State]bool{Waiting: true, Cancelled: true, Sending: false, Delivered: false, Failed: false} {
		r := newRecords()
		s := service(t, r)
		d := Delivery{ProjectID: "default", ID: "dlv_1", State: state, Reason: "before"}
		d.DueAt = 9
		r.deliveries[d.Ref()] = d
		o, err := s.CancelDelivery(t.Context(), d.Ref())
		if !fine {
			require.True(t, jobs.IsCode(err, jobs.CodeConflict), state)
			require.ErrorContains(t, err, string(state))
			require.Equal(t, d, r.deliveries[d.Ref()])
			continue
		}
		require.NoError(t, err)
		require.Equal(t, Cancelled, o.Status)
		require.Nil(t, o.NextAttemptAt)
		if state == Waiting {
			require.Equal(t, ReasonByHand, *o.Reason)
			require.Equal(t, someTime, r.deliveries[d.Ref()].EndedAt)
			require.Zero(t, r.deliveries[d.Ref()].DueAt)
		}
	}
}

// R16: what is sent again in bulk is what was there when it was asked for; it goes page by page.
func TestR16BulkGoesPageByPage(t *testing.T) {
	t.Parallel()
	r := newRecords()
	s := service(t, r)
	r.pages = []page{{1000, "x"}, {0, "xx"}, {7, ""}}
	n, err := s.RetryDeliveries(t.Context(), DeliveryFilter{ProjectID: "default", Until: someTime.Add(time.Hour)})
	require.NoError(t, err)
	require.Equal(t, 1007, n)
	f := DeliveryFilter{ProjectID: "default", Until: someTime + 1}
	require.Equal(t, []any{f, "", f, "x", f, "xx"}, r.seen)

	ref := jobs.Ref{ProjectID: "default", ID: "a"}
	r.pages, r.seen = []page{{1000, "x"}, {5, ""}}, nil
	n, err = s.ReplaySince(t.Context(), ref, ReplayQuery{Since: 5, Missing: true})
	require.NoError(t, err)
	require.Equal(t, 1005, n)
	q := ReplayQuery{Since: 5, Until: someTime + 1, Missing: true}
	require.Equal(t, []any{q, int64(0), q, int64(1)}, r.seen)
	require.Equal(t, []jobs.Ref{ref}, r.woken)

	r.err, r.pages = errors.New("away"), []page{{3, "x"}, {3, "x"}}
	n, err = s.RetryDeliveries(t.Context(), DeliveryFilter{ProjectID: "default", Until: 5})
	require.Error(t, err)
	require.Equal(t, 3, n, "what was done is counted")
	_, err = s.ReplaySince(t.Context(), ref, ReplayQuery{})
	require.Error(t, err)
}

func TestReplayOfOneEvent(t *testing.T) {
	t.Parallel()
	r := newRecords()
	s := service(t, r)
	ref, _ := made(t, s, `{"url":"https://example.com/","event_types":["*"]}`)
	o, err := s.Replay(t.Context(), ref, "evt_9")
	require.NoError(t, err)
	require.Equal(t, "evt_9", o.EventID)
	require.Equal(t, ref.ID, *o.EndpointID)
	require.Equal(t, []jobs.Ref{ref}, r.woken)
}

func TestDeliveryObject(t *testing.T) {
	t.Parallel()
	waiting := Delivery{
		ProjectID: "default", ID: "dlv_1", EventID: "evt_1", EventType: "batch.completed", JobID: "batch_1", WebhookID: "whk",
		URL: "https://example.com/h?k=***", State: Waiting, Reason: "status_503", CreatedAt: 1700000000123,
	}
	waiting.DueAt = 1700000300000
	fresh := Delivery{ProjectID: "default", ID: "dlv_2", JobID: "batch_1", EndpointID: "a", State: Delivered, CreatedAt: 1700000001000}
	r := newRecords()
	r.deliveries[waiting.Ref()], r.deliveries[fresh.Ref()] = waiting, fresh
	r.attempts = []Attempt{
		{
			ID: "att_1", DeliveryID: "dlv_1", Number: 1, StartedAt: 1700000000500, DurationMS: 12, StatusCode: 503,
			Request: json.RawMessage(`{"method":"POST"}`), Timings: json.RawMessage(`{"connect":1}`), Snippet: []byte("no\x00\xff"),
			Truncated: true, Rule: "retry 2 of 5: 503",
		},
		{ID: "att_2", DeliveryID: "dlv_1", Number: 2, StartedAt: 1700000001500, ErrorClass: ClassTimeout, Rule: "r", Manual: true},
	}
	s := service(t, r)
	got, err := s.JobDeliveries(t.Context(), jobs.Ref{ProjectID: "default", ID: "batch_1"})
	require.NoError(t, err)
	text, err := json.Marshal(got)
	require.NoError(t, err)
	require.Equal(t, `[{"id":"dlv_1","object":"delivery","event_id":"evt_1","event_type":"batch.completed","job_id":"batch_1",`+
		`"endpoint_id":null,"url":"https://example.com/h?k=***","status":"waiting","reason":"status_503","attempts":[`+
		`{"id":"att_1","started_at":1700000000,"duration_ms":12,"request":{"method":"POST"},"status_code":503,"error_class":null,`+
		`"timings":{"connect":1},"response_snippet":"no\u0000`+"\uFFFD"+`","response_truncated":true,"rule":"retry 2 of 5: 503","manual":false},`+
		`{"id":"att_2","started_at":1700000001,"duration_ms":0,"request":null,"status_code":null,"error_class":"timeout",`+
		`"timings":null,"response_snippet":"","response_truncated":false,"rule":"r","manual":true}],`+
		`"next_attempt_at":1700000300,"held_since":null,"delivered_at":null,"created_at":1700000000},`+
		`{"id":"dlv_2","object":"delivery","event_id":"","event_type":"","job_id":"batch_1","endpoint_id":"a","url":"","status":"delivered",`+
		`"reason":null,"attempts":[],"next_attempt_at":null,"held_since":null,"delivered_at":null,"created_at":1700000001}]`, string(text))

	page, more, err := s.Deliveries(t.Context(), DeliveryQuery{DeliveryFilter: DeliveryFilter{ProjectID: "default"}, Limit: 2})
	require.NoError(t, err)
	require.True(t, more)
	require.Len(t, page, 2)
	one, err := s.Delivery(t.Context(), waiting.Ref())
	require.NoError(t, err)
	require.Len(t, one.Attempts, 2)
}

func TestServiceParsesByItsRules(t *testing.T) {
	t.Parallel()
	s := NewService(ServiceOptions{Rules: openRules()})
	w, err := s.Parse(json.RawMessage(`"http://127.0.0.1:9/"`))
	require.NoError(t, err)
	require.Equal(t, "http://127.0.0.1:9/", w.URL)
	_, err = s.Parse(json.RawMessage(`"http://10.0.0.1:9/"`))
	require.True(t, jobs.IsCode(err, jobs.CodeValue))
}
