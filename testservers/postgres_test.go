package testservers

import (
	"context"
	"net"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func startPostgres(t *testing.T, settings ...string) *Postgres {
	t.Helper()
	p, err := StartPostgres(settings...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Stop()) })
	return p
}

func newDatabase(t *testing.T, p *Postgres) string {
	t.Helper()
	dsn, err := p.NewDatabase()
	require.NoError(t, err)
	return dsn
}

// connect gives a connection that the test's end closes.
func connect(t *testing.T, dsn string) *pgconn.PgConn {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), dsn)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// ask runs SQL on a connection of its own and gives the first value of its last answer.
func ask(t *testing.T, dsn, sql string) string {
	t.Helper()
	conn := connect(t, dsn)
	defer conn.Close(context.Background())
	results, err := conn.Exec(t.Context(), sql).ReadAll()
	require.NoError(t, err)
	last := results[len(results)-1].Rows
	if len(last) == 0 {
		return ""
	}
	return string(last[0][0])
}

// Databases of one server know nothing of each other; a copy has what its template had, and lives on its own.
func TestPostgresCopiesDatabases(t *testing.T) {
	t.Parallel()
	for _, fsync := range []string{"off", "on"} {
		t.Run("fsync "+fsync, func(t *testing.T) {
			t.Parallel()
			p := startPostgres(t, "fsync="+fsync)
			template := newDatabase(t, p)
			require.Equal(t, fsync, ask(t, template, "SHOW fsync"))
			ask(t, template, "CREATE TABLE rows (id int); INSERT INTO rows VALUES (1)")
			dsn, err := p.NewDatabaseFrom(template)
			require.NoError(t, err)
			require.Equal(t, "2", ask(t, dsn, "INSERT INTO rows VALUES (2); SELECT count(*) FROM rows"))
			require.Equal(t, "1", ask(t, template, "SELECT count(*) FROM rows"))
			require.Equal(t, "", ask(t, newDatabase(t, p), "SELECT to_regclass('rows')"))
		})
	}
}

func TestPostgresDropsDatabasesInUse(t *testing.T) {
	t.Parallel()
	p := startPostgres(t)
	dsn := newDatabase(t, p)
	connect(t, dsn)
	require.NoError(t, p.DropDatabase(dsn))
	_, err := pgconn.Connect(t.Context(), dsn)
	require.ErrorContains(t, err, "does not exist")
	require.ErrorContains(t, p.DropDatabase("sqlite.db"), "names no database")
}

// What was committed before a crash is there after it, and the server is back at once, on its port, again and again.
func TestPostgresIsKilledAndStartedAgain(t *testing.T) {
	t.Parallel()
	p := startPostgres(t)
	dsn := newDatabase(t, p)
	ask(t, dsn, "CREATE TABLE rows (id int)")
	const active = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%generate_series(1, 1e12%' AND pid <> pg_backend_pid()"
	for range 3 {
		conn := connect(t, dsn)
		_, err := conn.Exec(t.Context(), "INSERT INTO rows VALUES (1)").ReadAll()
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), "BEGIN; INSERT INTO rows VALUES (100)").ReadAll()
		require.NoError(t, err)
		busy := make(chan error, 1)
		go func() { // somebody who would go on without a postmaster
			_, err := conn.Exec(t.Context(), "SELECT count(*) FROM generate_series(1, 1e12::bigint)").ReadAll()
			busy <- err
		}()
		require.Eventually(t, func() bool { return ask(t, dsn, active) == "1" }, patience, 5*time.Millisecond)
		family, err := p.proc.family()
		require.NoError(t, err)

		require.NoError(t, p.Kill())
		requireNothingListens(t, p.port)
		rows, err := processes()
		require.NoError(t, err)
		require.False(t, slices.ContainsFunc(rows, lives(family)))
		require.Error(t, <-busy)
		require.ErrorIs(t, p.Pause(), errNotRunning)
		require.NoError(t, p.Start())
	}
	require.Equal(t, "3", ask(t, dsn, "SELECT sum(id) FROM rows"))
	require.Contains(t, p.Log(), "database system was not properly shut down")
	require.NoError(t, p.Start(), "a server that runs is left alone")
}

// A pause holds who is connected, and who connects meanwhile; nothing is lost by it.
func TestPostgresPausesAndResumes(t *testing.T) {
	t.Parallel()
	p := startPostgres(t)
	dsn := newDatabase(t, p)
	conn := connect(t, dsn)
	require.NoError(t, p.Pause())

	answered := make(chan error, 2)
	go func() {
		_, err := conn.Exec(t.Context(), "SELECT 1").ReadAll()
		answered <- err
	}()
	go func() {
		late, err := pgconn.Connect(t.Context(), dsn)
		if err == nil {
			err = late.Close(t.Context())
		}
		answered <- err
	}()
	select {
	case err := <-answered:
		t.Fatal("a paused server answered", err)
	case <-time.After(300 * time.Millisecond):
	}
	require.NoError(t, p.Resume())
	require.NoError(t, <-answered)
	require.NoError(t, <-answered)
}

func TestPostgresLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]func(*Postgres) error{
		"running": func(*Postgres) error { return nil }, "paused": (*Postgres).Pause, "killed": (*Postgres).Kill,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := StartPostgres()
			require.NoError(t, err)
			connect(t, newDatabase(t, p))
			family, err := p.proc.family()
			require.NoError(t, err)
			segment, found := p.segment()
			require.True(t, found)
			require.NoError(t, before(p))

			require.NoError(t, p.Stop())
			require.NoError(t, gone(family))
			requireNothingListens(t, p.port)
			require.NoDirExists(t, p.dir)
			_, err = unix.SysvShmCtl(segment, unix.IPC_STAT, &unix.SysvShmDesc{})
			require.ErrorIs(t, err, unix.EINVAL)
			require.NoError(t, p.Stop(), "again")
		})
	}
}

func TestPostgresSaysWhyItDoesNotStart(t *testing.T) {
	t.Parallel()
	_, err := StartPostgres("no_such_setting=1")
	require.ErrorContains(t, err, `unrecognized configuration parameter "no_such_setting"`)
}

func requireNothingListens(t *testing.T, port int) {
	t.Helper()
	_, err := net.Dial("tcp", address(port))
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}
