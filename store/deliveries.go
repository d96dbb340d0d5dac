package store

import (
	"context"
	"database/sql"
	"errors"

	"gorm.io/gorm"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/callbacks/signature"
	"github.com/ringback/ringback/jobs"
)

// createDeliveries writes deliveries and wakes their gates. It gives the gates behind which some are due already.
func (s *Store) createDeliveries(tx *gorm.DB, deliveries []callbacks.Delivery) (woken []jobs.Ref, err error) {
	if len(deliveries) == 0 {
		return nil, nil
	}
	now, due := s.now(), map[jobs.Ref]jobs.Time{}
	for i := range deliveries {
		sooner(due, deliveries[i].GateRef(), deliveries[i].DueAt)
	}
	for ref, at := range due {
		if at <= now {
			woken = append(woken, ref)
		}
	}
	if err := insertDeliveries(tx, deliveries); err != nil {
		return nil, err
	}
	return woken, wakeGates(tx, due)
}

const (
	deliveryColumns = "(project_id, id, event_id, event_type, job_id, webhook_id, endpoint_id, gate, url, state, reason, recorded, manual, " +
		"created_at, ended_at, attempt, claims, tries, owner, due_at, wake_at)"
	deliveryRow = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', 0, ?, ?, 0, 0, 0, 0, '', ?, 0)"
)

func insertDeliveries(tx *gorm.DB, deliveries []callbacks.Delivery) error {
	return inSets(deliveries, func(set []callbacks.Delivery) error {
		args := make([]any, 0, 13*len(set))
		for i := range set {
			d := &set[i]
			args = append(args, d.ProjectID, d.ID, d.EventID, string(d.EventType), d.JobID, d.WebhookID, d.EndpointID, d.Gate,
				d.URL, string(d.State), d.Manual, int64(d.CreatedAt), int64(d.DueAt))
		}
		return exec(tx, "INSERT INTO deliveries "+deliveryColumns+" VALUES "+times(deliveryRow, len(set)), args...)
	})
}

// dueThere takes what has been due longest; askedThere, which goes first, what somebody asked for.
const (
	dueThere   = waitThere + inTurn
	askedThere = waitThere + " AND manual" + inTurn

	waitThere = "project_id = ? AND gate = ? AND state = 'waiting'"
	inTurn    = " AND due_at > 0 AND due_at <= ? ORDER BY due_at"
)

func claimDeliveries(tx *gorm.DB, which string) string {
	return "UPDATE deliveries SET state = 'sending', owner = ?, attempt = attempt + 1, claims = claims + 1 WHERE " + some(tx, "deliveries", which) +
		" RETURNING project_id, id, event_id, event_type, job_id, webhook_id, endpoint_id, gate, url, state, recorded," +
		" manual, created_at, attempt, claims, tries, owner, due_at"
}

// scanClaimed reads what claimDeliveries returns.
func scanClaimed(rows *sql.Rows) (d callbacks.Delivery, err error) {
	err = rows.Scan(&d.ProjectID, &d.ID, &d.EventID, &d.EventType, &d.JobID, &d.WebhookID, &d.EndpointID, &d.Gate, &d.URL, &d.State,
		&d.Recorded, &d.Manual, &d.CreatedAt, &d.Attempt, &d.Claims, &d.Tries, &d.Owner, &d.DueAt)
	return d, err
}

// ClaimDeliveries takes what is due behind the gates, with the events' bytes, the one-offs as they were frozen and the
// endpoints as they stand. All of it is one transaction: what cannot be read is not claimed either.
func (s *Store) ClaimDeliveries(ctx context.Context, owner string, wants []callbacks.Want, now jobs.Time) (claimed []callbacks.Claimed, err error) {
	err = s.claim(ctx, "deliveries", owner, func(tx *gorm.DB) (_ []held, err error) {
		c := deliveryClaim{Store: s, tx: tx, owner: owner, now: now}
		claimed, err = c.run(wants)
		return heldOf(claimed, func(c *callbacks.Claimed) held { return held{c.Ref(), c.Attempt, c.GateRef()} }), err
	})
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

// deliveryClaim is one run of ClaimDeliveries, and what it has read.
type deliveryClaim struct {
	*Store
	tx        *gorm.DB
	owner     string
	now       jobs.Time
	shut      map[jobs.Ref]jobs.Time // gates, since when
	endpoints map[jobs.Ref]*opened
	keys      map[string]signing // by project
	rows      []callbacks.Delivery
}

func (c *deliveryClaim) run(wants []callbacks.Want) ([]callbacks.Claimed, error) {
	refs := make([]jobs.Ref, len(wants))
	for i, w := range wants {
		refs[i] = w.Gate
	}
	for _, ref := range refs { // before anything is read: who changes it later leaves a wake of its own
		if err := takeWakes(c.tx, ref); err != nil {
			return nil, err
		}
	}
	var err error
	if c.shut, err = shutGates(c.tx, refs); err != nil {
		return nil, err
	}
	if c.endpoints, err = c.openEndpoints(c.tx, refs); err != nil {
		return nil, err
	}
	for _, w := range wants {
		if err := c.take(w); err != nil {
			return nil, err
		}
	}
	return c.equip()
}

// take claims what is due behind one gate, or ends all that waits there where its endpoint gets nothing any more.
func (c *deliveryClaim) take(w callbacks.Want) error {
	if e := c.endpoints[w.Gate]; e != nil && !e.IsActive {
		return c.cancel(w.Gate, e)
	}
	room := w.Room
	if c.shut[w.Gate] > 0 {
		room = min(room, 1)
	}
	begun := len(c.rows)
	for _, which := range []string{askedThere, dueThere} {
		left := room - (len(c.rows) - begun)
		if err := c.claim(which, w.Gate, left); err != nil {
			return err
		}
	}
	return lookAgain(c.tx, w.Gate, c.now)
}

func (c *deliveryClaim) claim(which string, gate jobs.Ref, room int) error {
	return each(c.tx, func(rows *sql.Rows) error {
		d, err := scanClaimed(rows)
		c.rows = append(c.rows, d)
		return err
	}, claimDeliveries(c.tx, which), c.owner, gate.ProjectID, gate.ID, int64(c.now), room)
}

// cancel ends what waits for an endpoint that is not active, a slice at a time; the gate is looked at again at once while
// some is left, whenever that would have been due.
func (c *deliveryClaim) cancel(gate jobs.Ref, e *opened) error {
	var now callbacks.Endpoint // nobody switches it on before this transaction ends: what comes after that is to arrive
	err := found(standing(c.tx).Where("project_id = ? AND id = ?", gate.ProjectID, gate.ID).Take(&now).Error, nil)
	if err != nil {
		return err
	}
	if now.IsActive {
		return wakeGates(c.tx, map[jobs.Ref]jobs.Time{gate: c.now})
	}
	reason := callbacks.ReasonDisabled
	if e.DeletedAt > 0 {
		reason = callbacks.ReasonDeleted
	}
	ended := c.tx.Exec("UPDATE deliveries SET state = 'cancelled', reason = ?, ended_at = ?, due_at = 0 WHERE "+some(c.tx, "deliveries", waitThere), reason, c.now, gate.ProjectID, gate.ID, slice)
	if ended.Error != nil {
		return ended.Error
	}
	if err := lookAgain(c.tx, gate, c.now); err != nil || ended.RowsAffected < slice {
		return err
	}
	return wakeGates(c.tx, map[jobs.Ref]jobs.Time{gate: c.now})
}

// equip reads what a POST needs: one query for the bodies, one for the one-off receivers, and each project's keys.
func (c *deliveryClaim) equip() ([]callbacks.Claimed, error) {
	var events, hooks []jobs.Ref
	for i := range c.rows {
		d := &c.rows[i]
		events = append(events, jobs.Ref{ProjectID: d.ProjectID, ID: d.EventID})
		if d.WebhookID != "" {
			hooks = append(hooks, jobs.Ref{ProjectID: d.ProjectID, ID: d.WebhookID})
		}
	}
	bodies, err := bodiesOf(c.tx, events)
	if err != nil {
		return nil, err
	}
	webhooks, err := c.openWebhooks(c.tx, hooks)
	if err != nil {
		return nil, err
	}
	if err := c.openKeys(); err != nil {
		return nil, err
	}
	claimed := make([]callbacks.Claimed, len(c.rows))
	for i, d := range c.rows {
		e := bodies[events[i]]
		claimed[i] = callbacks.Claimed{Delivery: d, Body: e.body, Trace: e.trace, ShutAt: c.shut[d.GateRef()]}
		c.address(&claimed[i], webhooks)
	}
	return claimed, nil
}

// signing is what signs a project's callbacks, or why it cannot be read.
type signing struct {
	signature.Keys
	broken error
}

// openKeys reads what signs each project's callbacks. A project whose keys cannot be opened holds up no other.
func (c *deliveryClaim) openKeys() error {
	c.keys = map[string]signing{}
	for i := range c.rows {
		id := c.rows[i].ProjectID
		if _, read := c.keys[id]; read {
			continue
		}
		p := project{ProjectID: id} // without a row its keys do not open
		err := each(c.tx, func(rows *sql.Rows) error { return rows.Scan(&p.SigningSecret, &p.PrivateKey) },
			"SELECT signing_secret, private_key FROM projects WHERE project_id = ?", id)
		if err != nil {
			return err
		}
		keys, err := c.openProject(&p, c.now)
		c.keys[id] = signing{keys, err}
	}
	return nil
}

// address says who gets a delivery and what signs it. What cannot be read breaks this delivery alone.
func (c *deliveryClaim) address(d *callbacks.Claimed, webhooks map[jobs.Ref]hook) {
	switch e, h := c.endpoints[d.GateRef()], webhooks[jobs.Ref{ProjectID: d.ProjectID, ID: d.WebhookID}]; {
	case d.EndpointID != "" && e != nil:
		d.Receiver, d.Broken = e.Receiver(c.now), e.broken
	case d.EndpointID != "":
		d.Broken = errors.New("store: the delivery's endpoint is gone")
	case h.receiver == nil && h.broken == nil:
		d.Broken = errors.New("store: the delivery's webhook is gone")
	default:
		d.Broken = h.broken
		if h.receiver != nil {
			d.Receiver = *h.receiver
		}
	}
	if d.Broken == nil && d.Body == nil {
		d.Broken = errors.New("store: the delivery's event is gone")
	}
	keys := c.keys[d.ProjectID]
	if d.Broken == nil {
		d.Broken = keys.broken
	}
	if len(d.Receiver.Keys.Secrets) == 0 && d.EndpointID == "" {
		d.Receiver.Keys.Secrets = keys.Secrets
	}
	d.Receiver.Keys.Private = keys.Private
}

// hook is a one-off receiver as it was frozen, or why it cannot be read.
type hook struct {
	receiver *callbacks.Receiver
	broken   error
}

func (s *Store) openWebhooks(tx *gorm.DB, refs []jobs.Ref) (map[jobs.Ref]hook, error) {
	hooks := make(map[jobs.Ref]hook, len(refs))
	for project, ids := range byProject(refs) {
		var rows []webhook
		if err := tx.Where("project_id = ? AND id IN ?", project, ids).Find(&rows).Error; err != nil {
			return nil, err
		}
		for i := range rows {
			hooks[jobs.Ref{ProjectID: rows[i].ProjectID, ID: rows[i].ID}] = s.openHook(&rows[i])
		}
	}
	return hooks, nil
}

func (s *Store) openHook(row *webhook) hook {
	w, err := s.openWebhook(row)
	if err != nil {
		return hook{broken: err}
	}
	r := callbacks.Receiver{URL: w.URL, Method: w.Method, Headers: w.Headers, Timeout: w.Timeout}
	if w.Secret != "" {
		r.Keys.Secrets = []string{w.Secret}
	}
	return hook{receiver: &r}
}

// frozen is what a POST takes of its event.
type frozen struct {
	body  []byte
	trace string
}

func bodiesOf(tx *gorm.DB, refs []jobs.Ref) (map[jobs.Ref]frozen, error) {
	bodies := make(map[jobs.Ref]frozen, len(refs))
	for project, ids := range byProject(refs) {
		err := eachOf(tx, func(rows *sql.Rows) error {
			var id string
			var e frozen
			err := rows.Scan(&id, &e.body, &e.trace)
			bodies[jobs.Ref{ProjectID: project, ID: id}] = e
			return err
		}, "SELECT id, body, trace FROM events WHERE project_id = ? AND id IN", project, ids)
		if err != nil {
			return nil, err
		}
	}
	return bodies, nil
}

// eachOf runs a query that ends with IN for sets of a project's IDs.
func eachOf(tx *gorm.DB, scan func(*sql.Rows) error, query, project string, ids []string) error {
	return inSets(ids, func(set []string) error {
		args := []any{project}
		for _, id := range set {
			args = append(args, id)
		}
		return each(tx, scan, query+" ("+times("?", len(set))+")", args...)
	})
}
