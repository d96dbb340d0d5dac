package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// After a kill the only process goes on by itself this soon after its restart; in a fleet others do this soon after the
// kill (J3).
const (
	resumeWithin   = 5 * time.Second
	takeOverWithin = 20 * time.Second
)

// J1, in both modes: kill -9 at random moments of a batch. `make chaos` has 20 of them in 20,000 lines.
func TestKilledBatchGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	lines, kills := 3000, map[mode]int{embedded: 4, scaled: 3}
	if os.Getenv("RINGBACK_CHAOS_KILLS") != "" {
		lines, kills = 20_000, map[mode]int{embedded: 20, scaled: 20}
	}
	tests := map[string]func(t *testing.T){}
	for m, n := range kills {
		tests[string(m)] = func(t *testing.T) { killedBatch(t, m, lines, n) }
	}
	inTurn(t, tests)
}

func killedBatch(t *testing.T, m mode, lines, kills int) {
	random := dice(t)
	// Slow enough that most of a shard's answers are older than a kill may take along.
	up := startUpstream(t, func(body string) reply {
		return reply{wait: 40*time.Millisecond + rand.N(40*time.Millisecond), body: completion("answer to " + prompt(body))}
	})
	hook := startReceiver(t)
	f := m.start(t, append(openCallbacks(), up.provider(whoamI))...)
	secret := f.apis[0].secret()
	batch := f.batch(f.input(numbered(lines, 0)), hook.field())
	defer f.pulse()()
	for k := range kills {
		at := k*lines/kills + 20 + random.IntN(lines/kills*4/5)
		eventually(t, fmt.Sprintf("%d lines have been called", at), func() bool { return distinct(up.bodies()) >= at })
		victim := f.working()[random.IntN(len(f.working()))]
		f.kill9(victim)
		if m == embedded {
			f.resumes(up, victim)
			continue
		}
		time.Sleep(pause(random))
		f.restart(victim)
	}
	done := f.ended(batch)
	require.Equal(t, "completed", done.get("status").String())
	output, _ := f.whole(done, lines)
	require.Equal(t, lines, output)
	answersFit(t, f.lines(done.get("output_file_id")))
	hook.wait(batch, "batch.completed")
	hook.onlyOnce(batch, secret)
	require.Equal(t, 1, f.count("SELECT count(*) FROM events WHERE type = 'batch.completed'"))
	f.onlyExcused(up, lines)
	f.stop()
	f.sound()
}

// pulse writes something small again and again, so that it is known how long that takes here. It ends with what it returns.
func (f *fleet) pulse() (end func()) {
	body, contentType := form(part{"purpose", "", "user_data"}, part{"file", "pulse.txt", "."})
	stop := make(chan struct{})
	var beating sync.WaitGroup
	beating.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
				_, _ = f.timed(func() (answer, error) { // it may be away
					return f.do("POST", "/v1/files", bytes.NewReader(body), "Content-Type", contentType)
				})
			}
		}
	})
	return sync.OnceFunc(func() { close(stop); beating.Wait() })
}

// resumes starts the only process again and wants new calls soon.
func (f *fleet) resumes(up *upstream, s *server) {
	f.t.Helper()
	eventually(f.t, "the calls of the killed process have ended", func() bool { return up.busy() == 0 })
	before := up.count()
	f.restart(s)
	eventually(f.t, "the batch goes on by itself", func() bool { return up.count() > before })
	took := up.first(before).Sub(s.started)
	f.t.Logf("killed after %d calls; the first new one came %s after the restart", before, took.Round(time.Millisecond))
	require.LessOrEqual(f.t, took, resumeWithin)
}

func distinct(bodies []string) int { return len(bodies) - repeats(bodies) }

// onlyExcused wants each of a numbered batch's lines to have been called, and again only where a kill took its call along.
func (f *fleet) onlyExcused(up *upstream, lines int) {
	f.t.Helper()
	calls, repeated, bound := map[string][]call{}, 0, 0
	for _, c := range up.seen() {
		calls[number(c.body)] = append(calls[number(c.body)], c)
	}
	require.Len(f.t, calls, lines, "every line was called")
	for what, all := range calls {
		good, lost := f.excused(all)
		require.LessOrEqual(f.t, good-1, lost, "%s was called again without need: %s", what, f.story(all))
		repeated, bound = repeated+good-1, bound+lost
	}
	f.t.Logf("%s: %d kills in a batch of %d lines: %d calls, %d repeated, of at most %d in flight at a kill, or answered in the %s before it",
		f.mode, len(f.kills), lines, up.count(), repeated, bound, f.answeredBefore().Round(time.Millisecond))
	require.LessOrEqual(f.t, repeated, len(f.kills)*(slots+bufferRows))
}

// J3: of three workers one is killed and one frozen. The third takes over both one's shards soon; what the frozen one writes
// when it is woken changes nothing.
func TestDeadAndFrozenWorkersAreTakenOver(t *testing.T) {
	t.Parallel()
	const lines = 4000
	up := startUpstream(t, func(body string) reply {
		return reply{wait: time.Second + rand.N(500*time.Millisecond), body: completion("answer to " + prompt(body))}
	})
	hook := startReceiver(t)
	// Short shards and many slots, so that the third worker has room for those of the others.
	provider := strings.Replace(up.provider(whoamI), fmt.Sprint("concurrency: ", slots), "concurrency: 256", 1)
	f := startFleet(t, fleetOptions{apis: 1, workers: 3, settings: append(openCallbacks(), provider, "batches.shard_lines=40")})
	batch := f.batch(f.input(numbered(lines, 0)), hook.field())
	for _, w := range f.workers {
		eventually(t, w.name+" has shards", func() bool { return len(f.held(w)) > 0 })
	}
	dead, frozen, at := f.workers[0], f.workers[1], time.Now()
	f.kill9(dead)
	frozen.pause()
	ofDead, ofFrozen := f.held(dead), f.held(frozen)
	require.NotEmpty(t, ofDead)
	require.NotEmpty(t, ofFrozen)
	eventually(t, "both have been taken over", func() bool {
		return f.passedOn(ofDead, dead, frozen) && f.passedOn(ofFrozen, dead, frozen)
	})
	took := time.Since(at)
	t.Logf("shards of a dead and of a frozen worker had new owners after %s", took.Round(time.Millisecond))
	require.Less(t, took, takeOverWithin)
	frozen.resume()
	f.kills = append(f.kills, kill{frozen.name, at, time.Now().Add(time.Second)}) // what it was about to call when it froze is called at once, and cut
	f.restart(dead)
	done := f.ended(batch)
	require.Equal(t, "completed", done.get("status").String())
	output, _ := f.whole(done, lines)
	require.Equal(t, lines, output)
	hook.wait(batch, "batch.completed")
	hook.onlyOnce(batch, f.apis[0].secret())
	f.onlyExcused(up, lines)
}

// held are the shards that a member has claimed.
func (f *fleet) held(s *server) (ids []string) {
	f.t.Helper()
	rows, err := f.database().Query("SELECT id FROM shards WHERE owner = $1", s.owner)
	require.NoError(f.t, err)
	defer rows.Close()
	for rows.Next() {
		var id string
		require.NoError(f.t, rows.Scan(&id))
		ids = append(ids, id)
	}
	require.NoError(f.t, rows.Err())
	return ids
}

// passedOn tells whether somebody else than these works on one of the shards, or has ended it.
func (f *fleet) passedOn(shards []string, but ...*server) bool {
	for _, id := range shards {
		if f.count("SELECT count(*) FROM shards WHERE id = $1 AND (done OR owner NOT IN ('', $2, $3))", id, but[0].owner, but[1].owner) == 1 {
			return true
		}
	}
	return false
}
