package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/ringback/ringback/providers"
	"github.com/ringback/ringback/telemetry/span"
)

// patience is how long work waits for a slot or a retry in a worker's hands; what would take longer is given back.
const patience = 2 * time.Second

// WorkShards is the handler of the shards lane: it claims those of the rows that are due and runs their lines.
func (r *Runner) WorkShards(ctx context.Context, texts []string) {
	if r.Presence.Lapsed() {
		return
	}
	w := &shardWork{r: r, ctx: ctx}
	w.claim(r.takeShards(ctx, ParseRefs(texts)), mostFollowing)
	w.all.Wait()
}

// shardWork is what one call of WorkShards has in hand.
type shardWork struct {
	r   *Runner
	ctx context.Context
	all sync.WaitGroup
}

// claim begins work on those of the shards that are still free, and tells how many they are. All were counted in; after each
// of them at most so many of its batch's may follow here.
func (w *shardWork) claim(taken []Ref, following int) int {
	claimed, err := w.r.Store.ClaimShards(w.ctx, w.r.Owner, taken, At(w.r.Now()))
	if err != nil {
		w.r.Log.Error("cannot claim shards; the sweeper will offer them again", "err", err)
	}
	lost := make(map[Ref]bool, len(taken))
	for _, ref := range taken {
		lost[ref] = true
	}
	for _, s := range claimed {
		delete(lost, s.Ref())
		w.all.Go(func() { w.run(s, following) })
	}
	for ref := range lost {
		w.r.inHand.leave(batchOf(ref))
	}
	return len(claimed)
}

func (w *shardWork) run(s Shard, following int) {
	batch, handed := batchOf(s.Ref()), false
	w.r.workShard(w.ctx, s, func() {
		handed = true
		w.r.inHand.leave(batch)
		w.follow(batch, following)
	})
	if !handed {
		w.r.inHand.leave(batch)
	}
}

// workShard makes one attempt at a shard. handed is called when all of its lines have been given out and only their answers
// are to come; not where some are left for later.
func (r *Runner) workShard(ctx context.Context, s Shard, handed func()) {
	calls, leave := r.inFlight.enter(ctx, Ref{s.ProjectID, s.JobID}, whileInProgress)
	defer leave()
	run, err := r.runShard(ctx, calls, s, handed)
	due, keep := At(r.Now()), context.WithoutCancel(ctx) // an interrupt ends calls, never the keeping of what came of them
	switch {
	case err != nil && calls.Err() == nil:
		r.Log.Error("a shard's attempt failed; it will be tried again", "shard", s.ID, "err", err)
		due = due.Add(ownPause)
	case err != nil:
	case !run.open:
		r.insist(ctx, func() error { return r.finishShard(keep, s) })
		return
	default:
		s.Retries, due = encode(run.left), max(due, At(run.next))
	}
	why := Blocked("")
	if run != nil {
		why = run.why
	}
	r.insist(ctx, func() error { return r.Store.ReturnShard(keep, s, due, why) })
}

func (r *Runner) finishShard(ctx context.Context, s Shard) error {
	woken, err := r.Store.FinishShard(ctx, s, At(r.Now()))
	if err == nil {
		woken.Pass(ctx, r.Waker)
	}
	return err
}

// runShard calls the provider for each line that has no outcome yet. calls ends when nobody wants the outcomes any more;
// those that have come are kept all the same, as long as ctx lasts. handed is as workShard says.
func (r *Runner) runShard(ctx, calls context.Context, s Shard, handed func()) (*shardRun, error) {
	ref := Ref{s.ProjectID, s.JobID}
	job, err := r.Store.Job(calls, ref)
	if err != nil {
		return nil, err
	}
	done, err := r.Store.DoneLines(calls, ref, s.FirstLine, s.LastLine)
	if err != nil {
		return nil, err
	}
	calls, told := r.toldShard(calls, &job.Job, &s)
	run := &shardRun{r: r, told: told, job: job.Job, shard: s, left: map[int64]tries{}, kept: make(chan bool, s.Lines)}
	_ = json.Unmarshal(s.Retries, &run.left) // written by workShard; nothing yet is no retries
	if run.provider, err = r.route(calls, job.ProjectID, job.Model); err != nil && s.Claims <= MaxClaims {
		return nil, err
	}
	if run.provider != nil {
		r.inHand.calls(ref, run.provider.Limiter(job.Model))
	}
	if err = run.hand(ctx, calls, done); err == nil && !run.leaves() {
		handed()
	}
	run.wg.Wait()
	run.tell()
	if err != nil {
		return nil, err
	}
	return run, run.waitKept(ctx)
}

// shardRun is one attempt at a shard.
type shardRun struct {
	r        *Runner
	job      Job
	shard    Shard
	provider *providers.Provider
	wg       sync.WaitGroup // calls
	told     *span.Span     // nil outside of a trace
	begun    int            // lines whose calls were begun
	kept     chan bool      // rung for each outcome that the flusher has kept; holds all of them

	mu   sync.Mutex
	sent int             // outcomes handed to the flusher
	left map[int64]tries // of the lines that are to be called again later
	open bool            // lines remain that this attempt did not bring to an outcome
	next time.Time       // when they may go on; zero means at once
	why  Blocked         // what they wait for
}

// hand gives out the lines, each as soon as the limiter has a slot.
func (s *shardRun) hand(ctx, calls context.Context, done map[int64]bool) error {
	for _, round := range rounds(s.left) {
		goOn, err := s.round(ctx, calls, func(number int64) bool { return !done[number] && round(number) })
		if err != nil || !goOn {
			return err
		}
	}
	return nil
}

// rounds tells which lines are handed out in each reading of the file: those that failed in earlier attempts after the
// others, and from the one on that follows the last failure. So in an outage, when one call at a time goes out to look, no
// line stands before the others again and again.
func rounds(left map[int64]tries) []func(number int64) bool {
	failed, last := map[int64]bool{}, int64(0)
	for number, so := range left {
		if so.FailedAt != 0 {
			failed[number] = true
			if so.FailedAt > left[last].FailedAt {
				last = number
			}
		}
	}
	others := func(number int64) bool { return !failed[number] }
	if len(failed) == 0 {
		return []func(int64) bool{others}
	}
	return []func(int64) bool{
		others,
		func(number int64) bool { return failed[number] && number > last },
		func(number int64) bool { return failed[number] && number <= last },
	}
}

// round gives out some of the lines, in the file's order. False means that no more lines are to be handed out in this attempt.
func (s *shardRun) round(ctx, calls context.Context, these func(number int64) bool) (bool, error) {
	f, err := s.r.Store.InputFile(calls, Ref{s.job.ProjectID, s.job.InputFileID})
	if err != nil {
		return false, err
	}
	in, err := s.r.Blobs.Open(calls, f.Blob, s.shard.Offset)
	if err != nil {
		return false, err
	}
	defer in.Close()
	lines := newLineReader(in, s.shard.Offset, s.shard.FirstLine-1)
	for lines.number < s.shard.LastLine {
		line, _, err := lines.next()
		if err != nil {
			return false, errors.Join(errors.New("jobs: the batch's input file is shorter than it was"), err)
		}
		if len(line) == 0 || !these(lines.number) {
			continue
		}
		if !s.call(ctx, calls, lines.number, bytes.Clone(line)) {
			return false, nil
		}
	}
	return true, nil
}

// call takes a slot and starts a line. False means that no more lines are to be handed out in this attempt.
func (s *shardRun) call(ctx, calls context.Context, number int64, line []byte) bool {
	if s.shard.Claims > MaxClaims {
		s.keep(ctx, s.crashed(number, line))
		return true
	}
	if s.r.resting() {
		s.leave(time.Time{})
		return false
	}
	slot, until, err := s.slot(calls)
	if err != nil {
		s.leave(until)
		return false
	}
	s.begun++
	s.wg.Go(func() { s.line(ctx, calls, slot, number, line) })
	return true
}

func (s *shardRun) slot(ctx context.Context) (*providers.Slot, time.Time, error) {
	slot, err := s.r.acquire(ctx, s.provider, &s.job)
	var busy *providers.BusyError
	if errors.As(err, &busy) {
		s.waitsFor(blockedBy(busy.Reason))
		return nil, busy.Until, err
	}
	if err == nil {
		if err = s.r.unheard(); err != nil { // it was frozen while it waited
			slot.Release(unmade(), providers.Usage{})
			return nil, time.Time{}, err
		}
	}
	return slot, time.Time{}, err
}

// line brings one line to an outcome, with the retries that fit into a worker's patience. Its slot is held until the
// outcome has a place in the flusher: what is paid for and not kept is bounded by both.
func (s *shardRun) line(ctx, calls context.Context, slot *providers.Slot, number int64, line []byte) {
	req := lineRequest(s.job, line)
	for so := s.soFar(number); ; {
		answer, err := s.r.doCall(calls, s.provider, s.job.ProjectID, req)
		failed := providers.AsError(err)
		if calls.Err() != nil && failed != nil {
			slot.Release(failed, answer.Usage)
			s.leave(time.Time{})
			return
		}
		if failed == nil || !failed.Retry {
			s.keep(ctx, s.outcome(number, line, answer, failed))
			slot.Release(failed, answer.Usage)
			return
		}
		delay, again := failed.After, true
		so.failed(failed, slot)
		if outage := slot.Release(failed, answer.Usage); !so.refused(failed, outage) {
			so.Tries++
			delay, again = s.provider.Retry(failed, so.Tries)
		}
		if !again {
			s.keep(ctx, s.outcome(number, line, answer, failed))
			return
		}
		var until time.Time
		if slot, until = s.pause(calls, delay); slot == nil {
			s.later(number, so, until)
			return
		}
	}
}

// tries counts the calls of one line or generation that failed and were made again.
type tries struct {
	Tries    int // its own failures: the provider's retries bound them
	Refusals int // failures in an outage that were not taken for its own

	FailedAt Time `json:",omitzero"` // when the provider last failed a line's call that had reached it
	// Alone: others were answered between two such failures. A line like that may fail by itself, and so its failures make
	// no outage: or the last lines of a batch would be one to each other, and wait for an answer that none of them gets.
	Alone bool `json:",omitzero"`
}

// failed notes a failure of a line's call, whose slot is still held.
func (t *tries) failed(why *providers.Error, slot *providers.Slot) {
	if !why.Away() || why.Unreached() {
		return
	}
	t.Alone = t.Alone || t.FailedAt != 0 && At(slot.Answered()) > t.FailedAt
	t.FailedAt = At(time.Now()) // not by the runner's clock, for Answered is not
	if t.Alone {
		slot.Suspect()
	}
}

// mostRefusals bounds how often a call that reached a provider may fail in an outage without being counted: it may be the
// line's own doing after all. With one look each 30 s at the most, a line that nobody waits beside has ten minutes.
const mostRefusals = 20

// refused tells whether a failed call is the limiter's business and no try: the provider said that there are too many, or
// it is down for everybody. How long a job waits for that is bounded by its own time.
func (t *tries) refused(failed *providers.Error, outage bool) bool {
	switch {
	case !failed.Retry:
		return false
	case failed.Kind == providers.RateLimited, outage && failed.Unreached():
		return true
	case !outage, t.Refusals >= mostRefusals:
		return false
	}
	t.Refusals++
	return true
}

// pause waits for the delay and a new slot, if that fits into patience; else it says when to go on.
func (s *shardRun) pause(ctx context.Context, delay time.Duration) (*providers.Slot, time.Time) {
	at := s.r.Now().Add(delay)
	if delay > patience {
		return nil, at
	}
	select {
	case <-ctx.Done():
		return nil, at
	case <-time.After(delay):
	}
	slot, until, err := s.slot(ctx)
	if err != nil {
		return nil, until
	}
	return slot, at
}

// keep hands an outcome to the flusher.
func (s *shardRun) keep(ctx context.Context, l Line) {
	if !s.r.flusher.add(ctx, l, func() { s.kept <- true }) {
		s.leave(time.Time{})
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent++
	delete(s.left, l.Line)
}

// waitKept returns when every outcome stands in the store: a shard ends with its rows, never before them.
func (s *shardRun) waitKept(ctx context.Context) error {
	if s.r.inFlight.alone() {
		s.r.flusher.hurry() // nothing else would fill the set
	}
	for range s.sent {
		select {
		case <-s.kept:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (s *shardRun) soFar(number int64) tries {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left[number]
}

// leaves tells whether lines remain that this attempt will not bring to an outcome.
func (s *shardRun) leaves() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

// leave notes that lines remain, which may go on at a time.
func (s *shardRun) leave(until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.open || until.Before(s.next) {
		s.next = until
	}
	s.open = true
}

func (s *shardRun) waitsFor(why Blocked) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.why = why
}

// later notes a line that is to be tried again.
func (s *shardRun) later(number int64, so tries, at time.Time) {
	s.leave(at)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left[number] = so
}
