package simulator

import "time"

// The states of a fine-tuning job.
const (
	tuningValidating = "validating_files"
	tuningQueued     = "queued"
	tuningRunning    = "running"
	tuningPaused     = "paused"
	tuningSucceeded  = "succeeded"
	tuningFailed     = "failed"
	tuningCancelled  = "cancelled"
)

func terminal(status string) bool {
	return status == tuningSucceeded || status == tuningFailed || status == tuningCancelled
}

const (
	tuneTime    = 2 * time.Second
	tuningSteps = 20
)

// A pause is a time in which a job stands still: until it is resumed, and then
// in the queue until it goes on. Resumed and Back are zero while it lasts.
type pause struct {
	From    time.Time `json:"from"`
	Resumed time.Time `json:"resumed,omitzero"`
	Back    time.Time `json:"back,omitzero"`
}

func (p pause) open() bool { return p.Back.IsZero() }

// The moments of a job, as times since its creation without its pauses.
func (t *tuning) validatedAt() time.Duration { return t.Took / 10 }
func (t *tuning) startsAt() time.Duration    { return t.Took / 6 }
func (t *tuning) stepAt(step int) time.Duration {
	return t.startsAt() + t.Took*time.Duration(step)/(tuningSteps+1)
}

// outcome is how the job ends if nobody cancels it, and when.
func (t *tuning) outcome() (status string, at time.Duration) {
	switch {
	case t.Fault != nil:
		return tuningFailed, t.validatedAt()
	case t.FailAt > 0:
		return tuningFailed, t.stepAt(t.FailAt)
	}
	return tuningSucceeded, t.startsAt() + t.Took
}

// clock tells when a moment comes; it is unknown while the job is paused before.
func (t *tuning) clock(moment time.Duration) (at time.Time, known bool) {
	at = t.Created.Add(moment)
	for _, p := range t.Pauses {
		if !p.From.Before(at) {
			break
		}
		if p.open() {
			return time.Time{}, false
		}
		at = at.Add(p.Back.Sub(p.From))
	}
	return at, true
}

// reached tells whether a moment has come by now, and before any cancel.
func (t *tuning) reached(moment time.Duration, now time.Time) (at time.Time, yes bool) {
	if !t.Cancelled.IsZero() && t.Cancelled.Before(now) {
		now = t.Cancelled
	}
	at, known := t.clock(moment)
	return at, known && !at.After(now)
}

func (t *tuning) end() (at time.Time, known bool) {
	_, moment := t.outcome()
	return t.clock(moment)
}

// finished is when a job in a terminal state got there.
func (t *tuning) finished() time.Time {
	if !t.Cancelled.IsZero() {
		return t.Cancelled
	}
	at, _ := t.end()
	return at
}

func (t *tuning) status(now time.Time) string {
	if !t.Cancelled.IsZero() {
		return tuningCancelled
	}
	outcome, end := t.outcome()
	if _, yes := t.reached(end, now); yes {
		return outcome
	}
	if n := len(t.Pauses); n > 0 {
		switch last := t.Pauses[n-1]; {
		case last.open():
			return tuningPaused
		case now.Before(last.Back):
			return tuningQueued
		}
	}
	if _, yes := t.reached(t.startsAt(), now); yes {
		return tuningRunning
	}
	if _, yes := t.reached(t.validatedAt(), now); yes {
		return tuningQueued
	}
	return tuningValidating
}

// pause stops a job that has not ended.
func (t *tuning) pause(now time.Time) *problem {
	if status := t.status(now); terminal(status) || status == tuningPaused {
		return t.wrongState("pause", status)
	}
	t.Pauses = append([]pause{}, t.Pauses...)
	if n := len(t.Pauses); n > 0 && now.Before(t.Pauses[n-1].Back) {
		t.Pauses[n-1].Back = now // still in the queue after the last one
	}
	t.Pauses = append(t.Pauses, pause{From: now})
	return nil
}

// resume puts a paused job back into the queue, for as long as it was there at
// first. One that was paused during its validation goes on with that at once.
func (t *tuning) resume(now time.Time) *problem {
	if status := t.status(now); status != tuningPaused {
		return t.wrongState("resume", status)
	}
	t.Pauses = append([]pause{}, t.Pauses...)
	last := &t.Pauses[len(t.Pauses)-1]
	last.Resumed, last.Back = now, now
	if _, validated := t.reached(t.validatedAt(), last.From); validated {
		last.Back = now.Add(t.startsAt() - t.validatedAt())
	}
	return nil
}

func (t *tuning) cancel(now time.Time) *problem {
	if status := t.status(now); terminal(status) {
		return t.wrongState("cancel", status)
	}
	t.Cancelled = now
	return nil
}

func (t *tuning) wrongState(verb, status string) *problem {
	if terminal(status) {
		return badRequest("", "", "Job has already completed: %s (%s). There is nothing to %s.", t.ID, status, verb)
	}
	return badRequest("", "", "Cannot %s job %s: it is %s.", verb, t.ID, status)
}
