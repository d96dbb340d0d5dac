package e2e

import (
	"strings"

	"github.com/stretchr/testify/require"
)

// debt is an event that is owed to a receiver.
type debt struct{ to, event string }

// owed are all debts, made out from what was submitted and what happened; each job that was accepted has one end.
func (c *chaos) owed() map[debt]bool {
	c.t.Helper()
	owed, ends, jobs := map[debt]bool{}, map[string]int{}, map[string]bool{}
	for _, e := range c.s.events("") {
		id, typ, about := e.Get("id").String(), e.Get("type").String(), e.Get("data.id").String()
		family, state, _ := strings.Cut(typ, ".")
		if about != c.endpoints[0].id {
			owed[debt{c.endpoints[0].id, id}] = true
		}
		if family != "generation" && family != "batch" {
			continue
		}
		jobs[about] = true
		owed[debt{c.endpoints[1].id, id}] = true
		job := c.accepted[about]
		if terminal(state) {
			ends[about]++
			require.Equal(c.t, "completed", state)
			if job.webhook {
				owed[debt{"", id}] = true
			}
		}
		if terminal(state) && (job.named || typ == "batch.completed") {
			owed[debt{c.endpoints[2].id, id}] = true
		}
	}
	for id := range c.accepted {
		require.Equal(c.t, 1, ends[id], "the ends of %s", id)
	}
	require.Equal(c.t, len(c.accepted), len(jobs), "each submission is one job, however often it was sent")
	return owed
}

// onRecord is what the database says of a delivery.
type onRecord struct {
	id, state   string
	numbers     map[int]bool // of its attempts
	interrupted int          // attempts whose outcome the server did not live to see
}

// records reads every delivery with its attempts.
func (c *chaos) records() (of map[debt]*onRecord, attempts int) {
	c.t.Helper()
	db := openDatabase(c.t, c.s.dir)
	of, byID := map[debt]*onRecord{}, map[string]*onRecord{}
	rows, err := db.Query("SELECT id, event_id, endpoint_id, state FROM deliveries")
	require.NoError(c.t, err)
	defer rows.Close()
	for rows.Next() {
		var d debt
		r := &onRecord{numbers: map[int]bool{}}
		require.NoError(c.t, rows.Scan(&r.id, &d.event, &d.to, &r.state))
		of[d], byID[r.id] = r, r
	}
	require.NoError(c.t, rows.Err())
	tried, err := db.Query("SELECT delivery_id, number, error_class FROM attempts")
	require.NoError(c.t, err)
	defer tried.Close()
	for ; tried.Next(); attempts++ {
		var id, class string
		var number int
		require.NoError(c.t, tried.Scan(&id, &number, &class))
		require.False(c.t, byID[id].numbers[number], "%s has two attempts of number %d", id, number)
		byID[id].numbers[number] = true
		if class == "interrupted" {
			byID[id].interrupted++
		}
	}
	require.NoError(c.t, tried.Err())
	return of, attempts
}

// balance holds what arrived against what was owed and what is on record. It counts what was taken more than once.
func (c *chaos) balance(stops string, owed map[debt]bool) (duplicates int) {
	c.t.Helper()
	records, attempts := c.records()
	require.Equal(c.t, len(owed), len(records), "deliveries")
	posts, taken := map[debt]int{}, map[debt]int{}
	for _, a := range c.arrivals {
		d := debt{a.to, a.event}
		require.True(c.t, owed[d], "%v arrived and was not owed", d)
		require.True(c.t, records[d].numbers[a.number], "attempt %d of %s arrived and is not on record", a.number, records[d].id)
		posts[d]++
		if a.taken {
			taken[d]++
		}
	}
	interrupted := 0
	for d := range owed {
		r := records[d]
		require.Equal(c.t, "delivered", r.state, "%s", r.id)
		require.Positive(c.t, taken[d], "%s was lost", r.id)
		require.LessOrEqual(c.t, posts[d], len(r.numbers), "POSTs of %s", r.id)
		require.LessOrEqual(c.t, taken[d]-1, r.interrupted, "%s was repeated although no kill had it in hand", r.id)
		duplicates += taken[d] - 1
		interrupted += r.interrupted
	}
	c.t.Logf("%s; %d jobs, %d debts (%d POSTs, %d attempts on record, %d broken off by kills); 0 lost, %d taken twice, each with its attempts",
		stops, len(c.accepted), len(owed), len(c.arrivals), attempts, interrupted, duplicates)
	return duplicates
}
