package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// TestWhatSomebodyAskedForGoesFirst, also where only one of many is claimed to probe a shut gate.
func TestWhatSomebodyAskedForGoesFirst(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e := w.endpoint(wants("file.created"))
		for range 3 {
			w.fire("file.created")
			w.pass(time.Second)
		}
		newest := w.all(callbacks.DeliveryFilter{ProjectID: "default"})[0]
		require.NoError(t, w.ShutGate(t.Context(), e, w.now(), w.now()))
		shown := must(w.calls.RetryDelivery(t.Context(), newest.Ref()))(t)
		require.Equal(t, newest.ID, shown.ID)
		require.Equal(t, newest.ID, w.claimOne(e).ID)
	})
}

// TestDeliveryTellsThatItIsHeld while its gate is shut, and no longer.
func TestDeliveryTellsThatItIsHeld(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e := w.endpoint(wants("file.created"))
		w.fire("file.created")
		ref := w.all(callbacks.DeliveryFilter{ProjectID: "default"})[0].Ref()
		require.Nil(t, must(w.calls.Delivery(t.Context(), ref))(t).HeldSince)
		require.NoError(t, w.ShutGate(t.Context(), e, w.now(), w.now()))
		require.Equal(t, w.now().Unix(), *must(w.calls.Delivery(t.Context(), ref))(t).HeldSince)
		page, _, err := w.calls.Deliveries(t.Context(), callbacks.DeliveryQuery{DeliveryFilter: callbacks.DeliveryFilter{ProjectID: "default"}, Limit: 9})
		require.NoError(t, err)
		require.NotNil(t, page[0].HeldSince)
		w.end(w.claimOne(e), callbacks.Delivered)
		require.Nil(t, must(w.calls.Delivery(t.Context(), ref))(t).HeldSince, "it does not wait any more")
	})
}

// TestWhatArrivedOnceHasArrived, whatever became of it when it was sent again.
func TestWhatArrivedOnceHasArrived(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		e := w.endpoint(wants("file.created"))
		w.fire("file.created")
		c := w.claimOne(e)
		w.end(c, callbacks.Delivered)
		at := w.now().Unix()
		w.pass(time.Hour)
		must(w.calls.RetryDelivery(t.Context(), c.Ref()))(t)
		w.end(w.claimOne(e), callbacks.Failed)
		shown := must(w.calls.Delivery(t.Context(), c.Ref()))(t)
		require.Equal(t, callbacks.Failed, shown.Status)
		require.Equal(t, at, *shown.DeliveredAt)
		require.Empty(t, w.all(callbacks.DeliveryFilter{ProjectID: "default", NeverArrived: true}))
		require.Zero(t, must(w.calls.RetryDeliveries(t.Context(), callbacks.DeliveryFilter{ProjectID: "default", NeverArrived: true}))(t))
		require.Zero(t, must(w.calls.ReplaySince(t.Context(), e, callbacks.ReplayQuery{Missing: true}))(t))
	})
}

// TestEndpointsOfAProjectAreBounded, those that are deleted left out.
func TestEndpointsOfAProjectAreBounded(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		first := w.endpoint()
		for range mostEndpoints - 1 {
			w.endpoint()
		}
		body := []byte(`{"url":"https://example.com/","event_types":["*"]}`)
		_, err := w.calls.CreateEndpoint(t.Context(), "default", body, nil)
		require.True(t, jobs.IsCode(err, jobs.CodeConflict), "%v", err)
		require.ErrorContains(t, err, fmt.Sprint(mostEndpoints))
		require.NoError(t, w.calls.DeleteEndpoint(t.Context(), first))
		_, err = w.calls.CreateEndpoint(t.Context(), "default", body, nil)
		require.NoError(t, err)
	})
}
