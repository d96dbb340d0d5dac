//go:build !race

package queue

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ringback/ringback/providers"
	"github.com/ringback/ringback/testservers"
	"github.com/stretchr/testify/require"
)

// soon bounds what takes a second; a busy machine takes longer.
const soon = 8 * time.Second

// Three processes come and go. Together they have as many calls open as one may, never more; each has a fair part of
// what it can use.
func TestProcessesShareTheConcurrency(t *testing.T) {
	t.Parallel()
	const limit = 12
	url, up := startRedis(t).URL(), startUpstream(t, 100*time.Millisecond)
	c := providers.Config{Concurrency: limit}
	a := startProcess(t, url, "a", up, c).call(30)
	requireOpen(t, up, "a", limit, patience) // alone it has everything

	b := startProcess(t, url, "b", up, c).call(30)
	requireOpen(t, up, "b", limit/2, soon)
	requireOpen(t, up, "", limit, soon)

	third := startProcess(t, url, "c", up, c).call(2) // it can use no more
	requireOpen(t, up, "c", 2, soon)
	requireOpen(t, up, "a", 5, soon)

	a.stop()
	requireOpen(t, up, "b", 10, soon) // what an idle one had is free at once

	third.call(30)
	requireOpen(t, up, "c", limit/2, soon)
	b.die()
	began := time.Now()
	requireOpen(t, up, "c", limit, testLease+soon)
	require.Greater(t, time.Since(began), testLease/2, "the dead one's part was given away within its lease")
	require.LessOrEqual(t, up.mostOpen(), limit)
}

// What all of them send together is what one may send, and in fair parts.
func TestProcessesShareTheRates(t *testing.T) {
	t.Parallel()
	const perSecond = 30
	for _, tc := range []struct {
		name string
		c    providers.Config
	}{
		{"requests", providers.Config{RequestsPerMinute: 60 * perSecond}},
		{"tokens", providers.Config{TokensPerMinute: 60 * perSecond * 30}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			url, up := startRedis(t).URL(), startUpstream(t, 5*time.Millisecond)
			began := time.Now()
			for _, name := range []string{"a", "b", "c"} {
				startProcess(t, url, name, up, tc.c).call(8)
			}
			time.Sleep(6 * time.Second) // a time that is measured
			all := up.servedTo("a") + up.servedTo("b") + up.servedTo("c")
			seconds := time.Since(began).Seconds()
			t.Logf("%d calls in %.1f s: %d, %d and %d", all, seconds, up.servedTo("a"), up.servedTo("b"), up.servedTo("c"))
			require.LessOrEqual(t, float64(all), perSecond*(seconds+1.2)+3) // the burst; what was in hand when the clock was read
			require.GreaterOrEqual(t, float64(all), 0.9*perSecond*seconds)
			for _, name := range []string{"a", "b", "c"} {
				require.InDelta(t, float64(all)/3, float64(up.servedTo(name)), float64(all)/9)
			}
		})
	}
}

// Whatever becomes of Redis, calls go on and keep within the limit.
func TestSharesOutliveRedis(t *testing.T) {
	t.Parallel()
	const limit = 12
	redis, up := startRedis(t), startUpstream(t, 100*time.Millisecond)
	for _, name := range []string{"a", "b", "c"} {
		startProcess(t, redis.URL(), name, up, providers.Config{Concurrency: limit}).call(20)
	}
	requireOpen(t, up, "", limit, patience)
	requireOpen(t, up, "c", limit/3, patience)

	for _, trouble := range []struct {
		name       string
		begin, end func() error
	}{
		{"hangs", redis.Pause, redis.Resume},
		{"is wiped", func() error { return wipe(t, redis) }, func() error { return nil }},
		{"is killed", redis.Kill, redis.Start},
	} {
		require.NoError(t, trouble.begin())
		for range 10 {
			require.Greater(t, up.average("", 300*time.Millisecond), 0.6*limit, "Redis %s", trouble.name)
		}
		require.NoError(t, trouble.end())
		requireOpen(t, up, "", limit, soon)
		requireOpen(t, up, "a", limit/3, soon)
		require.LessOrEqual(t, up.mostOpen(), limit, "Redis %s", trouble.name)
	}
}

// wipe takes the scripts too.
func wipe(t *testing.T, s *testservers.Redis) error {
	client, err := remote(s.URL())
	require.NoError(t, err)
	defer client.Close()
	return errors.Join(client.FlushAll(t.Context()).Err(), client.ScriptFlush(t.Context()).Err())
}

// A process that starts while Redis is away works all the same.
func TestCallsBeginWithoutRedis(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		fail func(*testservers.Redis) error
	}{
		{"killed", func(r *testservers.Redis) error { return r.Kill() }},
		{"hanging", func(r *testservers.Redis) error { return r.Pause() }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			redis, up := startRedis(t), startUpstream(t, 100*time.Millisecond)
			require.NoError(t, tc.fail(redis))
			startProcess(t, redis.URL(), "a", up, providers.Config{Concurrency: 4, RequestsPerMinute: 60_000}).call(8)
			requireOpen(t, up, "a", 4, soon)
			require.LessOrEqual(t, up.mostOpen(), 4)
		})
	}
}

// Four processes of 32 calls each under a limit of 256 keep as many open as without sharing.
func TestSharingCostsNothing(t *testing.T) {
	t.Parallel()
	c := providers.Config{Concurrency: 256, PerProcess: 32}
	busy := func(url string) float64 {
		up := startUpstream(t, 50*time.Millisecond)
		var all []*process
		for _, name := range []string{"a", "b", "c", "d"} {
			all = append(all, startProcess(t, url, name, up, c).call(64))
		}
		requireOpen(t, up, "", 128, patience)
		had := up.average("", 2*time.Second)
		for _, p := range all {
			p.stop()
		}
		require.LessOrEqual(t, up.mostOpen(), 128)
		return had
	}
	without, with := busy(""), busy(startRedis(t).URL())
	t.Logf("calls open at the same time: %.1f without sharing, %.1f with", without, with)
	require.Greater(t, with, 0.9*without)
}

// What the provider told one process holds for the others too, and for the time that it said.
func TestRetryAfterIsPassedOn(t *testing.T) {
	t.Parallel()
	url, up := startRedis(t).URL(), startUpstream(t, 100*time.Millisecond)
	c := providers.Config{Concurrency: 8}
	b := startProcess(t, url, "b", up, c).call(8)
	requireOpen(t, up, "b", 8, patience)
	up.refuse.Store("a", true)
	a := startProcess(t, url, "a", up, c).call(1)
	shut := func() bool {
		reason, until := b.limiter().Blocked()
		return reason == providers.ShutByProvider && time.Until(until) > 2*time.Second && time.Until(until) <= 3*time.Second
	}
	require.Eventually(t, shut, patience, time.Millisecond)
	a.stop()
	requireOpen(t, up, "b", 8, patience)
}

func TestOpenSharerNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := OpenSharer(SharerOptions{Process: "own_1"})
	require.ErrorContains(t, err, "set Redis and Process")
	_, err = OpenSharer(SharerOptions{Redis: "redis://:hunter2@:x:y", Process: "own_1"})
	require.ErrorContains(t, err, "queue.redis")
	require.NotContains(t, err.Error(), "hunter2")
}

// A name of any length makes a short key that shows nothing but the name.
func TestKeysAreShort(t *testing.T) {
	t.Parallel()
	require.Equal(t, "ringback:share:openai/gpt-4o", keyOf("openai/gpt-4o"))
	require.Len(t, keyOf(strings.Repeat("m", 5000)), len(shareKey)+64)
}

// An ask that Redis hears after a newer one, as from the connection of a call that was given up, changes nothing.
func TestALateAskIsNotHeard(t *testing.T) {
	t.Parallel()
	sharer, err := OpenSharer(SharerOptions{Redis: startRedis(t).URL(), Process: "own_1"})
	require.NoError(t, err)
	defer sharer.Close()
	ask := ShareAsk{Limit: 8, Want: 8}
	share, err := sharer.Share(t.Context(), "up/m", ask)
	require.NoError(t, err)
	require.Equal(t, Share{Slots: 8, Known: 1}, share)
	sharer.turn.Store(0)
	_, err = sharer.Share(t.Context(), "up/m", ShareAsk{Limit: 8})
	require.Error(t, err)
	other := &Sharer{redis: sharer.redis, process: "own_2", lease: sharer.lease}
	share, err = other.Share(t.Context(), "up/m", ask)
	require.NoError(t, err)
	require.Equal(t, Share{Slots: 0, Known: 2}, share)
}
