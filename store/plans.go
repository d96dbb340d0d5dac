package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"
)

// plans has the connections to PostgreSQL forget what they have prepared, where the tables have changed since.
//
// A process goes on while a later version brings the schema up to date. A statement that it prepared before and that would
// return other columns now, such as SELECT * after a new column, is refused, once on each connection. It has done nothing
// then: it is run again, on a connection that has forgotten all of them, and nobody hears of it.
type plans struct {
	age atomic.Int64 // how often any was refused
}

// staleTries bounds how often a read is run again; each time the tables have changed anew.
const staleTries = 5

// stale tells whether a statement was refused because the tables have changed since it was prepared or, where a proxy keeps
// none prepared, described. By the codes alone it could be anything that PostgreSQL cannot do or read, and the messages are in
// the server's language.
func stale(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (e.Code == "0A000" && e.Routine == "RevalidateCachedQuery" || e.Code == "08P01" && e.Routine == "PortalSetResultFormat")
}

// outdated tells whether a statement is to be run again, and has all connections forget what they have prepared.
func (p *plans) outdated(err error) bool {
	if !stale(err) {
		return false
	}
	p.age.Add(1)
	return true
}

// ageOfPlans is the key, among what pgx keeps for a connection, of the age (int64) of what is prepared there.
const ageOfPlans = "ringback.plans"

// renew is called for a connection before it is used again.
func (p *plans) renew(ctx context.Context, conn *pgx.Conn) error {
	age, data := p.age.Load(), conn.PgConn().CustomData()
	if known, _ := data[ageOfPlans].(int64); known == age {
		return nil
	}
	if err := conn.DeallocateAll(ctx); err != nil {
		return driver.ErrBadConn
	}
	data[ageOfPlans] = age
	return nil
}

// atOnce runs reads that are of one moment.
func (s *Store) atOnce(ctx context.Context, read func(tx *gorm.DB) error) (err error) {
	for range staleTries {
		err = s.read(ctx).Transaction(read, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
		if !s.plans.outdated(err) {
			break
		}
	}
	return err
}
