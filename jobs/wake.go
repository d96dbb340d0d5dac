package jobs

import "context"

// The lanes in which rows wait for work.
const (
	LaneBatches    = "batches" // their validation, their ends and their files
	LaneCalls      = "calls"   // single calls, and steps of fine-tunings: all that waits for a provider
	LaneShards     = "shards"
	LaneDeliveries = "deliveries"
)

// Waker passes on that rows are due. It is best effort: rows that nobody was woken for are found by the sweeper.
type Waker interface {
	Wake(ctx context.Context, lane string, refs ...string)
}

// Woken are the rows that a commit has made due.
type Woken struct{ Batches, Calls, Shards, Deliveries []Ref }

// Add notes a job, in the lane of its kind.
func (w *Woken) Add(j *Job) {
	if j.Kind == KindBatch {
		w.Batches = append(w.Batches, j.Ref())
	} else {
		w.Calls = append(w.Calls, j.Ref())
	}
}

// Join adds what another commit made due.
func (w *Woken) Join(o Woken) {
	w.Batches = append(w.Batches, o.Batches...)
	w.Calls = append(w.Calls, o.Calls...)
	w.Shards = append(w.Shards, o.Shards...)
	w.Deliveries = append(w.Deliveries, o.Deliveries...)
}

// Pass hands the rows to the waker, after the commit.
func (w Woken) Pass(ctx context.Context, waker Waker) {
	for _, lane := range []struct {
		name string
		refs []Ref
	}{{LaneDeliveries, w.Deliveries}, {LaneBatches, w.Batches}, {LaneCalls, w.Calls}, {LaneShards, w.Shards}} {
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
