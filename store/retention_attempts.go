package store

import (
	"context"
	"database/sql"
	"errors"

	"gorm.io/gorm"

	"github.com/ringback/ringback/jobs"
)

// attempts removes deliveries that ended long ago, each with its attempts.
func (j *Janitor) attempts(ctx context.Context) (n int, err error) {
	before, ok := j.over(j.Keep.Attempts)
	if !ok {
		return 0, nil
	}
	projects, err := j.projects(ctx)
	for _, id := range projects {
		w := deliveryWalk{Janitor: j, project: id, before: before}
		m, failed := j.byWalk(ctx, w.step)
		n, err = n+m, errors.Join(err, failed)
	}
	return n, err
}

// deliveryWalk goes through a project's old deliveries in the order in which they were made.
type deliveryWalk struct {
	*Janitor
	project string
	before  jobs.Time
	reached oldDelivery
}

type oldDelivery struct {
	CreatedAt jobs.Time
	ID        string
	Recorded  int // attempts
}

const (
	overAndDone   = "state IN ('delivered', 'failed', 'cancelled')"
	oldDeliveries = `SELECT created_at, id, recorded FROM deliveries
		WHERE project_id = ? AND created_at <= ? AND (created_at, id) > (?, ?) AND ` + overAndDone + ` AND ended_at <= ?
		ORDER BY created_at, id LIMIT ?`
)

// step removes a slice.
func (w *deliveryWalk) step(ctx context.Context) (seen, removed int, err error) {
	var page []oldDelivery
	err = w.Store.read(ctx).Raw(oldDeliveries, w.project, w.before, w.reached.CreatedAt, w.reached.ID, w.before, w.room()).Scan(&page).Error
	if err != nil || len(page) == 0 {
		return 0, 0, err
	}
	page = page[:w.together(page)]
	ids := make([]string, len(page))
	for i := range page {
		ids[i] = page[i].ID
	}
	err = w.write(ctx, func(tx *gorm.DB) (err error) {
		removed, err = dropDeliveries(tx, w.project, ids)
		return err
	})
	w.reached = page[len(page)-1]
	return len(page), removed, err
}

// together is how many of the deliveries one slice takes, whose rows are their attempts' too: one at least.
func (w *deliveryWalk) together(page []oldDelivery) (n int) {
	rows := 0
	for _, d := range page {
		if rows += 1 + d.Recorded; rows > w.room() && n > 0 {
			break
		}
		n++
	}
	return n
}

// dropDeliveries removes those of the deliveries that are over and done, with their attempts: what somebody has asked to be
// sent again meanwhile stays. The statements name each row, so that no database looks for them in another way than by
// their keys.
func dropDeliveries(tx *gorm.DB, project string, ids []string) (n int, err error) {
	over, err := chosen(tx, "SELECT id FROM deliveries WHERE "+overAndDone+" AND project_id = ? AND id IN", project, ids, true)
	if err != nil {
		return 0, err
	}
	for _, statement := range []string{
		"DELETE FROM attempts WHERE project_id = ? AND delivery_id IN",
		"DELETE FROM deliveries WHERE project_id = ? AND id IN",
	} {
		if err := onThem(tx, statement, project, over); err != nil {
			return 0, err
		}
	}
	return len(over), nil
}

// chosen gives one text of each row that a query finds which ends with IN, for a project's IDs. With lock set nobody else
// changes the rows before the transaction ends.
func chosen(tx *gorm.DB, query, project string, ids []string, lock bool) (found []string, err error) {
	end := ")"
	if lock && sqlOf(tx) != &onSQLite {
		end = ") ORDER BY id FOR UPDATE"
	}
	err = inSets(ids, func(set []string) error {
		return each(tx, func(rows *sql.Rows) error {
			var id string
			err := rows.Scan(&id)
			found = append(found, id)
			return err
		}, query+" ("+times("?", len(set))+end, inProject(project, set)...)
	})
	return found, err
}

// onThem runs a statement which ends with IN, for a project's IDs.
func onThem(tx *gorm.DB, statement, project string, ids []string) error {
	return inSets(ids, func(set []string) error {
		return exec(tx, statement+" ("+times("?", len(set))+")", inProject(project, set)...)
	})
}

func inProject(project string, ids []string) []any {
	args := make([]any, 0, 1+len(ids))
	args = append(args, project)
	for _, id := range ids {
		args = append(args, id)
	}
	return args
}
