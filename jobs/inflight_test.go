package jobs

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestInterrupt ends exactly the work that its job's state has made useless. Work that began after the states were read
// is left alone: it was once cut off, and its row stayed claimed until the next start.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	ref := func(id string) Ref { return Ref{"default", id} }
	f := inFlight{works: map[*work]struct{}{}}
	enter := func(id string, wanted func(Status) bool) context.Context {
		ctx, leave := f.enter(t.Context(), ref(id), wanted)
		t.Cleanup(leave)
		return ctx
	}
	job := enter("running", unlessEnded)
	shard := enter("running", whileInProgress)
	ended := enter("ended", unlessEnded)
	cancelling := enter("cancelling", whileInProgress)
	finalizer := enter("cancelling", unlessEnded)
	gone := enter("gone", unlessEnded)
	meanwhile := enter("began meanwhile", unlessEnded)

	n := f.interrupt(map[Ref]Status{ref("running"): InProgress, ref("ended"): Cancelled, ref("cancelling"): Cancelling, ref("gone"): ""})
	require.Equal(t, 3, n)
	for name, ctx := range map[string]context.Context{"job": job, "shard": shard, "finalizer": finalizer, "meanwhile": meanwhile} {
		require.NoError(t, ctx.Err(), name)
	}
	for name, ctx := range map[string]context.Context{"ended": ended, "cancelling": cancelling, "gone": gone} {
		require.True(t, errors.Is(context.Cause(ctx), errInterrupted), name)
	}
}
