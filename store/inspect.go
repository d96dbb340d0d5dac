package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"golang.org/x/sys/unix"
)

// Inspection is what Inspect has found of a database. What does not apply to it stays zero.
type Inspection struct {
	Server  string // its kind and version
	Fresh   bool   // nothing stands in it yet
	Version int64  // of its schema
	Newest  int64  // of this program's
	SealOK  bool   // the secrets in it open with the key that is set

	// SQLite
	Integrity string // "ok", or what is wrong
	Free      uint64 // bytes on its disk
	InUse     bool   // another process serves on it
	KeyMode   fs.FileMode

	// PostgreSQL
	Apart       time.Duration // its clock before ours; negative: behind it
	Standby     bool
	Lossy       string // a setting by which a commit may be lost with the machine
	Connections int    // that it takes
	Owners      int    // processes of Ringback that live
	Proxied     bool   // a proxy stands between, which may give each transaction another connection
	Prepares    bool   // by the DSN, statements are kept prepared on connections
}

// Inspect looks at the database that Options name, and changes nothing: a server may be at work on it.
func Inspect(ctx context.Context, o Options) (Inspection, error) {
	if o.DSN != "" {
		return inspectPostgres(ctx, o)
	}
	return inspectSQLite(ctx, o)
}

func inspectSQLite(ctx context.Context, o Options) (i Inspection, err error) {
	if i.Newest, err = newest(goose.DialectSQLite3); err != nil {
		return i, err
	}
	var disk unix.Statfs_t
	if err := unix.Statfs(nearest(o.Dir), &disk); err != nil {
		return i, fmt.Errorf("store: cannot look at data_dir: %w", err)
	}
	i.Free = disk.Bavail * uint64(disk.Bsize)
	if _, err := os.Stat(filepath.Join(o.Dir, DatabaseFile)); errors.Is(err, fs.ErrNotExist) {
		i.Server, i.Fresh = "SQLite", true
		return i, nil
	}
	if lock, err := lockDir(o.Dir); err != nil {
		i.InUse = true
	} else if err := unlock(lock); err != nil {
		return i, err
	}
	db, err := openForeign(o.Dir)
	if err != nil {
		return i, err
	}
	defer db.Close()
	err = errors.Join(
		db.QueryRowContext(ctx, "SELECT 'SQLite ' || sqlite_version()").Scan(&i.Server),
		db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&i.Integrity),
		db.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version").Scan(&i.Version),
	)
	if err != nil {
		return i, err
	}
	key := o.Key
	if len(key) == 0 {
		file := filepath.Join(o.Dir, KeyFile)
		if info, err := os.Stat(file); err == nil {
			i.KeyMode = info.Mode().Perm()
		}
		key, _ = os.ReadFile(file) // without it nothing opens, and that is said
	}
	i.SealOK, err = sealedBySame(ctx, db, key)
	return i, err
}

// nearest is a folder, or the first above it that is there.
func nearest(dir string) string {
	for dir, _ = filepath.Abs(dir); ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			return dir
		}
	}
}

func sealedBySame(ctx context.Context, db querier, key []byte) (bool, error) {
	by, err := sealedWith(ctx, db)
	return err == nil && by == keyID(key), err
}

const postgresFacts = `SELECT 'PostgreSQL ' || current_setting('server_version'), pg_is_in_recovery(), current_setting('max_connections')::int,
	CASE WHEN current_setting('fsync') = 'off' THEN 'fsync = off' WHEN current_setting('full_page_writes') = 'off' THEN 'full_page_writes = off'
		WHEN current_setting('synchronous_commit') = 'off' THEN 'synchronous_commit = off' ELSE '' END,
	to_regclass('goose_db_version') IS NULL, ` + dbNow

func inspectPostgres(ctx context.Context, o Options) (i Inspection, err error) {
	if i.Newest, err = newest(goose.DialectPostgres); err != nil {
		return i, err
	}
	config, err := postgresConfig(o.DSN)
	if err != nil {
		return i, err
	}
	setBounds(config) // as for serve: a proxy may refuse them
	db := stdlib.OpenDB(*config)
	defer db.Close()
	if i.Proxied, err = proxied(ctx, db); err != nil { // and the clock is asked over a connection that stands
		return i, err
	}
	i.Prepares = config.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement
	var now int64
	began := o.Now()
	err = db.QueryRowContext(ctx, postgresFacts).Scan(&i.Server, &i.Standby, &i.Connections, &i.Lossy, &i.Fresh, &now)
	if err != nil {
		return i, err
	}
	i.Apart = time.UnixMilli(now).Sub(began.Add(o.Now().Sub(began) / 2))
	if i.Fresh {
		return i, nil
	}
	err = errors.Join(
		db.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version").Scan(&i.Version),
		countOwners(ctx, db, &i.Owners),
	)
	if err == nil {
		i.SealOK, err = sealedBySame(ctx, db, o.Key)
	}
	return i, err
}

// proxied compares the number of the server's process with what was said to be it when the connection was made.
func proxied(ctx context.Context, db *sql.DB) (bool, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	var works, told uint32
	err = conn.Raw(func(driver any) error {
		told = driver.(*stdlib.Conn).Conn().PgConn().PID()
		return nil
	})
	if err == nil {
		err = conn.QueryRowContext(ctx, "SELECT pg_backend_pid()").Scan(&works)
	}
	return works != told, err
}

func countOwners(ctx context.Context, db *sql.DB, n *int) error {
	return db.QueryRowContext(ctx, "SELECT count(*) FROM owners WHERE beat_at > "+dbNow+" - $1", Lease.Milliseconds()).Scan(n)
}

// Migrate brings the schema up to date, and does nothing else; serve does it too. It gives the version before and after.
// On SQLite nobody may be serving.
func Migrate(ctx context.Context, o Options) (from, to int64, err error) {
	if before, err := Inspect(ctx, o); err == nil {
		from = before.Version
	}
	s, err := Open(ctx, o)
	if err != nil {
		return from, 0, err
	}
	if err := s.Close(); err != nil {
		return from, 0, err
	}
	after, err := Inspect(ctx, o)
	return from, after.Version, err
}
