package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ringback/ringback/providers"
	"github.com/ringback/ringback/telemetry/span"
)

// Store is what the Runner asks of the store. Each claim and each move is a compare-and-set; losing is an answer.
type Store interface {
	// ClaimJobs takes those of the jobs that are due and free: owner, attempt + 1, and queued becomes in_progress, which
	// fires what Begun says.
	ClaimJobs(ctx context.Context, owner string, refs []Ref, now Time) ([]Job, error)
	// ClaimShards does the same for shards whose batch is in progress.
	ClaimShards(ctx context.Context, owner string, refs []Ref, now Time) ([]Shard, error)
	Mover
	Job(ctx context.Context, ref Ref) (Snapshot, error)
	// Request reads the body that a generation sends.
	Request(ctx context.Context, ref Ref) ([]byte, error)
	// File reads a file's facts; CodeNotFound when it is unknown or deleted.
	File(ctx context.Context, ref Ref) (File, error)
	// InputFile reads a job's input file, also when it has been deleted meanwhile: its bytes stay for the job.
	InputFile(ctx context.Context, ref Ref) (File, error)
	ModelRecords
	ResponseStore

	// RecordLines keeps the first outcome of each line of a batch that has not ended, moves the batch's counters by
	// the rows that are new, and moves it on where it Needs that: to finalizing with its last line, or with an event.
	RecordLines(ctx context.Context, lines []Line) (Woken, error)
	// DoneLines tells which lines from first to last have an outcome.
	DoneLines(ctx context.Context, job Ref, first, last int64) (map[int64]bool, error)
	// Lines reads outcomes in the file's order, at most 1,000 rows or 8 MiB.
	Lines(ctx context.Context, q LineQuery) ([]Line, error)
	// CopyLines keeps a page of one batch's successes, after a line, as another's: those that the other has no outcome for
	// yet. It gives the page's last line and how many lines it has; none is the end.
	CopyLines(ctx context.Context, from, to Ref, after int64) (last, n int64, err error)
	// FinishShard ends a shard and makes the batch's next one due.
	FinishShard(ctx context.Context, s Shard, now Time) (Woken, error)
	// ReturnShard gives a shard back until due, with its retries; its batch says why.
	ReturnShard(ctx context.Context, s Shard, due Time, why Blocked) error
	// PassShards has shards that nobody holds offered again at a time.
	PassShards(ctx context.Context, refs []Ref, wake Time) error
	// FreeShards are the first of a batch's shards that are due and that nobody holds, at most so many.
	FreeShards(ctx context.Context, batch Ref, now Time, most int) ([]Ref, error)
	// HeldShards counts a batch's shards that somebody works on.
	HeldShards(ctx context.Context, job Ref) (int, error)
	// Statuses reads the states of jobs.
	Statuses(ctx context.Context, refs []Ref) (map[Ref]Status, error)
}

// LineQuery asks for a page of a batch's outcomes after a line.
type LineQuery struct {
	Job   Ref
	After int64
	// OK picks successes, failures (nil: both; then the successes come without their text).
	OK *bool
}

// RunnerOptions are the parts a Runner works with.
type RunnerOptions struct {
	Store    Store
	Blobs    Blobs
	Router   Router
	Waker    Waker
	Watchers *Watchers
	Limits   Limits
	Owner    string          // this process's random name on its claims
	Stopping <-chan struct{} // closed when the process begins to stop: calls in flight go on, no new one begins
	Presence *Presence       // among other processes; nil: there is none
	Tracer   *span.Tracer    // tells attempts as spans; nil passes traces on alone
	Now      func() time.Time
	Log      *slog.Logger

	// Called gives, once for each provider, what hears of each call to its models: for which project it was made, what it came
	// to (empty for an answer), and how long it took, a stream to its end. It comes from many goroutines and must be quick. Nil: nobody hears.
	Called func(provider string) func(project string, outcome providers.Kind, took time.Duration)
}

// Runner carries out attempts: it claims rows, acts outside any transaction, and records what came of it.
type Runner struct {
	RunnerOptions
	flusher  *flusher
	inFlight inFlight
	inHand   inHand
	traffic  map[string]*traffic // by provider; never changed
}

// NewRunner makes a Runner. Its lanes' handlers are WorkJobs and WorkShards; Run must be running while they work.
func NewRunner(o RunnerOptions) *Runner {
	r := &Runner{RunnerOptions: o, inFlight: inFlight{works: map[*work]struct{}{}}, inHand: inHand{batches: map[Ref]*batchInHand{}}, traffic: newTraffic(o)}
	r.flusher = newFlusher(r.record)
	return r
}

// Run flushes results and interrupts work on jobs that were cancelled or expired, until ctx ends. End it only after
// the lanes' handlers have returned: they wait for their results to be kept.
func (r *Runner) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { r.flusher.run(ctx) })
	wg.Go(func() { r.watch(ctx) })
	wg.Wait()
	return ctx.Err()
}

// WorkJobs is the handler of the jobs and the generations lane: it claims those of the rows that are due and takes each
// one step on.
func (r *Runner) WorkJobs(ctx context.Context, texts []string) {
	if r.Presence.Lapsed() {
		return
	}
	claimed, err := r.Store.ClaimJobs(ctx, r.Owner, ParseRefs(texts), At(r.Now()))
	if err != nil {
		r.Log.Error("cannot claim jobs; the sweeper will offer them again", "err", err)
		return
	}
	var wg sync.WaitGroup
	for _, j := range claimed {
		wg.Go(func() { r.workJob(ctx, j) })
	}
	wg.Wait()
}

func (r *Runner) workJob(ctx context.Context, j Job) {
	r.Watchers.Ring(j.Ref())
	wanted := unlessEnded
	if j.Status.Terminal() { // work that its end has left, at its provider
		wanted = always
	}
	calls, leave := r.inFlight.enter(ctx, j.Ref(), wanted)
	defer leave()
	calls, attempt := r.attempt(calls, &j)
	defer attempt.End()
	err := r.step(calls, j)
	switch {
	case err == nil, errors.Is(err, ErrStale), ctx.Err() != nil:
	case calls.Err() != nil: // interrupted: the row has ended, or else it is due again at once
		r.insist(ctx, func() error {
			return r.move(ctx, j, func(now *Job) (Effects, error) { return now.look(At(r.Now())) })
		})
	case r.deleted(ctx, j): // meanwhile: nobody wants its outcome
	default:
		attempt.Fail("own_failure")
		r.Log.Error("a job's attempt failed; it will be tried again", "job", j.ID, "status", j.Status, "err", err)
		r.postpone(ctx, j)
	}
}

// step does what the job's state asks for.
func (r *Runner) step(ctx context.Context, j Job) error {
	switch {
	case j.Claims > MaxClaims && !j.Status.Terminal():
		return r.move(ctx, j, func(now *Job) (Effects, error) { return now.giveUp(At(r.Now())) })
	case j.Kind == KindGeneration:
		return r.generate(ctx, j)
	case j.Kind == KindResponse:
		return r.respond(ctx, j)
	case j.Kind == KindTuning:
		return r.tune(ctx, j)
	case j.Status == Validating:
		return r.validate(ctx, j)
	case j.Status == InProgress:
		return r.move(ctx, j, func(now *Job) (Effects, error) { return now.expire(At(r.Now())) })
	default:
		return r.finalize(ctx, j)
	}
}

// giveUp ends a job that was claimed again and again without an outcome.
func (j *Job) giveUp(now Time) (Effects, error) {
	return j.failHere("claimed_too_often", fmt.Sprintf("Work on this job was begun %d times and never came to an end; it is not tried again.", MaxClaims), now)
}

// failHere ends a job for a reason of our own.
func (j *Job) failHere(code, message string, now Time) (Effects, error) {
	switch j.Kind {
	case KindBatch:
		j.Errors = encode([]LineError{{Code: code, Message: message}})
	case KindTuning:
		j.Errors = encode(tuningError{Code: code, Message: message})
	default:
		j.Errors = encode(failure{Code: code, Message: message})
		j.Failed = 1
	}
	fx := Effects{Events: []EventType{j.end(Failed, now)}, Hush: true}
	j.stopRemote(now)
	return fx, nil
}

// move changes a job that this process holds: a claim that is no longer ours is refused. Rows made due are woken.
func (r *Runner) move(ctx context.Context, held Job, move func(*Job) (Effects, error)) error {
	ref := held.Ref()
	_, woken, err := r.Store.Move(ctx, ref, func(j *Job) (Effects, error) {
		if j.Attempt != held.Attempt || j.Owner != r.Owner {
			return Effects{}, ErrStale
		}
		return move(j)
	})
	if IsCode(err, CodeNotFound) { // deleted meanwhile: nobody wants its outcome
		return ErrStale
	}
	if err != nil {
		return err
	}
	woken.Pass(ctx, r.Waker)
	r.Watchers.Ring(ref)
	return nil
}

// ownPause is how long work rests after a failure of our own side (a disk, a database). It is no try, and nothing is
// given up for it.
const ownPause = 5 * time.Second

// postpone gives a job back after such a failure. While even that cannot be kept, it is tried again until the process
// stops.
func (r *Runner) postpone(ctx context.Context, j Job) {
	r.insist(ctx, func() error {
		return r.move(ctx, j, func(now *Job) (Effects, error) { return now.look(At(r.Now()).Add(ownPause)) })
	})
}

// resting tells whether nothing new shall begin now: the process stops, or others may have taken over from it.
func (r *Runner) resting() bool {
	select {
	case <-r.Stopping:
		return true
	default:
		return r.Presence.Lapsed()
	}
}

// Abandon interrupts all work: it is others' by now.
func (r *Runner) Abandon() { r.inFlight.interruptAll() }

// insist tries until it worked, or until it is settled otherwise: also by an error that every try would meet. What is not
// kept then is the caller's concern, if the row it was for is still there.
func (r *Runner) insist(ctx context.Context, f func() error) {
	for {
		err := f()
		if err == nil || errors.Is(err, ErrStale) || ctx.Err() != nil {
			return
		}
		if lasting(err) {
			r.Log.Error("an outcome can never be kept; it is given up", "err", err)
			return
		}
		r.Log.Error("cannot keep an outcome; trying again in a second", "err", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
}

// lasting tells whether an error is one that trying again does not mend: the row is gone, or cannot hold what is said.
func lasting(err error) bool { return IsCode(err, CodeNotFound) || IsCode(err, CodeValue) }
