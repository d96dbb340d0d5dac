package store

import (
	"context"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/ringback/ringback/jobs"
)

// offerAgain is how long a row that was offered for work is left alone: a task that died with its offer blocks it no
// longer than that.
const offerAgain = 5 * time.Second

// DueBatches offers batches whose time has come; see due.
func (s *Store) DueBatches(ctx context.Context, n int) ([]string, error) {
	return s.due(ctx, "jobs", n, "kind = 'batch'")
}

// DueCalls offers generations, responses and fine-tunings whose time has come; see due.
func (s *Store) DueCalls(ctx context.Context, n int) ([]string, error) {
	return s.due(ctx, "jobs", n, "kind = 'generation'", "kind = 'response'", "kind = 'fine_tuning'")
}

// DueShards offers shards whose time has come; see due.
func (s *Store) DueShards(ctx context.Context, n int) ([]string, error) {
	return s.due(ctx, "shards", n, "TRUE")
}

// DueGates offers gates behind which deliveries are due, each of them once; see due.
func (s *Store) DueGates(ctx context.Context, n int) (texts []string, err error) {
	var waiting []string
	err = s.read(ctx).Table("wakes").Where("wake_at <= ?", s.now()).Limit(1).Pluck("gate", &waiting).Error
	if err != nil || len(waiting) == 0 {
		return nil, err
	}
	err = s.write(ctx, func(tx *gorm.DB) error {
		texts, err = offerGates(tx, s.now(), n)
		return err
	})
	return texts, err
}

// due takes up to n rows whose wake_at has passed and moves it on in the same transaction, so that nothing is offered
// without end. A higher priority goes first; of the same, the sorts in their order. Each is a range of an index: rows that
// are not due yet cost nothing, however many they are. A look with the read pool comes first: nothing is written while
// nothing is due.
func (s *Store) due(ctx context.Context, table string, n int, sorts ...string) (texts []string, err error) {
	if waiting, err := s.anyDue(ctx, table, "("+strings.Join(sorts, " OR ")+") AND priority IN (1, 0, -1)"); err != nil || !waiting {
		return nil, err
	}
	err = s.write(ctx, func(tx *gorm.DB) error {
		texts = nil
		for _, p := range jobs.Priorities() {
			for _, sort := range sorts {
				if len(texts) >= n {
					return nil
				}
				more, err := offer(tx, table, sort+" AND priority = "+strconv.Itoa(p.Rank()), s.now(), n-len(texts))
				if err != nil {
					return err
				}
				texts = append(texts, more...)
			}
		}
		return nil
	})
	return texts, err
}

const isDue = " AND wake_at > 0 AND wake_at <= ?"

func (s *Store) anyDue(ctx context.Context, table, which string) (bool, error) {
	var waiting []string
	err := s.read(ctx).Table(table).Where(which+isDue, s.now()).Limit(1).Pluck("id", &waiting).Error
	return len(waiting) > 0, err
}

// offer takes rows that are due, the longest due first, and has the sweeper leave them alone for a while.
func offer(tx *gorm.DB, table, which string, now jobs.Time, n int) ([]string, error) {
	var rows []jobs.Ref
	err := tx.Raw("UPDATE "+table+" SET wake_at = ? WHERE "+some(tx, table, which+isDue+" ORDER BY wake_at")+
		" RETURNING project_id, id", now.Add(offerAgain), now, n).Scan(&rows).Error
	texts := make([]string, len(rows))
	for i, r := range rows {
		texts[i] = r.String()
	}
	return texts, err
}
