package queue

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestParking(t *testing.T) {
	t.Parallel()
	away := errors.New("connection refused")
	noScript := redis.ErrNoScript
	for _, tc := range []struct {
		name     string
		answers  []error
		rung     time.Duration // 0: not rung
		stopped  time.Duration // 0: not stopped
		want     error
		took     time.Duration
		asked    int
		otherKey bool
	}{
		{name: "a task comes through at once", answers: []error{nil}, asked: 1},
		{name: "an empty lane asks again after the pause", answers: []error{redis.Nil, redis.Nil}, want: redis.Nil, took: parkFor, asked: 2},
		{name: "a ring asks again at once", answers: []error{redis.Nil, nil}, rung: time.Millisecond, took: time.Millisecond, asked: 2},
		{name: "the end wakes the parked", answers: []error{redis.Nil}, stopped: time.Millisecond, want: redis.Nil, took: time.Millisecond, asked: 1},
		{name: "an error is no busy loop", answers: []error{away}, want: away, took: afterError, asked: 1},
		{name: "a lost script comes through at once", answers: []error{noScript}, want: noScript, asked: 1},
		{name: "other commands never park", answers: []error{redis.Nil}, want: redis.Nil, asked: 1, otherKey: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := &lane{Lane: Lane{Name: "jobs"}, bell: make(chan struct{}, 1)}
				stop := make(chan struct{})
				if tc.rung > 0 {
					time.AfterFunc(tc.rung, func() { signal(l.bell) })
				}
				if tc.stopped > 0 {
					time.AfterFunc(tc.stopped, func() { close(stop) })
				}
				asked := 0
				next := func(context.Context, redis.Cmder) error {
					asked++
					return tc.answers[asked-1]
				}
				key := l.pendingKey()
				if tc.otherKey {
					key = "asynq:{jobs}:active"
				}
				cmd := redis.NewCmd(t.Context(), "evalsha", "5ca1ab1e", 4, key, "paused", "active", "lease")
				began := time.Now()
				err := newParking(map[string]*lane{"jobs": l}, stop).ProcessHook(next)(t.Context(), cmd)
				require.Equal(t, []any{tc.want, tc.took, tc.asked}, []any{err, time.Since(began), asked})
			})
		})
	}
}

func TestParkingClaimsNothingAfterTheEnd(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	close(stop)
	l := &lane{Lane: Lane{Name: "jobs"}, bell: make(chan struct{}, 1)}
	next := func(context.Context, redis.Cmder) error { t.Error("asked Redis for a task"); return nil }
	cmd := redis.NewCmd(t.Context(), "eval", "script", 4, l.pendingKey(), "paused", "active", "lease")
	require.ErrorIs(t, newParking(map[string]*lane{"jobs": l}, stop).ProcessHook(next)(t.Context(), cmd), redis.Nil)
}
