package store

import (
	"bytes"
	"context"
	"database/sql"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pressly/goose/v3/lock"
	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/callbacks/signature"
)

// TestFirstStartOfAFleet: several processes start on an empty database at once; one makes the schema, and all have the same
// project.
func TestFirstStartOfAFleet(t *testing.T) {
	t.Parallel()
	server := must(shared.start())(t)
	dsn := must(server.NewDatabase())(t)
	t.Cleanup(func() { require.NoError(t, server.DropDatabase(dsn)) })
	var mu sync.Mutex
	var stores []*Store
	t.Cleanup(func() {
		for _, s := range stores {
			require.NoError(t, s.Close())
		}
	})
	var errs [4]error
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			s, err := Open(t.Context(), Options{DSN: dsn, Key: testKey, Now: time.Now})
			if errs[i] = err; err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			stores = append(stores, s)
		})
	}
	wg.Wait()
	require.Equal(t, [4]error{}, errs)
	var keys []signature.Keys
	for _, s := range stores {
		keys = append(keys, must(s.Keys(t.Context(), "default", begun))(t))
	}
	for _, k := range keys {
		require.NoError(t, k.Check())
		require.Equal(t, keys[0], k)
	}
	w := worldOver(t, stores[0])
	require.Equal(t, 1, w.count("projects"))
}

func TestDatabaseOfALaterVersionIsRefused(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{"sqlite": {Dir: t.TempDir()}, "postgres": {DSN: ownDatabase(t), Key: testKey}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o.Now = time.Now
			s := must(Open(t.Context(), o))(t)
			worldOver(t, s).exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, TRUE)")
			require.NoError(t, s.Close())
			_, err := Open(t.Context(), o)
			require.ErrorContains(t, err, "a later version of ringback")
		})
	}
}

// ownDatabase is a copy that no other test gets.
func ownDatabase(t *testing.T) string {
	t.Helper()
	template := must(madeThere())(t)
	dsn := must(shared.server.NewDatabaseFrom(template))(t)
	t.Cleanup(func() { require.NoError(t, shared.server.DropDatabase(dsn)) })
	return dsn
}

// TestOpenPostgresRefuses what cannot be, and says what to do; nothing that it says shows a password.
func TestOpenPostgresRefuses(t *testing.T) {
	t.Parallel()
	good := openPostgresStore(t).options.DSN
	nobody := strings.Replace(good, "postgres@", "nobody:canary@", 1)
	away := "postgres://me:canary@127.0.0.1:1/db?sslmode=disable&connect_timeout=1"
	for name, tt := range map[string]struct {
		dsn  string
		key  []byte
		want string
	}{
		"another key":               {good, bytes.Repeat([]byte{9}, keyBytes), "another key"},
		"no key":                    {good, nil, "secrets.key"},
		"a short key":               {good, []byte("short"), "must have 32"},
		"a DSN that is none":        {"postgres://me:canary@host:port/db", testKey, "store.dsn"},
		"a DSN of another form":     {"host=h password=canary port=x", testKey, "store.dsn"},
		"a mode that guesses types": {good + "&default_query_exec_mode=exec", testKey, "cache_describe"},
		"a mode that quotes values": {good + "&default_query_exec_mode=simple_protocol", testKey, "cache_describe"},
		"a user who is not known":   {nobody, testKey, "nobody"},
		"a server that is not here": {away, testKey, "connect"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := Open(t.Context(), Options{DSN: tt.dsn, Key: tt.key, Now: time.Now})
			if err == nil {
				_ = s.Close()
			}
			require.ErrorContains(t, err, tt.want)
			require.NotContains(t, err.Error(), "canary")
		})
	}
}

// TestMigrationsHaveTheirTime, whatever the DSN bounds the statements and the locks of others to.
func TestMigrationsHaveTheirTime(t *testing.T) {
	t.Parallel()
	for _, bound := range []string{"statement_timeout", "lock_timeout"} {
		t.Run(bound, func(t *testing.T) {
			t.Parallel()
			server := must(shared.start())(t)
			dsn := must(server.NewDatabase())(t)
			t.Cleanup(func() { require.NoError(t, server.DropDatabase(dsn)) })
			db := must(sql.Open("pgx", dsn))(t)
			t.Cleanup(func() { require.NoError(t, db.Close()) })
			held := must(db.Conn(t.Context()))(t)
			t.Cleanup(func() { require.NoError(t, held.Close()) })
			for _, statement := range []string{
				"CREATE FUNCTION waits() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(7); END $$",
				"CREATE EVENT TRIGGER waits ON ddl_command_start WHEN TAG IN ('CREATE SEQUENCE') EXECUTE FUNCTION waits()",
				"SELECT pg_advisory_lock(7)",
			} {
				_, err := held.ExecContext(t.Context(), statement)
				require.NoError(t, err)
			}
			opened := make(chan error, 1)
			go func() {
				s, err := Open(context.Background(), Options{DSN: dsn + "&" + bound + "=100", Key: testKey, Now: time.Now})
				if err == nil {
					err = s.Close()
				}
				opened <- err
			}()
			require.Eventually(t, func() bool {
				var waits bool
				require.NoError(t, db.QueryRow(`SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database()
					AND wait_event_type = 'Lock' AND now() - query_start > '300 ms')`).Scan(&waits))
				return waits || len(opened) > 0
			}, 30*time.Second, 5*time.Millisecond)
			_, err := held.ExecContext(t.Context(), "SELECT pg_advisory_unlock(7)")
			require.NoError(t, err)
			require.NoError(t, <-opened)
		})
	}
}

// TestAStartTakesNoLockWhereNothingIsToBeDone: a proxy may keep no connection for one client.
func TestAStartTakesNoLockWhereNothingIsToBeDone(t *testing.T) {
	t.Parallel()
	w := worldOver(t, openPostgresStore(t))
	held := must(w.Store.reading.Conn(t.Context()))(t)
	defer held.Close()
	_, err := held.ExecContext(t.Context(), "SELECT pg_advisory_lock($1)", lock.DefaultLockID)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s, err := Open(ctx, w.options)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	_, err = held.ExecContext(t.Context(), "SELECT pg_advisory_unlock($1)", lock.DefaultLockID)
	require.NoError(t, err)
}
