package e2e

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

// ledger is what a run came to.
type ledger struct {
	mode            mode
	kills           int
	accepted, ended int

	owed, posts, lost int // callbacks
	repeated          int // taken more than once
	recorded          int // of those: with their attempt on record

	lines, lineRepeats, linesLost int // in the files of batches

	calls, callRepeats, bound int // of the provider; bound is how many may be repeats, see excused
	before                    time.Duration
}

// print writes the ledger into the test's log.
func (l ledger) print(t *testing.T) {
	t.Helper()
	t.Logf(`the ledger: %s, %d kills
  jobs       accepted %6d   ended    %6d   lost %d
  callbacks  owed     %6d   posts    %6d   lost %d   taken twice %d, of those with their attempt on record %d
  lines      in files %6d   custom_id repeated %d   missing %d
  calls      made     %6d   repeated %d, of at most %d in flight at a kill, or answered in the %s before it`,
		l.mode, l.kills, l.accepted, l.ended, l.accepted-l.ended, l.owed, l.posts, l.lost, l.repeated, l.recorded,
		l.lines, l.lineRepeats, l.linesLost, l.calls, l.callRepeats, l.bound, l.before.Round(time.Millisecond))
}

// end closes the doors to customers, waits for the rest, stops Ringback and holds what happened against what was promised.
func (c *chaos) end() ledger {
	c.t.Helper()
	c.close()
	if c.t.Failed() {
		c.t.FailNow()
	}
	began := time.Now()
	c.settle()
	c.t.Logf("all was quiet %s after the last submission", time.Since(began).Round(time.Millisecond))
	l := ledger{mode: c.f.mode, kills: len(c.f.kills), accepted: len(c.accepted)}
	owed := c.owed(&l)
	c.madeOnce()
	c.outputs(&l)
	c.balance(&l, owed)
	c.paid(&l)
	c.f.stop()
	c.f.sound()
	return l
}

// slowToSettle is when settle says for what it waits: longer than a lease, after which claims of the dead are others'.
const slowToSettle = 25 * time.Second

// settle waits until no job is open and no delivery is owed any more, as long as there is progress.
func (c *chaos) settle() {
	c.t.Helper()
	const open = `SELECT (SELECT count(*) FROM jobs WHERE ended_at = 0) + (SELECT count(*) FROM deliveries WHERE state IN ('waiting', 'sending'))`
	least, began, told := 1<<30, time.Now(), false
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		n := c.f.count(open)
		if n == 0 {
			return
		}
		if n > 0 && n < least {
			least, deadline = n, time.Now().Add(patience)
		}
		if !told && time.Since(began) > slowToSettle {
			c.t.Logf("%d are open after %s:\n%s", n, slowToSettle, c.f.stuck())
			told = true
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("%d jobs and deliveries are open, and have been for %s:\n%s", n, patience, c.f.stuck())
		}
	}
}

// stuck are some of the rows that are open.
func (f *fleet) stuck() string {
	var b strings.Builder
	for _, query := range []string{
		"SELECT id || ' ' || status || ' owner=' || owner || ' due=' || due_at || ' wake=' || wake_at || ' tries=' || tries || ' claims=' || claims || ' blocked_by=' || blocked_by FROM jobs WHERE ended_at = 0 LIMIT 10",
		"SELECT id || ' of ' || job_id || ' owner=' || owner || ' due=' || due_at || ' wake=' || wake_at || ' tries=' || tries || ' claims=' || claims FROM shards WHERE NOT done LIMIT 10",
		"SELECT id || ' ' || state || ' gate=' || gate || ' owner=' || owner || ' due=' || due_at || ' tries=' || tries FROM deliveries WHERE state IN ('waiting', 'sending') LIMIT 10",
	} {
		rows, err := f.database().Query(query)
		if err != nil {
			return b.String() + err.Error()
		}
		for rows.Next() {
			var text string
			if rows.Scan(&text) == nil {
				b.WriteString(text + "\n")
			}
		}
		rows.Close()
	}
	for _, s := range f.members() {
		fmt.Fprintf(&b, "%s is %s\n", s.name, s.owner)
	}
	return b.String()
}

// debt is an event that is owed to a receiver.
type debt struct{ to, event string }

// owed are all debts, made out from what was submitted and what happened; each job that was accepted has one end.
func (c *chaos) owed(l *ledger) map[debt]bool {
	c.t.Helper()
	owed, ends, jobs := map[debt]bool{}, map[string]int{}, map[string]bool{}
	for _, e := range c.f.events("") {
		id, typ, about := e.Get("id").String(), e.Get("type").String(), e.Get("data.id").String()
		if about != c.endpoints[0].id {
			owed[debt{c.endpoints[0].id, id}] = true
		}
		job, known := c.accepted[about]
		if !known {
			require.True(c.t, strings.HasPrefix(typ, "file.") || strings.HasPrefix(typ, "webhook_endpoint.") || strings.HasPrefix(typ, "endpoint.") || strings.HasPrefix(typ, "model."),
				"%s about %s, which nobody submitted", typ, about)
			continue
		}
		jobs[about] = true
		if family, _, _ := strings.Cut(typ, "."); family == "generation" || family == "batch" {
			owed[debt{c.endpoints[1].id, id}] = true
		}
		if terminal(typ[strings.LastIndexByte(typ, '.')+1:]) {
			ends[about]++
			require.Equal(c.t, job.kind.ended, typ, "%s", e.Raw)
			if job.webhook {
				owed[debt{"", id}] = true
			}
			if job.named || typ == "batch.completed" {
				owed[debt{c.endpoints[2].id, id}] = true
			}
		}
	}
	for id := range c.accepted {
		require.Equal(c.t, 1, ends[id], "the ends of %s", id)
	}
	require.Equal(c.t, l.accepted, len(jobs), "each submission is one job, however often it was sent")
	l.ended, l.owed = len(ends), len(owed)
	return owed
}

// madeOnce wants each fine-tuning and each video to have been made once at the provider.
func (c *chaos) madeOnce() {
	c.t.Helper()
	made := map[string]int{}
	for _, job := range c.accepted {
		made[job.kind.name]++
	}
	c.t.Log(made)
	require.EqualValues(c.t, made["video"], c.sim.read("/healthz").get("videos").Int(), "videos at the provider")
	require.Equal(c.t, made[tuning], tuningsAt(c.sim), "fine-tunings at the provider")
}

// outputs wants each line of each batch once over its output and its error file.
func (c *chaos) outputs(l *ledger) {
	c.t.Helper()
	for id, job := range c.accepted {
		if job.kind.path != "/v1/batches" {
			continue
		}
		done, found := c.f.read("/v1/batches/"+id), map[string]int{}
		for _, file := range []string{"output_file_id", "error_file_id"} {
			for _, text := range c.f.lines(done.get(file)) {
				found[gjson.Get(text, "custom_id").String()]++
			}
		}
		for _, n := range found {
			l.lines += n
			l.lineRepeats += n - 1
		}
		l.linesLost += max(job.kind.lines, 1) - len(found)
	}
	require.Zero(c.t, l.lineRepeats, "a custom_id stands twice")
	require.Zero(c.t, l.linesLost, "a line stands nowhere")
}

// onRecord is what the database says of a delivery.
type onRecord struct {
	id, state   string
	numbers     map[int]bool // of its attempts
	interrupted int          // attempts whose outcome no process lived to see
}

// records reads every delivery with its attempts.
func (c *chaos) records() map[debt]*onRecord {
	c.t.Helper()
	of, byID := map[debt]*onRecord{}, map[string]*onRecord{}
	c.rows("SELECT id, event_id, endpoint_id, state FROM deliveries", func(rows *sql.Rows) error {
		var d debt
		r := &onRecord{numbers: map[int]bool{}}
		err := rows.Scan(&r.id, &d.event, &d.to, &r.state)
		of[d], byID[r.id] = r, r
		return err
	})
	c.rows("SELECT delivery_id, number, error_class FROM attempts", func(rows *sql.Rows) error {
		var id, class string
		var number int
		err := rows.Scan(&id, &number, &class)
		require.False(c.t, byID[id].numbers[number], "%s has two attempts of number %d", id, number)
		byID[id].numbers[number] = true
		if class == "interrupted" {
			byID[id].interrupted++
		}
		return err
	})
	return of
}

func (c *chaos) rows(query string, scan func(*sql.Rows) error) {
	c.t.Helper()
	rows, err := c.f.database().Query(query)
	require.NoError(c.t, err)
	defer rows.Close()
	for rows.Next() {
		require.NoError(c.t, scan(rows))
	}
	require.NoError(c.t, rows.Err())
}

// balance holds what arrived against what was owed and what is on record.
func (c *chaos) balance(l *ledger, owed map[debt]bool) {
	c.t.Helper()
	records := c.records()
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
	l.posts = len(c.arrivals)
	for d := range owed {
		r := records[d]
		if taken[d] == 0 {
			l.lost++
			c.t.Errorf("%s (%s, event %s) was lost", r.id, r.state, d.event)
			continue
		}
		require.Equal(c.t, "delivered", r.state, "%s", r.id)
		require.LessOrEqual(c.t, posts[d], len(r.numbers), "POSTs of %s", r.id)
		l.repeated += taken[d] - 1
		l.recorded += min(taken[d]-1, r.interrupted)
	}
	require.Equal(c.t, l.repeated, l.recorded, "a callback was repeated although no kill had it in hand")
}

// answeredBefore is how old an answer may be that a kill takes along: a flush interval (50 ms), the time that it takes to
// write it, which is up to twice that of the slowest write that a customer saw, and two seconds for a machine that is busy with
// other tests too.
func (f *fleet) answeredBefore() time.Duration {
	return 50*time.Millisecond + 2*time.Duration(f.slowest.Load()) + 2*time.Second
}

// timed sends a request that writes, and notes how long it took, unless an API was away: a request may wait for its start.
func (f *fleet) timed(send func() (answer, error)) (answer, error) {
	whole, began := f.away.Load() == 0, time.Now()
	a, err := send()
	took := int64(time.Since(began))
	for err == nil && a.status/100 == 2 && whole && f.away.Load() == 0 {
		if slowest := f.slowest.Load(); took <= slowest || f.slowest.CompareAndSwap(slowest, took) {
			break
		}
	}
	return a, err
}

// paid holds the provider's calls against the kills: a call is repeated only where the one before it was in flight when its
// process was killed, or had just been answered. A call that was answered with an error is not repeated but tried again.
func (c *chaos) paid(l *ledger) {
	c.t.Helper()
	l.before = c.f.answeredBefore()
	calls := map[string][]call{}
	for _, one := range c.up.seen() {
		if mark := one.marked(); mark != "" && one.path != "/v1/files" {
			l.calls++
			calls[mark] = append(calls[mark], one)
		}
	}
	for mark, all := range calls {
		good, lost := c.f.excused(all)
		l.bound += lost
		l.callRepeats += max(good-1, 0)
		if good-1 > lost {
			c.t.Errorf("%q was called %d times, and kills excuse %d: %s", mark, good, lost, c.f.story(all))
		}
	}
}

// excused counts, of all calls for one thing, those that the provider did not refuse, and those of them that a kill took
// along.
func (f *fleet) excused(calls []call) (good, lost int) {
	before := f.answeredBefore()
	for _, c := range calls {
		if c.status >= 400 && !c.cut {
			continue
		}
		good++
		for _, k := range f.kills {
			if k.member == c.member && c.began(k) && (c.ended.IsZero() || c.ended.After(k.from.Add(-before))) {
				lost++
				break
			}
		}
	}
	return good, lost
}

// began tells whether a call began before a kill was over. A provider that is busy sees one that was cut some time after it.
func (c call) began(k kill) bool {
	at := c.at
	if c.cut {
		at = at.Add(-2 * time.Second)
	}
	return !at.After(k.to)
}

// story tells calls and kills in the order in which they happened.
func (f *fleet) story(calls []call) string {
	var b strings.Builder
	first := calls[0].at
	for _, c := range calls {
		fmt.Fprintf(&b, "\n  +%s by %s until +%s: %d cut=%v", c.at.Sub(first), c.member, c.ended.Sub(first), c.status, c.cut)
	}
	for _, k := range f.kills {
		if d := k.from.Sub(first); d > -time.Minute && d < time.Minute {
			fmt.Fprintf(&b, "\n  +%s %s was killed", d, k.member)
		}
	}
	return b.String()
}
