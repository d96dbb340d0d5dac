package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pageBound is how long a page may take with 100,000 jobs and 1,000,000 deliveries in the database.
const pageBound = 50 * time.Millisecond

// promised is for how many jobs the bound holds.
const promised = 100_000

// crowded is how many jobs the tests of pages put in: a tenth of what is promised, or all of it (`make growth`).
func crowded() int {
	if os.Getenv("RINGBACK_GROWTH") != "" {
		return promised
	}
	return promised / 10
}

// addresses are all pages, with their lists' filters, searches and further pages.
func (c *crowd) addresses() (all []string) {
	add := func(path string, queries ...string) {
		all = append(all, path)
		for _, q := range queries {
			all = append(all, path+"?"+q)
		}
	}
	old := func(prefix string, n int) string { return fmt.Sprintf("after=%s%026d", prefix, n) }
	add("/")
	add("/jobs", "status=running", "status=queued", "status=stuck", "status=completed", "status=failed", "status=stopped", "kind=batch", "kind=fine_tuning",
		"kind=fine_tuning&status=failed", "kind=fine_tuning&status=running", "kind=response&status=completed", "kind=generation&status=stopped", "kind=batch&status=stuck",
		"q=nightly", "q=NIGHTLY+run+100", "q=run+20&kind=batch", "q=finds+nothing", "q=t7&status=failed", "q=gen_00000000000000000000000", "q="+c.done,
		old("gen_", c.jobs/2+60), "status=failed&"+old("gen_", c.jobs/2+60), "kind=fine_tuning&"+old("ftjob-", c.jobs/2+30), "q=nightly&"+old("gen_", c.jobs/2+60))
	for _, id := range []string{c.done, c.running, c.tuned, c.generation, c.response} {
		add("/jobs/" + id)
	}
	add("/jobs/"+c.done, "custom_id=line-17", "custom_id=none")
	add("/jobs/"+c.done+"/lines", "after=100", "custom_id=line-17", "custom_id=none", fmt.Sprint("custom_id=line-", c.lines-1))
	add("/new", "kind=generation", "kind=fine_tuning", "from="+c.generation, "from="+c.done, "file="+c.file)
	add("/webhooks", "dialog=add")
	for _, i := range []int{0, 7, 11} {
		add("/webhooks/"+c.endpoints[i], "dialog=edit", "dialog=delete")
	}
	add("/deliveries", "state=waiting", "state=failed", "state=delivered", "state=cancelled", "dialog=retry", "dialog=retry&endpoint="+c.endpoints[3],
		"since=1h", "since=24h", "since=30d", "since=24h&state=delivered", "since=7d&type=endpoint.disabled",
		"q="+c.generation, "q="+c.event, "q="+c.waiting, "q=none", "job="+c.generation,
		old("dlv_", c.jobs*5), "state=failed&"+old("dlv_", c.jobs*5+13), "state=waiting&"+old("dlv_", c.jobs*8+7), "endpoint="+c.endpoints[1]+"&"+old("dlv_", c.jobs*5+1))
	for _, typ := range []string{"generation.completed", "batch.completed", "batch.expired", "file.deleted", "endpoint.disabled"} {
		add("/deliveries", "type="+typ)
		for _, state := range []string{"waiting", "failed", "delivered", "cancelled"} {
			all = append(all, "/deliveries?type="+typ+"&state="+state)
		}
		for _, i := range []int{1, 7, 11} {
			all = append(all, "/deliveries?type="+typ+"&endpoint="+c.endpoints[i])
		}
	}
	for _, i := range []int{1, 3, 7, 11} {
		add("/deliveries?endpoint=" + c.endpoints[i])
		for _, state := range []string{"waiting", "failed", "delivered", "cancelled"} {
			all = append(all, "/deliveries?endpoint="+c.endpoints[i]+"&state="+state)
		}
		all = append(all, "/deliveries?since=24h&endpoint="+c.endpoints[i])
	}
	for _, id := range []string{c.waiting, c.failed, c.delivered} {
		add("/deliveries/" + id)
	}
	add("/files", "purpose=batch", "purpose=fine-tune", "purpose=fine-tune-results", old("file-", c.jobs/20), "purpose=batch_output&"+old("file-", c.jobs/20-3))
	add("/files/"+c.file, "dialog=delete")
	add("/events", "type=batch.*", "type=file.*", "type=endpoint.*", "type=fine_tuning.job.*", "type=batch.completed", "type=batch.expired", "type=file.deleted", "type=generation.completed",
		"job="+c.generation, "job=none", "job="+c.generation+"&type=batch.*", fmt.Sprint("after=", c.jobs), fmt.Sprint("type=batch.*&after=", c.jobs), fmt.Sprint("type=file.*&after=", c.jobs))
	add("/events/" + c.event)
	add("/providers")
	add("/settings")
	slices.Sort(all)
	return slices.Compact(all)
}

// TestPages with much of everything in the database: each answers at once, and costs little while it is open.
func TestPages(t *testing.T) {
	for _, m := range []mode{embedded, scaled} {
		t.Run(string(m), func(t *testing.T) {
			c := startCrowd(t, m, crowded())
			t.Run("answer at once", func(t *testing.T) { c.t = t; c.answersAtOnce() })
			if !testing.Short() && (m == embedded || crowded() == promised) {
				t.Run("cost little while they are open", func(t *testing.T) { c.t = t; c.costsLittle() })
			}
		})
	}
}

// answersAtOnce wants of each page, whatever it is asked for, and of the first look of its stream, that it takes no longer than
// the bound.
func (c *crowd) answersAtOnce() {
	c.t.Helper()
	var slow []string
	table := [][]string{{"page, " + string(c.mode), "median", "worst"}}
	times := c.rounds(c.addresses(), 9, false)
	for path, some := range c.rounds(livePages(c), 5, true) {
		times[path+" (stream)"] = some
	}
	for _, path := range slices.Sorted(maps.Keys(times)) {
		some := times[path]
		for range 3 { // what else the machine does falls on single rounds
			if path, stream := strings.CutSuffix(path, " (stream)"); median(some) > pageBound {
				some = c.rounds([]string{path}, 9, stream)[path]
			}
		}
		table = append(table, []string{path, milliseconds(median(some)), milliseconds(some[len(some)-1])})
		if median(some) > pageBound {
			slow = append(slow, path+" "+milliseconds(median(some)))
		}
	}
	if os.Getenv("RINGBACK_GROWTH") != "" {
		printTable(table)
	}
	require.Empty(c.t, slow, "these take more than %s", pageBound)
}

// rounds are the times that pages take, ascending. They are asked for one after the other, again and again: what is remembered
// of one for a moment is forgotten when its turn comes again.
func (c *crowd) rounds(paths []string, n int, stream bool) map[string][]time.Duration {
	c.t.Helper()
	times := map[string][]time.Duration{}
	for range n {
		for _, path := range paths {
			times[path] = append(times[path], c.timed(path, stream))
		}
	}
	for _, some := range times {
		slices.Sort(some)
	}
	return times
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.1f ms", d.Seconds()*1000) }

// livePages are pages whose streams tell different things.
func livePages(c *crowd) []string {
	return []string{
		"/", "/jobs", "/jobs?q=nightly", "/jobs/" + c.running, "/jobs/" + c.done, "/jobs/" + c.tuned, "/jobs/" + c.generation, "/webhooks", "/webhooks/" + c.endpoints[7],
		"/deliveries", "/deliveries?type=batch.expired", "/deliveries/" + c.waiting, "/files", "/events", "/events?type=batch.*", "/events/" + c.event, "/providers",
	}
}

// timed asks for a page, or for its stream up to its first change, and gives how long that took.
func (c *crowd) timed(path string, stream bool) time.Duration {
	c.t.Helper()
	ctx, cancel := context.WithCancel(c.t.Context())
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, "GET", c.url+path, nil)
	require.NoError(c.t, err)
	request.Header.Set("Accept", map[bool]string{true: "text/event-stream", false: "text/html"}[stream])
	began := time.Now()
	response, err := c.http.Do(request)
	require.NoError(c.t, err)
	defer response.Body.Close()
	require.Equal(c.t, 200, response.StatusCode, path)
	if stream {
		_, err = bufio.NewReader(response.Body).ReadString('\n')
	} else {
		_, err = io.Copy(io.Discard, response.Body)
	}
	took := time.Since(began)
	require.NoError(c.t, err)
	return took
}
