package pages

import (
	"context"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/history"
	"github.com/ringback/ringback/jobs"
)

// Facts is what pages read. Every list is a page, and every count ends at a bound: no page gets slow with what there is.
type Facts interface {
	Job(ctx context.Context, ref jobs.Ref) (jobs.Snapshot, error)
	Outlook(ctx context.Context, snapshot *jobs.Snapshot) error
	Request(ctx context.Context, ref jobs.Ref) ([]byte, error)
	// Outcomes are a batch's outcomes in the order of its input.
	Outcomes(ctx context.Context, q jobs.OutcomeQuery) (found []jobs.Line, more bool, err error)
	TuningEvents(ctx context.Context, q jobs.PartQuery) (found []jobs.TuningEvent, more bool, err error)
	Checkpoints(ctx context.Context, q jobs.PartQuery) (found []jobs.Checkpoint, more bool, err error)

	// SearchJobs reads a page of jobs, newest first.
	SearchJobs(ctx context.Context, q jobs.Search) (found []jobs.Job, more bool, err error)
	// CountJobs counts them by group, each to jobs.CountBound at most.
	CountJobs(ctx context.Context, project string) (map[jobs.Group]int64, error)
	// JobEvents are a job's events, oldest first, without their bodies.
	JobEvents(ctx context.Context, ref jobs.Ref) ([]jobs.Event, error)
	// Failures groups a batch's failed lines by their cause.
	Failures(ctx context.Context, ref jobs.Ref) ([]jobs.Failure, error)

	Files(ctx context.Context, q jobs.FileQuery) (found []jobs.File, more bool, err error)
	File(ctx context.Context, ref jobs.Ref) (jobs.File, error)

	// RecentEvents are the newest, newest first, before a position (zero: the newest), without their bodies.
	RecentEvents(ctx context.Context, q jobs.EventQuery) (found []jobs.Event, more bool, err error)
	Event(ctx context.Context, ref jobs.Ref) (jobs.Event, error)

	JobDeliveries(ctx context.Context, job jobs.Ref) ([]callbacks.Delivery, []callbacks.Attempt, error)
	Deliveries(ctx context.Context, q callbacks.DeliveryQuery) (page []callbacks.Delivery, attempts []callbacks.Attempt, more bool, err error)
	Delivery(ctx context.Context, ref jobs.Ref) (callbacks.Delivery, []callbacks.Attempt, error)
	// CountDeliveries counts a filter's deliveries, to jobs.CountBound at most.
	CountDeliveries(ctx context.Context, f callbacks.DeliveryFilter) (int64, error)
	// StatesOfDeliveries counts a filter's deliveries by state, whatever state it names, each to jobs.CountBound at most; all under
	// the empty state.
	StatesOfDeliveries(ctx context.Context, f callbacks.DeliveryFilter) (map[callbacks.State]int64, error)
	// GivenUp are deliveries that ended without arriving since a time, by receiver, the most first.
	GivenUp(ctx context.Context, project string, since jobs.Time) ([]callbacks.Backlog, error)

	Endpoints(ctx context.Context, project, after string, limit int) (found []callbacks.Endpoint, more bool, err error)
	VisibleEndpoint(ctx context.Context, ref jobs.Ref) (callbacks.Endpoint, error)
	// Backlogs are what waits at each receiver, by gate.
	Backlogs(ctx context.Context, project string) (map[string]callbacks.Backlog, error)

	// History is what happened by slots of time.
	History(ctx context.Context, q history.Query) ([]history.Point, error)

	Standing(ctx context.Context, project string) (jobs.Standing, error)
}
