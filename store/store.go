// Package store keeps every fact in SQL and every byte in the file store.
//
// It is the only home of GORM and of the database drivers. It knows the types of packages jobs and callbacks and
// implements the interfaces that they declare; the rules stay there: a transition is a function that it is given and
// runs inside the transaction that writes the row.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/mattn/go-sqlite3"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/ringback/ringback/jobs"
)

// Options say where the facts are.
type Options struct {
	Dir           string           // data_dir: the database, the master key and the lock
	Key           []byte           // 32 bytes; empty: Dir/master.key, made at the first start
	SigningSecret string           // the default project's; empty: one made at the first start
	ShardsAwake   int              // shards of one batch that are due at once
	Events        jobs.EventLimits // bounds of event bodies
	FirstDelay    time.Duration    // the wait before a callback's first attempt
	Now           func() time.Time
}

// Store is the database.
type Store struct {
	options Options
	lock    *os.File
	writing *sql.DB
	reading *sql.DB
	writer  *writer
	reads   *gorm.DB
	seal    *sealer
}

// Open takes the exclusive lock on Dir, brings the schema up to date, and starts the writer. A second process on the
// same Dir is refused.
func Open(ctx context.Context, o Options) (_ *Store, err error) {
	s := &Store{options: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("store: cannot make data_dir: %w", err)
	}
	if s.lock, err = lockDir(o.Dir); err != nil {
		return nil, err
	}
	path := filepath.Join(o.Dir, "ringback.db")
	fresh, err := private(path)
	if err != nil {
		return nil, err
	}
	if s.seal, err = newSealer(o.Key, filepath.Join(o.Dir, "master.key"), fresh); err != nil {
		return nil, err
	}
	if err := s.open(ctx, path); err != nil {
		return nil, err
	}
	return s, s.ensureProject(ctx, jobs.DefaultProject, o.SigningSecret)
}

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

func (s *Store) open(ctx context.Context, path string) (err error) {
	if s.writing, err = sql.Open("sqlite3", dsn(path, "_txlock=immediate&_synchronous=FULL&_auto_vacuum=incremental")); err != nil {
		return err
	}
	s.writing.SetMaxOpenConns(1)
	if err := migrate(ctx, s.writing, path); err != nil {
		return err
	}
	conn, err := s.writing.Conn(ctx)
	if err != nil {
		return fmt.Errorf("store: cannot open the database: %w", err)
	}
	db, err := open(conn)
	if err != nil {
		return err
	}
	s.writer = newWriter(conn, db)
	if s.reading, err = sql.Open("sqlite3", dsn(path, "_query_only=1&_synchronous=FULL")); err != nil {
		return err
	}
	s.reading.SetMaxOpenConns(8)
	s.reading.SetMaxIdleConns(8)
	s.reads, err = open(s.reading)
	return err
}

// dsn names the database file with the settings that every connection needs.
func dsn(path, more string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?_journal_mode=WAL&_busy_timeout=5000&_foreign_keys=1&" + more
}

func open(pool gorm.ConnPool) (*gorm.DB, error) {
	return gorm.Open(sqlite.Dialector{Conn: pool}, &gorm.Config{
		SkipDefaultTransaction: true, PrepareStmt: true, PrepareStmtMaxSize: 300, DisableAutomaticPing: true,
		Logger: logger.Discard, // errors are returned, and queries may carry request bodies
	})
}

// Close ends the writer after the group in hand, and lets go of the lock.
func (s *Store) Close() error {
	var errs []error
	if s.writer != nil {
		s.writer.close()
		errs = append(errs, s.writer.conn.Close())
	}
	for _, db := range []*sql.DB{s.reading, s.writing} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

// Ping tells whether facts can be read.
func (s *Store) Ping(ctx context.Context) error { return s.reading.PingContext(ctx) }

func (s *Store) now() jobs.Time { return jobs.At(s.options.Now()) }

// write runs an operation through the writer; see there for what it may do.
func (s *Store) write(ctx context.Context, do func(tx *gorm.DB) error) error {
	return kept(s.writer.write(ctx, do))
}

func (s *Store) read(ctx context.Context) *gorm.DB { return s.reads.WithContext(ctx) }

// kept names the errors of a database that cannot write now: what could not be kept may be sent again.
func kept(err error) error {
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code {
	case sqlite3.ErrFull, sqlite3.ErrIoErr, sqlite3.ErrBusy, sqlite3.ErrLocked, sqlite3.ErrReadonly, sqlite3.ErrCantOpen:
		return &jobs.Error{Code: jobs.CodeUnavailable, Message: "The request cannot be kept now. Nothing was changed; send it again later.", Err: err}
	}
	return err
}

// found turns GORM's word for no row into the caller's.
func found(err, missing error) error {
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return missing
	}
	return err
}
