package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The database stands still for as long as a lease. Nobody is taken for dead, no call is made again, no callback comes twice;
// what is submitted meanwhile is accepted late or not at all.
func databasePauses(t *testing.T) {
	const pause = 15 * time.Second
	postgres := startPostgres(t)
	o := startOutage(t, fleetOptions{apis: 1, workers: 3, postgres: postgres}, 4000, 50*time.Millisecond)
	o.firmly()
	o.begins(40 * time.Millisecond)
	o.reaches(600)
	eventually(t, "callbacks are under way", func() bool { return o.f.count("SELECT count(*) FROM deliveries WHERE owner <> ''") > 0 })
	from := time.Now()
	require.NoError(t, postgres.Pause())
	paused := time.Now()
	a, err := o.f.do("GET", "/readyz", nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, a.status, "%s", a.body)
	require.Equal(t, "unavailable", a.get("status").Str, "%s", a.body)
	o.f.read("/healthz")
	time.Sleep(time.Until(paused.Add(pause)))
	to := time.Now()
	require.NoError(t, postgres.Resume())
	require.Less(t, o.called(), o.lines, "lines are left for afterwards")
	l := o.end(0)
	meanwhile := o.heard(from, to)
	t.Logf("the database paused for %s; submissions meanwhile were first answered %v; calls meanwhile %d", pause, statuses(meanwhile), o.callsIn(from, to))
	l.print(t)
	require.NotEmpty(t, meanwhile)
	require.Zero(t, o.callsIn(paused.Add(12*time.Second), to), "who may be taken for dead begins nothing")
	require.Zero(t, l.callRepeats)
	require.Zero(t, l.repeated)
	require.Empty(t, o.f.says(takenForDead))
	require.Empty(t, o.f.says(hasTakenOver))
}

// callsIn counts the calls that began between two instants.
func (o *outage) callsIn(from, to time.Time) (n int) {
	for _, c := range o.up.seen() {
		if c.at.After(from) && c.at.Before(to) {
			n++
		}
	}
	return n
}

// PostgreSQL dies twice in the middle, once for some seconds. What was answered and not yet kept stays in memory and is kept
// when it is back.
func databaseCrashes(t *testing.T) {
	postgres := startPostgres(t, "fsync=on")
	o := startOutage(t, fleetOptions{apis: 1, workers: 2, postgres: postgres}, 3000, 50*time.Millisecond)
	o.begins(40 * time.Millisecond)
	for _, crash := range []struct {
		at   int
		away time.Duration
	}{{400, 0}, {1200, 5 * time.Second}} {
		o.reaches(crash.at)
		from := time.Now()
		require.NoError(t, postgres.Kill())
		time.Sleep(crash.away)
		require.NoError(t, postgres.Start())
		back, before := time.Now(), o.called()
		eventually(t, "new lines are called", func() bool { return o.called() > before })
		t.Logf("the database was away for %s; new calls came %s after; submissions meanwhile: %v",
			back.Sub(from).Round(time.Millisecond), time.Since(back).Round(time.Millisecond), statuses(o.heard(from, back)))
	}
	l := o.end(8)
	l.print(t)
	require.Zero(t, l.callRepeats, "no process died: nothing is called again")
	require.Empty(t, o.f.says(takenForDead))
}
