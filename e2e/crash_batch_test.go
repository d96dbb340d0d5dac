package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The promise after kill -9: the batch goes on by itself this soon after the restart, and no more calls are made again
// than were in flight or in the flush buffer (1,000 rows) when the process died.
const (
	resumeWithin = 5 * time.Second
	bufferRows   = 1000
)

// ledger is what one kill cost.
type ledger struct {
	at, repeats int // upstream calls before the kill, and those of them that were made again
	resumed     time.Duration
}

// J1: kill -9 at random moments of a batch.
func TestKilledBatchGoesOnWhereItWas(t *testing.T) {
	const lines, kills = 5000, 6
	random := dice(t)
	up := startUpstream(t, func(body string) reply {
		return reply{wait: 2 * time.Millisecond, body: completion("answer to " + prompt(body))}
	})
	hook := startReceiver(t)
	s := startServer(t, append(openCallbacks(), up.provider(""))...)
	secret := s.secret()
	batch := s.batch(s.input(numbered(lines, 0)), hook.field())
	var book []ledger
	for k := range kills {
		at := k*lines/kills + 20 + random.IntN(lines/kills-200)
		eventually(t, fmt.Sprintf("%d lines have been called", at), func() bool { return distinct(up.bodies()) >= at })
		book = append(book, s.killAndResume(up))
	}
	done := s.ended(batch)
	require.Equal(t, "completed", done.get("status").String())
	output, _ := s.whole(done, lines)
	require.Equal(t, lines, output)
	answersFit(t, s.lines(done.get("output_file_id")))
	hook.wait(batch, "batch.completed")
	hook.onlyOnce(batch, secret)
	s.oneEnd(batch, "batch.completed")
	s.settle(t, book, up, lines)
	s.stop()
	integrity(t, s.dir)
}

// settle prints the ledger and holds it to the promise.
func (s *server) settle(t *testing.T, book []ledger, up *upstream, lines int) {
	t.Helper()
	bodies := up.bodies()
	t.Logf("lines %d, calls %d, repeats %d over %d kills", lines, len(bodies), repeats(bodies), len(book))
	for i, l := range book {
		end := len(bodies)
		if i+1 < len(book) {
			end = book[i+1].at
		}
		l.repeats = repeats(bodies[:end]) - repeats(bodies[:l.at])
		t.Logf("kill %d: after %4d calls, first new call %5s after the restart, %4d made again", i+1, l.at, l.resumed.Round(time.Millisecond), l.repeats)
		require.LessOrEqual(t, l.resumed, resumeWithin)
		require.LessOrEqual(t, l.repeats, slots+bufferRows)
	}
	require.Equal(t, lines, len(bodies)-repeats(bodies), "every line was called")
}

// killAndResume kills, starts again and waits for the first new call.
func (s *server) killAndResume(up *upstream) ledger {
	s.t.Helper()
	s.kill9()
	eventually(s.t, "the calls of the killed process have ended", func() bool { return up.busy() == 0 })
	l := ledger{at: up.count()}
	s.restart()
	eventually(s.t, "the batch goes on by itself", func() bool { return up.count() > l.at })
	l.resumed = up.first(l.at).Sub(s.started)
	return l
}

func distinct(bodies []string) int { return len(bodies) - repeats(bodies) }

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
