package store

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"
)

const (
	slice      = 1000    // rows that one slice of a purge removes at most
	sliceBytes = 4 << 20 // and bytes, where rows are long; a longer row goes alone
	leastSlice = 48      // and with which it begins: fewer would not keep up with what ends

	// holdSQLite is about how long a slice should hold the one writer: whoever waits behind it hardly notices. On PostgreSQL a
	// slice holds nobody up; it is bounded so that its transaction does not keep others' dead rows from being removed.
	holdSQLite   = 2 * time.Millisecond
	holdPostgres = 50 * time.Millisecond
	// leastPause is the others' time between two slices; they have twice as much as the slice took, with its wait and its
	// commit: the busier the database, the less is asked of it.
	leastPause = 5 * time.Millisecond
	mostPause  = 100 * time.Millisecond

	// janitorLease is how long the one process of a fleet that cleans is not asked for again; it renews it in time.
	janitorLease = 30 * time.Second
)

// errNotLeading ends a round: another process of the fleet cleans.
var errNotLeading = errors.New("store: another process cleans")

// pace keeps the purge's slices short, and leaves the database to the others in between.
type pace struct {
	rows  int       // that the next slice may take; zero for as many as one may have
	leads time.Time // until then no other process cleans
	// rest waits between two slices; nil waits for that time. Tests end a purge here, as a crash would.
	rest func(context.Context, time.Duration) error
}

// room is how many rows the next slice may take.
func (p *pace) room() int {
	if p.rows == 0 {
		return slice
	}
	return p.rows
}

// held makes the next slice shorter or longer, by how long the last one held the database.
func (p *pace) held(took, should time.Duration) {
	switch {
	case p.rows == 0:
	case took > should:
		p.rows = max(p.rows*3/4, leastSlice)
	case took < should/2:
		p.rows = min(p.rows+p.rows/2, slice)
	}
}

func (p *pace) pause(ctx context.Context, took time.Duration) error {
	d := min(max(2*took, leastPause), mostPause)
	if p.rest != nil {
		return p.rest(ctx, d)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// bySlices repeats a step until it finds nothing more: others can write in between.
func (j *Janitor) bySlices(ctx context.Context, step func(context.Context) (int, error)) (n int, err error) {
	j.rows = leastSlice
	defer func() { j.rows = 0 }()
	for {
		if err := j.stillLeads(ctx); err != nil {
			return n, err
		}
		began := time.Now()
		m, err := step(ctx)
		n += m
		if err != nil || m == 0 {
			return n, err
		}
		if err := j.pause(ctx, time.Since(began)); err != nil {
			return n, err
		}
	}
}

// walk is a step that may look at more than it removes: at what is still needed.
type walk func(context.Context) (seen, removed int, err error)

// byWalk repeats a walk until it comes to its end, and counts what it removed.
func (j *Janitor) byWalk(ctx context.Context, step walk) (n int, err error) {
	_, err = j.bySlices(ctx, func(ctx context.Context) (int, error) {
		seen, removed, err := step(ctx)
		n += removed
		return seen, err
	})
	return n, err
}

// write is a slice's transaction.
func (j *Janitor) write(ctx context.Context, do func(tx *gorm.DB) error) error {
	var took time.Duration
	err := j.Store.write(ctx, func(tx *gorm.DB) error {
		began := time.Now()
		defer func() { took = time.Since(began) }()
		return do(tx)
	})
	should := holdSQLite
	if j.Store.Shared() {
		should = holdPostgres
	}
	j.held(took, should)
	return err
}

// stillLeads is errNotLeading where another process of the fleet cleans.
func (j *Janitor) stillLeads(ctx context.Context) error {
	if time.Now().Before(j.leads) {
		return nil
	}
	asked := time.Now()
	leads, err := j.Store.Leads(ctx, "janitor", j.Owner, janitorLease)
	switch {
	case err != nil:
		return err
	case !leads:
		return errNotLeading
	}
	j.leads = asked.Add(janitorLease / 3)
	return nil
}
