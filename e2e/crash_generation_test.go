package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Kills right after a generation's 202 and while its call or its callback is under way: nothing is lost, it ends once,
// and its receiver hears of it.
func TestKilledGenerationsEndOnce(t *testing.T) {
	const rounds, each = 8, 5
	random := dice(t)
	up := startUpstream(t, func(body string) reply {
		return reply{wait: 10 * time.Millisecond, body: completion("answer to " + prompt(body))}
	})
	hook := startReceiver(t)
	hook.handle = func(callback) int { time.Sleep(5 * time.Millisecond); return 204 } // kills fall into POSTs too
	s := startServer(t, append(openCallbacks(), up.provider(""), "callbacks.schedule=[0s,100ms,100ms,1s]")...)
	secret := s.secret()
	var ids []string
	bound := rounds * each // calls: one each, and once more for what was in flight at each kill
	for round := range rounds {
		for range each {
			ids = append(ids, s.generate("hello", hook.field()))
		}
		time.Sleep(time.Duration(round*random.IntN(6)) * time.Millisecond) // the first kill follows the answer at once
		s.kill9()
		bound += min(len(ids), slots)
		s.restart()
	}
	for _, id := range ids {
		done := s.ended(id)
		require.Equal(t, "completed", done.get("status").String())
		require.Equal(t, "answer to hello", done.get("model_output").String())
		end := s.oneEnd(id, "generation.completed")
		require.Equal(t, end.Get("id").String(), hook.wait(id, "generation.completed").id())
		hook.onlyOnce(id, secret)
		require.Equal(t, "delivered", s.settled(id)[0].Get("status").String())
	}
	t.Logf("%d generations, %d calls, %d callbacks over %d kills", len(ids), up.count(), len(hook.all()), rounds)
	require.LessOrEqual(t, up.count(), bound, "no more is repeated than was in flight")
	s.stop()
	integrity(t, s.dir)
}
