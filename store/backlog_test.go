//go:build !race

package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/callbacks"
)

// TestBacklogCostsNothing: what waits behind a gate makes neither its claims nor anybody else's slower, nor lists.
func TestBacklogCostsNothing(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, w *world) {
		dead, healthy := w.endpoint(), w.endpoint(wants("file.created"))
		w.backlog(dead, callbacks.Waiting, 100_000)
		w.pass(time.Hour)
		w.fire("file.created")
		// The machine may be busy: the quickest of several counts, beside what nothing at all costs.
		quick := func(what string, do func()) {
			least, nothing := time.Hour, time.Hour
			for range 5 {
				start := time.Now()
				w.exec("UPDATE gates SET shut_at = shut_at")
				nothing = min(nothing, time.Since(start))
				start = time.Now()
				do()
				least = min(least, time.Since(start))
			}
			slack := 25 * time.Millisecond
			if w.Shared() { // each statement goes to another process, and back
				slack *= 4
			}
			require.Less(t, least, 10*nothing+slack, what)
		}
		quick("a claim behind the backlog", func() { require.Len(t, w.claim(dead), 64) })
		quick("a claim of one, at a shut gate", func() {
			require.NoError(t, w.ShutGate(t.Context(), dead, w.now(), w.now()))
			w.claimOne(dead)
		})
		quick("another's claim", func() { w.claim(healthy) })
		quick("due gates", func() { must(w.DueGates(t.Context(), 64))(t) })
		quick("nothing to expire", func() { require.Zero(t, must(w.ExpireDeliveries(t.Context(), w.now()))(t)) })
		for name, f := range map[string]callbacks.DeliveryFilter{
			"all": {}, "of the other endpoint": {EndpointID: healthy.ID}, "failed": {State: callbacks.Failed}, "never arrived": {NeverArrived: true},
		} {
			quick("a list: "+name, func() {
				f.ProjectID = "default"
				_, _, _, err := w.Deliveries(t.Context(), callbacks.DeliveryQuery{DeliveryFilter: f, Limit: 20})
				require.NoError(t, err)
			})
		}
		require.Equal(t, 100_002, w.count("deliveries"))
	})
}
