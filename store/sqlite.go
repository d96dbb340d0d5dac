package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/mattn/go-sqlite3"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
)

// openSQLite takes the lock on the folder, and opens the one connection that writes and the pool that reads.
func (s *Store) openSQLite(ctx context.Context) (err error) {
	dir := s.options.Dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("store: cannot make data_dir: %w", err)
	}
	if s.lock, err = lockDir(dir); err != nil {
		return err
	}
	path := filepath.Join(dir, DatabaseFile)
	fresh, err := private(path)
	if err != nil {
		return err
	}
	if s.seal, err = newSealer(s.options.Key, filepath.Join(dir, KeyFile), fresh); err != nil {
		return err
	}
	if s.writing, err = sql.Open("sqlite3", dsn(path, "_txlock=immediate&_synchronous=FULL&_auto_vacuum=incremental")); err != nil {
		return err
	}
	s.writing.SetMaxOpenConns(1)
	if err := migrateSQLite(ctx, s.writing, path); err != nil {
		return err
	}
	conn, err := s.writing.Conn(ctx)
	if err != nil {
		return fmt.Errorf("store: cannot open the database: %w", err)
	}
	prepared := settings()
	prepared.PrepareStmt, prepared.PrepareStmtMaxSize = true, 300
	db, err := gorm.Open(sqlite.Dialector{Conn: conn}, prepared)
	if err != nil {
		return err
	}
	s.writer = newWriter(conn, db, &s.options.Meter)
	if s.reading, err = sql.Open("sqlite3", dsn(path, "_query_only=1&_synchronous=FULL")); err != nil {
		return err
	}
	s.reading.SetMaxOpenConns(8)
	s.reading.SetMaxIdleConns(8)
	also := *prepared
	s.reads, err = gorm.Open(sqlite.Dialector{Conn: s.reading}, &also)
	return err
}

// What stands in data_dir beside the files.
const (
	DatabaseFile = "ringback.db"
	KeyFile      = "master.key"
)

// private makes the database's file if need be, for its owner's eyes only: it holds prompts. SQLite gives the files
// beside it the same mode. fresh says that nothing stands in it yet.
func private(path string) (fresh bool, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return false, fmt.Errorf("store: cannot open the database: %w", err)
	}
	info, err := f.Stat()
	return err == nil && info.Size() == 0, errors.Join(err, f.Close())
}

// dsn names the database file with the settings that every connection needs.
func dsn(path, more string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?_journal_mode=WAL&_busy_timeout=5000&_foreign_keys=1&" + more
}

// sqliteAway tells whether an error says that nothing can be written now.
func sqliteAway(err error) bool {
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case sqlite3.ErrFull, sqlite3.ErrIoErr, sqlite3.ErrBusy, sqlite3.ErrLocked, sqlite3.ErrReadonly, sqlite3.ErrCantOpen:
		return true
	}
	return false
}
