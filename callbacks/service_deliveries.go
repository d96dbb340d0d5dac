package callbacks

import (
	"context"

	"github.com/ringback/ringback/jobs"
)

// DeliveryRecords is what a Service asks of the store about deliveries.
type DeliveryRecords interface {
	// JobDeliveries gives a job's deliveries, oldest first, and all their attempts, oldest first.
	JobDeliveries(ctx context.Context, job jobs.Ref) ([]Delivery, []Attempt, error)
	// Deliveries reads a page, newest first, and all attempts of its deliveries, without what they sent and were answered.
	Deliveries(ctx context.Context, q DeliveryQuery) (page []Delivery, attempts []Attempt, more bool, err error)
	// Delivery reads one with all its attempts.
	Delivery(ctx context.Context, ref jobs.Ref) (Delivery, []Attempt, error)
	// ChangeDelivery changes one in the transaction that writes it, and gives its gate a look. expired says that its
	// event is gone.
	ChangeDelivery(ctx context.Context, ref jobs.Ref, change func(d *Delivery, to *Endpoint, expired bool) error) (Delivery, []Attempt, error)
	// RetryDeliveries makes deliveries due that match, are in nobody's hands and can be sent, up to a thousand after one
	// of them by ID. It gives how many, and the last one looked at: empty when there are no more.
	RetryDeliveries(ctx context.Context, f DeliveryFilter, after string, now jobs.Time) (retried int, last string, err error)
	// Replay makes events due at an endpoint that it subscribes to or has been owed, up to a thousand after a position in commit order.
	// It gives how many, and the position reached: zero when there are no more.
	Replay(ctx context.Context, endpoint jobs.Ref, q ReplayQuery, after int64, now jobs.Time) (replayed int, reached int64, err error)
	// ReplayEvent makes one event due at an endpoint, whether or not it subscribes to it, and gives the delivery's ID.
	ReplayEvent(ctx context.Context, endpoint jobs.Ref, eventID string, now jobs.Time) (string, error)
}

// JobDeliveries are a job's deliveries with their attempts, oldest first.
func (s *Service) JobDeliveries(ctx context.Context, job jobs.Ref) ([]DeliveryObject, error) {
	deliveries, attempts, err := s.Records.JobDeliveries(ctx, job)
	return shown(deliveries, attempts), err
}

// Deliveries are a page of a project's deliveries, newest first.
func (s *Service) Deliveries(ctx context.Context, q DeliveryQuery) ([]DeliveryObject, bool, error) {
	page, attempts, more, err := s.Records.Deliveries(ctx, q)
	return shown(page, attempts), more, err
}

// Delivery is one with all its attempts.
func (s *Service) Delivery(ctx context.Context, ref jobs.Ref) (DeliveryObject, error) {
	d, attempts, err := s.Records.Delivery(ctx, ref)
	if err != nil {
		return DeliveryObject{}, err
	}
	return shown([]Delivery{d}, attempts)[0], nil
}

// RetryDelivery sends a delivery again at once, whatever became of it. It takes the place of the retry that the schedule
// would have made; one that had ended begins its schedule anew.
func (s *Service) RetryDelivery(ctx context.Context, ref jobs.Ref) (DeliveryObject, error) {
	return s.changeDelivery(ctx, ref, func(d *Delivery, to *Endpoint, expired bool) error {
		if err := d.retriable(to, expired); err != nil {
			return err
		}
		d.Retry(s.now())
		return nil
	})
}

// CancelDelivery ends a delivery that waits.
func (s *Service) CancelDelivery(ctx context.Context, ref jobs.Ref) (DeliveryObject, error) {
	return s.changeDelivery(ctx, ref, func(d *Delivery, _ *Endpoint, _ bool) error {
		switch d.State {
		case Cancelled:
			return nil
		case Waiting:
			d.State, d.Reason, d.EndedAt, d.DueAt = Cancelled, ReasonByHand, s.now(), 0
			return nil
		}
		return jobs.Errorf(jobs.CodeConflict, "", "Cannot cancel a delivery with status '%s'.", d.State)
	})
}

func (s *Service) changeDelivery(ctx context.Context, ref jobs.Ref, change func(*Delivery, *Endpoint, bool) error) (DeliveryObject, error) {
	d, attempts, err := s.Records.ChangeDelivery(ctx, ref, change)
	if err != nil {
		return DeliveryObject{}, err
	}
	s.Waker.Wake(ctx, jobs.LaneDeliveries, d.GateRef().String())
	return shown([]Delivery{d}, attempts)[0], nil
}

// CodeExpired is the code of what cannot be sent again since its event is no longer kept.
const CodeExpired = jobs.CodeExpired

// retriable says why a delivery cannot be sent again. to is its endpoint; nil for a one-off.
func (d *Delivery) retriable(to *Endpoint, expired bool) error {
	switch {
	case d.State == Sending:
		return jobs.Errorf(jobs.CodeConflict, "", "An attempt is under way. Look at the delivery again in a moment.")
	case to != nil && to.DeletedAt > 0:
		return jobs.Errorf(jobs.CodeConflict, "", "The endpoint of this delivery is deleted. Replay the event to another endpoint.")
	case to != nil && !to.IsActive:
		return jobs.Errorf(jobs.CodeConflict, "", "The endpoint of this delivery is not active. Switch it on first: {\"is_active\": true}.")
	case expired:
		return jobs.Errorf(CodeExpired, "", "The event of this delivery is no longer kept, so it cannot be sent again.")
	}
	return nil
}

// Retry makes a delivery due at once, for an attempt that is marked as asked for by hand.
func (d *Delivery) Retry(now jobs.Time) {
	if d.State != Waiting {
		d.Tries, d.Claims = 0, 0
	}
	d.State, d.Reason, d.Manual, d.EndedAt, d.DueAt = Waiting, "", true, 0, now
}

// RetryDeliveries sends again what matches and is in nobody's hands, and counts it. The gates bound how fast.
func (s *Service) RetryDeliveries(ctx context.Context, f DeliveryFilter) (retried int, err error) {
	now := s.now()
	if f.Until == 0 || f.Until > now {
		f.Until = now + 1 // what comes in meanwhile is not meant
	}
	for after := ""; ; {
		n, last, err := s.Records.RetryDeliveries(ctx, f, after, now)
		retried += n
		if err != nil || last == "" {
			return retried, err
		}
		after = last
	}
}

// Replay sends an event to an endpoint, again or for the first time.
func (s *Service) Replay(ctx context.Context, endpoint jobs.Ref, eventID string) (DeliveryObject, error) {
	id, err := s.Records.ReplayEvent(ctx, endpoint, eventID, s.now())
	if err != nil {
		return DeliveryObject{}, err
	}
	s.Waker.Wake(ctx, jobs.LaneDeliveries, endpoint.String())
	return s.Delivery(ctx, jobs.Ref{ProjectID: endpoint.ProjectID, ID: id})
}

// ReplaySince sends an endpoint the events of a span of time that it subscribes to, and counts them.
func (s *Service) ReplaySince(ctx context.Context, endpoint jobs.Ref, q ReplayQuery) (replayed int, err error) {
	now := s.now()
	if q.Until == 0 || q.Until > now {
		q.Until = now + 1
	}
	for after := int64(0); ; {
		n, reached, err := s.Records.Replay(ctx, endpoint, q, after, now)
		replayed += n
		if n > 0 && after == 0 {
			s.Waker.Wake(ctx, jobs.LaneDeliveries, endpoint.String())
		}
		if err != nil || reached == 0 {
			return replayed, err
		}
		after = reached
	}
}

func shown(deliveries []Delivery, attempts []Attempt) []DeliveryObject {
	of := map[string][]AttemptObject{}
	for i := range attempts {
		id := attempts[i].DeliveryID
		of[id] = append(of[id], attempts[i].object())
	}
	objects := make([]DeliveryObject, len(deliveries))
	for i := range deliveries {
		objects[i] = deliveries[i].object(of[deliveries[i].ID])
	}
	return objects
}
