package store

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/callbacks"
)

// TestFleetLosesNoWakeUp: while one process claims the last that waits behind a gate, another one creates a delivery there.
// Whoever is first, the gate is looked at again while something waits.
func TestFleetLosesNoWakeUp(t *testing.T) {
	t.Parallel()
	f := fleet(t)
	e := f[0].endpoint(wants("file.created"))
	f[0].fire("file.created")
	for range 300 {
		var wg sync.WaitGroup
		var err error
		wg.Go(func() { _, err = f[0].ClaimDeliveries(t.Context(), "own", behind(e), f[0].now()) })
		wg.Go(func() { f[1].fire("file.created") })
		wg.Wait()
		require.NoError(t, err)
		if f[0].count("deliveries WHERE state = 'waiting'") > 0 {
			require.NotZero(t, f[0].wakes(e), "something waits, and nobody will look")
		}
	}
}

// TestFleetLosesNoWakeUpOfRetries: the same where a delivery that was in hand becomes due.
func TestFleetLosesNoWakeUpOfRetries(t *testing.T) {
	t.Parallel()
	f := fleet(t)
	e := f[0].endpoint(wants("file.created"))
	f[0].fire("file.created")
	f[0].fire("file.created")
	for range 150 {
		claimed, err := f[0].ClaimDeliveries(t.Context(), "own", []callbacks.Want{{Gate: e, Room: 1}}, f[0].now())
		require.NoError(t, err)
		var errs [2]error
		var wg sync.WaitGroup
		wg.Go(func() { _, errs[0] = f[0].RecordAttempts(t.Context(), f[0].again(claimed), f[0].now()) })
		var more []callbacks.Claimed
		wg.Go(func() { more, errs[1] = f[1].ClaimDeliveries(t.Context(), "other", behind(e), f[1].now()) })
		wg.Wait()
		require.Equal(t, [2]error{}, errs)
		if f[0].count("deliveries WHERE state = 'waiting'") > 0 {
			require.NotZero(t, f[0].wakes(e))
		}
		require.Zero(t, must(f[1].RecordAttempts(t.Context(), f[1].again(more), f[1].now()))(t))
	}
}

// again are outcomes by which deliveries are due again at once.
func (w *world) again(claimed []callbacks.Claimed) (outcomes []callbacks.Outcome) {
	for _, c := range claimed {
		o := w.answered(c, 500)
		o.Decision = callbacks.Decision{State: callbacks.Waiting, NoTry: true}
		outcomes = append(outcomes, o)
	}
	return outcomes
}
