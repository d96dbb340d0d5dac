package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// bufferRows is the size of the flush buffer.
const bufferRows = 1000

// The bound on repeats holds where the disk is slow too: what cannot be kept is not called.
func TestSlowDiskBoundsWhatIsCalledAndNotKept(t *testing.T) {
	const batches, lines = 4, 3000
	up := startUpstream(t, func(string) reply { return reply{wait: 5 * time.Millisecond, body: completion("yes")} })
	s := startServer(t, up.provider(""))
	file := s.input(numbered(lines, 0))
	ids := make([]string, batches)
	for i := range ids {
		ids[i] = s.batch(file, "")
	}
	eventually(t, "every batch has begun", func() bool {
		for _, id := range ids {
			if s.read("/v1/batches/"+id).get("request_counts.completed").Int() == 0 {
				return false
			}
		}
		return true
	})
	release := holdWriteLock(t, s.dir)
	before := up.count()
	require.Less(t, before, batches*lines/2, "the lock came in the middle")
	steady(t, up)
	during := up.count() - before
	s.kill9()
	release()
	t.Logf("%d calls while nothing could be kept", during)
	require.GreaterOrEqual(t, during, slots/2, "calls in flight were there")
	require.LessOrEqual(t, during, slots+bufferRows, "what cannot be kept must not be called")
}

// steady waits until no call has come for a while.
func steady(t *testing.T, up *upstream) {
	t.Helper()
	last, since := -1, time.Now()
	eventually(t, "the calls come to rest", func() bool {
		if n := up.count(); n != last {
			last, since = n, time.Now()
		}
		return time.Since(since) > 300*time.Millisecond
	})
}

// Kills at the two ends of a batch's life, where no line is in flight.
func TestKilledRightAfterTheAnswerAndInValidation(t *testing.T) {
	const lines, rounds = 100, 5
	random := dice(t)
	up := startUpstream(t, nil)
	hook := startReceiver(t)
	s := startServer(t, append(openCallbacks(), up.provider(""))...)
	secret := s.secret()
	file := s.input(numbered(lines, 60_000))
	for round := range rounds {
		before := up.count()
		batch := s.batch(file, hook.field())
		time.Sleep(time.Duration(round*random.IntN(12)) * time.Millisecond) // the first kill follows the answer at once
		s.kill9()
		s.restart()
		resumed := time.Now()
		done := s.ended(batch)
		t.Logf("round %d: ended %s after the restart", round, time.Since(resumed).Round(time.Millisecond))
		require.Equal(t, "completed", done.get("status").String())
		s.whole(done, lines)
		require.LessOrEqual(t, up.count()-before, 2*lines)
		hook.wait(batch, "batch.completed")
		hook.onlyOnce(batch, secret)
		s.oneEnd(batch, "batch.completed")
	}
}

// A kill while the files are written repeats no call and leaves whole files.
func TestKilledWhileFinalizing(t *testing.T) {
	const lines = 150
	big := strings.Repeat("x", 300_000)
	up := startUpstream(t, func(body string) reply { return reply{body: completion(number(body) + big)} })
	hook := startReceiver(t)
	s := startServer(t, append(openCallbacks(), up.provider(""))...)
	secret := s.secret()
	batch := s.batch(s.input(numbered(lines, 0)), hook.field())
	s.reaches(batch, "finalizing")
	s.kill9()
	calls := up.count()
	require.Equal(t, lines, calls)
	s.restart()
	done := s.ended(batch)
	require.Equal(t, "completed", done.get("status").String())
	s.whole(done, lines)
	answersFit(t, s.lines(done.get("output_file_id")))
	hook.wait(batch, "batch.completed")
	hook.onlyOnce(batch, secret)
	s.oneEnd(batch, "batch.completed")
	require.Equal(t, calls, up.count(), "no line is called again")
}
