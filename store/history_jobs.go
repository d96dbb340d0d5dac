package store

import (
	"context"
	"log/slog"
	"time"

	"github.com/ringback/ringback/history"
	"github.com/ringback/ringback/jobs"
)

// JobSampler notes each minute how many jobs run and wait. Any number of processes may: a sample that says what the last one
// said is not written, whoever wrote that.
type JobSampler struct {
	Store *Store
	Log   *slog.Logger
}

// Run samples until ctx ends.
func (j *JobSampler) Run(ctx context.Context) {
	tick := time.NewTicker(history.SpanGauges)
	defer tick.Stop()
	for {
		if _, err := j.runOnce(ctx); err != nil && ctx.Err() == nil {
			j.Log.Warn("cannot note how many jobs there are; trying again in a minute", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// runOnce gives how many samples it wrote.
func (j *JobSampler) runOnce(ctx context.Context) (int, error) {
	counts, err := j.counts(ctx)
	if err != nil {
		return 0, err
	}
	last, err := j.last(ctx)
	if err != nil {
		return 0, err
	}
	var rows []history.Row
	for gauge, sample := range last {
		if next, write := sample.Follow(counts[gauge], j.Store.now()); write {
			rows = append(rows, history.Row{ProjectID: gauge.project, Series: gauge.series, At: next.At, Span: history.SpanGauges, N: next.N})
		}
	}
	if len(rows) == 0 {
		return 0, nil
	}
	history.Sort(rows)
	return len(rows), j.Store.KeepHistory(ctx, rows)
}

type gauge struct{ project, series string }

const countRunning = `SELECT project_id, CASE WHEN status IN ('queued', 'paused') THEN 'jobs.waiting' ELSE 'jobs.running' END AS series, count(*) AS n FROM (
	SELECT project_id, status FROM jobs WHERE ended_at = 0 LIMIT ?) AS counted_jobs GROUP BY 1, 2`

func (j *JobSampler) counts(ctx context.Context) (map[gauge]int64, error) {
	var rows []struct {
		ProjectID string
		Series    string
		N         int64
	}
	err := j.Store.read(ctx).Raw(countRunning, countedJobs).Scan(&rows).Error
	counts := make(map[gauge]int64, len(rows))
	for _, r := range rows {
		counts[gauge{r.ProjectID, r.Series}] = r.N
	}
	return counts, err
}

// last are the latest samples of each project.
func (j *JobSampler) last(ctx context.Context) (map[gauge]history.Sample, error) {
	var projects []string
	if err := j.Store.read(ctx).Model(&project{}).Pluck("project_id", &projects).Error; err != nil {
		return nil, err
	}
	last := make(map[gauge]history.Sample, 2*len(projects))
	for _, id := range projects {
		for _, series := range []string{history.JobsRunning, history.JobsWaiting} {
			var s history.Sample
			if err := j.Store.read(ctx).Raw(lastSample, id, series, "", forever).Scan(&s).Error; err != nil {
				return nil, err
			}
			last[gauge{id, series}] = s
		}
	}
	return last, nil
}

// forever is after every instant.
const forever = jobs.Time(1 << 62)
