package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/mattn/go-sqlite3"
)

const (
	// backupPages are copied at once, a megabyte; then others have the disk for a while.
	backupPages = 256
	backupPause = 5 * time.Millisecond
	// backupMoments is how often a new moment is tried when files that the last one names have just gone.
	backupMoments = 20
)

// copyDatabase holds the files and copies the database as it is at one moment, in which all that it names is held.
func (b *backup) copyDatabase(ctx context.Context, to string) error {
	db, err := openForeign(b.Dir)
	if err != nil {
		return err
	}
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("store: cannot read the database: %w", err)
	}
	defer conn.Close()
	if err := checkSchema(ctx, conn, "sqlite"); err != nil {
		return err
	}
	b.Told(Progress{Doing: "holding files"})
	if err := b.hold.all(ctx); err != nil {
		return err
	}
	if err := b.choose(ctx, conn); err != nil {
		return err
	}
	if err := b.copyPages(ctx, conn, to); err != nil {
		return fmt.Errorf("store: cannot copy the database: %w", err)
	}
	_, err = conn.ExecContext(ctx, "ROLLBACK")
	return err
}

// choose begins a read transaction at a moment whose files are all held.
func (b *backup) choose(ctx context.Context, conn *sql.Conn) error {
	for range backupMoments {
		if _, err := conn.ExecContext(ctx, "BEGIN"); err != nil {
			return fmt.Errorf("store: cannot read the database: %w", err)
		}
		gone, err := b.holdNamed(ctx, conn)
		if err != nil || !gone {
			return err
		}
		if _, err := conn.ExecContext(ctx, "ROLLBACK"); err != nil {
			return err
		}
	}
	return errors.New("store: files come and go so fast that no moment has all of them; make the backup when less goes on")
}

// holdNamed also begins the moment: a transaction sees what stands at its first read.
func (b *backup) holdNamed(ctx context.Context, conn *sql.Conn) (gone bool, err error) {
	err = namedFiles(ctx, conn, func(f namedFile) error {
		err := b.hold.one(ctx, f.key)
		if errors.Is(err, fs.ErrNotExist) {
			gone = gone || f.need != notNeeded
			return nil
		}
		return err
	})
	return gone, err
}

// copyPages reads inside the transaction that conn is in.
func (b *backup) copyPages(ctx context.Context, conn *sql.Conn, to string) error {
	db, err := sql.Open("sqlite3", databaseURL(to, "_journal_mode=OFF&_synchronous=OFF"))
	if err != nil {
		return err
	}
	defer db.Close()
	target, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer target.Close()
	return target.Raw(func(to any) error {
		return conn.Raw(func(from any) error {
			pages, err := to.(*sqlite3.SQLiteConn).Backup("main", from.(*sqlite3.SQLiteConn), "main")
			if err != nil {
				return err
			}
			return errors.Join(b.steps(ctx, pages), pages.Finish())
		})
	})
}

func (b *backup) steps(ctx context.Context, pages *sqlite3.SQLiteBackup) error {
	pause := time.NewTicker(backupPause)
	defer pause.Stop()
	for {
		began := time.Now()
		done, err := pages.Step(backupPages)
		if err != nil || done {
			return err
		}
		all := int64(pages.PageCount())
		b.Told(Progress{Doing: "copying the database", Bytes: (all - int64(pages.Remaining())) * pageSize, Of: all * pageSize})
		pause.Reset(max(backupPause, time.Since(began)))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-pause.C:
		}
	}
}

// pageSize is SQLite's default, which the migrations do not change; progress alone is told by it.
const pageSize = 4096
