package store

import (
	"cmp"
	"context"
	"slices"
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
	case jobs.GroupRunning, jobs.GroupQueued, jobs.GroupStuck:
		db = db.Table(sqlOf(db).readBy("jobs", "jobs_open"))
	case jobs.GroupFailed, jobs.GroupStopped:
		db = db.Table(sqlOf(db).readBy("jobs", "jobs_unwell"))
	}
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
	after := jobs.Job{CreatedAt: never}
	if q.After != "" {
		var err error
		if after, err = takeJob(s.read(ctx), jobs.Ref{ProjectID: q.ProjectID, ID: q.After}); err != nil {
			return nil, false, unknownCursor(err, q.After)
		}
	}
	page, err := s.searched(ctx, q, &after)
	if len(page) > q.Limit {
		return page[:q.Limit], true, err
	}
	return page, false, err
}

// searched reads one more than a page. Of a text it takes what is found by it some at a time, until the other filters have left a
// page or nothing more is found.
func (s *Store) searched(ctx context.Context, q jobs.Search, after *jobs.Job) (page []jobs.Job, err error) {
	text := strings.TrimSpace(q.Text)
	if text == "" {
		err = s.filtered(ctx, q, after).Limit(q.Limit + 1).Find(&page).Error
		return page, err
	}
	named, err := s.idsBeginning(ctx, q.ProjectID, text)
	if err != nil {
		return nil, err
	}
	for before := *after; ; {
		found, err := s.worded(ctx, q.ProjectID, text, &before)
		if err != nil {
			return nil, err
		}
		ids := named
		for _, w := range found {
			ids = append(ids, w.JobID)
		}
		var more []jobs.Job
		if err := s.filtered(ctx, q, after).Where("id IN ?", ids).Limit(q.Limit + 1).Find(&more).Error; err != nil {
			return nil, err
		}
		if page = append(page, more...); len(found) < mostFound || len(page) > q.Limit {
			return inOrderOfAge(page), nil
		}
		last := found[len(found)-1]
		named, before = nil, jobs.Job{CreatedAt: last.CreatedAt, ID: last.JobID}
	}
}

// inOrderOfAge are jobs newest first, each once: what an ID names may be older than what words find.
func inOrderOfAge(page []jobs.Job) []jobs.Job {
	slices.SortFunc(page, func(a, b jobs.Job) int {
		return cmp.Or(cmp.Compare(b.CreatedAt, a.CreatedAt), strings.Compare(b.ID, a.ID))
	})
	return slices.CompactFunc(page, func(a, b jobs.Job) bool { return a.ID == b.ID })
}

// filtered are the jobs after one that the filters leave, but for the text.
func (s *Store) filtered(ctx context.Context, q jobs.Search, after *jobs.Job) *gorm.DB {
	db := inGroup(s.read(ctx).Where("project_id = ?", q.ProjectID), q.Group)
	if q.Kind != "" {
		db = db.Where("kind = ?", q.Kind)
	}
	if q.Since > 0 {
		db = db.Where("created_at >= ?", q.Since)
	}
	if after.ID != "" {
		db = db.Where("(created_at, id) < (?, ?)", after.CreatedAt, after.ID)
	}
	return db.Order("created_at DESC, id DESC")
}

// mostFound bounds how many jobs a search goes on with at once.
const mostFound = 300

// never is later than all times.
const never = jobs.Time(1) << 60

// worded is a job whose words hold a text.
type worded struct {
	JobID     string
	CreatedAt jobs.Time
}

// worded are the newest jobs before one whose metadata holds the text.
func (s *Store) worded(ctx context.Context, project, text string, before *jobs.Job) (found []worded, err error) {
	like := "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(text)) + "%"
	err = s.read(ctx).Raw(`SELECT job_id, created_at FROM job_words WHERE project_id = ? AND words LIKE ? ESCAPE '\' AND (created_at, job_id) < (?, ?)
		ORDER BY created_at DESC, job_id DESC LIMIT ?`, project, like, before.CreatedAt, before.ID, mostFound).Scan(&found).Error
	return found, err
}

// idsBeginning are the newest jobs whose ID begins with the text.
func (s *Store) idsBeginning(ctx context.Context, project, text string) (ids []string, err error) {
	if len(text) > 64 {
		return nil, nil
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

// CountJobs counts a project's jobs by group, each to jobs.CountBound and a bit at most. Each group has a count of its own: one of
// many does not hide one of few.
func (s *Store) CountJobs(ctx context.Context, project string) (map[jobs.Group]int64, error) {
	counts := map[jobs.Group]int64{}
	for _, g := range jobs.Groups() {
		few := inGroup(s.read(ctx).Model(&jobs.Job{}).Select("1").Where("project_id = ?", project), g).Order("created_at DESC").Limit(jobs.CountBound + 1)
		var n int64
		if err := s.read(ctx).Table("(?) AS few", few).Count(&n).Error; err != nil {
			return nil, err
		}
		counts[g] = n
	}
	return counts, nil
}
