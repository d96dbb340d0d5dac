package store

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// another is a second process on the same database, by the same clock.
func (w *world) another() *world {
	w.t.Helper()
	other := worldOver(w.t, openWith(w.t, func(o *Options) { o.DSN = w.options.DSN }))
	other.clock = w.clock
	other.options.Now = w.options.Now
	return other
}

// fleet is two processes on one PostgreSQL database.
func fleet(t *testing.T) []*world {
	t.Helper()
	w := worldOver(t, openPostgresStore(t))
	return []*world{w, w.another()}
}

// together runs n at once of each process's, and gives what went wrong.
func together(fleet []*world, n int, do func(w *world, owner string) error) []error {
	var mu sync.Mutex
	var errs []error
	var wg sync.WaitGroup
	for i := range n * len(fleet) {
		wg.Go(func() {
			if err := do(fleet[i%len(fleet)], fmt.Sprint("own_", i)); err != nil {
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return errs
}

// tally counts what several do.
type tally struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *tally) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[what]++
}

// requireOnce says that each was counted once, and how many there are.
func (c *tally) requireOnce(t *testing.T, n int) {
	t.Helper()
	require.Len(t, c.n, n)
	for what, times := range c.n {
		require.Equal(t, 1, times, what)
	}
}

// TestFleetClaimsEachAttemptOnce: two processes claim and give back the same rows, again and again. Who claims has the row
// for itself, so no two have the same attempt of it, and none is left out.
func TestFleetClaimsEachAttemptOnce(t *testing.T) {
	t.Parallel()
	const rounds = 40
	t.Run("jobs", func(t *testing.T) {
		t.Parallel()
		f := fleet(t)
		refs := []jobs.Ref{f[0].planned(), f[0].planned(), f[0].planned()}
		var claims tally
		require.Empty(t, together(f, 4, func(w *world, owner string) error {
			for range rounds {
				claimed, err := w.ClaimJobs(t.Context(), owner, refs, w.now())
				if err != nil {
					return err
				}
				for _, j := range claimed {
					claims.add(fmt.Sprint(j.ID, j.Attempt))
					if _, _, err := w.Move(t.Context(), j.Ref(), func(j *jobs.Job) (jobs.Effects, error) {
						if j.Owner != owner {
							return jobs.Effects{}, jobs.ErrStale
						}
						j.Due(w.now())
						return jobs.Effects{}, nil
					}); err != nil {
						return err
					}
				}
			}
			return nil
		}))
		claims.requireOnce(t, f[0].sum("attempt", "jobs"))
	})
	t.Run("shards", func(t *testing.T) {
		t.Parallel()
		f := fleet(t)
		job := running(t, f[0].Store)
		refs := []jobs.Ref{host(job.ID + ":0"), host(job.ID + ":1")}
		var claims tally
		require.Empty(t, together(f, 4, func(w *world, owner string) error {
			for range rounds {
				claimed, err := w.ClaimShards(t.Context(), owner, refs, w.now())
				if err != nil {
					return err
				}
				for _, s := range claimed {
					claims.add(fmt.Sprint(s.ID, s.Attempt))
					if err := w.ReturnShard(t.Context(), s, w.now(), ""); err != nil {
						return err
					}
				}
			}
			return nil
		}))
		claims.requireOnce(t, f[0].sum("attempt", "shards"))
	})
	t.Run("deliveries", func(t *testing.T) {
		t.Parallel()
		f := fleet(t)
		gates := []jobs.Ref{f[0].endpoint(), f[0].endpoint()}
		for range 10 {
			f[0].fire("file.created")
		}
		var claims tally
		require.Empty(t, together(f, 4, func(w *world, owner string) error {
			for range rounds {
				claimed, err := w.ClaimDeliveries(t.Context(), owner, shuffled(behind(gates...)), w.now())
				if err != nil {
					return err
				}
				for _, c := range claimed {
					claims.add(fmt.Sprint(c.ID, c.Attempt))
				}
				if refused, err := w.RecordAttempts(t.Context(), w.again(claimed), w.now()); err != nil || refused > 0 {
					return fmt.Errorf("%d refused: %w", refused, err)
				}
			}
			return nil
		}))
		claims.requireOnce(t, f[0].sum("attempt", "deliveries"))
		for _, g := range gates {
			require.NotZero(t, f[0].wakes(g))
		}
	})
}

func (w *world) sum(column, table string) (n int) {
	w.t.Helper()
	require.NoError(w.t, w.reads.Raw("SELECT sum("+column+") FROM "+table).Scan(&n).Error)
	return n
}

func shuffled[T any](of []T) []T {
	rand.Shuffle(len(of), func(i, j int) { of[i], of[j] = of[j], of[i] })
	return of
}

// TestFleetCreatesOnce by one Idempotency-Key, however many ask at once.
func TestFleetCreatesOnce(t *testing.T) {
	t.Parallel()
	f := fleet(t)
	idem := &jobs.Idempotency{Key: "k", Hash: []byte("h")}
	var answers tally
	require.Empty(t, together(f, 25, func(w *world, _ string) error {
		job := newBatch(w.now())
		_, err := w.CreateJob(t.Context(), jobs.NewJob{Job: job, Idempotency: idem, Answer: []byte(job.ID)})
		answer := job.ID
		if replay, ok := err.(*jobs.Replay); ok { //nolint:errorlint // it comes as it is
			answer, err = string(replay.Answer), nil
		}
		answers.add(answer)
		return err
	}))
	require.Len(t, answers.n, 1)
	require.Equal(t, 1, f[0].count("jobs"))
}

// TestDeadlocksAreRunAgain: two that wait for each other are both done.
func TestDeadlocksAreRunAgain(t *testing.T) {
	t.Parallel()
	f := fleet(t)
	rows := []jobs.Ref{f[0].planned(), f[0].planned()}
	var met sync.WaitGroup
	met.Add(2)
	var runs [2]int
	var errs [2]error
	var wg sync.WaitGroup
	for i, w := range f {
		wg.Go(func() {
			errs[i] = w.write(t.Context(), func(tx *gorm.DB) error {
				if runs[i]++; runs[i] > 1 {
					return nil
				}
				if _, err := takeJob(locked(tx), rows[i]); err != nil {
					return err
				}
				met.Done()
				met.Wait()
				_, err := takeJob(locked(tx), rows[1-i])
				return err
			})
		})
	}
	wg.Wait()
	require.Equal(t, [2]error{}, errs)
	require.Equal(t, 3, runs[0]+runs[1], "one was run again")
}

// TestFleetCountsFailuresExactly: many outcomes of a few endpoints at once, in any order, within a bounded time.
func TestFleetCountsFailuresExactly(t *testing.T) {
	t.Parallel()
	f := fleet(t)
	endpoints := []jobs.Ref{f[0].endpoint(wants("file.created")), f[0].endpoint(wants("file.created")), f[0].endpoint(wants("file.created"))}
	for range 120 {
		f[0].fire("file.created")
	}
	began := time.Now()
	require.Empty(t, together(f, 4, func(w *world, owner string) error {
		for {
			wants := behind(shuffled(append([]jobs.Ref{}, endpoints...))...)
			for i := range wants {
				wants[i].Room = 3
			}
			claimed, err := w.ClaimDeliveries(t.Context(), owner, wants, w.now())
			if err != nil || len(claimed) == 0 {
				return err
			}
			var outcomes []callbacks.Outcome
			for i, c := range shuffled(claimed) {
				if i%3 > 0 { // these are given up, so that nobody holds their gate
					c.Tries = len(policy.Schedule)
				}
				outcomes = append(outcomes, w.answered(c, 500))
			}
			if refused, err := w.RecordAttempts(t.Context(), outcomes, w.now()); err != nil || refused > 0 {
				return fmt.Errorf("%d refused: %w", refused, err)
			}
		}
	}))
	for _, e := range endpoints {
		require.Equal(t, 120, f[0].endpointRow(e).Failures)
	}
	require.Less(t, time.Since(began), 20*time.Second, "nobody waits for a deadlock to be found, again and again")
}
