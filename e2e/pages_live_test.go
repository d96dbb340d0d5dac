package e2e

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

// liveBound is how much of a core a page may cost the server while it is open and nothing happens.
const liveBound = 0.01

// costsLittle measures each page for itself (`make growth`), or one of each kind at once.
func (c *crowd) costsLittle() {
	c.t.Helper()
	pages := livePages(c)
	if crowded() < promised {
		all := c.least(3*time.Second, liveBound*float64(len(pages)), pages...)
		c.t.Logf("%d pages: %s of a core", len(pages), percent(all))
		require.Less(c.t, all, liveBound*float64(len(pages)))
		return
	}
	table := [][]string{{"open page, " + string(c.mode), "of a core"}, {"none", percent(c.cost(20 * time.Second))}}
	for _, page := range pages {
		one := c.least(20*time.Second, liveBound, page)
		table = append(table, []string{page, percent(one)})
		require.Less(c.t, one, liveBound, page)
	}
	printTable(append(table, c.busy()...))
}

func percent(share float64) string { return fmt.Sprintf("%.2f %%", 100*share) }

// least is what open pages cost beside an idle server's own, measured again where it is over a bound: what else the machine does
// makes the same work dearer.
func (c *crowd) least(span time.Duration, bound float64, pages ...string) (least float64) {
	c.t.Helper()
	least = math.Inf(1)
	for range 3 {
		if least = min(least, c.cost(span, pages...)-c.cost(span)); least < bound {
			break
		}
	}
	return least
}

// cost is how much of a core the server takes while streams of pages are open, from their first look on.
func (c *crowd) cost(span time.Duration, pages ...string) float64 {
	c.t.Helper()
	ctx, cancel := context.WithCancel(c.t.Context())
	defer cancel()
	for _, page := range pages {
		c.watch(ctx, page)
	}
	time.Sleep(time.Second)
	before, began := c.cpu(), time.Now()
	time.Sleep(span)
	return (c.cpu() - before).Seconds() / time.Since(began).Seconds()
}

// watch opens a page's stream, and reads what comes until the context ends.
func (c *crowd) watch(ctx context.Context, page string) {
	c.t.Helper()
	request, err := http.NewRequestWithContext(ctx, "GET", c.url+page, nil)
	require.NoError(c.t, err)
	request.Header.Set("Accept", "text/event-stream")
	response, err := c.http.Do(request)
	require.NoError(c.t, err)
	require.Equal(c.t, http.StatusOK, response.StatusCode, page)
	go func() {
		defer response.Body.Close()
		_, _ = io.Copy(io.Discard, response.Body) // until the context ends
	}()
}

// cpu is what the present life has taken of the processors, see proc_pid_stat(5).
func (s *server) cpu() time.Duration {
	s.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.process.Process.Pid))
	require.NoError(s.t, err)
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var ticks int64
	for _, field := range fields[11:13] { // utime and stime
		n, err := strconv.ParseInt(field, 10, 64)
		require.NoError(s.t, err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// busy are rows of a table: what a batch takes of the processors, with no page open and with those that show it.
func (c *crowd) busy() (rows [][]string) {
	c.t.Helper()
	var text strings.Builder
	for i := range 20_000 {
		text.WriteString(asked(customID(i), question(i)) + "\n")
	}
	file := c.input(text.String())
	for _, open := range []bool{false, true, false, true} {
		ctx, cancel := context.WithCancel(c.t.Context())
		before, began := c.cpu(), time.Now()
		id := c.batch(file, "")
		if open {
			c.watch(ctx, "/")
			c.watch(ctx, "/jobs")
			c.watch(ctx, "/jobs/"+id)
		}
		for !terminal(c.read("/v1/jobs/" + id + "?wait=10s").get("status").String()) {
			require.Less(c.t, time.Since(began), 5*time.Minute)
		}
		took := time.Since(began)
		rows = append(rows, []string{
			fmt.Sprintf("a batch of 20,000 lines, %s", map[bool]string{true: "with /, /jobs and its own page open", false: "with none"}[open]),
			fmt.Sprintf("%s in %.1f s", percent((c.cpu()-before).Seconds()/took.Seconds()), took.Seconds()),
		})
		cancel()
	}
	return rows
}
