package store

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// payload is what a generation sends and what it got.
type payload struct {
	ProjectID string
	JobID     string
	Request   []byte
	Result    []byte
}

// CreateJob commits a job, its receiver, its body, its file, its events and its Idempotency-Key in one transaction.
func (s *Store) CreateJob(ctx context.Context, n jobs.NewJob) (woken jobs.Woken, err error) {
	err = s.write(ctx, func(tx *gorm.DB) error {
		woken = jobs.Woken{}
		if err := s.useKey(tx, n.Job.ProjectID, n.Idempotency, n.Answer); err != nil {
			return err
		}
		if err := checkEndpoints(tx, n.Job.ProjectID, n.Job.WebhookIDs); err != nil {
			return err
		}
		if err := readsRetried(tx, &n.Job); err != nil {
			return err
		}
		if err := readsFiles(tx, &n); err != nil {
			return err
		}
		if err := s.createWebhook(tx, n.Job.Ref(), n.Webhook); err != nil {
			return err
		}
		if n.File != nil {
			if err := s.keepFile(tx, *n.File); err != nil {
				return err
			}
		}
		made := jobs.Snapshot{Job: n.Job}
		made.Webhook = callbacks.Shown(n.Webhook) // by this the job's events know whom they owe
		if woken.Deliveries, err = s.recordEvents(tx, &made, n.Events); err != nil {
			return err
		}
		if made.WakeAt = s.wakeAt(made.DueAt); made.DueAt <= s.now() {
			woken.Add(&made.Job)
		}
		if err := keepLog(tx, n.Log); err != nil {
			return err
		}
		if n.Response != nil {
			if err := tx.Create(n.Response).Error; err != nil {
				return err
			}
		}
		if n.Body != nil {
			if err := tx.Create(&payload{ProjectID: made.ProjectID, JobID: made.ID, Request: n.Body}).Error; err != nil {
				return err
			}
		}
		if err := keepWords(tx, &made.Job); err != nil {
			return err
		}
		return tx.Create(&made.Job).Error
	})
	return woken, err
}

// Job reads a job with its result.
func (s *Store) Job(ctx context.Context, ref jobs.Ref) (jobs.Snapshot, error) {
	var snapshot jobs.Snapshot
	job, err := takeJob(s.read(ctx), ref)
	if err != nil {
		return snapshot, err
	}
	snapshot.Job = job
	if err := addResponse(s.read(ctx), &snapshot); err != nil {
		return snapshot, err
	}
	if !job.Kind.OneCall() || !job.Status.Terminal() {
		return snapshot, nil
	}
	var p payload
	err = byJob(s.read(ctx), ref).Select("result").Limit(1).Find(&p).Error
	snapshot.Result = p.Result
	return snapshot, found(err, jobs.NotFound("No job found with id '%s'.", ref.ID)) // deleted meanwhile
}

// Request reads the body that a job was submitted with, as it goes to the provider.
func (s *Store) Request(ctx context.Context, ref jobs.Ref) ([]byte, error) {
	var p payload
	err := byJob(s.read(ctx), ref).Select("request").Take(&p).Error
	return p.Request, found(err, jobs.NotFound("No request is kept of '%s'.", ref.ID))
}

// Jobs reads a page, newest first.
func (s *Store) Jobs(ctx context.Context, q jobs.JobQuery) ([]jobs.Job, bool, error) {
	db := s.read(ctx).Where("project_id = ?", q.ProjectID)
	if q.Kind != "" {
		db = db.Where("kind = ?", q.Kind)
	}
	db = withMetadata(withStatus(db, q.Status), q)
	if q.After != "" {
		after, err := takeJob(s.read(ctx), jobs.Ref{ProjectID: q.ProjectID, ID: q.After})
		if err != nil {
			return nil, false, unknownCursor(err, q.After)
		}
		db = db.Where("(created_at, id) < (?, ?)", after.CreatedAt, after.ID)
	}
	var page []jobs.Job
	err := db.Order("created_at DESC, id DESC").Limit(q.Limit + 1).Find(&page).Error
	if len(page) > q.Limit {
		return page[:q.Limit], true, err
	}
	return page, false, err
}

// withStatus picks jobs by their state. The conditions of the partial indexes stand in it as the indexes have them: those that
// go on, or that ended otherwise than well, are few among many.
func withStatus(db *gorm.DB, status jobs.Status) *gorm.DB {
	switch {
	case status == "":
		return db
	case !status.Terminal():
		db = db.Table(sqlOf(db).readBy("jobs", "jobs_open")).Where("ended_at = 0")
	case status != jobs.Completed && status != jobs.Succeeded:
		db = db.Table(sqlOf(db).readBy("jobs", "jobs_unwell")).Where("ended_at > 0 AND status NOT IN ('completed', 'succeeded')")
	}
	return db.Where("status = ?", status)
}

// withMetadata picks jobs by what their clients noted on them.
func withMetadata(db *gorm.DB, q jobs.JobQuery) *gorm.DB {
	for key, value := range q.Metadata {
		db = db.Where(sqlOf(db).ofMetadata, key, value)
	}
	if q.NoMetadata {
		db = db.Where(sqlOf(db).noMetadata)
	}
	return db
}

// Statuses reads the states of jobs.
func (s *Store) Statuses(ctx context.Context, refs []jobs.Ref) (map[jobs.Ref]jobs.Status, error) {
	states := make(map[jobs.Ref]jobs.Status, len(refs))
	for project, ids := range byProject(refs) {
		var rows []jobs.Job
		if err := s.read(ctx).Select("project_id, id, status").Where("project_id = ? AND id IN ?", project, ids).Find(&rows).Error; err != nil {
			return nil, err
		}
		for _, row := range rows {
			states[row.Ref()] = row.Status
		}
	}
	return states, nil
}

// claimJobs waits for a batch's row, which is held by whoever writes its outcomes. That of a call is held by another claim, as a
// rule: it is left to that one; else the sweeper offers it again.
func claimJobs(tx *gorm.DB) string {
	const due = "project_id = ? AND id IN ? AND owner = '' AND due_at > 0 AND due_at <= ?"
	return claimThem + due + " AND (kind = 'batch' OR " + some(tx, "jobs", due+" AND kind <> 'batch'") + ") RETURNING *"
}

const claimThem = `UPDATE jobs SET owner = ?, attempt = attempt + 1, claims = claims + 1, wake_at = 0, changed_at = ?,
	blocked_by = '', blocked_until = 0,
	sequence = CASE WHEN status = 'queued' AND kind = 'generation' THEN sequence + 1 ELSE sequence END,
	started_at = CASE WHEN status = 'queued' AND kind <> 'fine_tuning' THEN ? ELSE started_at END,
	status = CASE WHEN status = 'queued' AND kind <> 'fine_tuning' THEN 'in_progress' ELSE status END
	WHERE `

// ClaimJobs takes the jobs that are due and free.
func (s *Store) ClaimJobs(ctx context.Context, owner string, refs []jobs.Ref, now jobs.Time) (claimed []jobs.Job, err error) {
	err = s.claim(ctx, "jobs", owner, func(tx *gorm.DB) ([]held, error) {
		claimed = nil
		all := byProject(refs)
		for _, project := range slices.Sorted(maps.Keys(all)) { // in one order: no two claims wait for each other
			ids := all[project]
			var rows []jobs.Job
			if err := tx.Raw(claimJobs(tx), owner, now, now, project, ids, now, project, ids, now, len(ids)).Scan(&rows).Error; err != nil {
				return nil, err
			}
			claimed = append(claimed, rows...)
		}
		return heldOf(claimed, func(j *jobs.Job) held { return held{Ref: j.Ref(), attempt: j.Attempt} }), s.recordBegun(tx, claimed, now)
	})
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

// recordBegun writes the events of the jobs that a claim has begun. What they owe is found by the sweeper.
func (s *Store) recordBegun(tx *gorm.DB, claimed []jobs.Job, now jobs.Time) error {
	for i := range claimed {
		e, begun := jobs.Begun(claimed[i], now, s.options.Events)
		if !begun {
			continue
		}
		to, err := s.jobReceivers(tx, &claimed[i], e.Type)
		if err != nil {
			return err
		}
		if _, err := s.recordEvent(tx, &e, to); err != nil {
			return err
		}
	}
	return nil
}

// Move changes a job by compare-and-set. The row, its events, their deliveries and all other effects stand together
// or not at all.
func (s *Store) Move(ctx context.Context, ref jobs.Ref, move func(*jobs.Job) (jobs.Effects, error)) (snapshot jobs.Snapshot, woken jobs.Woken, err error) {
	var before jobs.Status
	var took time.Duration
	err = s.write(ctx, func(tx *gorm.DB) error {
		snapshot, woken, err = s.move(tx, ref, func(j *jobs.Job) (jobs.Effects, error) {
			before = j.Status
			fx, err := move(j)
			took = fx.Took
			return fx, err
		})
		return err
	})
	if err == nil {
		s.options.Meter.moved(before, &snapshot.Job, took)
	}
	return snapshot, woken, err
}

func (s *Store) move(tx *gorm.DB, ref jobs.Ref, move func(*jobs.Job) (jobs.Effects, error)) (jobs.Snapshot, jobs.Woken, error) {
	var woken jobs.Woken
	before, err := takeJob(locked(tx), ref)
	if err != nil {
		return jobs.Snapshot{}, woken, err
	}
	after := jobs.Snapshot{Job: before}
	effects, err := move(&after.Job)
	if err != nil {
		return jobs.Snapshot{Job: before}, woken, err
	}
	if err := addResponse(tx, &after); err != nil {
		return after, woken, err
	}
	now := s.now()
	after.ChangedAt, after.Result = now, effects.Result
	if after.Owner == "" && after.DueAt > 0 && after.DueAt <= now {
		after.WakeAt = s.wakeAt(now)
		woken.Add(&after.Job)
	}
	if woken.Shards, err = s.keepEffects(tx, ref, effects, now); err != nil {
		return after, woken, err
	}
	if woken.Deliveries, err = s.recordEvents(tx, &after, effects.Events); err != nil {
		return after, woken, err
	}
	return after, woken, replaceJob(tx, &before, &after.Job)
}

// replaceJob is the guarded statement: it writes only where the row still stands as it was read.
func replaceJob(tx *gorm.DB, before, after *jobs.Job) error {
	r := tx.Model(&jobs.Job{}).Select("*").Omit("project_id", "id").
		Where("project_id = ? AND id = ? AND attempt = ? AND status = ?", before.ProjectID, before.ID, before.Attempt, before.Status).
		Updates(after)
	if r.Error == nil && r.RowsAffected == 0 {
		return jobs.ErrStale
	}
	return r.Error
}

// keepEffects writes what commits with a job's new state, and gives the shards that it made due.
func (s *Store) keepEffects(tx *gorm.DB, ref jobs.Ref, fx jobs.Effects, now jobs.Time) ([]jobs.Ref, error) {
	if fx.Result != nil {
		if err := byJob(tx.Model(&payload{}), ref).Update("result", fx.Result).Error; err != nil {
			return nil, err
		}
	}
	for i := range fx.Files {
		if err := s.keepFile(tx, fx.Files[i]); err != nil {
			return nil, err
		}
	}
	if err := keepTuning(tx, &fx); err != nil {
		return nil, err
	}
	if fx.Hush {
		if err := hushShards(tx, ref); err != nil {
			return nil, err
		}
	}
	return s.createShards(tx, ref, fx.Shards, now)
}

// keepFile writes a file's row and its event. It takes a copy: the operation may run twice.
func (s *Store) keepFile(tx *gorm.DB, f jobs.File) error {
	if err := s.recordFileEvent(tx, &f, jobs.FileCreated); err != nil {
		return err
	}
	return tx.Create(&f).Error
}

// wakeSlack is how long the sweeper leaves rows alone that a commit's own wake-up is on its way to.
const wakeSlack = time.Second

// wakeAt is when the sweeper shall look at a row that is due at a time.
func (s *Store) wakeAt(due jobs.Time) jobs.Time {
	if due > 0 && due <= s.now() {
		return due.Add(wakeSlack)
	}
	return due
}

func takeJob(db *gorm.DB, ref jobs.Ref) (jobs.Job, error) {
	var job jobs.Job
	err := db.Where("project_id = ? AND id = ?", ref.ProjectID, ref.ID).Take(&job).Error
	return job, found(err, jobs.NotFound("No job found with id '%s'.", ref.ID))
}

func byJob(db *gorm.DB, ref jobs.Ref) *gorm.DB {
	return db.Where("project_id = ? AND job_id = ?", ref.ProjectID, ref.ID)
}

// inOrder gives the keys of a map in an order that is always the same: two transactions that lock several rows lock them in
// the same order, and do not wait for each other.
func inOrder[T any](of map[jobs.Ref]T) []jobs.Ref {
	return slices.SortedFunc(maps.Keys(of), func(a, b jobs.Ref) int {
		return cmp.Or(strings.Compare(a.ProjectID, b.ProjectID), strings.Compare(a.ID, b.ID))
	})
}

func byProject(refs []jobs.Ref) map[string][]string {
	ids := map[string][]string{}
	for _, ref := range refs {
		ids[ref.ProjectID] = append(ids[ref.ProjectID], ref.ID)
	}
	return ids
}

// unknownCursor answers a list whose cursor names nothing.
func unknownCursor(err error, after string) error {
	if jobs.IsCode(err, jobs.CodeNotFound) {
		return jobs.Errorf(jobs.CodeValue, "after", "Invalid value for 'after': '%s' is not the ID of anything in this list.", after)
	}
	return err
}
