package store

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// endpoint is a registered receiver's row: Target is a callbacks.Target as JSON, sealed.
type endpoint struct {
	callbacks.Endpoint
	Target []byte
}

// TableName keeps GORM from asking the embedded type.
func (endpoint) TableName() string { return "endpoints" }

func endpointPlace(ref jobs.Ref) string { return "endpoints/" + ref.ProjectID + "/" + ref.ID }

func (s *Store) sealEndpoint(r *callbacks.Registered) (endpoint, error) {
	target, err := json.Marshal(r.Target)
	return endpoint{Endpoint: r.Endpoint, Target: s.seal.seal(endpointPlace(r.Ref()), target)}, err
}

func (s *Store) openEndpoint(row *endpoint) (r callbacks.Registered, err error) {
	r.Endpoint = row.Endpoint
	target, err := s.seal.open(endpointPlace(row.Ref()), row.Target)
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(target, &r.Target)
}

// CreateEndpoint keeps an endpoint and its Idempotency-Key. The answer holds a secret, so it is sealed.
func (s *Store) CreateEndpoint(ctx context.Context, r callbacks.Registered, idem *jobs.Idempotency, answer []byte) error {
	return s.write(ctx, func(tx *gorm.DB) error {
		if err := s.useKeySealed(tx, r.ProjectID, idem, answer); err != nil {
			return err
		}
		if err := roomForOne(tx, r.ProjectID); err != nil {
			return err
		}
		row, err := s.sealEndpoint(&r)
		if err != nil {
			return err
		}
		return tx.Create(&row).Error
	})
}

// mostEndpoints bounds a project's endpoints: each event is held against all of them.
const mostEndpoints = 500

// roomForOne has the project's row for itself until the endpoint is made: of many that come at once each counts those before.
func roomForOne(tx *gorm.DB, id string) error {
	var held []string
	if err := locked(tx).Model(&project{}).Where("project_id = ?", id).Pluck("project_id", &held).Error; err != nil {
		return err
	}
	var n int64
	err := tx.Model(&callbacks.Endpoint{}).Where("project_id = ? AND deleted_at = 0", id).Count(&n).Error
	if err == nil && n >= mostEndpoints {
		return jobs.Errorf(jobs.CodeConflict, "", "There are %d webhook endpoints, the most that a project may have. Delete one that is not needed, or name receivers on the submissions.", n)
	}
	return err
}

// Endpoint reads one that is not deleted.
func (s *Store) Endpoint(ctx context.Context, ref jobs.Ref) (callbacks.Registered, error) {
	return s.takeEndpoint(s.read(ctx), ref)
}

func (s *Store) takeEndpoint(db *gorm.DB, ref jobs.Ref) (callbacks.Registered, error) {
	var row endpoint
	err := db.Where("project_id = ? AND id = ? AND deleted_at = 0", ref.ProjectID, ref.ID).Take(&row).Error
	if err != nil {
		return callbacks.Registered{}, found(err, jobs.NotFound("No webhook endpoint found with id '%s'.", ref.ID))
	}
	return s.openEndpoint(&row)
}

// ChangeEndpoint changes one in the transaction that writes it. Where it is not active any more its gate is woken: what
// waits there is to end.
func (s *Store) ChangeEndpoint(ctx context.Context, ref jobs.Ref, change func(*callbacks.Registered) error) (r callbacks.Registered, err error) {
	err = s.write(ctx, func(tx *gorm.DB) (err error) {
		if r, err = s.takeEndpoint(locked(tx), ref); err != nil {
			return err
		}
		if err := change(&r); err != nil {
			return err
		}
		row, err := s.sealEndpoint(&r)
		if err != nil {
			return err
		}
		if err := replaceEndpoint(tx, &row); err != nil || r.IsActive {
			return err
		}
		return wakeGates(tx, map[jobs.Ref]jobs.Time{ref: s.now()})
	})
	return r, err
}

func replaceEndpoint(tx *gorm.DB, row *endpoint) error {
	return tx.Model(&endpoint{}).Select("*").Omit("project_id", "id", "created_at").
		Where("project_id = ? AND id = ?", row.ProjectID, row.ID).Updates(row).Error
}

// Endpoints reads a page, newest first.
func (s *Store) Endpoints(ctx context.Context, project, after string, limit int) ([]callbacks.Endpoint, bool, error) {
	db := s.read(ctx).Where("project_id = ? AND deleted_at = 0", project)
	if after != "" {
		var last callbacks.Endpoint // deleted or not: a cursor outlives its row
		if err := s.read(ctx).Where("project_id = ? AND id = ?", project, after).Take(&last).Error; err != nil {
			return nil, false, unknownCursor(found(err, jobs.NotFound("")), after)
		}
		db = db.Where("(created_at, id) < (?, ?)", last.CreatedAt, last.ID)
	}
	var page []callbacks.Endpoint
	err := db.Order("created_at DESC, id DESC").Limit(limit + 1).Find(&page).Error
	if len(page) > limit {
		return page[:limit], true, err
	}
	return page, false, err
}

// checkEndpoints refuses IDs that name no endpoint of the project, in the transaction that keeps who named them.
func checkEndpoints(tx *gorm.DB, project string, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	var known []string
	err := tx.Model(&callbacks.Endpoint{}).Where("project_id = ? AND id IN ? AND deleted_at = 0", project, ids).Pluck("id", &known).Error
	if err != nil {
		return err
	}
	for _, id := range ids {
		if !slices.Contains(known, id) {
			return jobs.Errorf(jobs.CodeValue, "webhook_ids", "No webhook endpoint found with id '%s'. Register it with POST /v1/webhook_endpoints, or name a receiver in 'webhook'.", id)
		}
	}
	return nil
}

// opened is an endpoint as a POST needs it, or why it cannot be read.
type opened struct {
	callbacks.Registered
	broken error
}

// openEndpoints reads the endpoints that gates belong to; the gates of hosts have none.
func (s *Store) openEndpoints(tx *gorm.DB, gates []jobs.Ref) (map[jobs.Ref]*opened, error) {
	endpoints := map[jobs.Ref]*opened{}
	refs := slices.DeleteFunc(slices.Clone(gates), func(ref jobs.Ref) bool { return !callbacks.IsEndpointID(ref.ID) })
	for project, ids := range byProject(refs) {
		var rows []endpoint
		if err := tx.Where("project_id = ? AND id IN ?", project, ids).Find(&rows).Error; err != nil {
			return nil, err
		}
		for i := range rows {
			r, err := s.openEndpoint(&rows[i])
			endpoints[rows[i].Ref()] = &opened{r, err}
		}
	}
	return endpoints, nil
}

// observe takes outcomes into the health of their endpoints, and writes the events that follow.
func (s *Store) observe(tx *gorm.DB, outcomes []callbacks.Outcome, now jobs.Time) error {
	of := map[jobs.Ref][]*callbacks.Outcome{}
	for i := range outcomes {
		if d := &outcomes[i].Claimed.Delivery; d.EndpointID != "" {
			of[d.GateRef()] = append(of[d.GateRef()], &outcomes[i])
		}
	}
	for _, ref := range inOrder(of) {
		some := of[ref]
		var e callbacks.Endpoint
		err := locked(tx).Where("project_id = ? AND id = ? AND deleted_at = 0", ref.ProjectID, ref.ID).Take(&e).Error
		if err == nil {
			err = s.observeOne(tx, &e, some, now)
		}
		if err := found(err, nil); err != nil {
			return err
		}
	}
	return nil
}

// healthStep is how exact the time of an endpoint's last success is: one that works is not written for each set.
const healthStep = time.Second

func (s *Store) observeOne(tx *gorm.DB, e *callbacks.Endpoint, outcomes []*callbacks.Outcome, now jobs.Time) error {
	before := *e
	for _, o := range outcomes {
		for _, typ := range e.Observe(o, now) {
			event := callbacks.EndpointEvent(e, typ, now)
			if _, err := s.recordOperatorEvent(tx, &event, e.ID); err != nil {
				return err
			}
		}
	}
	same := e.Failures == 0 && before.Failures == 0 && e.LastFailureAt == before.LastFailureAt && e.Sequence == before.Sequence
	if same && e.LastSuccessAt < before.LastSuccessAt.Add(healthStep) {
		return nil
	}
	if !e.IsActive { // what waits for it is to end
		if err := wakeGates(tx, map[jobs.Ref]jobs.Time{e.Ref(): now}); err != nil {
			return err
		}
	}
	return tx.Model(&callbacks.Endpoint{}).Where("project_id = ? AND id = ?", e.ProjectID, e.ID).
		Select("last_success_at", "last_failure_at", "failing_since", "failures", "is_active", "disabled", "changed_at", "sequence").Updates(e).Error
}
