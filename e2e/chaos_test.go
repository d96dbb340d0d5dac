package e2e

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// R8, R30, in both modes: while customers submit jobs of every kind and their receivers fail now and then, processes are
// killed at random moments: the only one, or any, some or all of a fleet's. Every job that was accepted ends once and well,
// every callback that is owed arrives, whatever was sent twice has its attempts on record, each custom_id stands once in
// the files, and no provider call is repeated but those that were in flight or in the flush buffer at a kill.
// RINGBACK_CHAOS_KILLS sets how many kills (`make chaos`).
//
// R21: SIGTERM under the same load loses nothing either, and repeats nothing. R8: nor is anything lost, or called twice, when
// PostgreSQL is killed.
func TestChaosLosesNothing(t *testing.T) {
	t.Parallel()
	tests := map[string]func(t *testing.T){"fleet, its database killed": databaseKilled}
	for m, few := range map[mode]int{embedded: 10, scaled: 6} {
		kills := chaosKills(t, few)
		tests[string(m)+", killed"] = func(t *testing.T) { killed(t, m, kills) }
		tests[string(m)+", stopped"] = func(t *testing.T) { stopped(t, m, 3) }
	}
	inTurn(t, tests)
}

// chaosKills is how often processes are killed; few where nobody says.
func chaosKills(t *testing.T, few int) int {
	t.Helper()
	text := os.Getenv("RINGBACK_CHAOS_KILLS")
	if text == "" {
		return few
	}
	kills, err := strconv.Atoi(text)
	require.NoError(t, err, "RINGBACK_CHAOS_KILLS")
	return kills
}

func killed(t *testing.T, m mode, kills int) {
	random := dice(t)
	c := startChaos(t, m.start, usual)
	for rounds := 1; len(c.f.kills) < kills; rounds++ {
		time.Sleep(time.Duration(random.IntN(1200)) * time.Millisecond) // the moment is the dice's
		victims := c.f.victims(random)
		c.f.kill9(victims...)
		time.Sleep(pause(random))
		c.f.restart(victims...)
		if m == scaled && rounds%20 == 0 {
			time.Sleep(25 * time.Second) // long enough for the living to take over, under load
		}
	}
	c.end().print(t)
}

// victims are one of the members, sometimes two, sometimes all.
func (f *fleet) victims(random *rand.Rand) []*server {
	all := f.members()
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	switch random.IntN(10) {
	case 0:
		return all
	case 1, 2:
		return all[:min(2, len(all))]
	}
	return all[:1]
}

// pause is how long a process is away: mostly less than a second, sometimes several.
func pause(random *rand.Rand) time.Duration {
	most := 600
	if random.IntN(6) == 0 {
		most = 4000
	}
	return time.Duration(random.IntN(most)) * time.Millisecond
}

func stopped(t *testing.T, m mode, stops int) {
	random := dice(t)
	c := startChaos(t, m.start, usual)
	for range stops {
		time.Sleep(time.Duration(500+random.IntN(900)) * time.Millisecond)
		s := c.f.victims(random)[0]
		code, _ := s.stop()
		require.Zero(t, code)
		s.restart()
	}
	l := c.end()
	l.print(t)
	require.Zero(t, l.repeated, "a stop in order repeats no callback")
	require.Zero(t, l.callRepeats, "a stop in order repeats no call")
}

// databaseKilled: PostgreSQL dies under a fleet, whose processes live. What was to be written is written when it is back.
func databaseKilled(t *testing.T) {
	random := dice(t)
	postgres := startPostgres(t, "fsync=on")
	c := startChaos(t, func(t *testing.T, settings ...string) *fleet {
		return startFleet(t, fleetOptions{apis: 2, workers: 2, settings: settings, postgres: postgres})
	}, usual)
	for range 4 {
		time.Sleep(time.Duration(500+random.IntN(1500)) * time.Millisecond)
		require.NoError(t, postgres.Kill())
		time.Sleep(pause(random))
		require.NoError(t, postgres.Start())
	}
	l := c.end()
	l.print(t)
	require.Zero(t, l.callRepeats, "no process died: nothing is called again")
}
