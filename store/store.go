// Package store keeps every fact in SQL and every byte in the file store.
//
// It is the only home of GORM and of the database drivers. It knows the types of packages jobs and callbacks and
// implements the interfaces that they declare; the rules stay there: a transition is a function that it is given and
// runs inside the transaction that writes the row.
//
// Facts are in SQLite, which one process has for itself, or in PostgreSQL, which any number share. The SQL is the same but
// for what stands in dialect.go. On SQLite there is one writer; on PostgreSQL a transaction locks what it reads in order
// to change it, a job's row before all that belongs to the job.
package store

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/ringback/ringback/jobs"
)

// Options say where the facts are.
type Options struct {
	Dir           string           // data_dir: SQLite's database, the master key and the lock
	DSN           string           // postgres://…; empty: SQLite in Dir
	Connections   int              // of this process to PostgreSQL; zero for 20
	Key           []byte           // 32 bytes; empty, with SQLite alone: Dir/master.key, made at the first start
	SigningSecret string           // the default project's; empty: one made at the first start
	ShardsAwake   int              // shards of one batch that are due at once
	Events        jobs.EventLimits // bounds of event bodies
	FirstDelay    time.Duration    // the wait before a callback's first attempt
	Now           func() time.Time
	Meter         Meter // hears of commits; its zero is nobody
}

// Store is the database.
type Store struct {
	options Options
	lock    *os.File // on SQLite
	writing *sql.DB
	reading *sql.DB
	beats   *sql.DB // on PostgreSQL: heartbeats wait behind nothing else
	writer  committer
	reads   *gorm.DB
	seal    *sealer
	plans   plans // on PostgreSQL

	claiming claiming
}

// committer runs operations, each in a transaction that is its own or is shared with others without its notice.
//
// An operation touches only its tx; does no other I/O; and can run twice. What write returns is what became of it: after an
// error nothing is written.
type committer interface {
	write(ctx context.Context, do func(tx *gorm.DB) error) error
	close() error
}

// Open brings the schema up to date and is ready to write. On SQLite it takes the exclusive lock on Dir: a second process
// is refused. On PostgreSQL it needs a Key, which all processes share.
func Open(ctx context.Context, o Options) (_ *Store, err error) {
	s := &Store{options: o, claiming: claiming{claims: map[claimOf]struct{}{}}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	open := s.openSQLite
	if o.DSN != "" {
		open = s.openPostgres
	}
	if err := open(ctx); err != nil {
		return nil, err
	}
	return s, s.ensureProject(ctx, jobs.DefaultProject, o.SigningSecret)
}

// Shared tells whether other processes may be at work on the same facts.
func (s *Store) Shared() bool { return s.options.DSN != "" }

// settings of GORM that both databases share.
func settings() *gorm.Config {
	return &gorm.Config{
		SkipDefaultTransaction: true, DisableAutomaticPing: true,
		Logger: logger.Discard, // errors are returned, and queries may carry request bodies
	}
}

// Close ends the writer after what it has in hand, and lets go of the lock.
func (s *Store) Close() error {
	var errs []error
	if s.writer != nil {
		errs = append(errs, s.writer.close())
	}
	for _, db := range []*sql.DB{s.reading, s.writing, s.beats} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	if s.lock != nil {
		errs = append(errs, unlock(s.lock))
	}
	return errors.Join(errs...)
}

// Ping tells whether facts can be read.
func (s *Store) Ping(ctx context.Context) error { return s.reading.PingContext(ctx) }

func (s *Store) now() jobs.Time { return jobs.At(s.options.Now()) }

// write runs an operation; see committer for what it may do.
func (s *Store) write(ctx context.Context, do func(tx *gorm.DB) error) error {
	return kept(s.writer.write(ctx, do))
}

func (s *Store) read(ctx context.Context) *gorm.DB { return s.reads.WithContext(ctx) }

// unavailable is what a caller is told while the database cannot write: what could not be kept may be sent again.
func unavailable(err error) error {
	message := "The request cannot be kept now. Nothing was changed; send it again later."
	if errors.Is(err, errUnknown) {
		message = "The database went away while the request was being kept: it may stand or not. Send it again with the same Idempotency-Key, or look whether it is there."
	}
	return &jobs.Error{Code: jobs.CodeUnavailable, Message: message, Err: err}
}

// kept names the errors of a database that cannot write now, or cannot write this.
func kept(err error) error {
	switch {
	case err == nil:
		return nil
	case sqliteAway(err), postgresAway(err):
		return unavailable(err)
	case unstorable(err):
		return &jobs.Error{Code: jobs.CodeValue, Message: "A text holds a character that cannot be kept: NUL (\\u0000), or bytes that are not UTF-8. Leave it out.", Err: err}
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
