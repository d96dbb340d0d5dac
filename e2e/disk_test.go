package e2e

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	_ "github.com/mattn/go-sqlite3" // another process at the database's file
	"github.com/stretchr/testify/require"
)

// holdWriteLock keeps the server from writing to its database, as a disk does that has stopped answering.
func holdWriteLock(t *testing.T, dir string) (release func()) {
	t.Helper()
	ctx := context.Background()
	conn, err := openDatabase(t, dir).Conn(ctx)
	require.NoError(t, err)
	eventually(t, "the lock is free for a moment", func() bool {
		_, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE")
		return err == nil
	})
	return func() {
		_, err := conn.ExecContext(ctx, "ROLLBACK")
		require.NoError(t, err)
		require.NoError(t, conn.Close())
	}
}

func openDatabase(t *testing.T, dir string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(dir, "ringback.db")+"?_busy_timeout=1")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// integrity wants SQLite to find nothing wrong with the database of a stopped server (R8).
func integrity(t *testing.T, dir string) {
	t.Helper()
	var verdict string
	require.NoError(t, openDatabase(t, dir).QueryRow("PRAGMA integrity_check").Scan(&verdict))
	require.Equal(t, "ok", verdict)
}
