package store

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

// TestR12ProcessesWhoseClocksDiffer by an hour take nothing over from each other: heartbeats go by the database's clock. What
// one of them makes due now is due for who is ahead of it, and for who is behind it in an hour; so work goes on with whoever is
// ahead.
func TestR12ProcessesWhoseClocksDiffer(t *testing.T) {
	t.Parallel()
	f := fleet(t)
	behind, ahead := f[0], f[1]
	ahead.clock = &atomic.Int64{}
	ahead.options.Now = func() time.Time { return time.UnixMilli(ahead.clock.Load()) }
	ahead.clock.Store(int64(behind.now().Add(time.Hour)))
	for _, w := range f {
		w.beat("behind")
		w.beat("ahead")
	}
	claims := func(w *world, owner string, ref jobs.Ref) int {
		return len(must(w.ClaimJobs(t.Context(), owner, []jobs.Ref{ref}, w.now()))(t))
	}
	early, late := behind.planned(), ahead.planned()
	require.Zero(t, claims(behind, "behind", late), "it is not due here for an hour")
	require.Equal(t, 1, claims(ahead, "ahead", late))
	require.Equal(t, 1, claims(ahead, "ahead", early))
	for owner, w := range map[string]*world{"behind": behind, "ahead": ahead} {
		require.False(t, must(w.TakeOver(t.Context(), owner))(t), "nobody looks dead")
	}
	require.Equal(t, 2, behind.count("jobs WHERE owner = 'ahead'"))

	behind.pass(time.Hour) // its clock has been set
	again := behind.planned()
	require.Equal(t, 1, claims(behind, "behind", again))
	require.Zero(t, claims(ahead, "ahead", again))
}
