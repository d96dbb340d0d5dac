package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ringback/ringback/jobs"
	"github.com/ringback/ringback/providers"
)

func fixedNow() time.Time { return time.Unix(1_700_000_000, 0) }

// memory is jobs.Records without a database.
type memory struct {
	jobs.Records // the methods that the API does not reach

	mu     sync.Mutex
	files  []jobs.File
	jobs   []jobs.Job
	bodies map[string][]byte // a generation's, by job
	hooks  map[string]*jobs.Webhook
	keys   map[string]kept
	events []jobs.Event
	fail   error         // what every call answers, if set
	hold   chan struct{} // CreateJob waits for it, if set
	held   chan struct{} // and says here that it waits
	asked  jobs.JobQuery // the last one

	log         []jobs.TuningEvent // oldest first
	checkpoints []jobs.Checkpoint  // the highest step first
	models      []jobs.Model

	position int64 // that every job has in the queue
	gone     bool  // no model is served any more
}

type kept struct{ hash, answer []byte }

func newMemory() *memory {
	return &memory{bodies: map[string][]byte{}, hooks: map[string]*jobs.Webhook{}, keys: map[string]kept{}}
}

func (m *memory) use(idem *jobs.Idempotency, answer []byte) error {
	if idem == nil {
		return nil
	}
	old, used := m.keys[idem.Key]
	switch {
	case !used:
		m.keys[idem.Key] = kept{idem.Hash, answer}
		return nil
	case bytes.Equal(old.hash, idem.Hash):
		return &jobs.Replay{Answer: old.answer}
	}
	return jobs.Errorf(jobs.CodeKeyReused, "Idempotency-Key", "Another request has used this key.")
}

func (m *memory) Replayed(_ context.Context, _ string, idem *jobs.Idempotency) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if idem == nil {
		return nil
	}
	if _, used := m.keys[idem.Key]; !used {
		return nil
	}
	return m.use(idem, nil)
}

func (m *memory) CreateFile(_ context.Context, f jobs.File, idem *jobs.Idempotency) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	if err := m.use(idem, f.Object()); err != nil {
		return err
	}
	m.files = append(m.files, f)
	return nil
}

func (m *memory) File(_ context.Context, ref jobs.Ref) (jobs.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.files {
		if f.ID == ref.ID && f.ProjectID == ref.ProjectID {
			return f, m.fail
		}
	}
	return jobs.File{}, jobs.NotFound("no file")
}

func (m *memory) Files(_ context.Context, q jobs.FileQuery) ([]jobs.File, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := slices.Clone(m.files)
	if !q.Ascending {
		slices.Reverse(found)
	}
	found = slices.DeleteFunc(found, func(f jobs.File) bool { return q.Purpose != "" && f.Purpose != q.Purpose })
	return pageOf(found, q.After, q.Limit, func(f jobs.File) string { return f.ID })
}

func (m *memory) DeleteFile(_ context.Context, ref jobs.Ref, _ jobs.Time) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, f := range m.files {
		if f.ID == ref.ID {
			m.files = slices.Delete(m.files, i, i+1)
			return f.Blob, nil
		}
	}
	return "", jobs.NotFound("no file")
}

func (m *memory) CreateJob(_ context.Context, n jobs.NewJob) (jobs.Woken, error) {
	if m.hold != nil {
		m.held <- struct{}{}
		<-m.hold
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return jobs.Woken{}, m.fail
	}
	if err := m.use(n.Idempotency, n.Answer); err != nil {
		return jobs.Woken{}, err
	}
	for _, id := range n.Job.WebhookIDs {
		if !strings.HasPrefix(id, "known") {
			return jobs.Woken{}, jobs.Errorf(jobs.CodeValue, "webhook_ids", "No webhook endpoint found with id '%s'.", id)
		}
	}
	m.jobs = append(m.jobs, n.Job)
	if n.File != nil {
		m.files = append(m.files, *n.File)
	}
	m.bodies[n.Job.ID], m.hooks[n.Job.ID] = n.Body, n.Webhook
	m.log = append(m.log, n.Log...)
	return jobs.Woken{}, nil
}

// Model finds one of those that fine-tunings have made.
func (m *memory) Model(_ context.Context, ref jobs.Ref) (jobs.Model, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, model := range m.models {
		if model.ID == ref.ID && model.ProjectID == ref.ProjectID {
			return model, m.fail
		}
	}
	return jobs.Model{}, jobs.NotFound("no model")
}

func (m *memory) Outlook(_ context.Context, s *jobs.Snapshot) error {
	s.Position = m.position
	return nil
}

func (m *memory) Job(_ context.Context, ref jobs.Ref) (jobs.Snapshot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, j := range m.jobs {
		if j.ID == ref.ID && j.ProjectID == ref.ProjectID {
			return jobs.Snapshot{Job: j}, m.fail
		}
	}
	return jobs.Snapshot{}, jobs.NotFound("no job")
}

func (m *memory) Jobs(_ context.Context, q jobs.JobQuery) ([]jobs.Job, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = q
	found := slices.Clone(m.jobs)
	slices.Reverse(found)
	found = slices.DeleteFunc(found, func(j jobs.Job) bool { return q.Kind != "" && j.Kind != q.Kind })
	return pageOf(found, q.After, q.Limit, func(j jobs.Job) string { return j.ID })
}

func (m *memory) Move(_ context.Context, ref jobs.Ref, move func(*jobs.Job) (jobs.Effects, error)) (jobs.Snapshot, jobs.Woken, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.jobs {
		if m.jobs[i].ID == ref.ID {
			fx, err := move(&m.jobs[i])
			m.log = append(m.log, fx.Log...)
			return jobs.Snapshot{Job: m.jobs[i]}, jobs.Woken{}, err
		}
	}
	return jobs.Snapshot{}, jobs.Woken{}, jobs.NotFound("no job")
}

func (m *memory) Events(_ context.Context, _, after string, limit int) ([]jobs.Event, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return nil, false, m.fail
	}
	if position, err := strconv.Atoi(after); err == nil {
		return pageOf(m.events[position:], "", limit, nil)
	}
	return pageOf(m.events, after, limit, func(e jobs.Event) string { return e.ID })
}

func (m *memory) Event(_ context.Context, ref jobs.Ref) (jobs.Event, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.events {
		if e.ID == ref.ID && ref.ProjectID == jobs.DefaultProject {
			return e, nil
		}
	}
	return jobs.Event{}, jobs.NotFound("no event")
}

func (m *memory) LastEvent(context.Context, string) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return int64(len(m.events)), m.fail
}

// happen adds events to what has happened: evt_1, evt_2, …
func (m *memory) happen(types ...jobs.EventType) {
	for _, typ := range types {
		m.mu.Lock()
		n := len(m.events) + 1
		m.events = append(m.events, jobs.Event{
			Position: int64(n), ID: fmt.Sprintf("evt_%d", n), Type: typ, Body: fmt.Appendf(nil, `{"id":"evt_%d"}`, n),
		})
		m.mu.Unlock()
	}
}

// end puts every job into a state.
func (m *memory) end(s jobs.Status) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.jobs {
		m.jobs[i].Status = s
	}
}

func (m *memory) setFail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}

func (m *memory) last() (jobs.Job, []byte, *jobs.Webhook) {
	m.mu.Lock()
	defer m.mu.Unlock()
	j := m.jobs[len(m.jobs)-1]
	return j, m.bodies[j.ID], m.hooks[j.ID]
}

func (m *memory) count() (files, batches int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.files), len(m.jobs)
}

func pageOf[T any](rows []T, after string, limit int, id func(T) string) ([]T, bool, error) {
	if after != "" {
		at := slices.IndexFunc(rows, func(r T) bool { return id(r) == after })
		if at < 0 {
			return nil, false, jobs.NotFound("no row '%s'", after)
		}
		rows = rows[at+1:]
	}
	if len(rows) > limit {
		return rows[:limit], true, nil
	}
	return rows, false, nil
}

// blobs is jobs.Blobs without a disk.
type blobs struct {
	mu     sync.Mutex
	stored map[string][]byte
	begun  chan struct{} // a Put has read something, if set
	ended  chan error    // a Put is over, if set
	cut    bool          // reading fails half-way
}

func newBlobs() *blobs { return &blobs{stored: map[string][]byte{}} }

func (b *blobs) Put(_ context.Context, key string, r io.Reader) (int64, error) {
	first := make([]byte, 1)
	n, err := r.Read(first)
	if b.begun != nil {
		b.begun <- struct{}{}
	}
	body := first[:n]
	if err == nil {
		var rest []byte
		rest, err = io.ReadAll(r)
		body = append(body, rest...)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if err == nil {
		b.mu.Lock()
		b.stored[key] = body
		b.mu.Unlock()
	}
	if b.ended != nil {
		b.ended <- err
	}
	return int64(len(body)), err
}

func (b *blobs) Open(_ context.Context, key string, offset int64) (io.ReadCloser, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	body := b.stored[key][offset:]
	if b.cut {
		return io.NopCloser(io.MultiReader(bytes.NewReader(body[:len(body)/2]), brokenDisk{})), nil
	}
	return io.NopCloser(bytes.NewReader(body)), nil
}

func (b *blobs) Remove(_ context.Context, key string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.stored, key)
	return nil
}

func (b *blobs) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.stored)
}

type brokenDisk struct{}

func (brokenDisk) Read([]byte) (int, error) { return 0, errors.New("disk: input/output error") }

// router knows the models sim-small and org/model.
// router serves two models, unless the records say that they are gone.
type router struct{ of *memory }

func (router) Provider(string) (*providers.Provider, bool) { return nil, false }

func (router) Providers() []*providers.Provider { return nil }

func (r router) Route(model string) (*providers.Provider, error) {
	if (model == "sim-small" || model == "org/model") && (r.of == nil || !r.of.gone) {
		return nil, nil
	}
	return nil, &providers.Error{Kind: providers.NoProvider}
}

type deafWaker struct{}

func (deafWaker) Wake(context.Context, string, ...string) {}
