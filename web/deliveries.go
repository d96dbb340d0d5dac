package web

import (
	"context"

	"github.com/gin-gonic/gin"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// DeliveryService tells what became of callbacks, and lets people step in.
type DeliveryService interface {
	// Deliveries are newest first.
	Deliveries(ctx context.Context, q callbacks.DeliveryQuery) (objects []callbacks.DeliveryObject, more bool, err error)
	Delivery(ctx context.Context, ref jobs.Ref) (callbacks.DeliveryObject, error)
	// RetryDelivery makes it due now. It is a conflict while an attempt is under way, and expired once its event is gone.
	RetryDelivery(ctx context.Context, ref jobs.Ref) (callbacks.DeliveryObject, error)
	CancelDelivery(ctx context.Context, ref jobs.Ref) (callbacks.DeliveryObject, error)
	// RetryDeliveries retries all that the filter picks and tells how many.
	RetryDeliveries(ctx context.Context, f callbacks.DeliveryFilter) (retried int, err error)
}

type deliveries struct {
	*core
	callbacks DeliveryService
}

// The size of lists of deliveries.
const (
	listDeliveries    = 20
	listMaxDeliveries = 100
)

func (d *deliveries) list(c *gin.Context) error {
	if err := checkQuery(c, append(filterKeys(), "limit", "after")...); err != nil {
		return err
	}
	p, err := readPage(c, listDeliveries, listMaxDeliveries)
	if err != nil {
		return err
	}
	filter, err := readFilter(queryFields(c, filterKeys()...), d.project(c))
	if err != nil {
		return err
	}
	found, more, err := d.callbacks.Deliveries(c.Request.Context(), callbacks.DeliveryQuery{
		DeliveryFilter: filter, After: p.after, Limit: p.limit,
	})
	if err != nil {
		return p.listError(err)
	}
	return ok(c, list(encodeEach(found), more))
}

func (d *deliveries) get(c *gin.Context) error { return d.answer(c, d.callbacks.Delivery) }

// retry takes no body; clients send none, or anything.
func (d *deliveries) retry(c *gin.Context) error { return d.answer(c, d.callbacks.RetryDelivery) }

// cancel takes no body either.
func (d *deliveries) cancel(c *gin.Context) error { return d.answer(c, d.callbacks.CancelDelivery) }

// answer asks for the delivery that the path names.
func (d *deliveries) answer(c *gin.Context, ask func(context.Context, jobs.Ref) (callbacks.DeliveryObject, error)) error {
	ref := d.ref(c)
	if !storable(ref.ID) {
		return noDelivery(jobs.NotFound(""), ref.ID)
	}
	delivery, err := ask(c.Request.Context(), ref)
	if err != nil {
		return noDelivery(err, ref.ID)
	}
	return ok(c, encode(delivery))
}

type retried struct {
	Object  string `json:"object"`
	Retried int    `json:"retried"`
}

// retryAll retries what the body picks. A body that picks nothing would pick all that was ever sent: it is refused.
func (d *deliveries) retryAll(c *gin.Context) error {
	f, err := d.bodyFields(c, filterKeys()...)
	if err != nil {
		return err
	}
	filter, err := readFilter(f, d.project(c))
	if err != nil {
		return err
	}
	if filter == (callbacks.DeliveryFilter{ProjectID: filter.ProjectID}) {
		return jobs.Errorf(jobs.CodeInvalid, "", `Say which deliveries to retry, as {"never_arrived": true} for all that never arrived, or {"endpoint_id": "...", "since": "2024-01-25T00:00:00Z"}.`)
	}
	n, err := d.callbacks.RetryDeliveries(c.Request.Context(), filter)
	if err != nil {
		return err
	}
	return ok(c, encode(retried{"delivery.retry", n}))
}

func noDelivery(err error, id string) error {
	if jobs.IsCode(err, jobs.CodeNotFound) {
		return jobs.NotFound("No delivery found with id '%s'.", id)
	}
	return err
}
