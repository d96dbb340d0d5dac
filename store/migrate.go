package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations
var migrations embed.FS

func migrateSQLite(ctx context.Context, db *sql.DB, place string) error {
	return migrate(ctx, goose.DialectSQLite3, db, place)
}

// newest is the version that this program's migrations lead to.
func newest(dialect goose.Dialect) (int64, error) {
	names, err := fs.Glob(migrations, "migrations/"+folders[dialect]+"/*.sql")
	if err != nil {
		return 0, err
	}
	return goose.NumericComponent(names[len(names)-1]) // Glob sorts
}

// migratePostgres does it under a lock that all processes respect: the others wait, and find nothing left to do. The lock
// belongs to a connection, which a proxy may not keep for one client: where nothing is to be done it is not taken.
func migratePostgres(ctx context.Context, db *sql.DB, place string) error {
	if done, err := upToDate(ctx, db); err != nil || done {
		return err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, uint64(migrateMost/time.Second))) // seconds between two looks, and looks
	if err != nil {
		return err
	}
	return migrate(ctx, goose.DialectPostgres, db, place, goose.WithSessionLocker(locker))
}

// upToDate tells whether a PostgreSQL database stands where this program's migrations lead to.
func upToDate(ctx context.Context, db *sql.DB) (bool, error) {
	target, err := newest(goose.DialectPostgres)
	if err != nil {
		return false, err
	}
	var fresh bool
	if err := db.QueryRowContext(ctx, "SELECT to_regclass('goose_db_version') IS NULL").Scan(&fresh); err != nil || fresh {
		return false, err
	}
	var stands int64
	err = db.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version").Scan(&stands)
	return stands == target, err
}

// migrate brings the schema up to date. A migration that has landed is never changed; a new one is added. A database that
// a later version has migrated is refused: this one would not know what it reads.
func migrate(ctx context.Context, dialect goose.Dialect, db *sql.DB, place string, options ...goose.ProviderOption) error {
	dir, err := fs.Sub(migrations, "migrations/"+folders[dialect])
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(dialect, db, dir, options...)
	if err != nil {
		return fmt.Errorf("store: cannot read the migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("store: cannot bring %s up to date: %w", place, err)
	}
	stands, err := p.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("store: cannot read the version of %s: %w", place, err)
	}
	sources := p.ListSources()
	if newest := sources[len(sources)-1].Version; stands > newest {
		return fmt.Errorf("store: %s has been migrated by a later version of ringback (%d; this one knows %d): start that version", place, stands, newest)
	}
	return nil
}

// folders hold the migrations of each dialect.
var folders = map[goose.Dialect]string{goose.DialectSQLite3: "sqlite", goose.DialectPostgres: "postgres"}
