package pages

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/history"
	"github.com/ringback/ringback/jobs"
)

// facts is Facts without a database. Lists are newest first, but those of a job's own.
type facts struct {
	mu   sync.Mutex
	fail error // what every call answers, if set

	jobs        []jobs.Snapshot
	requests    map[string][]byte // by job
	lines       []jobs.Line
	failures    []jobs.Failure
	log         []jobs.TuningEvent
	checkpoints []jobs.Checkpoint
	files       []jobs.File
	events      []jobs.Event
	deliveries  []callbacks.Delivery
	attempts    []callbacks.Attempt // oldest first
	endpoints   []callbacks.Endpoint
	backlogs    map[string]callbacks.Backlog
	givenUp     []callbacks.Backlog
	points      []history.Point

	searched jobs.Search             // the last one
	counted  callbacks.DeliveryQuery // the last one that was listed
}

// change alters the facts while somebody looks at them.
func (f *facts) change(how func(f *facts)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	how(f)
}

func (f *facts) Job(_ context.Context, ref jobs.Ref) (jobs.Snapshot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.jobs {
		if s.Ref() == ref {
			return s, f.fail
		}
	}
	return jobs.Snapshot{}, f.missing("job")
}

func (f *facts) missing(what string) error {
	if f.fail != nil {
		return f.fail
	}
	return jobs.NotFound("no %s", what)
}

func (f *facts) Outlook(context.Context, *jobs.Snapshot) error { return nil }

func (f *facts) Request(_ context.Context, ref jobs.Ref) ([]byte, error) {
	body, ok := f.requests[ref.ID]
	if !ok {
		return nil, f.missing("request")
	}
	return body, f.fail
}

func (f *facts) Outcomes(_ context.Context, q jobs.OutcomeQuery) ([]jobs.Line, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := slices.DeleteFunc(slices.Clone(f.lines), func(l jobs.Line) bool {
		return l.JobID != q.Job.ID || l.Line <= q.After || q.CustomID != "" && !strings.Contains(string(l.Text), `"`+q.CustomID+`"`)
	})
	page, more := upToLimit(found, q.Limit)
	return page, more, f.fail
}

func (f *facts) TuningEvents(_ context.Context, q jobs.PartQuery) ([]jobs.TuningEvent, bool, error) {
	found := slices.DeleteFunc(slices.Clone(f.log), func(e jobs.TuningEvent) bool { return e.JobID != q.Job.ID })
	return found, false, f.fail
}

func (f *facts) Checkpoints(_ context.Context, q jobs.PartQuery) ([]jobs.Checkpoint, bool, error) {
	found := slices.DeleteFunc(slices.Clone(f.checkpoints), func(c jobs.Checkpoint) bool { return c.JobID != q.Job.ID })
	return found, false, f.fail
}

func groupOf(j *jobs.Job) jobs.Group {
	switch j.Status {
	case jobs.Completed, jobs.Succeeded:
		return jobs.GroupCompleted
	case jobs.Failed, jobs.Incomplete:
		return jobs.GroupFailed
	case jobs.Cancelled, jobs.Expired:
		return jobs.GroupStopped
	case jobs.Queued, jobs.Paused:
		return jobs.GroupQueued
	}
	return jobs.GroupRunning
}

func (f *facts) SearchJobs(_ context.Context, q jobs.Search) (found []jobs.Job, more bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.searched = q
	for _, s := range f.jobs {
		if (q.Group == jobs.GroupAll || groupOf(&s.Job) == q.Group) && (q.Kind == "" || s.Kind == q.Kind) &&
			(q.Text == "" || strings.Contains(s.ID+string(s.Metadata), q.Text)) {
			found = append(found, s.Job)
		}
	}
	found = after(found, q.After, func(j jobs.Job) string { return j.ID })
	found, more = upToLimit(found, q.Limit)
	return found, more, f.fail
}

func (f *facts) CountJobs(context.Context, string) (map[jobs.Group]int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := map[jobs.Group]int64{}
	for i := range f.jobs {
		n[jobs.GroupAll]++
		n[groupOf(&f.jobs[i].Job)]++
		if f.jobs[i].BlockedBy == jobs.BlockedByProvider {
			n[jobs.GroupStuck]++
		}
	}
	return n, f.fail
}

func (f *facts) JobEvents(_ context.Context, ref jobs.Ref) ([]jobs.Event, error) {
	found := slices.DeleteFunc(slices.Clone(f.events), func(e jobs.Event) bool { return e.JobID != ref.ID })
	slices.Reverse(found)
	return found, f.fail
}

func (f *facts) Failures(_ context.Context, ref jobs.Ref) ([]jobs.Failure, error) {
	if !strings.HasPrefix(ref.ID, "batch_") {
		return nil, f.fail
	}
	return f.failures, f.fail
}

func (f *facts) Files(_ context.Context, q jobs.FileQuery) ([]jobs.File, bool, error) {
	found := slices.DeleteFunc(slices.Clone(f.files), func(one jobs.File) bool { return q.Purpose != "" && one.Purpose != q.Purpose })
	page, more := upToLimit(after(found, q.After, func(one jobs.File) string { return one.ID }), q.Limit)
	return page, more, f.fail
}

func (f *facts) File(_ context.Context, ref jobs.Ref) (jobs.File, error) {
	for _, one := range f.files {
		if one.ID == ref.ID {
			return one, f.fail
		}
	}
	return jobs.File{}, f.missing("file")
}

func (f *facts) RecentEvents(_ context.Context, q jobs.EventQuery) ([]jobs.Event, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := slices.DeleteFunc(slices.Clone(f.events), func(e jobs.Event) bool {
		return q.Type != "" && !e.Type.Matches(q.Type) || q.Before > 0 && e.Position >= q.Before || q.JobID != "" && e.JobID != q.JobID
	})
	page, more := upToLimit(found, q.Limit)
	return page, more, f.fail
}

func (f *facts) Event(_ context.Context, ref jobs.Ref) (jobs.Event, error) {
	for _, e := range f.events {
		if e.ID == ref.ID {
			return e, f.fail
		}
	}
	return jobs.Event{}, f.missing("event")
}

func (f *facts) of(ids ...string) (mine []callbacks.Attempt) {
	for _, a := range f.attempts {
		if slices.Contains(ids, a.DeliveryID) {
			mine = append(mine, a)
		}
	}
	return mine
}

func (f *facts) those(want func(d *callbacks.Delivery) bool) (found []callbacks.Delivery) {
	for i := range f.deliveries {
		if want(&f.deliveries[i]) {
			found = append(found, f.deliveries[i])
		}
	}
	return found
}

func deliveryIDs(found []callbacks.Delivery) (ids []string) {
	for _, d := range found {
		ids = append(ids, d.ID)
	}
	return ids
}

func (f *facts) JobDeliveries(_ context.Context, job jobs.Ref) ([]callbacks.Delivery, []callbacks.Attempt, error) {
	found := f.those(func(d *callbacks.Delivery) bool { return d.JobID == job.ID })
	return found, f.of(deliveryIDs(found)...), f.fail
}

func wanted(q callbacks.DeliveryFilter) func(d *callbacks.Delivery) bool {
	return func(d *callbacks.Delivery) bool {
		return (q.State == "" || d.State == q.State) && (q.EndpointID == "" || d.EndpointID == q.EndpointID) && (q.JobID == "" || d.JobID == q.JobID) &&
			(q.EventID == "" || d.EventID == q.EventID) && (q.EventType == "" || d.EventType == q.EventType) && d.CreatedAt >= q.Since &&
			(!q.NeverArrived || d.DeliveredAt == 0 && (d.State == callbacks.Failed || d.State == callbacks.Cancelled))
	}
}

func (f *facts) Deliveries(_ context.Context, q callbacks.DeliveryQuery) ([]callbacks.Delivery, []callbacks.Attempt, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counted = q
	page, more := upToLimit(after(f.those(wanted(q.DeliveryFilter)), q.After, func(d callbacks.Delivery) string { return d.ID }), q.Limit)
	return page, f.of(deliveryIDs(page)...), more, f.fail
}

func (f *facts) Delivery(_ context.Context, ref jobs.Ref) (callbacks.Delivery, []callbacks.Attempt, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range f.deliveries {
		if d.ID == ref.ID {
			return d, f.of(d.ID), f.fail
		}
	}
	return callbacks.Delivery{}, nil, f.missing("delivery")
}

func (f *facts) CountDeliveries(_ context.Context, q callbacks.DeliveryFilter) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return int64(len(f.those(wanted(q)))), f.fail
}

func (f *facts) StatesOfDeliveries(_ context.Context, q callbacks.DeliveryFilter) (map[callbacks.State]int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	q.State = ""
	counts := map[callbacks.State]int64{}
	for _, d := range f.those(wanted(q)) {
		counts[d.State]++
		counts[""]++
	}
	return counts, f.fail
}

func (f *facts) GivenUp(context.Context, string, jobs.Time) ([]callbacks.Backlog, error) {
	return f.givenUp, f.fail
}

func (f *facts) Endpoints(context.Context, string, string, int) ([]callbacks.Endpoint, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.endpoints, false, f.fail
}

func (f *facts) VisibleEndpoint(_ context.Context, ref jobs.Ref) (callbacks.Endpoint, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.endpoints {
		if e.ID == ref.ID {
			return e, f.fail
		}
	}
	return callbacks.Endpoint{}, f.missing("endpoint")
}

func (f *facts) Backlogs(context.Context, string) (map[string]callbacks.Backlog, error) {
	return f.backlogs, f.fail
}

func (f *facts) History(_ context.Context, q history.Query) (found []history.Point, err error) {
	for _, p := range f.points {
		if slices.Contains(q.Series, p.Series) && (p.About == q.About || q.AnyAbout && p.About != "") && p.At >= q.Since {
			found = append(found, p)
		}
	}
	return found, f.fail
}

func (f *facts) Standing(context.Context, string) (jobs.Standing, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var s jobs.Standing
	for i := range f.jobs {
		if !f.jobs[i].Status.Terminal() {
			s.Open++
		}
	}
	for _, e := range f.endpoints {
		if e.Failures > 0 || e.Disabled != "" {
			s.Failing++
		}
	}
	s.Waiting = int64(len(f.those(func(d *callbacks.Delivery) bool { return d.State == callbacks.Waiting })))
	return s, f.fail
}

func upToLimit[T any](found []T, limit int) ([]T, bool) {
	if len(found) > limit {
		return found[:limit], true
	}
	return found, false
}

func after[T any](found []T, id string, of func(T) string) []T {
	if at := slices.IndexFunc(found, func(one T) bool { return of(one) == id }); at >= 0 {
		return found[at+1:]
	}
	return found
}
