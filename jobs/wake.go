package jobs

import "context"

// The lanes in which rows wait for work.
const (
	LaneJobs        = "jobs"        // the steps of batches and fine-tunings: their validation, polls, ends and files
	LaneGenerations = "generations" // single calls: a provider that hangs must not hold up the others' steps
	LaneShards      = "shards"
	LaneDeliveries  = "deliveries"
)

// Waker passes on that rows are due. It is best effort: rows that nobody was woken for are found by the sweeper.
type Waker interface {
	Wake(ctx context.Context, lane string, refs ...string)
}

// Woken are the rows that a commit has made due.
type Woken struct{ Jobs, Generations, Shards, Deliveries []Ref }

// Add notes a job, in the lane of its kind.
func (w *Woken) Add(j *Job) {
	if j.Kind.OneCall() {
		w.Generations = append(w.Generations, j.Ref())
	} else {
		w.Jobs = append(w.Jobs, j.Ref())
	}
}

// Join adds what another commit made due.
func (w *Woken) Join(o Woken) {
	w.Jobs = append(w.Jobs, o.Jobs...)
	w.Generations = append(w.Generations, o.Generations...)
	w.Shards = append(w.Shards, o.Shards...)
	w.Deliveries = append(w.Deliveries, o.Deliveries...)
}

// Pass hands the rows to the waker, after the commit.
func (w Woken) Pass(ctx context.Context, waker Waker) {
	for _, lane := range []struct {
		name string
		refs []Ref
	}{{LaneDeliveries, w.Deliveries}, {LaneJobs, w.Jobs}, {LaneGenerations, w.Generations}, {LaneShards, w.Shards}} {
		if len(lane.refs) > 0 {
			waker.Wake(ctx, lane.name, texts(lane.refs)...)
		}
	}
}

func texts(refs []Ref) []string {
	s := make([]string, len(refs))
	for i, r := range refs {
		s[i] = r.String()
	}
	return s
}

// ParseRefs reads the texts of a wake-up; what is no reference is left out.
func ParseRefs(texts []string) []Ref {
	refs := make([]Ref, 0, len(texts))
	for _, s := range texts {
		if r, ok := ParseRef(s); ok {
			refs = append(refs, r)
		}
	}
	return refs
}
