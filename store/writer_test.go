package store

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/ringback/ringback/jobs"
)

// put is an operation that leaves a trace.
func put(key string) func(*gorm.DB) error {
	return func(tx *gorm.DB) error {
		return tx.Exec("INSERT INTO trace (key, text) VALUES (?, '')", key).Error
	}
}

func traces(t *testing.T, s *Store) map[string]bool {
	t.Helper()
	var keys []string
	require.NoError(t, s.reads.Table("trace").Pluck("key", &keys).Error)
	seen := map[string]bool{}
	for _, k := range keys {
		seen[k] = true
	}
	return seen
}

// group runs operations in one group: a first one holds the writer until all of them wait.
func group(t *testing.T, s *Store, ops ...func(*gorm.DB) error) []error {
	t.Helper()
	hold := make(chan struct{})
	var sizes []int
	s.writer.(*writer).groups = func(n int) { sizes = append(sizes, n) }
	held := make(chan error, 1)
	started := make(chan struct{})
	go func() {
		held <- s.write(t.Context(), func(*gorm.DB) error { close(started); <-hold; return nil })
	}()
	<-started
	errs := make([]error, len(ops))
	var wg sync.WaitGroup
	for i, op := range ops {
		wg.Go(func() { errs[i] = s.write(t.Context(), op) })
	}
	// The callers are about to wait on the writer's channel, which has no count to wait for.
	require.Eventually(t, func() bool { return goroutinesWaiting(len(ops)) }, 5*time.Second, time.Millisecond)
	close(hold)
	require.NoError(t, <-held)
	wg.Wait()
	require.GreaterOrEqual(t, len(sizes), 2)
	require.Equal(t, len(ops), sizes[1], "all of them in one group")
	return errs
}

func openTraced(t *testing.T) *Store {
	t.Helper()
	s := openStore(t, t.TempDir())
	require.NoError(t, s.write(t.Context(), func(tx *gorm.DB) error {
		return tx.Exec("CREATE TABLE trace (key TEXT PRIMARY KEY, text TEXT)").Error
	}))
	return s
}

func TestWriterKeepsTheGroupWhenOneFails(t *testing.T) {
	endless := func(tx *gorm.DB) error {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		return tx.WithContext(ctx).Exec(`INSERT INTO trace (key, text)
			WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) SELECT 'endless' || i, '' FROM n`).Error
	}
	tests := []struct {
		name string
		bad  func(*gorm.DB) error
		want string
	}{
		{"its own error", func(tx *gorm.DB) error { return errors.Join(put("bad")(tx), errors.New("mine")) }, "mine"},
		{"a constraint", func(tx *gorm.DB) error { return errors.Join(put("bad")(tx), put("bad")(tx)) }, "UNIQUE"},
		{"a panic", func(tx *gorm.DB) error { _ = put("bad")(tx); panic("oh") }, "oh"},
		{"a cancelled query, which rolls the whole transaction back", endless, "rolled back by the database"},
		{"a rollback behind the writer's back", func(tx *gorm.DB) error {
			return errors.Join(put("bad")(tx), tx.Exec("ROLLBACK").Error)
		}, "rolled back"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := openTraced(t)
			errs := group(t, s, put("a"), tt.bad, put("b"))
			require.NoError(t, errs[0])
			require.ErrorContains(t, errs[1], tt.want)
			require.NoError(t, errs[2])
			require.Equal(t, map[string]bool{"a": true, "b": true}, traces(t, s))
			require.NoError(t, s.write(t.Context(), put("after")), "the writer goes on")
		})
	}
}

func TestWriterAnswersAFullDiskAndGoesOn(t *testing.T) {
	s := openTraced(t)
	var pages int64
	require.NoError(t, s.writer.(*writer).db.Raw("PRAGMA page_count").Scan(&pages).Error)
	require.NoError(t, s.writer.(*writer).db.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages+8)).Error)
	large := func(tx *gorm.DB) error {
		return tx.Exec("INSERT INTO trace (key, text) VALUES ('large', ?)", string(make([]byte, 1<<20))).Error
	}
	errs := group(t, s, put("a"), large, put("b"))
	require.NoError(t, errs[0])
	require.True(t, jobs.IsCode(errs[1], jobs.CodeUnavailable), "it may be sent again: %v", errs[1])
	require.NoError(t, errs[2])
	require.Equal(t, map[string]bool{"a": true, "b": true}, traces(t, s))

	require.NoError(t, s.writer.(*writer).db.Exec("PRAGMA max_page_count = 1000000").Error)
	require.NoError(t, s.write(t.Context(), large), "there is room again")
	var check string
	require.NoError(t, s.reads.Raw("PRAGMA integrity_check").Scan(&check).Error)
	require.Equal(t, "ok", check)
}

func TestWriterRefusesAfterClose(t *testing.T) {
	s := openTraced(t)
	require.NoError(t, s.writer.close())
	require.ErrorIs(t, s.write(t.Context(), put("late")), errWriterClosed)
	s.writer.(*writer).stop = make(chan struct{}) // for the cleanup's Close
}

func TestWriterGivesUpOnlyWhatWasNotTaken(t *testing.T) {
	s := openTraced(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := s.write(ctx, func(tx *gorm.DB) error { cancel(); return put("taken")(tx) })
	require.NoError(t, err, "a caller that goes away does not undo what was taken")
	require.ErrorIs(t, s.write(ctx, put("late")), context.Canceled)
	require.Equal(t, map[string]bool{"taken": true}, traces(t, s))
}

// goroutinesWaiting tells whether at least n callers stand in the writer's queue.
func goroutinesWaiting(n int) bool {
	buf := make([]byte, 1<<20)
	stacks := string(buf[:runtime.Stack(buf, true)])
	waiting := 0
	for _, stack := range strings.Split(stacks, "\n\n") {
		if strings.Contains(stack, "(*writer).write(") && strings.Contains(stack, "[select") {
			waiting++
		}
	}
	return waiting >= n
}
