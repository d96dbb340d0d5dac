package jobs

import (
	"context"
	"time"
)

// Cancel stops a job. What is done is kept: a batch writes its partial output on the way from cancelling to
// cancelled. Cancelling twice is no error; cancelling what has ended otherwise is a CodeConflict.
func (s *Service) Cancel(ctx context.Context, ref Ref) (Snapshot, error) {
	now := s.now()
	return s.command(ctx, ref, func(j *Job) (Effects, error) { return j.cancel(now) })
}

func (j *Job) cancel(now Time) (Effects, error) {
	switch {
	case j.Status == Cancelled, j.Status == Cancelling:
		return Effects{}, nil
	case j.Kind == KindTuning && j.Status.Terminal():
		return Effects{}, Errorf(CodeInvalid, "", "Job has already completed: %s", j.ID) // OpenAI's, and a 400 as there
	case j.Status.Terminal(), j.Status == Finalizing:
		return Effects{}, Errorf(CodeConflict, "", "Cannot cancel a %s with status '%s'.", j.Kind, j.Status)
	case j.Kind.OneCall():
		fx := Effects{Events: []EventType{j.end(Cancelled, now)}}
		j.stopRemote(now)
		return fx, nil
	case j.Kind == KindTuning:
		return j.cancelTuning(now)
	}
	j.Status, j.Ending, j.CancellingAt = Cancelling, Cancelled, now
	j.Due(now)
	return Effects{Hush: true}, nil
}

// expire ends a batch whose completion window has passed; what is done is written out.
func (j *Job) expire(now Time) (Effects, error) {
	if j.Status != InProgress {
		return Effects{}, ErrStale
	}
	j.Status, j.Ending, j.FinalizingAt = Finalizing, Expired, now
	j.Due(now)
	return Effects{Hush: true}, nil
}

// interruptEvery is how soon a cancel or an expiry reaches the calls in flight.
const interruptEvery = 250 * time.Millisecond
