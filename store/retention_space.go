package store

import (
	"context"
	"database/sql"
	"errors"
	"math/bits"
	"strconv"

	"gorm.io/gorm"
)

// Free pages stay in SQLite's file for what comes next: an eighth of it, and this many. PostgreSQL sees to its own.
const (
	spareShare = 8
	sparePages = 256
)

// giveBack has the disk have the file's free pages. It removes nothing.
func (j *Janitor) giveBack(ctx context.Context) (int, error) {
	if j.Store.Shared() {
		return 0, nil
	}
	_, err := j.byWalk(ctx, j.vacuum)
	return 0, errors.Join(err, j.checkpoint(ctx))
}

// vacuum gives a slice of them back.
func (j *Janitor) vacuum(ctx context.Context) (seen, removed int, err error) {
	free, err := j.freePages(ctx)
	if err != nil || free <= 0 {
		return 0, 0, err
	}
	pages := 1 << (bits.Len(uint(min(free, j.room()))) - 1) // few different statements
	err = j.write(ctx, func(tx *gorm.DB) error {
		// Each row that the statement gives is a page: it ends before its work is done unless all are read.
		return each(tx, func(*sql.Rows) error { return nil }, "PRAGMA incremental_vacuum("+strconv.Itoa(pages)+")")
	})
	return pages, 0, err
}

// freePages is how many more of them there are than the file should have.
func (j *Janitor) freePages(ctx context.Context) (int, error) {
	var pages, free int
	if err := j.Store.read(ctx).Raw("PRAGMA page_count").Scan(&pages).Error; err != nil {
		return 0, err
	}
	err := j.Store.read(ctx).Raw("PRAGMA freelist_count").Scan(&free).Error
	return free - max(pages/spareShare, sparePages), err
}

// checkpoint has what the log holds carried into the file, which becomes shorter then. It waits for nobody; while a purge
// runs, and for what it leaves, the writer does that each thousand pages.
func (j *Janitor) checkpoint(ctx context.Context) error {
	var done struct{ Busy, Log, Checkpointed int }
	return j.Store.read(ctx).Raw("PRAGMA wal_checkpoint(PASSIVE)").Scan(&done).Error
}
