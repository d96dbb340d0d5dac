package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/mattn/go-sqlite3"
	"gorm.io/gorm"
)

// groupMost bounds how many operations share one commit.
const groupMost = 256

// writer runs every write to SQLite on one connection. The operations that wait run in one shared transaction, each in
// a savepoint of its own, and are answered after its commit: one fsync for many.
//
// SQLite rolls the whole transaction back on an interrupt, a full disk or an I/O error. So an operation runs on the
// writer's context, never its caller's; touches only its tx; does no other I/O; and can run twice. After each one the
// writer checks that the transaction still lives. If not, it runs each operation of the group alone, and only one that
// fails alone gets an error.
type writer struct {
	conn *sql.Conn
	db   *gorm.DB // on conn
	ops  chan *operation

	stop    chan struct{}
	stopped sync.WaitGroup
	end     func() error
	groups  func(n int) // told of each commit's size; tests
	meter   *Meter      // told of each commit that stands
}

type operation struct {
	do   func(tx *gorm.DB) error
	done chan error
}

var (
	errWriterClosed = errors.New("store: closed")
	errRolledBack   = errors.New("store: the transaction was rolled back by the database")
)

func newWriter(conn *sql.Conn, db *gorm.DB, meter *Meter) *writer {
	w := &writer{conn: conn, db: db, ops: make(chan *operation), stop: make(chan struct{}), groups: func(int) {}, meter: meter}
	w.end = sync.OnceValue(w.stopAll)
	w.stopped.Go(w.run)
	return w
}

// close waits for the group in hand. Later writes are refused.
func (w *writer) close() error { return w.end() }

func (w *writer) stopAll() error {
	close(w.stop)
	w.stopped.Wait()
	return w.conn.Close()
}

// write runs do and returns after the commit, or with do's error and nothing written. A caller's context counts only
// while the operation waits to be taken: then it is done or it is not, and the answer says which.
func (w *writer) write(ctx context.Context, do func(tx *gorm.DB) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	op := &operation{do: do, done: make(chan error, 1)}
	select {
	case w.ops <- op:
		return <-op.done
	case <-w.stop:
		return errWriterClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *writer) run() {
	for {
		select {
		case <-w.stop:
			return
		case op := <-w.ops:
			w.commit(w.gather(op))
		}
	}
}

// gather takes whoever waits already: the group grows by itself while the last commit runs.
func (w *writer) gather(first *operation) []*operation {
	group := []*operation{first}
	for len(group) < groupMost {
		select {
		case op := <-w.ops:
			group = append(group, op)
		default:
			return group
		}
	}
	return group
}

func (w *writer) commit(group []*operation) {
	w.groups(len(group))
	errs, err := w.transact(group)
	if err != nil && len(group) > 1 {
		for i, op := range group {
			alone, err := w.transact([]*operation{op})
			errs[i] = errors.Join(alone[0], err)
		}
	} else if err != nil {
		errs[0] = errors.Join(errs[0], err)
	}
	for i, op := range group {
		op.done <- errs[i]
	}
}

// transact runs a group in one transaction. errs are the operations' own errors; err says that the transaction is
// lost, and nothing of it is written.
func (w *writer) transact(group []*operation) (errs []error, err error) {
	errs = make([]error, len(group))
	if err := w.exec("BEGIN IMMEDIATE"); err != nil {
		return errs, fmt.Errorf("store: cannot begin to write: %w", err)
	}
	if len(group) == 1 {
		errs[0], err = w.alone(group[0])
	} else {
		err = w.together(group, errs)
	}
	if err != nil {
		_ = w.exec("ROLLBACK") // it may be gone already
	}
	return errs, err
}

// alone runs an operation that has the transaction for itself, and so needs no savepoint.
func (w *writer) alone(op *operation) (own, lost error) {
	own = guarded(op.do, w.db)
	switch {
	case !w.alive():
		return own, errRolledBack
	case own != nil:
		return own, w.exec("ROLLBACK")
	}
	return nil, w.commitAll(1)
}

func (w *writer) together(group []*operation, errs []error) (lost error) {
	for i, op := range group {
		if errs[i], lost = w.one(op); lost != nil {
			return lost
		}
	}
	return w.commitAll(len(group))
}

func (w *writer) commitAll(writes int) error {
	began := time.Now()
	if err := w.exec("COMMIT"); err != nil {
		return fmt.Errorf("store: cannot commit: %w", err)
	}
	w.meter.committed(writes, time.Since(began))
	return nil
}

// one runs an operation in a savepoint.
func (w *writer) one(op *operation) (own, lost error) {
	if err := w.exec("SAVEPOINT one"); err != nil {
		return nil, err
	}
	own = guarded(op.do, w.db)
	if !w.alive() {
		return own, errRolledBack
	}
	if own != nil {
		if err := w.exec("ROLLBACK TO one"); err != nil {
			return own, err
		}
	}
	return own, w.exec("RELEASE one")
}

// guarded turns a panic into an error: one caller's mistake must not end the writer.
func guarded(do func(*gorm.DB) error, db *gorm.DB) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("store: a write panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return do(db.Session(&gorm.Session{NewDB: true}))
}

func (w *writer) exec(query string) error {
	_, err := w.db.Statement.ConnPool.ExecContext(context.Background(), query)
	return err
}

// alive asks the driver whether the transaction still stands.
func (w *writer) alive() (alive bool) {
	err := w.conn.Raw(func(driver any) error {
		alive = !driver.(*sqlite3.SQLiteConn).AutoCommit()
		return nil
	})
	return err == nil && alive
}
