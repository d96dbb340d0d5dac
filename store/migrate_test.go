package store

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io/fs"
	"path/filepath"
	"testing"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/callbacks/signature"
	"github.com/ringback/ringback/jobs"
)

const oldSecret = "whsec_Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5"

// old is a database of the first schema.
type old struct {
	t    *testing.T
	db   *sql.DB
	seal *sealer
}

func (o *old) exec(query string, args ...any) {
	o.t.Helper()
	_, err := o.db.ExecContext(o.t.Context(), query, args...)
	require.NoError(o.t, err)
}

// firstSchema makes a database as the first schema's Ringback left it.
func firstSchema(t *testing.T, dir string, fill func(*old)) {
	t.Helper()
	path := filepath.Join(dir, "ringback.db")
	db, err := sql.Open("sqlite3", dsn(path, "_auto_vacuum=incremental"))
	require.NoError(t, err)
	files, err := fs.Sub(migrations, "migrations/sqlite")
	require.NoError(t, err)
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files)
	require.NoError(t, err)
	_, err = p.UpTo(t.Context(), 1)
	require.NoError(t, err)
	o := &old{t: t, db: db}
	o.seal, err = newSealer(nil, filepath.Join(dir, "master.key"), true)
	require.NoError(t, err)
	o.exec("INSERT INTO projects VALUES ('default', ?, 1)", o.seal.seal("projects/default/signing_secret", []byte(oldSecret)))
	fill(o)
	require.NoError(t, db.Close())
}

// delivery writes a one-off with all that belongs to it.
func (o *old) delivery(id, url, shown, state string, tries, due int64) {
	spec, err := json.Marshal(jobs.Webhook{URL: url, Method: "POST", Headers: map[string]string{"X-T": id}})
	require.NoError(o.t, err)
	o.exec(`INSERT INTO jobs (project_id, id, kind, status, ending, path, model, input_file_id, output_file_id, error_file_id, completion_window, output_ttl,
			total, completed, failed, input_tokens, cached_tokens, output_tokens, reasoning_tokens, total_tokens, refusals, webhook, sequence,
			created_at, changed_at, started_at, finalizing_at, cancelling_at, ended_at, expires_at, attempt, claims, tries, owner, due_at, wake_at)
		VALUES ('default', ?, 'generation', 'failed', '', '/v1/chat/completions', 'gpt-4o', '', '', '', '', 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, ?, 1, 1, 1, 1, 0, 0, 1, 0, 1, 0, 1, '', 0, 0)`,
		"gen_"+id, fmt.Appendf(nil, `{"url":%q,"method":"POST","headers":{"X-T":"***"}}`, shown))
	o.exec("INSERT INTO events (project_id, id, type, job_id, sequence, created_at, body) VALUES ('default', ?, 'generation.failed', ?, 1, 1, ?)", "evt_"+id, "gen_"+id, []byte("body of "+id))
	o.exec("INSERT INTO webhooks VALUES ('default', ?, ?, ?, 1)", "whk_"+id, "gen_"+id, o.seal.seal("webhooks/default/whk_"+id, spec))
	owner, wake := "", due
	if state == "sending" {
		owner, wake = "own_dead", 0
	}
	o.exec(`INSERT INTO deliveries VALUES ('default', ?, ?, 'generation.failed', ?, ?, ?, ?, '', 1, 0, ?, 0, ?, ?, ?, ?)`,
		"dlv_"+id, "evt_"+id, "gen_"+id, "whk_"+id, shown, state, tries, tries, owner, due, wake)
	for n := range tries {
		o.exec("INSERT INTO attempts VALUES ('default', ?, ?, ?, 1, 1, 500, '', x'7b7d', x'78', 0, 'r', 0)", fmt.Sprint("att_", id, n), "dlv_"+id, n+1)
	}
}

// TestFirstSchemaComesUpToDate: what a database of the first schema owes is delivered by this one, signed as before.
func TestFirstSchemaComesUpToDate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	later := int64(begun.Add(time.Hour))
	firstSchema(t, dir, func(o *old) {
		o.delivery("port", "https://Example.com:8443/h?k=v", "https://Example.com:8443/h?k=***", "waiting", 2, 7)
		o.delivery("bare", "https://example.com?x=y", "https://example.com?x=***", "waiting", 0, 9)
		o.delivery("root", "https://example.com", "https://example.com", "waiting", 0, 8)
		o.delivery("late", "http://[2001:DB8::1]:80/a/b", "http://[2001:DB8::1]:80/a/b", "waiting", 1, later)
		o.delivery("sending", "https://in.example.com/p?q=https://other.example.com/", "https://in.example.com/p?q=***", "sending", 1, 5)
		o.delivery("done", "https://done.example.com/", "https://done.example.com/", "delivered", 1, 0)
		o.exec("INSERT INTO idempotency_keys VALUES ('default', 'k', x'01', x'616e73776572', ?)", int64(begun))
	})
	s, err := Open(t.Context(), Options{Dir: dir, ShardsAwake: 2, Now: time.Now})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	w := worldOver(t, s)

	for host, at := range map[string]jobs.Time{"[2001:db8::1]:80": jobs.Time(later), "example.com": 8, "example.com:8443": 7} {
		require.Equal(t, at, w.wakes(jobs.Ref{ProjectID: "default", ID: host}))
	}
	require.Equal(t, 3, w.count("wakes"), "one for each host behind which something waits, woken when the first is due")
	for id, want := range map[string]string{"sending": "in.example.com", "done": "done.example.com", "bare": "example.com"} {
		d, attempts := w.delivery(host("dlv_" + id))
		require.Equal(t, want, d.Gate)
		require.Equal(t, d.Tries, d.Recorded)
		require.Len(t, attempts, d.Tries)
		fresh := callbacks.Fan(&jobs.Event{Type: "generation.failed"}, callbacks.Receivers{Webhook: &jobs.Webhook{URL: d.URL}})
		require.Equal(t, fresh[0].Gate, d.Gate, "as new deliveries name it")
	}
	event := must(s.Event(t.Context(), host("evt_port")))(t)
	require.Equal(t, "gpt-4o", event.Model)

	require.NoError(t, s.FreeOthers(t.Context(), "own"))
	require.Len(t, must(s.DueGates(t.Context(), 9))(t), 3)
	got := map[string]callbacks.Claimed{}
	for _, c := range w.claim(host("example.com"), host("example.com:8443"), host("in.example.com"), host("[2001:db8::1]:80"), host("done.example.com")) {
		require.NoError(t, c.Broken)
		require.Equal(t, []string{oldSecret}, c.Receiver.Keys.Secrets)
		require.NotEmpty(t, c.Receiver.Keys.Private)
		require.NoError(t, c.Receiver.Keys.Check())
		require.Equal(t, c.ID[4:], c.Receiver.Headers["X-T"])
		require.Equal(t, "body of "+c.ID[4:], string(c.Body))
		got[c.ID] = c
	}
	require.Len(t, got, 4)
	require.Equal(t, "https://Example.com:8443/h?k=v", got["dlv_port"].Receiver.URL)
	require.Equal(t, 2, got["dlv_sending"].Recorded, "its attempt and the interrupted one")
	for _, c := range got {
		require.Zero(t, w.record(w.answered(c, 200)))
	}
	require.Equal(t, 5, w.count("deliveries WHERE state = 'delivered'"))
	_, attempts := w.delivery(host("dlv_port"))
	require.Equal(t, 3, attempts[2].Number)
	w.pass(time.Hour)
	require.Equal(t, []string{"default/[2001:db8::1]:80"}, must(s.DueGates(t.Context(), 9))(t))
	require.Equal(t, "dlv_late", w.claimOne(host("[2001:db8::1]:80")).ID)

	_, err = s.CreateJob(t.Context(), jobs.NewJob{Job: newBatch(begun), Idempotency: &jobs.Idempotency{Key: "k", Hash: []byte{1}}})
	var replay *jobs.Replay
	require.ErrorAs(t, err, &replay)
	require.Equal(t, "answer", string(replay.Answer), "an answer of old is not sealed")
	old := must(s.Job(t.Context(), host("gen_port")))(t)
	require.Empty(t, old.WebhookIDs)
}

// TestPrivateKeyIsMadeOnce, for a project that has none, and opens only in its place.
func TestPrivateKeyIsMadeOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	firstSchema(t, dir, func(*old) {})
	keys := func(secret string) signature.Keys {
		s, err := Open(t.Context(), Options{Dir: dir, SigningSecret: secret, Now: time.Now})
		require.NoError(t, err)
		k := must(s.Keys(t.Context(), "default", begun))(t)
		require.NoError(t, k.Check())
		require.NoError(t, s.Close())
		return k
	}
	first := keys("")
	require.Equal(t, []string{oldSecret}, first.Secrets)
	require.NotEmpty(t, first.Private)
	require.Equal(t, first, keys(""))
	second := signature.NewSecret()
	require.Equal(t, signature.Keys{Secrets: []string{second}, Private: first.Private}, keys(second), "a configured secret takes the place of the stored one")
	require.Equal(t, signature.Keys{Secrets: []string{second}, Private: first.Private}, keys(""))
}
