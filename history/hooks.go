package history

import (
	"time"

	"github.com/ringback/ringback/jobs"
)

// Lines counts lines of a batch whose outcomes have just been kept: those that had none before, and how long the calls took
// that answered them.
func (r *Recorder) Lines(batch *jobs.Job, fresh jobs.Tally, took Spread) {
	if r == nil {
		return
	}
	r.outcomes(batch, fresh, took)
	r.countBatch(batch, LinesOK, fresh.Completed, took)
	r.countBatch(batch, LinesFailed, fresh.Failed, Spread{})
}

// JobEnded counts a single call that has ended, and how long it took; zero where that is not known. Other jobs count by their
// lines, or not at all.
func (r *Recorder) JobEnded(j *jobs.Job, took time.Duration) {
	if r == nil || !j.Kind.OneCall() {
		return
	}
	var spread Spread
	if took > 0 {
		spread.Add(took)
	}
	r.outcomes(j, jobs.Tally{Completed: j.Completed, Failed: j.Failed, Usage: j.Usage}, spread)
}

func (r *Recorder) outcomes(j *jobs.Job, t jobs.Tally, took Spread) {
	r.count(j.ProjectID, LinesOK, "", t.Completed, took)
	r.count(j.ProjectID, LinesFailed, "", t.Failed, Spread{})
	if j.Model != "" {
		r.count(j.ProjectID, TokensInput, j.Model, t.InputTokens, Spread{})
		r.count(j.ProjectID, TokensOutput, j.Model, t.OutputTokens, Spread{})
	}
}

// Call counts a call to a provider in one of the series of calls.
func (r *Recorder) Call(project, series, provider string, took time.Duration) {
	if r == nil {
		return
	}
	r.count(project, series, provider, 1, spreadOf(series == CallsOK, took))
}

// Callback counts an attempt at a callback, or a delivery that was given up without one, in one of the series of callbacks.
// endpoint is empty for a one-off.
func (r *Recorder) Callback(project, series, endpoint string, took time.Duration) {
	if r == nil {
		return
	}
	spread := spreadOf(series == CallbacksDelivered, took)
	r.count(project, series, "", 1, spread)
	if endpoint != "" {
		r.count(project, series, endpoint, 1, spread)
	}
}

func spreadOf(wanted bool, took time.Duration) (s Spread) {
	if wanted {
		s.Add(took)
	}
	return s
}
