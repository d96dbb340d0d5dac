package store

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
	"gorm.io/gorm"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// Standing counts what goes on.
func (s *Store) Standing(ctx context.Context, project string) (st jobs.Standing, err error) {
	for _, c := range []struct {
		to    *int64
		query string
	}{
		{&st.Open, "SELECT 1 FROM jobs WHERE project_id = ? AND ended_at = 0" + newestFirst},
		{&st.Failing, "SELECT 1 FROM endpoints WHERE project_id = ? AND deleted_at = 0 AND (failing_since > 0 OR disabled <> '')"},
		{&st.Waiting, "SELECT 1 FROM deliveries WHERE project_id = ? AND state IN ('waiting', 'sending')" + newestFirst},
	} {
		if err := s.read(ctx).Raw("SELECT count(*) FROM ("+c.query+bounded+") AS few", project).Scan(c.to).Error; err != nil {
			return st, err
		}
	}
	return st, nil
}

// CountDeliveries counts what a filter picks, to its bound.
func (s *Store) CountDeliveries(ctx context.Context, f callbacks.DeliveryFilter) (n int64, err error) {
	few := matching(s.deliveriesBy(ctx, f).Model(&callbacks.Delivery{}).Select("1"), f).Order(createdAt(f) + " DESC").Limit(jobs.CountBound + 1)
	err = s.read(ctx).Table("(?) AS few", few).Count(&n).Error
	return n, err
}

// StatesOfDeliveries counts what a filter picks by state, and under the empty state all, each to its bound. Of more than the
// bound so many count as delivered: most are.
func (s *Store) StatesOfDeliveries(ctx context.Context, f callbacks.DeliveryFilter) (map[callbacks.State]int64, error) {
	f.State = ""
	if f.JobID != "" || f.EventID != "" {
		return s.statesOf(ctx, f, "TRUE")
	}
	all, err := s.CountDeliveries(ctx, f)
	if err != nil {
		return nil, err
	}
	counts := map[callbacks.State]int64{"": all, callbacks.Delivered: all}
	for state, which := range map[callbacks.State]string{callbacks.Waiting: "state IN ('waiting', 'sending')", callbacks.Failed: "state IN ('failed', 'cancelled')"} {
		g := f
		g.State = state // by whose index
		some, err := s.statesOf(ctx, g, which)
		if err != nil {
			return nil, err
		}
		for state, n := range some {
			if state == "" {
				continue
			}
			if counts[state] = n; all <= jobs.CountBound {
				counts[callbacks.Delivered] -= n
			}
		}
	}
	return counts, nil
}

// statesOf counts by state what a filter, but for its state, and a condition pick.
func (s *Store) statesOf(ctx context.Context, f callbacks.DeliveryFilter, which string) (map[callbacks.State]int64, error) {
	db := s.deliveriesBy(ctx, f)
	f.State = ""
	few := matching(db.Model(&callbacks.Delivery{}).Select("state"), f).Where(which).Order(createdAt(f) + " DESC").Limit(jobs.CountBound + 1)
	var rows []struct {
		State callbacks.State
		N     int64
	}
	err := s.read(ctx).Table("(?) AS few", few).Select("state, count(*) AS n").Group("state").Scan(&rows).Error
	counts := map[callbacks.State]int64{}
	for _, row := range rows {
		counts[row.State] = row.N
		counts[""] += row.N
	}
	return counts, err
}

// mostGates bounds the receivers that are looked at one by one.
const mostGates = 1000

// backlogs steps from gate to gate through the index of what waits, and counts behind each to its bound.
const backlogs = `WITH RECURSIVE gated(gate) AS (
		SELECT min(gate) FROM deliveries WHERE project_id = ? AND state = 'waiting'
		UNION ALL
		SELECT (SELECT min(d.gate) FROM deliveries AS d WHERE d.project_id = ? AND d.state = 'waiting' AND d.gate > gated.gate) FROM gated WHERE gated.gate IS NOT NULL
	)
	SELECT gated.gate AS gate,
		(SELECT count(*) FROM (SELECT 1 FROM deliveries AS d WHERE d.project_id = ? AND d.state = 'waiting' AND d.gate = gated.gate` + bounded + `) AS few) AS n,
		(SELECT min(d.due_at) FROM deliveries AS d WHERE d.project_id = ? AND d.state = 'waiting' AND d.gate = gated.gate) AS next
	FROM gated WHERE gated.gate IS NOT NULL LIMIT ?`

// Backlogs are what waits at each receiver, by gate.
func (s *Store) Backlogs(ctx context.Context, project string) (map[string]callbacks.Backlog, error) {
	var rows []callbacks.Backlog
	if err := s.read(ctx).Raw(backlogs, project, project, project, project, mostGates).Scan(&rows).Error; err != nil {
		return nil, err
	}
	var gates []jobs.Ref
	for _, row := range rows {
		gates = append(gates, jobs.Ref{ProjectID: project, ID: row.Gate})
	}
	shut, err := shutGates(s.read(ctx), gates)
	all := make(map[string]callbacks.Backlog, len(rows))
	for _, row := range rows {
		row.ShutAt = shut[jobs.Ref{ProjectID: project, ID: row.Gate}]
		if callbacks.IsEndpointID(row.Gate) {
			row.EndpointID = row.Gate
		}
		all[row.Gate] = row
	}
	return all, err
}

// GivenUp are deliveries, created since a time, that were given up, by receiver; the most first.
func (s *Store) GivenUp(ctx context.Context, project string, since jobs.Time) (all []callbacks.Backlog, err error) {
	err = s.read(ctx).Raw(`SELECT gate, endpoint_id, count(*) AS n FROM (
			SELECT gate, endpoint_id FROM deliveries WHERE project_id = ? AND state IN ('failed', 'cancelled') AND state = 'failed' AND created_at >= ? ORDER BY created_at DESC`+bounded+`) AS few
		GROUP BY gate, endpoint_id ORDER BY n DESC LIMIT 20`, project, since).Scan(&all).Error
	return all, err
}

// VisibleEndpoint reads an endpoint as everybody may see it.
func (s *Store) VisibleEndpoint(ctx context.Context, ref jobs.Ref) (e callbacks.Endpoint, err error) {
	err = s.read(ctx).Where("project_id = ? AND id = ? AND deleted_at = 0", ref.ProjectID, ref.ID).Take(&e).Error
	return e, found(err, jobs.NotFound("No webhook endpoint found with id '%s'.", ref.ID))
}

// mostJobEvents bounds a timeline; a job has few events.
const mostJobEvents = 200

const eventFacts = "project_id, position, id, type, job_id, model, sequence, created_at"

// JobEvents are a job's events, oldest first, without their bodies.
func (s *Store) JobEvents(ctx context.Context, ref jobs.Ref) (all []jobs.Event, err error) {
	err = byJob(s.read(ctx), ref).Select(eventFacts).Where("job_id <> ''").Order("position").Limit(mostJobEvents).Find(&all).Error
	return all, err
}

// RecentEvents reads a page, newest first, without bodies.
func (s *Store) RecentEvents(ctx context.Context, q jobs.EventQuery) ([]jobs.Event, bool, error) {
	if err := s.number(ctx); err != nil {
		return nil, false, err
	}
	var page []jobs.Event
	for _, types := range typesOf(q) {
		var some []jobs.Event
		if err := s.eventsOf(ctx, q, types).Order("position DESC").Limit(q.Limit + 1).Find(&some).Error; err != nil {
			return nil, false, err
		}
		page = append(page, some...)
	}
	slices.SortFunc(page, func(a, b jobs.Event) int { return cmp.Compare(b.Position, a.Position) })
	if len(page) > q.Limit {
		return page[:q.Limit], true, nil
	}
	return page, false, nil
}

// typesOf are what an event's type may be: each of a family for itself, whose newest ones an index gives. One empty type is any.
// A job has few events, through which one look goes, whatever their types.
func typesOf(q jobs.EventQuery) (types []string) {
	family, wild := strings.CutSuffix(q.Type, "*")
	switch {
	case wild && family == "", q.JobID != "":
		return []string{""}
	case !wild:
		return []string{q.Type}
	}
	for _, t := range append(callbacks.EventTypes(), string(callbacks.EventTest)) {
		if strings.HasPrefix(t, family) {
			types = append(types, t)
		}
	}
	return types
}

// eventsOf are a project's events of one type, or of any.
func (s *Store) eventsOf(ctx context.Context, q jobs.EventQuery, typ string) *gorm.DB {
	index := "events_order"
	db := s.read(ctx).Select(eventFacts).Where("project_id = ? AND position > 0", q.ProjectID)
	if q.Before > 0 {
		db = db.Where("position < ?", q.Before)
	}
	if typ != "" {
		index = "events_type"
		db = db.Where("type = ?", typ)
	}
	if q.JobID != "" {
		index = "events_job"
		db = db.Where("job_id = ? AND job_id <> ''", q.JobID)
		if family, wild := strings.CutSuffix(q.Type, "*"); wild {
			db = db.Where("type >= ? AND type < ?", family, family+"\x7f")
		} else if q.Type != "" {
			db = db.Where("type = ?", q.Type)
		}
	}
	return db.Table(sqlOf(s.reads).readBy("events", index))
}

// mostFailures bounds how many failed lines are looked at for their causes.
const mostFailures = 2000

// Failures groups a batch's failed lines by their cause, the most first.
func (s *Store) Failures(ctx context.Context, ref jobs.Ref) ([]jobs.Failure, error) {
	var texts [][]byte
	err := s.read(ctx).Raw("SELECT text FROM lines WHERE project_id = ? AND job_id = ? AND NOT ok ORDER BY line LIMIT ?", ref.ProjectID, ref.ID, mostFailures).Scan(&texts).Error
	if err != nil {
		return nil, err
	}
	byCause := map[string]*jobs.Failure{}
	for _, text := range texts {
		f := failureOf(text)
		key := f.Code + "/" + string(rune(f.Status))
		known, ok := byCause[key]
		if !ok {
			known = &f
			byCause[key] = known
		}
		known.Lines++
		if id := gjson.GetBytes(text, "custom_id").String(); len(known.Sample) < 3 {
			known.Sample = append(known.Sample, id)
		}
	}
	all := make([]jobs.Failure, 0, len(byCause))
	for _, f := range byCause {
		all = append(all, *f)
	}
	slices.SortFunc(all, func(a, b jobs.Failure) int {
		if a.Lines != b.Lines {
			return int(b.Lines - a.Lines)
		}
		return strings.Compare(a.Code, b.Code)
	})
	return all, nil
}

// failureOf reads a line of an error file: the provider's refusal, or why there was no answer.
func failureOf(text []byte) jobs.Failure {
	r := gjson.GetManyBytes(text, "error.code", "error.message", "response.status_code", "response.body.error.code", "response.body.error.type", "response.body.error.message")
	f := jobs.Failure{Code: r[0].String(), Message: r[1].String(), Status: r[2].Int()}
	if f.Status > 0 {
		f.Message = r[5].String()
		if f.Code = r[3].String(); f.Code == "" {
			f.Code = r[4].String()
		}
	}
	return f
}

// lineHead is more than stands in a line before its custom_id.
const lineHead = 64

// Outcomes reads a page of a batch's outcomes in the order of its input, as they stand in its files.
func (s *Store) Outcomes(ctx context.Context, q jobs.OutcomeQuery) (found []jobs.Line, more bool, err error) {
	db := byJob(s.read(ctx), q.Job).Select("line, ok, text").Where("line > ?", q.After)
	if q.Failed {
		db = db.Where("NOT ok")
	}
	if q.CustomID != "" {
		text := `"custom_id":` + plainText(q.CustomID) + `,`
		db = db.Where(sqlOf(s.reads).begins, map[string]any{"text": text, "within": len(text) + lineHead})
		q.Limit = 1 // of a batch's lines one has it
	}
	err = db.Order("line").Limit(q.Limit + 1).Find(&found).Error
	if len(found) > q.Limit {
		return found[:q.Limit], true, err
	}
	return found, false, err
}

// plainText writes a text as JSON, as most clients do.
func plainText(text string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a text always encodes
	return strings.TrimSpace(b.String())
}
