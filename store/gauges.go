package store

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/ringback/ringback/jobs"
)

// What is told at each look at the numbers is bounded, whatever the tables hold.
const (
	countedJobs  = 20_000
	countedGates = 10_000
	lookedAtDue  = 500 // rows of each range, those that the sweeper comes to next
)

// JobCount is how many jobs of a kind are in a state.
type JobCount struct {
	Kind   jobs.Kind
	Status jobs.Status
	N      int64
}

const countUnfinished = `SELECT kind, status, count(*) AS n FROM (
	SELECT kind, status FROM jobs WHERE ended_at = 0 LIMIT ?) AS counted_jobs GROUP BY kind, status`

// Unfinished counts the jobs that have not ended, of all projects: those that are there, at most 20,000.
func (s *Store) Unfinished(ctx context.Context) (counts []JobCount, err error) {
	err = s.read(ctx).Raw(countUnfinished, countedJobs).Scan(&counts).Error
	return counts, err
}

const countShut = `SELECT count(*) FROM (SELECT 1 AS one FROM gates LIMIT ?) AS counted_gates`

// ShutGates counts the receivers whose gates are shut, at most 10,000.
func (s *Store) ShutGates(ctx context.Context) (n int64, err error) {
	err = s.read(ctx).Raw(countShut, countedGates).Scan(&n).Error
	return n, err
}

// OldestDue tells for each lane how long the longest due row has waited that nobody has claimed; zero where none is due. It
// looks at those rows that the sweeper comes to next: in a long backlog an offered one may have waited some seconds longer.
// Deliveries behind a shut gate wait for their receiver and are left out.
func (s *Store) OldestDue(ctx context.Context) (map[string]time.Duration, error) {
	now := s.now()
	ages := map[string]time.Duration{}
	for _, look := range []struct {
		lane  string
		query string
		picks []pick
	}{
		{jobs.LaneBatches, oldestJob, picks(jobs.KindBatch)},
		{jobs.LaneCalls, oldestJob, picks(jobs.KindGeneration, jobs.KindResponse, jobs.KindTuning)},
		{jobs.LaneShards, oldestShard, picks("")},
		{jobs.LaneDeliveries, oldestDelivery, []pick{{}}},
	} {
		var oldest jobs.Time
		for _, p := range look.picks {
			due, err := s.oldest(ctx, look.query, p, now)
			if err != nil {
				return nil, err
			}
			if due > 0 && (oldest == 0 || due < oldest) {
				oldest = due
			}
		}
		ages[look.lane] = 0
		if oldest > 0 {
			ages[look.lane] = now.Time().Sub(oldest.Time())
		}
	}
	return ages, nil
}

// Rows that were offered are looked at too: the sweeper has moved their wake_at on.
const (
	oldestJob = `SELECT coalesce(min(due_at), 0) FROM (
		SELECT due_at FROM jobs WHERE kind = @kind AND priority = @priority AND wake_at > 0 AND wake_at <= @offered ORDER BY wake_at LIMIT @most) AS next
		WHERE due_at > 0 AND due_at <= @now`
	oldestShard = `SELECT coalesce(min(due_at), 0) FROM (
		SELECT due_at FROM shards WHERE priority = @priority AND wake_at > 0 AND wake_at <= @offered ORDER BY wake_at LIMIT @most) AS next
		WHERE due_at > 0 AND due_at <= @now`
	oldestDelivery = `SELECT coalesce(min(due_at), 0) FROM (
		SELECT (SELECT d.due_at FROM deliveries d WHERE d.project_id = g.project_id AND d.gate = g.gate AND d.state = 'waiting'
			AND d.due_at > 0 AND d.due_at <= @now ORDER BY d.due_at LIMIT 1) AS due_at
		FROM (SELECT DISTINCT project_id, gate FROM (
			SELECT project_id, gate FROM wakes WHERE wake_at <= @offered
				AND NOT EXISTS (SELECT 1 FROM gates WHERE gates.project_id = wakes.project_id AND gates.id = wakes.gate)
			ORDER BY wake_at LIMIT @most) AS due_wakes) AS g) AS next`
)

// pick is a range of the index by which the sweeper finds rows.
type pick struct {
	kind     jobs.Kind // of jobs
	priority int
}

func picks(kinds ...jobs.Kind) (picks []pick) {
	for _, kind := range kinds {
		for _, p := range jobs.Priorities() {
			picks = append(picks, pick{kind, p.Rank()})
		}
	}
	return picks
}

func (s *Store) oldest(ctx context.Context, query string, p pick, now jobs.Time) (due jobs.Time, err error) {
	err = s.read(ctx).Raw(query, map[string]any{
		"kind": p.kind, "priority": p.priority, "offered": now.Add(offerAgain), "now": now, "most": lookedAtDue,
	}).Scan(&due).Error
	return due, err
}

// Probe tells whether facts can be kept, by writing one that it takes back in the same transaction: so it shows when the
// database takes no writes, or the disk has no room for them. A row that is written as it stands would not do: SQLite leaves
// out what changes nothing. A database that hangs holds Probe for longer than ctx lasts.
func (s *Store) Probe(ctx context.Context) error {
	return s.write(ctx, func(tx *gorm.DB) error {
		probe := gate{ProjectID: jobs.DefaultProject, ID: jobs.NewID("probe_")}
		if err := tx.Create(&probe).Error; err != nil {
			return err
		}
		return tx.Where("project_id = ? AND id = ?", probe.ProjectID, probe.ID).Delete(&gate{}).Error
	})
}
