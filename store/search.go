package store

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
	"gorm.io/gorm"

	"github.com/ringback/ringback/jobs"
)

// mostWords bounds what is kept of a job's metadata to find it by, in bytes.
const mostWords = 1000

// keepWords writes what a job is found by: the values of its metadata, with their names.
func keepWords(tx *gorm.DB, j *jobs.Job) error {
	words := wordsOf(j.Metadata)
	if words == "" {
		return nil
	}
	return exec(tx, "INSERT INTO job_words (project_id, created_at, job_id, words) VALUES (?, ?, ?, ?)", j.ProjectID, int64(j.CreatedAt), j.ID, words)
}

func wordsOf(metadata []byte) string {
	var b strings.Builder
	gjson.ParseBytes(metadata).ForEach(func(name, value gjson.Result) bool {
		b.WriteString(name.String() + "=" + value.String() + "\n")
		return b.Len() < mostWords
	})
	words := strings.ToLower(strings.ReplaceAll(strings.ToValidUTF8(b.String(), ""), "\x00", ""))
	for len(words) > mostWords || !utf8.ValidString(words) {
		words = words[:min(len(words)-1, mostWords)]
	}
	return words
}

func forgetWords(tx *gorm.DB, ref jobs.Ref) error {
	return tx.Exec(`DELETE FROM job_words WHERE project_id = ? AND job_id = ? AND
		created_at = (SELECT created_at FROM jobs WHERE project_id = ? AND id = ?)`, ref.ProjectID, ref.ID, ref.ProjectID, ref.ID).Error
}

// inGroup picks jobs by a group of states. The conditions of the partial indexes stand in it as the indexes have them.
func inGroup(db *gorm.DB, g jobs.Group) *gorm.DB {
	switch g {
	case jobs.GroupRunning:
		return db.Where("ended_at = 0 AND status NOT IN ('queued', 'paused')")
	case jobs.GroupQueued:
		return db.Where("ended_at = 0 AND status IN ('queued', 'paused')")
	case jobs.GroupStuck:
		return db.Where("ended_at = 0 AND blocked_by = ?", jobs.BlockedByProvider)
	case jobs.GroupCompleted:
		return db.Where("ended_at > 0 AND status IN ('completed', 'succeeded')")
	case jobs.GroupFailed:
		return db.Where("ended_at > 0 AND status NOT IN ('completed', 'succeeded') AND status IN ('failed', 'incomplete')")
	case jobs.GroupStopped:
		return db.Where("ended_at > 0 AND status NOT IN ('completed', 'succeeded') AND status IN ('cancelled', 'expired')")
	}
	return db
}

// SearchJobs reads a page, newest first.
func (s *Store) SearchJobs(ctx context.Context, q jobs.Search) ([]jobs.Job, bool, error) {
	db := inGroup(s.read(ctx).Where("project_id = ?", q.ProjectID), q.Group)
	if q.Kind != "" {
		db = db.Where("kind = ?", q.Kind)
	}
	if q.Since > 0 {
		db = db.Where("created_at >= ?", q.Since)
	}
	after := jobs.Job{CreatedAt: never}
	if q.After != "" {
		var err error
		if after, err = takeJob(s.read(ctx), jobs.Ref{ProjectID: q.ProjectID, ID: q.After}); err != nil {
			return nil, false, unknownCursor(err, q.After)
		}
		db = db.Where("(created_at, id) < (?, ?)", after.CreatedAt, after.ID)
	}
	if text := strings.TrimSpace(q.Text); text != "" {
		found, err := s.idsOfWords(ctx, q.ProjectID, text, &after)
		if err != nil {
			return nil, false, err
		}
		db = db.Where("id IN ?", found)
	}
	var page []jobs.Job
	err := db.Order("created_at DESC, id DESC").Limit(q.Limit + 1).Find(&page).Error
	if len(page) > q.Limit {
		return page[:q.Limit], true, err
	}
	return page, false, err
}

// mostFound bounds how many jobs one page of a search goes on with: the newest.
const mostFound = 300

// never is later than all times.
const never = jobs.Time(1) << 60

// idsOfWords are the newest jobs before one whose ID begins so, or whose metadata holds the text.
func (s *Store) idsOfWords(ctx context.Context, project, text string, before *jobs.Job) (ids []string, err error) {
	like := "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(text)) + "%"
	err = s.read(ctx).Raw(`SELECT job_id FROM job_words WHERE project_id = ? AND words LIKE ? ESCAPE '\' AND (created_at, job_id) < (?, ?)
		ORDER BY created_at DESC, job_id DESC LIMIT ?`, project, like, before.CreatedAt, before.ID, mostFound).Scan(&ids).Error
	if err != nil || len(text) > 64 {
		return ids, err
	}
	beginnings := []string{text}
	if at := strings.IndexAny(text, "_-") + 1; at > 0 && asMade(text, at) != text {
		beginnings = append(beginnings, asMade(text, at))
	}
	for _, b := range beginnings {
		var named []string
		if err := s.read(ctx).Raw("SELECT id FROM jobs WHERE project_id = ? AND id >= ? AND id < ? ORDER BY id DESC LIMIT ?", project, b, b+"\x7f", mostFound).Scan(&named).Error; err != nil {
			return nil, err
		}
		ids = append(ids, named...)
	}
	return ids, nil
}

// asMade is an ID in the letters that jobs.NewID makes: small ones up to a place, then capitals.
func asMade(id string, at int) string { return strings.ToLower(id[:at]) + strings.ToUpper(id[at:]) }

// bounded ends a count at its bound, and newestFirst has it go through an index: PostgreSQL may else look for the few that it expects
// to find soon through the whole table.
const (
	bounded     = ` LIMIT 10001`
	newestFirst = ` ORDER BY created_at DESC`
)

// CountJobs counts a project's jobs by group, each to jobs.CountBound and a bit at most.
func (s *Store) CountJobs(ctx context.Context, project string) (map[jobs.Group]int64, error) {
	counts := map[jobs.Group]int64{}
	var all int64
	err := s.read(ctx).Raw("SELECT count(*) FROM (SELECT 1 FROM jobs WHERE project_id = ?"+newestFirst+bounded+") AS few", project).Scan(&all).Error
	if err != nil {
		return nil, err
	}
	for _, one := range []struct{ stuck, which string }{
		{"blocked_by = 'provider_down'", "ended_at = 0"},
		{"FALSE", "ended_at > 0 AND status NOT IN ('completed', 'succeeded')"}, // what has ended is not stuck
	} {
		var some []struct {
			Status jobs.Status
			Stuck  bool
			N      int64
		}
		err := s.read(ctx).Raw("SELECT status, stuck, count(*) AS n FROM (SELECT status, "+one.stuck+" AS stuck FROM jobs WHERE project_id = ? AND "+
			one.which+newestFirst+bounded+") AS few GROUP BY status, stuck", project).Scan(&some).Error
		if err != nil {
			return nil, err
		}
		for _, row := range some {
			for _, g := range groupsOf(row.Status, row.Stuck) {
				counts[g] += row.N
			}
		}
	}
	counts[jobs.GroupAll] = all
	counts[jobs.GroupCompleted] = all
	if all <= jobs.CountBound {
		counts[jobs.GroupCompleted] = all - counts[jobs.GroupRunning] - counts[jobs.GroupQueued] - counts[jobs.GroupFailed] - counts[jobs.GroupStopped]
	}
	return counts, nil
}

// groupsOf are the groups that a job which has not ended well is in.
func groupsOf(status jobs.Status, stuck bool) []jobs.Group {
	g := jobs.GroupRunning
	switch status {
	case jobs.Failed, jobs.Incomplete:
		return []jobs.Group{jobs.GroupFailed}
	case jobs.Cancelled, jobs.Expired:
		return []jobs.Group{jobs.GroupStopped}
	case jobs.Queued, jobs.Paused:
		g = jobs.GroupQueued
	}
	if stuck {
		return []jobs.Group{g, jobs.GroupStuck}
	}
	return []jobs.Group{g}
}
