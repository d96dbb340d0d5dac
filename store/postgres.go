package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"

	"github.com/ringback/ringback/jobs"
)

const (
	defaultConnections = 20
	// statementMost bounds one statement: a server that hangs gives its callers back.
	statementMost = 10 * time.Second
	connectMost   = 5 * time.Second
	// idleMost ends a transaction whose process says nothing more: one that froze in the middle holds rows, and others shall
	// have them before its lease is over.
	idleMost = 5 * time.Second
	// migrateMost bounds all migrations together, which may rewrite large tables.
	migrateMost = time.Hour
)

// openPostgres opens the pool that reads and writes, and one connection for heartbeats.
func (s *Store) openPostgres(ctx context.Context) (err error) {
	if len(s.options.Key) == 0 {
		return errors.New("store: several processes share the database, and one key for what is sealed in it: set secrets.key (`openssl rand -base64 32`)")
	}
	if s.seal, err = newSealer(s.options.Key, "", false); err != nil {
		return err
	}
	config, err := postgresConfig(s.options.DSN)
	if err != nil {
		return err
	}
	if err := migrateOver(ctx, config); err != nil {
		return err
	}
	setBounds(config)
	s.reading = stdlib.OpenDB(*config, stdlib.OptionResetSession(s.plans.renew))
	most := s.options.Connections
	if most == 0 {
		most = defaultConnections
	}
	s.reading.SetMaxOpenConns(most)
	s.reading.SetMaxIdleConns(most)
	s.reading.SetConnMaxIdleTime(5 * time.Minute)
	s.beats = stdlib.OpenDB(*config)
	s.beats.SetMaxOpenConns(2)
	told := settings() // and pgx keeps statements prepared
	told.TranslateError = true
	if s.reads, err = gorm.Open(telling{postgres.New(postgres.Config{Conn: pool{s.reading, &s.plans}})}, told); err != nil {
		return err
	}
	s.writer = &transactions{pool: s.reading, db: s.reads, plans: &s.plans, meter: &s.options.Meter}
	return nil
}

// setBounds has the server end what takes too long.
func setBounds(config *pgx.ConnConfig) {
	config.RuntimeParams["statement_timeout"] = fmt.Sprint(statementMost.Milliseconds())
	config.RuntimeParams["idle_in_transaction_session_timeout"] = fmt.Sprint(idleMost.Milliseconds())
}

// migrateOver uses a connection of its own, whose statements may take long and wait long, whatever the DSN or the server says
// of others.
func migrateOver(ctx context.Context, config *pgx.ConnConfig) error {
	ctx, cancel := context.WithTimeout(ctx, migrateMost)
	defer cancel()
	patient := config.Copy()
	patient.RuntimeParams["statement_timeout"] = "0"
	patient.RuntimeParams["lock_timeout"] = "0"
	db := stdlib.OpenDB(*patient)
	defer db.Close()
	return migratePostgres(ctx, db, "the database "+config.Database)
}

// postgresConfig reads a DSN. Its errors do not quote it: it may hold a password.
func postgresConfig(dsn string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("store: store.dsn cannot be read: write it like postgres://user:password@host:5432/database?sslmode=require, with what is no letter or digit in the password percent-encoded (/ as %2F)")
	}
	switch mode := config.DefaultQueryExecMode; mode {
	case pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol: // they guess types: JSON that is kept as bytes would be changed
		return nil, fmt.Errorf("store: store.dsn has default_query_exec_mode=%s, which does not keep all bytes as they are: set it to cache_describe", strings.ReplaceAll(mode.String(), " ", "_"))
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectMost
	}
	config.DialFunc = (&net.Dialer{Timeout: config.ConnectTimeout, Control: giveUpSilent}).DialContext
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "ringback"
	}
	return config, nil
}

// telling has GORM give errors as this package names them.
type telling struct{ gorm.Dialector }

// Translate is GORM's word for it.
func (telling) Translate(err error) error { return kept(err) }

// pool bounds the time of each statement, also where the server does not answer at all.
type pool struct {
	*sql.DB
	plans *plans
}

// ExecContext is bounded; a query is by its caller's context and the server's statement_timeout, since its rows are read later.
func (p pool) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, statementMost)
	defer cancel()
	return p.DB.ExecContext(ctx, query, args...)
}

// QueryContext runs a query again that was prepared for tables as they were.
func (p pool) QueryContext(ctx context.Context, query string, args ...any) (rows *sql.Rows, err error) {
	for range staleTries {
		rows, err = p.DB.QueryContext(ctx, query, args...)
		if !p.plans.outdated(err) {
			break
		}
	}
	return rows, err
}

// transactions runs each operation in a transaction of its own; PostgreSQL commits many at once by itself.
//
// Two that wait for each other, or write the same key at the same moment, are run again, and so is one whose statements were
// prepared before the tables changed: an operation can run twice.
type transactions struct {
	pool  *sql.DB
	db    *gorm.DB
	plans *plans
	meter *Meter
}

const (
	// tries of an operation that others are in the way of.
	transactionTries = 10
	// transactionMost bounds an operation from its begin to its commit.
	transactionMost = 2 * statementMost
)

func (*transactions) close() error { return nil } // the pool is the store's

func (t *transactions) write(ctx context.Context, do func(tx *gorm.DB) error) (err error) {
	began := time.Now()
	for range transactionTries {
		err = t.once(ctx, do)
		again := t.plans.outdated(err) || inTheWay(err) || errors.Is(err, errNotBegun) && time.Since(began) < connectMost
		if !again {
			return err
		}
	}
	return err
}

// once begins, runs and commits. The caller's context counts until it has begun: then it is done or it is not.
func (t *transactions) once(ctx context.Context, do func(tx *gorm.DB) error) error {
	waiting, cancel := context.WithTimeout(ctx, statementMost)
	defer cancel()
	conn, err := t.pool.Conn(waiting)
	if err != nil {
		return fmt.Errorf("store: no connection to the database: %w", err)
	}
	defer conn.Close()
	running, cancel := context.WithTimeout(context.WithoutCancel(ctx), transactionMost)
	defer cancel()
	if _, err := conn.ExecContext(running, "BEGIN ISOLATION LEVEL READ COMMITTED"); err != nil {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // the next one may be newer than the server's restart
		return fmt.Errorf("%w: %w", errNotBegun, err)
	}
	tx := t.db.Session(&gorm.Session{NewDB: true, Context: running})
	tx.Statement.ConnPool = conn
	if err := guarded(do, tx); err != nil {
		rollback(running, conn)
		return err
	}
	began := time.Now()
	if err := commit(running, conn); err != nil {
		return err
	}
	t.meter.committed(1, time.Since(began))
	return nil
}

// rollback gives the connection back clean, or not at all.
func rollback(ctx context.Context, conn *sql.Conn) {
	if _, err := conn.ExecContext(ctx, "ROLLBACK"); err != nil {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // it is closed, and the server rolls back
	}
}

var errNotBegun = errors.New("store: cannot begin to write")

// commit ends a transaction. Where the answer is lost it may stand or not; only where the server itself refused is that
// known.
func commit(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "COMMIT")
	if err == nil {
		return nil
	}
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code[:2] != "57" && e.Code[:2] != "08" {
		return fmt.Errorf("store: cannot commit: %w", err)
	}
	return fmt.Errorf("%w: %w", errUnknown, err)
}

// errUnknown says that a commit's answer was lost. Who claimed gives back what the claim may have got; all other writes can
// be made again: they are guarded, and find what stands.
var errUnknown = fmt.Errorf("store: the answer to a commit is lost: %w", jobs.ErrUnknown)

// inTheWay tells whether an operation failed for what will not be so at its next run: another one at the same moment, in a
// deadlock or with a key that it has just written; or this process was frozen, and the server did not wait (25P03).
func inTheWay(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return false
	}
	switch e.Code {
	case "40001", "40P01", "55P03", "23505", "25P03":
		return true
	}
	return false
}

// postgresAway tells whether an error says that nothing can be written now: no connection, no room, a server that goes
// down, a standby.
func postgresAway(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch e.Code[:2] {
		case "08", "53", "57", "58":
			return true
		}
		return inTheWay(err) || stale(err) || e.Code == "25006"
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	var connect *pgconn.ConnectError
	return errors.As(err, &connect) || errors.Is(err, errNotBegun) || errors.Is(err, errUnknown) || errors.Is(err, driver.ErrBadConn) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || pgconn.SafeToRetry(err) || pgconn.Timeout(err)
}

// unstorable tells whether an error says that a text cannot be kept as it is.
func unstorable(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (e.Code == "22021" || e.Code == "22P05")
}
