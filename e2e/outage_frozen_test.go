package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// J3, R11: of three workers one stands still for longer than its lease, in the middle of a batch and with callbacks in hand.
// The others take over; when it goes on, what it knows is refused, it begins nothing that is others' by now, and it takes new
// work.
func workerFreezes(t *testing.T) {
	away, lines := 25*time.Second, 2000
	if longForm() {
		away, lines = time.Minute, 7000
	}
	o := startOutage(t, fleetOptions{apis: 1, workers: 3}, lines, 300*time.Millisecond)
	o.firmly()
	o.begins(60 * time.Millisecond)
	frozen := o.f.workers[0]
	const inHand = "SELECT (SELECT count(*) FROM deliveries WHERE owner = $1) * (SELECT count(*) FROM shards WHERE owner = $1)"
	eventually(t, "it has lines and callbacks in hand", func() bool { return o.called() > 200 && o.f.count(inHand, frozen.owner) > 0 })
	from := time.Now()
	frozen.pause()
	shards := o.f.held(frozen)
	const held = `SELECT (SELECT count(*) FROM jobs WHERE owner = $1) + (SELECT count(*) FROM shards WHERE owner = $1) +
		(SELECT count(*) FROM deliveries WHERE owner = $1)`
	eventually(t, "nothing is its own any more", func() bool { return o.f.count(held, frozen.owner) == 0 })
	took := time.Since(from)
	require.Less(t, took, takeOverWithin)
	time.Sleep(time.Until(from.Add(away)))
	woken := time.Now()
	o.f.kills = append(o.f.kills, kill{frozen.name, from, woken}) // what it had in hand is called again; it sent nothing meanwhile
	frozen.resume()
	eventually(t, "it takes new work", func() bool { return o.callsBy(frozen, woken) > 0 })
	back := time.Since(woken)
	l := o.end(0)
	t.Logf("%d shards of a worker that stood still for %s were others' after %s; it made new calls %s after it went on, %d in all",
		len(shards), away, took.Round(time.Millisecond), back.Round(time.Millisecond), o.callsBy(frozen, woken))
	l.print(t)
	require.Equal(t, []string{frozen.name}, o.f.says(takenForDead))
	require.LessOrEqual(t, l.repeated, slots+64, "callbacks that it had in hand")
}

// callsBy counts a member's calls since an instant.
func (o *outage) callsBy(s *server, since time.Time) (n int) {
	for _, c := range o.up.seen() {
		if c.member == s.name && c.at.After(since) {
			n++
		}
	}
	return n
}
