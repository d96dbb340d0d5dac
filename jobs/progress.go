package jobs

import "time"

// progressPause is how far apart two batch.progress events of one batch are at least.
const progressPause = 5 * time.Second

// Needs tells whether outcomes that are new need the batch's row to be moved by Answered, rather than its counters
// added to: they are its last ones, or its progress is to be told. Most sets need neither.
func (j *Job) Needs(fresh Tally, now Time) bool {
	done := j.Completed + j.Failed + fresh.Completed + fresh.Failed
	return j.Status == InProgress && (done >= j.Total || j.progressDue(done, now))
}

// Answered adds outcomes that are new to the batch's counters. The last ones of a running batch move it on to the
// writing of its files; others may tell its progress.
func (j *Job) Answered(fresh Tally, now Time) Effects {
	j.unblock()
	j.Completed += fresh.Completed
	j.Failed += fresh.Failed
	j.Usage = j.Usage.Add(fresh.Usage) //nolint:staticcheck // j.Add would hide what is added
	done := j.Completed + j.Failed
	switch {
	case j.Status != InProgress:
	case done >= j.Total:
		j.Status, j.Ending, j.FinalizingAt = Finalizing, Completed, now
		j.Due(now)
	case j.progressDue(done, now):
		j.ProgressStep, j.ProgressAt = j.tenths(done), now
		return Effects{Events: []EventType{BatchProgress}}
	}
	return Effects{}
}

// progressDue tells whether more tenths are done than were told, and the last telling was long enough ago. One that
// comes too soon is told with the first outcomes after the pause, as it stands then. It is asked only while lines are
// left: the batch's end tells of the last.
func (j *Job) progressDue(done int64, now Time) bool {
	return j.tenths(done) > j.ProgressStep && now >= j.ProgressAt.Add(progressPause)
}

// tenths counts the whole tenths of the batch that so many lines are. A running batch has at least one line.
func (j *Job) tenths(done int64) int64 { return done * 10 / j.Total }
