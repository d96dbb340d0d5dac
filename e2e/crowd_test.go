package e2e

import (
	"database/sql"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// crowd is a Ringback, of one process, whose database holds much of everything.
type crowd struct {
	*server
	mode      mode
	dsn       string // empty: SQLite
	jobs      int    // and three times as many events, ten times as many deliveries, a tenth as many files
	lines     int    // of each of two batches
	began     int64  // Unix milliseconds: when the oldest job was submitted
	endpoints []string

	done, running, tuned, generation, response string // jobs: two batches, and one of each other kind
	waiting, failed, delivered                 string // deliveries
	event, file                                string
}

// month is the span over which a crowd's jobs were submitted.
const month = 30 * 24 * time.Hour

// startCrowd fills a new database and starts Ringback over it. Nothing of what is in it is due.
func startCrowd(t *testing.T, m mode, size int, settings ...string) *crowd {
	t.Helper()
	c := &crowd{mode: m, jobs: size, lines: 20_000, began: time.Now().Add(-month).UnixMilli()}
	settings = append(settings, openCallbacks()...)
	settings = append(settings, "retention.events=0s", "retention.attempts=0s", "retention.jobs=0s", "retention.results=0s", "retention.files=0s")
	if m == scaled {
		c.dsn = newDatabase(t, nil)
		settings = append(settings, "store.dsn="+c.dsn, "secrets.key="+base64.StdEncoding.EncodeToString(make([]byte, 32)))
	}
	c.server = newServer(t, alone, settings...)
	c.start()
	for i := range 12 {
		made := c.call(200, "POST", "/v1/webhook_endpoints", fmt.Sprintf(`{"name":"receiver %d","url":"http://127.0.0.1:9/%d","event_types":["batch.created"]}`, i, i))
		c.endpoints = append(c.endpoints, made.get("id").String())
	}
	c.stop()
	began := time.Now()
	c.fill()
	t.Logf("%s: %d jobs and what belongs to them, written in %s", m, c.jobs, time.Since(began).Round(time.Second/10))
	c.restart()
	return c
}

// fill writes the rows.
func (c *crowd) fill() {
	c.t.Helper()
	kind, driver, place := "sqlite", "sqlite3", "file:"+c.dir+"/ringback.db?_busy_timeout=5000"
	if c.dsn != "" {
		kind, driver, place = "postgres", "pgx", c.dsn
	}
	db, err := sql.Open(driver, place)
	require.NoError(c.t, err)
	defer db.Close()
	db.SetMaxOpenConns(1)
	do := func(statements ...string) {
		for _, s := range statements {
			_, err := db.Exec(s)
			require.NoError(c.t, err, s)
		}
	}
	if kind == "sqlite" {
		do("PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF", "PRAGMA cache_size=-400000", "PRAGMA locking_mode=EXCLUSIVE")
	} else {
		do("SET synchronous_commit = off", "SET work_mem = '64MB'")
	}
	for _, s := range c.statements() {
		do(c.written(kind, s))
	}
	if kind == "sqlite" {
		do("PRAGMA locking_mode=NORMAL", "PRAGMA journal_mode=WAL")
	} else {
		do("SELECT setval('event_positions', "+fmt.Sprint(3*c.jobs+1000)+")", "VACUUM ANALYZE", "CHECKPOINT") // as autovacuum does in time
	}
}

// written is a statement as a database wants it. In braces stand what the two say differently, and what a crowd's rows have in
// common, about number n.
func (c *crowd) written(kind, s string) string {
	pad, raw := "printf('%026d', $1)", "CAST($1 AS BLOB)"
	if kind == "postgres" {
		pad, raw = "lpad(CAST($1 AS TEXT), 26, '0')", "convert_to($1, 'UTF8')"
	}
	job := "(CASE WHEN $1 % 100 < 10 THEN 'batch_' WHEN $1 % 100 < 30 THEN 'resp_' WHEN $1 % 100 = 30 THEN 'ftjob-' ELSE 'gen_' END || {pad($1)})"
	typ := `(CASE WHEN $1 % 20000 = 19999 THEN 'endpoint.disabled' WHEN $1 < 500 THEN 'file.deleted'
		WHEN {jobof($1)} % 100 < 10 THEN CASE $1 % 3 WHEN 1 THEN 'batch.created' WHEN 2 THEN 'batch.in_progress' ELSE 'batch.completed' END
		WHEN {jobof($1)} % 100 < 30 THEN CASE WHEN {jobof($1)} % 37 = 5 THEN 'response.failed' ELSE 'response.completed' END
		WHEN {jobof($1)} % 100 = 30 THEN CASE $1 % 3 WHEN 1 THEN 'fine_tuning.job.created' WHEN 2 THEN 'fine_tuning.job.running' ELSE 'fine_tuning.job.succeeded' END
		ELSE CASE $1 % 3 WHEN 1 THEN 'generation.in_progress' WHEN 2 THEN 'generation.progress' ELSE 'generation.completed' END END)`
	for _, macro := range []struct{ name, text string }{
		{"type", typ},
		{"job", job},
		{"jobof", "(($1 - 1) / 3 + 1)"},
		{"eventof", "(($1 - 1) * 3 / 10 + 1)"},
		{"gate", "(CASE WHEN $1 % 10 < 8 THEN {endpoint($1)} ELSE 'host-' || ($1 / 1000 % 50) || '.example.com' END)"},
		{"endpoint", c.endpointOf()},
		{"state", `(CASE WHEN $1 % 50 = 13 THEN 'failed' WHEN $1 % 100 = 34 THEN 'cancelled' WHEN $1 % 10 = 7 AND $1 > {D} * 7 / 10 THEN 'waiting'
			WHEN $1 % 1000 = 8 THEN 'waiting' ELSE 'delivered' END)`},
		{"pad", pad},
		{"raw", raw},
	} {
		for from := 0; ; {
			at := strings.Index(s[from:], "{"+macro.name+"(")
			if at < 0 {
				break
			}
			at += from
			depth, end := 0, at
			for ; end < len(s); end++ {
				if s[end] == '(' {
					depth++
				} else if s[end] == ')' {
					if depth--; depth == 0 {
						break
					}
				}
			}
			argument := s[at+len(macro.name)+2 : end]
			s = s[:at] + strings.ReplaceAll(macro.text, "$1", argument) + s[end+2:]
		}
	}
	now := time.Now().UnixMilli()
	return strings.NewReplacer(
		"{D}", fmt.Sprint(10*c.jobs), "{now}", fmt.Sprint(now), "{later}", fmt.Sprint(now+24*3600_000),
	).Replace(s)
}

// endpointOf spreads deliveries over the endpoints; of ten two are a job's own.
func (c *crowd) endpointOf() string {
	text := "(CASE $1 % 10"
	for i := range 8 {
		text += fmt.Sprintf(" WHEN %d THEN '%s'", i, c.endpoints[i])
	}
	return text + " ELSE '' END)"
}

// statements write all rows.
func (c *crowd) statements() (all []string) {
	const open = "(n % 50 = 7)"
	add := func(n int, query string) { all = append(all, c.many(n, query)) }
	add(c.jobs, `INSERT INTO jobs (project_id, id, kind, status, ending, path, model, metadata, input_file_id, output_file_id, error_file_id, completion_window, output_ttl,
			total, completed, failed, input_tokens, cached_tokens, output_tokens, reasoning_tokens, total_tokens, refusals, webhook, sequence, created_at, changed_at, started_at,
			finalizing_at, cancelling_at, ended_at, expires_at, attempt, claims, tries, owner, due_at, wake_at, tuning, blocked_by, blocked_until)
		SELECT 'default', {job(n)}, CASE WHEN n % 100 < 10 THEN 'batch' WHEN n % 100 < 30 THEN 'response' WHEN n % 100 = 30 THEN 'fine_tuning' ELSE 'generation' END,
			CASE WHEN `+open+` THEN CASE WHEN n % 100 = 7 THEN 'in_progress' ELSE 'queued' END WHEN n % 37 = 5 THEN 'failed' WHEN n % 37 = 11 THEN 'cancelled'
				WHEN n % 37 = 17 THEN 'expired' WHEN n % 100 = 30 THEN 'succeeded' ELSE 'completed' END,
			'', '/v1/chat/completions', 'model-' || (n % 9), CASE WHEN n % 20 = 0 THEN {raw('{"name":"Nightly run ' || n || '","team":"t' || (n % 40) || '"}')} END,
			CASE WHEN n % 100 < 10 THEN 'file-' || {pad(n / 10 + 1)} ELSE '' END, '', '', '24h', 0, CASE WHEN n % 100 < 10 THEN 2000 ELSE 1 END,
			CASE WHEN n % 100 < 10 THEN 1990 ELSE 1 END, CASE WHEN n % 100 < 10 THEN 10 ELSE 0 END, 20, 0, 30, 0, 50, 0,
			{raw('{"url":"https://host-' || (n % 50) || '.example.com/hook","method":"POST"}')}, 3, {at}, {at} + 9000, {at} + 100, 0, 0,
			CASE WHEN `+open+` THEN 0 ELSE {at} + 9000 END, {later}, 1, 0, 0, '', CASE WHEN `+open+` THEN {later} ELSE 0 END, CASE WHEN `+open+` THEN {later} ELSE 0 END,
			CASE WHEN n % 100 = 30 THEN '{"suffix":"support","seed":1}' END, CASE WHEN `+open+` AND n % 500 = 57 THEN 'provider_down' ELSE '' END, 0 FROM many`)
	add(c.jobs, `INSERT INTO job_words (project_id, created_at, job_id, words)
		SELECT 'default', {at}, {job(n)}, 'name=nightly run ' || n || '|team=t' || (n % 40) FROM many WHERE n % 20 = 0`)
	add(c.jobs, `INSERT INTO payloads (project_id, job_id, request, result) SELECT 'default', {job(n)},
			{raw('{"model":"m","messages":[{"role":"user","content":"What is ' || n || ' plus one?"}]}')},
			{raw('{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"It is ' || (n + 1) || '."},"finish_reason":"stop"}]}')} FROM many WHERE n % 100 > 9 AND n % 100 <> 30`)
	add(c.jobs, `INSERT INTO responses (project_id, job_id, streaming, settings, items)
		SELECT 'default', {job(n)}, 0, {raw('{}')}, {raw('[]')} FROM many WHERE n % 100 > 9 AND n % 100 < 30`)
	add(c.jobs/10, `INSERT INTO files (project_id, id, filename, purpose, bytes, blob, created_at, expires_at, deleted_at)
		SELECT 'default', 'file-' || {pad(n)}, 'input-' || n || '.jsonl', CASE n % 4 WHEN 1 THEN 'batch_output' WHEN 2 THEN 'fine-tune' ELSE 'batch' END, 1000 + n, 'in/' || n, {at}, 0, 0 FROM many`)
	add(3*c.jobs, `INSERT INTO events (position, project_id, id, type, job_id, model, sequence, created_at, body)
		SELECT n, 'default', 'evt_' || {pad(n)}, {type(n)}, CASE WHEN n % 20000 = 19999 OR n < 500 THEN '' ELSE {job({jobof(n)})} END, 'model-' || (n % 9), n % 3 + 1, {at},
			{raw('{"type":"' || {type(n)} || '","timestamp":"2026-01-01T00:00:00Z","data":{"id":"' || {job({jobof(n)})} || '","status":"completed"}}')} FROM many`)
	add(10*c.jobs, `INSERT INTO deliveries (project_id, id, event_id, event_type, job_id, webhook_id, url, state, reason, created_at, ended_at, attempt, claims, tries, owner, due_at, wake_at,
			endpoint_id, gate, recorded, manual, delivered_at)
		SELECT 'default', 'dlv_' || {pad(n)}, 'evt_' || {pad({eventof(n)})}, {type({eventof(n)})},
			CASE WHEN {eventof(n)} % 20000 = 19999 OR {eventof(n)} < 500 THEN '' ELSE {job({jobof({eventof(n)})})} END,
			CASE WHEN n % 10 < 8 THEN '' ELSE 'whk_' || {pad(n)} END, 'https://host-' || (n / 1000 % 50) || '.example.com/hook', {state(n)},
			CASE {state(n)} WHEN 'failed' THEN 'exhausted' ELSE '' END, {at}, CASE {state(n)} WHEN 'waiting' THEN 0 ELSE {at} + 80 END, 1, 0, 1, '',
			CASE {state(n)} WHEN 'waiting' THEN {later} ELSE 0 END, 0, {endpoint(n)}, {gate(n)}, 1, FALSE, CASE {state(n)} WHEN 'delivered' THEN {at} + 80 ELSE 0 END FROM many`)
	const attempt = `INSERT INTO attempts (project_id, id, delivery_id, number, started_at, duration_ms, status_code, error_class, timings, snippet, truncated, rule, manual, request)
		SELECT 'default', 'att_' || {pad(n)} || '%[1]d', 'dlv_' || {pad(n)}, %[1]d, {at} + %[1]d * 1000, 80, CASE {state(n)} WHEN 'delivered' THEN 200 ELSE 503 END, '',
			{raw('{"dns":1,"connect":2,"first_byte":70}')}, {raw('thanks')}, FALSE, 'status', FALSE, {raw('{"method":"POST","url":"https://example.com/hook","headers":{"webhook-id":"evt"}}')} FROM many`
	add(10*c.jobs, fmt.Sprintf(attempt, 1))
	for n := 2; n <= 4; n++ {
		add(10*c.jobs, fmt.Sprintf(attempt, n)+" WHERE {state(n)} = 'failed'")
	}
	return append(append(all, c.history()...), c.special()...)
}

// many is a statement that makes n rows, {N} in it.
func (c *crowd) many(n int, query string) string {
	query = "WITH RECURSIVE many(n) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT n + 1 FROM many WHERE n < {N}) " + query
	at := fmt.Sprintf("(CAST(%d AS BIGINT) + n * %d / {N})", c.began, month.Milliseconds())
	return strings.ReplaceAll(strings.ReplaceAll(query, "{at}", at), "{N}", fmt.Sprint(n))
}

// history is what has been counted: for eight days, or for two where there are few jobs.
func (c *crowd) history() (all []string) {
	days := 8
	if c.jobs < 100_000 {
		days = 2
	}
	endpoints := append([]string{""}, c.endpoints...)
	for _, h := range []struct {
		span   time.Duration
		source string
		series []string
		abouts []string
	}{
		{10 * time.Second, "own", []string{"lines.ok", "lines.failed"}, []string{""}},
		{5 * time.Minute, "own", []string{"lines.ok", "lines.failed"}, []string{""}},
		{time.Minute, "own", []string{"calls.ok", "calls.failed", "calls.limited"}, []string{"simulator", "up", "other"}},
		{5 * time.Minute, "own", []string{"calls.ok", "calls.failed", "calls.limited"}, []string{"simulator", "up", "other"}},
		{5 * time.Minute, "own", []string{"callbacks.delivered", "callbacks.retried", "callbacks.gave_up"}, endpoints},
		{10 * time.Minute, "own", []string{"tokens.input", "tokens.output"}, []string{"model-1", "model-2", "model-3", "model-4", "model-5"}},
		{time.Minute, "", []string{"jobs.running", "jobs.waiting"}, []string{""}},
	} {
		ms := h.span.Milliseconds()
		all = append(all, c.many(days*int(24*time.Hour/h.span), fmt.Sprintf(`INSERT INTO history (project_id, series, about, at, span, source, n, spread)
			SELECT 'default', series, about, {now} - {now} %% %[1]d - n * %[1]d, %[1]d, '%[2]s', n %% 50, '%[3]s' FROM many, (%[4]s) AS series, (%[5]s) AS abouts`,
			ms, h.source, map[bool]string{true: "30:3 33:7 41:1 "}[h.source != ""], listed("series", h.series), listed("about", h.abouts))))
	}
	return all
}

func listed(name string, values []string) string {
	for i, v := range values {
		values[i] = "SELECT '" + v + "' AS " + name
	}
	return strings.Join(values, " UNION ALL ")
}

// special are rows that stand out: two long batches, a long fine-tuning, a receiver that fails.
func (c *crowd) special() (all []string) {
	last := c.jobs - 100
	id := func(prefix string, n int) string { return fmt.Sprintf("%s%026d", prefix, n) }
	c.done, c.running, c.tuned, c.generation, c.response = id("batch_", last+5), id("batch_", last+3), id("ftjob-", last+30), id("gen_", last+60), id("resp_", last+20)
	c.waiting, c.failed, c.delivered = id("dlv_", 10*c.jobs-3), id("dlv_", 10*c.jobs-37), id("dlv_", 10*c.jobs-9)
	c.event, c.file = id("evt_", 3*c.jobs-30), id("file-", c.jobs/10-1)
	for _, b := range []struct{ id, status, ended string }{{c.done, "completed", "{now}"}, {c.running, "in_progress", "0"}} {
		all = append(all, fmt.Sprintf(`UPDATE jobs SET status = '%s', ended_at = %s, due_at = 0, wake_at = 0, started_at = {now} - 3600000, changed_at = {now}, failed = %d, completed = %d, total = %d
			WHERE id = '%s'`, b.status, b.ended, c.lines/20, c.lines-c.lines/20, c.lines+c.lines/10, b.id),
			c.many(c.lines, fmt.Sprintf(`INSERT INTO lines (project_id, job_id, line, ok, text) SELECT 'default', '%s', n, n %% 20 <> 0, CASE WHEN n %% 20 = 0
				THEN {raw('{"id":"batch_req_' || n || '","custom_id":"line-' || n || '","response":{"status_code":400,"request_id":"r","body":{"error":{"message":"Too long","code":"context_length_exceeded"}}},"error":null}')}
				ELSE {raw('{"id":"batch_req_' || n || '","custom_id":"line-' || n || '","response":{"status_code":200,"request_id":"req_1","body":{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"It is most likely %s the one."},"finish_reason":"stop"}],"usage":{"prompt_tokens":20,"completion_tokens":30,"total_tokens":50}}},"error":null}')} END FROM many`,
				b.id, strings.Repeat("the answer that you have been looking for, ", 10))),
			c.many(800, `INSERT INTO job_history (project_id, job_id, series, at, span, source, n, spread) SELECT 'default', '`+b.id+`', 'lines.ok', {now} - 3600000 + n * 4000, 4000, 'own', 20, '30:3 33:7 41:1 ' FROM many`))
	}
	return append(all,
		c.many(1000, `INSERT INTO tuning_events (project_id, id, job_id, remote_id, created_at, level, message, type, data)
			SELECT 'default', 'ftevent-' || n, '`+c.tuned+`', 'r' || n, {now} + n, 'info', 'Step ' || n || ': training loss=1.5', 'metrics', {raw('{"step":' || n || ',"train_loss":1.5,"total_steps":1000}')} FROM many`),
		c.many(10, `INSERT INTO checkpoints (project_id, id, job_id, created_at, model, step, metrics)
			SELECT 'default', 'ftckpt_' || n, '`+c.tuned+`', {now}, 'ft:m:ckpt-step-' || n, n * 100, {raw('{"step":1,"train_loss":1.5}')} FROM many`),
		`UPDATE endpoints SET failing_since = {now} - 7200000, last_success_at = {now} - 9 * 86400000, failures = 40, last_failure_at = {now} - 100000 WHERE id = '`+c.endpoints[7]+`'`,
		`INSERT INTO gates (project_id, id, shut_at) VALUES ('default', '`+c.endpoints[7]+`', {now} - 7200000)`,
		`INSERT INTO wakes (project_id, gate, wake_at) VALUES ('default', '`+c.endpoints[7]+`', {later})`,
	)
}
