package jobs

import "github.com/ringback/ringback/providers"

// Blocked says why a job waits.
type Blocked string

// What jobs wait for.
const (
	BlockedByRateLimit Blocked = "rate_limit"    // the provider's limit, or the configured one
	BlockedByProvider  Blocked = "provider_down" // it has failed several times in a row
	BlockedByWindow    Blocked = "window"        // run_at has not come
	BlockedByQueue     Blocked = "queue"         // others are before it
	BlockedByRetry     Blocked = "retry"         // its last call failed, and is made again
)

// blockedObject is blocked_by in the API.
type blockedObject struct {
	Reason   Blocked `json:"reason"`
	Until    *int64  `json:"until"`    // Unix seconds; null where no time is known
	Position *int64  `json:"position"` // in the queue, from 1; null where it is not known
}

// block notes what a job that is given back waits for.
func (j *Job) block(why Blocked, until Time) { j.BlockedBy, j.BlockedUntil = why, until }

func (j *Job) unblock() { j.block("", 0) }

// blockedBy turns a limiter's reason into a job's.
func blockedBy(reason string) Blocked {
	switch reason {
	case providers.ProviderDown:
		return BlockedByProvider
	case providers.AllSlotsTaken, providers.OthersWait:
		return BlockedByQueue
	}
	return BlockedByRateLimit
}

// blocked is what the job waits for, from its row alone: so an event says what polling would have said at that moment.
func (s *Snapshot) blocked() *blockedObject {
	switch {
	case s.Status.Terminal():
		return nil
	case s.BlockedBy != "":
		return &blockedObject{Reason: s.BlockedBy, Until: s.BlockedUntil.unix()}
	case s.Attempt > 0:
		return nil
	case s.RunAt > s.ChangedAt && s.Position == 0:
		return &blockedObject{Reason: BlockedByWindow, Until: s.RunAt.unix()}
	}
	o := &blockedObject{Reason: BlockedByQueue}
	if s.Position > 0 {
		o.Position = &s.Position
	}
	return o
}

// ETA is when the job is expected to end; zero where nothing is known to go by. A batch goes on as fast as so far, a
// fine-tuning as its provider says, a single call takes as long as those before it.
func (s *Snapshot) ETA() Time {
	switch {
	case s.Status.Terminal():
	case s.Kind == KindTuning:
		return s.Tuning.eta()
	case s.Kind == KindBatch && s.Status == InProgress:
		return s.batchETA()
	case s.Kind.OneCall() && s.Typical > 0:
		return s.callETA()
	}
	return 0
}

// eta is the same in Unix seconds; nil where nothing is known.
func (s *Snapshot) eta() *int64 { return s.ETA().unix() }

// Waits says what the job waits for, until when (zero where no time is known), and its place in the queue (zero where it is
// not known). The reason is empty where it waits for nothing.
func (s *Snapshot) Waits() (reason Blocked, until Time, position int64) {
	o := s.blocked()
	if o == nil {
		return "", 0, 0
	}
	if o.Until != nil {
		until = max(s.BlockedUntil, Time(*o.Until*1000))
	}
	if o.Position != nil {
		position = *o.Position
	}
	return o.Reason, until, position
}

// callETA counts from when the call began, or may begin: it is never in the past.
func (s *Snapshot) callETA() Time {
	begins := max(s.CreatedAt, s.StartedAt, s.RunAt, s.BlockedUntil)
	if s.blocked() != nil {
		begins = max(begins, s.AskedAt)
	}
	return max(begins+s.Typical, s.AskedAt)
}

// batchETA counts from the first line's answer to the last one's.
func (j *Job) batchETA() Time {
	done := j.Completed + j.Failed - j.Copied
	left := j.Total - j.Completed - j.Failed
	if done <= 0 || j.ChangedAt <= j.StartedAt {
		return 0
	}
	each := float64(j.ChangedAt-j.StartedAt) / float64(done)
	return max(j.ChangedAt, j.BlockedUntil) + Time(each*float64(left))
}
