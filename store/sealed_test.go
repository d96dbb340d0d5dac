package store

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// configured is a project's signing secret as an operator sets it.
const configured = "whsec_Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5"

// keepSecrets has the store keep all kinds of them, and gives what must not stand anywhere in clear.
func (w *world) keepSecrets() (canaries []string) {
	w.t.Helper()
	t := w.t
	require.Equal(t, configured, must(w.calls.Secret(t.Context(), "default"))(t))
	running(t, w.Store)
	w.oneOff("a.example.com", func(n *jobs.NewJob) {
		n.Webhook.URL, n.Webhook.Headers, n.Webhook.Secret = "https://a.example.com/?token=canary-one-off-query", map[string]string{"X": "canary-one-off-header"}, "whsec_Y2FuYXJ5LW9uZS1vZmYtc2VjcmV0LWxvbmc="
	})
	idem := &jobs.Idempotency{Key: "k", Hash: []byte("h")}
	answer := must(w.calls.CreateEndpoint(t.Context(), "default",
		[]byte(`{"url":"https://e.example.com/p?token=canary-endpoint-query","headers":{"X":"canary-endpoint-header"},"event_types":["*"]}`), idem))(t)
	require.Contains(t, string(answer), "whsec_")
	page, _, err := w.Endpoints(t.Context(), "default", "", 1)
	require.NoError(t, err)
	e := page[0].Ref()
	secrets := []string{must(w.Endpoint(t.Context(), e))(t).Target.Secrets[0].Text}
	must(w.calls.RotateEndpointSecret(t.Context(), e, true))(t)
	secrets = append(secrets, must(w.Endpoint(t.Context(), e))(t).Target.Secrets[0].Text)
	secrets = append(secrets, must(w.calls.RotateSecret(t.Context(), "default", true))(t))
	keys := must(w.Keys(t.Context(), "default", w.now()))(t)
	w.fire("file.created")
	for _, c := range w.claim(e, host("a.example.com")) { // failures, an event about one, an endpoint switched off
		w.end(c, callbacks.Failed)
	}
	w.exec("UPDATE deliveries SET state = 'waiting', due_at = 1 WHERE id = (SELECT min(id) FROM deliveries)")
	must(w.calls.UpdateEndpoint(t.Context(), e, []byte(`{"is_active":false}`)))(t)

	canaries = append(secrets, "canary", "Y2FuYXJ5", string(keys.Private), string(keys.Private.Seed()))
	for _, secret := range [][]byte{keys.Private, keys.Private.Seed()} {
		canaries = append(canaries, hex.EncodeToString(secret), base64.StdEncoding.EncodeToString(secret)[:40])
	}
	for _, secret := range secrets {
		raw, err := base64.StdEncoding.DecodeString(secret[len("whsec_"):])
		require.NoError(t, err)
		canaries = append(canaries, string(raw))
	}
	return canaries
}

// requireNoneOf looks for canaries in what was read from a place.
func requireNoneOf(t *testing.T, canaries []string, content []byte, place string) {
	t.Helper()
	for _, canary := range canaries {
		require.False(t, bytes.Contains(content, []byte(canary)), "%q stands in %s", canary, place)
	}
}

const mayBeSeen = "e.example.com/p?token=***" // what may be seen is there to be found

// TestS9SecretsAreSealed looks for what must not stand in any of SQLite's files in clear.
func TestS9SecretsAreSealed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := worldOver(t, openWith(t, func(o *Options) { o.Dir, o.SigningSecret = dir, configured }))
	canaries := w.keepSecrets()
	content := func(file string) []byte { return must(os.ReadFile(filepath.Join(dir, file)))(t) }
	for _, file := range []string{"ringback.db", "ringback.db-wal", "ringback.db-shm"} {
		requireNoneOf(t, canaries, content(file), file)
	}
	require.NoError(t, w.writer.(*writer).db.Exec("PRAGMA wal_checkpoint(TRUNCATE)").Error)
	require.True(t, bytes.Contains(content("ringback.db"), []byte(mayBeSeen)))
	requireNoneOf(t, canaries, content("ringback.db"), "ringback.db")
	info, err := os.Stat(filepath.Join(dir, "master.key"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

// TestS9SecretsAreSealedOnServers: the same of every column of every table, byte for byte, and of the server's log.
func TestS9SecretsAreSealedOnServers(t *testing.T) {
	t.Parallel()
	w := worldOver(t, openWith(t, func(o *Options) { o.DSN, o.SigningSecret = newDatabase(t), configured }))
	canaries := w.keepSecrets()
	var tables []string
	require.NoError(t, w.reads.Raw("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").Scan(&tables).Error)
	conn := must(pgconn.Connect(t.Context(), w.options.DSN))(t)
	defer conn.Close(t.Context())
	var all bytes.Buffer
	for _, table := range tables {
		var content bytes.Buffer
		_, err := conn.CopyTo(t.Context(), &content, "COPY "+table+" TO STDOUT (FORMAT binary)")
		require.NoError(t, err)
		requireNoneOf(t, canaries, content.Bytes(), table)
		all.Write(content.Bytes())
	}
	require.True(t, bytes.Contains(all.Bytes(), []byte(mayBeSeen)))
	requireNoneOf(t, canaries, []byte(shared.server.Log()), "the log")
}
