package store

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// event writes one in a transaction.
func (w *world) event(tx *gorm.DB, subject string) (id string, err error) {
	fact := jobs.Fact{ProjectID: "default", Type: "file.created", SubjectID: subject, Sequence: 1, Scope: jobs.ScopeKey, Object: []byte(`{}`), At: w.now()}
	e := fact.Event()
	_, err = w.recordEvent(tx, &e, callbacks.Receivers{})
	return e.ID, err
}

// TestEventsThatCommitInReverse: a reader that has seen the one that was written later does not miss the one that was
// written first, and commits last.
func TestEventsThatCommitInReverse(t *testing.T) {
	t.Parallel()
	f := fleet(t)
	written, goOn := make(chan string), make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- f[0].write(t.Context(), func(tx *gorm.DB) error {
			id, err := f[0].event(tx, "first")
			written <- id
			<-goOn
			return err
		})
	}()
	first := <-written
	second := f[1].fire("file.created")
	page, _, err := f[1].Events(t.Context(), "default", "", 9)
	require.NoError(t, err)
	require.Len(t, page, 1)
	require.Equal(t, second, page[0].ID)
	require.Equal(t, page[0].Position, must(f[0].LastEvent(t.Context(), "default"))(t))
	close(goOn)
	require.NoError(t, <-ended)
	for _, after := range []string{page[0].ID, fmt.Sprint(page[0].Position)} {
		rest, _, err := f[0].Events(t.Context(), "default", after, 9)
		require.NoError(t, err)
		require.Len(t, rest, 1)
		require.Equal(t, first, rest[0].ID)
		require.Greater(t, rest[0].Position, page[0].Position)
	}
	all, _, err := f[1].Events(t.Context(), "default", "", 9)
	require.NoError(t, err)
	require.Equal(t, []string{second, first}, []string{all[0].ID, all[1].ID}, "whoever reads them, from the beginning too")
}

// reading pages through the events until it is stopped and has seen all, and gives what it saw.
func (w *world) reading(stop <-chan struct{}) (seen []jobs.Event, err error) {
	for after := ""; ; {
		last := stopped(stop)
		page, _, err := w.Events(w.t.Context(), "default", after, 100)
		if err != nil || last && len(page) == 0 {
			return seen, err
		}
		if len(page) > 0 {
			seen, after = append(seen, page...), page[len(page)-1].ID
		}
	}
}

// TestReadersOfEventsMissNone, while many write: 3,000 of eight writers in two processes, some of which commit late, and a
// reader in each.
func TestReadersOfEventsMissNone(t *testing.T) {
	t.Parallel()
	const each = 375
	f := fleet(t)
	stop := make(chan struct{})
	var seen [2][]jobs.Event
	var errs [2]error
	var readers sync.WaitGroup
	for i, w := range f {
		readers.Go(func() { seen[i], errs[i] = w.reading(stop) })
	}
	require.Empty(t, together(f, 4, func(w *world, owner string) error {
		for i := range each {
			err := w.write(t.Context(), func(tx *gorm.DB) error {
				_, err := w.event(tx, fmt.Sprint(owner, i))
				if i%20 == 0 {
					time.Sleep(5 * time.Millisecond) // others commit before it
				}
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	}))
	close(stop)
	readers.Wait()
	require.Equal(t, [2]error{}, errs)
	for _, events := range seen {
		require.Equal(t, 8*each, len(events)) //nolint:testifylint // it would print them all
		ids, last := map[string]bool{}, int64(0)
		for _, e := range events {
			require.Greater(t, e.Position, last, "each has a place of its own, after those before it")
			last, ids[e.ID] = e.Position, true
		}
		require.Equal(t, 8*each, len(ids)) //nolint:testifylint // the same
	}
	require.Equal(t, seen[0][8*each-1].Position, seen[1][8*each-1].Position)
}
