package e2e

import (
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

// growth is how much TestGrowth… put in, and what they hold it against. RINGBACK_GROWTH=full takes minutes and a quiet machine
// (`make growth`); its tables are for docs/reliability.md. The short form's bounds leave room for other tests beside it.
type growth struct {
	lines    []int         // of one batch, ascending
	spread   float64       // between the lines a second of the least and the most
	resident int64         // bytes that the most lines may take more than the least
	thousand time.Duration // from the submission of 1,000 lines to their end
	few      int           // finished jobs in the database: as good as none, but for full pages of each list
	finished int           // finished jobs in another
	noise    time.Duration // a difference that counts for nothing
	slower   float64       // what is asked of it may take so many times as long as of an empty one
	samples  int           // of each
}

func howMuch(t *testing.T) growth {
	t.Helper()
	switch text := os.Getenv("RINGBACK_GROWTH"); text {
	case "":
		return growth{lines: []int{10_000, 30_000}, spread: 0.6, resident: 48 << 20, thousand: 2 * time.Second, few: 2000, finished: 20_000, slower: 6, noise: 5 * time.Millisecond, samples: 31}
	case "full":
		return growth{
			lines: []int{10_000, 100_000, 1_000_000}, spread: 0.2, resident: 64 << 20, thousand: 250 * time.Millisecond,
			few: 2000, finished: 1_000_000, slower: 1.5, noise: time.Millisecond, samples: 201,
		}
	default:
		t.Fatalf("RINGBACK_GROWTH is %q: set it to full, or leave it out", text)
		return growth{}
	}
}

// unlimited lets a batch have a million lines.
func unlimited(up *swift, more ...string) []string {
	return append(more, "limits.batch_lines=1000000", "limits.batch_bytes=1GB", "limits.file_bytes=1GB",
		fmt.Sprintf(`providers=[{name: up, type: openai, base_url: "%s/v1", models: ["*"], concurrency: 64}]`, up.server.URL))
}

// However long a batch is, its lines take the same time each, and the server the same memory.
func TestGrowthOfABatch(t *testing.T) {
	much := howMuch(t)
	for _, m := range []mode{embedded, scaled} {
		t.Run(string(m), func(t *testing.T) {
			up := startSwift(t, 0)
			f := m.start(t, unlimited(up)...)
			f.run(up, 2000) // connections, pages and pools, which the first batch pays for
			rates, peaks := make([]float64, len(much.lines)), make([]int64, len(much.lines))
			for range 2 { // the best of two counts: what else the machine does falls on single runs
				for i, lines := range much.lines {
					rate, peak := f.run(up, lines)
					rates[i], peaks[i] = max(rates[i], rate), max(peaks[i], peak)
				}
			}
			table := [][]string{{"lines of one batch, " + string(m), "lines a second", "memory high-water of the largest process"}}
			for i, lines := range much.lines {
				table = append(table, []string{strconv.Itoa(lines), fmt.Sprintf("%.0f", rates[i]), fmt.Sprintf("%.0f MB", float64(peaks[i])/1e6)})
			}
			printTable(table)
			require.Greater(t, slices.Min(rates), (1-much.spread)*slices.Max(rates), "lines a second: %.0f", rates)
			require.Less(t, slices.Max(peaks)-peaks[0], much.resident, "memory: %d", peaks)

			took := make([]time.Duration, 15)
			file := f.input(numbered(1000, 0))
			for i := range took {
				took[i] = f.batchOf(file)
			}
			slices.Sort(took)
			t.Logf("1,000 lines from the submission to the end: p50 %s, least %s, most %s", took[len(took)/2], took[0], took[len(took)-1])
			require.Less(t, took[len(took)/2], much.thousand)
		})
	}
}

// run has a batch of so many lines done, and gives its lines a second, validation and files included, and the most memory
// that any process had meanwhile.
func (f *fleet) run(up *swift, lines int) (rate float64, peak int64) {
	f.t.Helper()
	file, before := f.stream(lines), up.calls.Load()
	for _, s := range f.members() {
		s.forgetPeak()
	}
	began := time.Now()
	id := f.batch(file, "")
	for deadline := began.Add(30 * time.Minute); ; {
		status := f.read("/v1/jobs/" + id + "?wait=30s").get("status").String()
		if terminal(status) {
			break
		}
		require.Less(f.t, time.Now(), deadline, "%d lines take too long", lines)
	}
	rate = float64(lines) / time.Since(began).Seconds()
	done := f.read("/v1/batches/" + id)
	require.EqualValues(f.t, lines, done.get("request_counts.completed").Int(), string(done.body))
	require.EqualValues(f.t, lines, up.calls.Load()-before, "each line is called once")
	for _, s := range f.members() {
		peak = max(peak, s.memory("VmHWM:"))
	}
	f.t.Logf("%s: %d lines, %.0f a second, at most %.0f MB", f.mode, lines, rate, float64(peak)/1e6)
	return rate, peak
}

// batchOf is the time that one batch of an uploaded input takes.
func (f *fleet) batchOf(file string) time.Duration {
	f.t.Helper()
	began := time.Now()
	id := f.batch(file, "")
	for !terminal(f.read("/v1/jobs/" + id + "?wait=10s").get("status").String()) {
		require.Less(f.t, time.Since(began), patience)
	}
	return time.Since(began)
}

// stream uploads a numbered input that is in nobody's memory whole.
func (f *fleet) stream(lines int) (file string) {
	f.t.Helper()
	reader, writer := io.Pipe()
	w := multipart.NewWriter(writer)
	go func() {
		_ = w.WriteField("purpose", "batch")
		part, err := w.CreateFormFile("file", "input.jsonl")
		for i := 0; err == nil && i < lines; i++ {
			_, err = io.WriteString(part, line(customID(i), ask(question(i)))+"\n")
		}
		_ = w.Close()
		_ = writer.CloseWithError(err) // the request fails with it
	}()
	a, err := f.do("POST", "/v1/files", reader, "Content-Type", w.FormDataContentType())
	require.NoError(f.t, err)
	require.Equal(f.t, http.StatusOK, a.status, string(a.body))
	return a.get("id").String()
}

// forgetPeak has Linux count the process's most resident memory anew, see proc_pid_clear_refs(5).
func (s *server) forgetPeak() {
	s.t.Helper()
	require.NoError(s.t, os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", s.process.Process.Pid), []byte("5"), 0))
}

func (s *server) memory(name string) int64 {
	s.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.Process.Pid))
	require.NoError(s.t, err)
	_, rest, found := strings.Cut(string(status), name)
	require.True(s.t, found)
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	require.NoError(s.t, err)
	return kib << 10
}

// printTable writes a table in Markdown, as the documents have it.
func printTable(rows [][]string) {
	for i, row := range rows {
		fmt.Println("| " + strings.Join(row, " | ") + " |")
		if i == 0 {
			fmt.Println(strings.Repeat("| --- ", len(row)) + "|")
		}
	}
}

// history is a Ringback with finished jobs.
type history struct {
	*fleet
	file              string // a batch's input
	generation, batch string // one of each that is at its end
}

// asking is what a customer or an operator asks, whose time is taken.
type asking struct {
	name string
	ask  func(h *history)
}

func askings() []asking {
	get := func(path string) func(h *history) {
		return func(h *history) {
			h.read(strings.NewReplacer("GENERATION", h.generation, "BATCH", h.batch).Replace(path))
		}
	}
	return []asking{
		{"submit a generation", func(h *history) { h.generate("grow", `,"webhook":"http://127.0.0.1:9/none","metadata":{"team":"t1"}`) }},
		{"submit a batch", func(h *history) { h.fleet.batch(h.file, `,"metadata":{"team":"t1"}`) }},
		{"poll a generation", get("/v1/generate/GENERATION")},
		{"poll a batch", get("/v1/batches/BATCH")},
		{"list jobs", get("/v1/jobs?limit=20")},
		{"list jobs of a kind", get("/v1/jobs?limit=20&kind=generation")},
		{"list jobs in progress", get("/v1/jobs?limit=20&status=in_progress")},
		{"list jobs that failed", get("/v1/jobs?limit=20&status=failed")},
		{"list batches that expired", get("/v1/jobs?limit=20&kind=batch&status=expired")},
		{"list completed jobs", get("/v1/jobs?limit=20&status=completed")},
		{"list batches", get("/v1/batches?limit=20")},
		{"list files", get("/v1/files?limit=20")},
		{"list fine-tunings by metadata", get("/v1/fine_tuning/jobs?metadata[team]=none")},
		{"list events", get("/v1/events?limit=20")},
		{"list deliveries", get("/v1/deliveries?limit=20")},
		{"list deliveries that wait", get("/v1/deliveries?limit=20&status=waiting")},
		{"list deliveries that failed", get("/v1/deliveries?limit=20&status=failed")},
		{"a job's deliveries", get("/v1/jobs/GENERATION/deliveries")},
		{"/metrics", get("/metrics")},
	}
}

// What is asked of a database that holds a great many finished jobs takes no longer than of one that holds a page of them.
func TestGrowthOfHistory(t *testing.T) {
	much := howMuch(t)
	for _, m := range []mode{embedded, scaled} {
		t.Run(string(m), func(t *testing.T) {
			up := startSwift(t, 0)
			settings := append(openCallbacks(), "callbacks.schedule=[0s]", "retention.events=0s", "retention.attempts=0s", "retention.jobs=0s", "retention.results=0s")
			few := m.start(t, unlimited(up, settings...)...).withHistory(much.few)
			many := m.start(t, unlimited(up, settings...)...).withHistory(much.finished)
			table := [][]string{{"p50, " + string(m), fmt.Sprint(much.few, " finished jobs"), fmt.Sprint(much.finished, " finished jobs"), "ratio"}}
			var slow []string
			for _, a := range askings() {
				one, other := interleaved(much.samples, func() { a.ask(few) }, func() { a.ask(many) })
				ratio := other.Seconds() / one.Seconds()
				table = append(table, []string{a.name, fmt.Sprintf("%.2f ms", one.Seconds()*1000), fmt.Sprintf("%.2f ms", other.Seconds()*1000), fmt.Sprintf("%.2f", ratio)})
				if ratio > much.slower && other-one > much.noise {
					slow = append(slow, a.name)
				}
			}
			printTable(table)
			require.Empty(t, slow, "these take more than %.1f times as long", much.slower)
		})
	}
}

// interleaved gives the medians of two things that are done in turns.
func interleaved(n int, one, other func()) (p50One, p50Other time.Duration) {
	var times [2][]time.Duration
	for range n {
		for i, do := range []func(){one, other} {
			began := time.Now()
			do()
			times[i] = append(times[i], time.Since(began))
		}
	}
	slices.Sort(times[0])
	slices.Sort(times[1])
	return times[0][n/2], times[1][n/2]
}

// withHistory fills the database with jobs that have ended: a generation and a batch that really ran, each with its
// callback, copied with everything that is theirs.
func (f *fleet) withHistory(n int) *history {
	f.t.Helper()
	hook := startReceiver(f.t)
	more := hook.field() + `,"metadata":{"team":"t1"}`
	h := &history{fleet: f, file: f.input(numbered(2, 0))}
	h.generation, h.batch = f.generate("grow", more), f.batch(h.file, more)
	for _, id := range []string{h.generation, h.batch} {
		f.ended(id)
		eventually(f.t, "its callback is on record", func() bool {
			all := f.read("/v1/jobs/" + id + "/deliveries").get("data").Array()
			return len(all) > 0 && !slices.ContainsFunc(all, func(d gjson.Result) bool { return d.Get("status").String() != "delivered" })
		})
	}
	if f.mode == embedded { // it has one writer
		f.stop()
	}
	f.copies(h.generation, n*9/10)
	f.copies(h.batch, n/10)
	if f.mode == embedded {
		f.apis[0].start()
		return h
	}
	_, err := f.database().Exec("ANALYZE") // as autovacuum does in time
	require.NoError(f.t, err)
	return h
}

// copies writes a job's rows so many times more, each a tenth of a second older than the one before; of ten jobs one failed,
// one was cancelled and one has expired, and so of the callbacks.
func (f *fleet) copies(job string, n int) {
	f.t.Helper()
	for _, table := range []struct{ name, which string }{
		{"jobs", "one.id = '" + job + "'"},
		{"payloads", "one.job_id = '" + job + "'"},
		{"shards", "one.job_id = '" + job + "'"},
		{"lines", "one.job_id = '" + job + "'"},
		{"webhooks", "one.job_id = '" + job + "'"},
		{"events", "one.job_id = '" + job + "'"},
		{"attempts", "one.delivery_id IN (SELECT id FROM deliveries WHERE job_id = '" + job + "')"},
		{"deliveries", "one.job_id = '" + job + "'"},
	} {
		var columns, values []string
		for _, column := range f.columns(table.name) {
			if value := f.copied(table.name, column); value != "" {
				columns, values = append(columns, `"`+column+`"`), append(values, value)
			}
		}
		query := fmt.Sprintf(f.sql("insert"), n) + fmt.Sprintf(" INTO %[1]s (%[2]s) SELECT %[3]s FROM %[1]s AS one, many WHERE %[4]s",
			table.name, strings.Join(columns, ", "), strings.Join(values, ", "), table.which)
		_, err := f.database().Exec(query)
		require.NoError(f.t, err, query)
	}
}

// copied is what stands in a column of copy nth; empty where the database fills it.
func (f *fleet) copied(table, column string) string {
	one := `one."` + column + `"`
	id := func(of string) string {
		return fmt.Sprintf("CASE WHEN %[1]s = '' THEN '' ELSE substr(%[1]s, 1, length(%[1]s) - 26) || %[2]s END", of, fmt.Sprintf(f.sql("digits"), of))
	}
	odd := func(seventh, another, third string) string {
		return fmt.Sprintf("CASE nth %% 10 WHEN 1 THEN '%s' WHEN 4 THEN '%s' WHEN 7 THEN '%s' ELSE %s END", seventh, another, third, one)
	}
	switch column {
	case "kept":
		return ""
	case "position":
		return f.sql("position")
	case "id", "job_id", "webhook_id", "event_id", "delivery_id":
		if table == "shards" && column == "id" {
			return id(`one."job_id"`) + " || ':0'"
		}
		return id(one)
	case "created_at", "changed_at", "started_at", "finalizing_at", "ended_at", "expires_at", "delivered_at":
		return fmt.Sprintf("CASE WHEN %[1]s > 0 THEN %[1]s - nth * 100 ELSE 0 END", one)
	case "status":
		return odd("failed", "cancelled", "expired")
	case "state":
		return odd("failed", "cancelled", "delivered")
	case "metadata":
		return f.sql("metadata")
	}
	return one
}

// sql is what the two databases say differently.
func (f *fleet) sql(what string) string {
	both := map[string][2]string{
		"insert": {
			"WITH RECURSIVE many(nth) AS (SELECT 1 UNION ALL SELECT nth + 1 FROM many WHERE nth < %d) INSERT",
			"WITH many AS (SELECT generate_series(1, %d) AS nth) INSERT",
		},
		"digits":   {"printf('00%%018d', nth) || substr(%s, -6)", "'00' || lpad(nth::text, 18, '0') || right(%s, 6)"},
		"position": {"", "nextval('event_positions')"},
		"metadata": {`CAST('{"team":"t' || nth % 1000 || '"}' AS BLOB)`, `convert_to('{"team":"t' || nth % 1000 || '"}', 'UTF8')`},
	}[what]
	if f.mode == embedded {
		return both[0]
	}
	return both[1]
}

func (f *fleet) columns(table string) []string {
	f.t.Helper()
	rows, err := f.database().Query("SELECT * FROM " + table + " LIMIT 0")
	require.NoError(f.t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	require.NoError(f.t, err)
	return columns
}
