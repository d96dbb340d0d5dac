package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

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

// migratePostgres does it under a lock that all processes respect: the others wait, and find nothing left to do.
func migratePostgres(ctx context.Context, db *sql.DB, place string) error {
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 600)) // seconds between two looks, and looks
	if err != nil {
		return err
	}
	return migrate(ctx, goose.DialectPostgres, db, place, goose.WithSessionLocker(locker))
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
