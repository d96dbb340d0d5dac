package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// J7: a cancel at any moment, some followed by a kill, is kept or refused, never both: the answer, the state, the
// event and the files agree.
func TestCancelAtAnyMoment(t *testing.T) {
	const rounds, lines = 24, 80
	random := dice(t)
	up := startUpstream(t, func(body string) reply {
		return reply{wait: 3 * time.Millisecond, body: completion("answer to " + prompt(body))}
	})
	hook := startReceiver(t)
	s := startServer(t, append(openCallbacks(), up.provider(""), "batches.shard_lines=10", "callbacks.schedule=[0s,100ms,1s]")...)
	secret := s.secret()
	file := s.input(numbered(lines, 0))
	outcomes := map[string]int{}
	for round := range rounds {
		batch := s.batch(file, hook.field())
		time.Sleep(time.Duration(random.IntN(120)) * time.Millisecond)
		a, err := s.do("POST", "/v1/batches/"+batch+"/cancel", nil)
		require.NoError(t, err)
		if round%4 == 3 {
			s.kill9()
			s.restart()
		}
		done := s.ended(batch)
		status := done.get("status").String()
		outcomes[status]++
		want := "cancelled"
		if a.status == http.StatusConflict {
			want = "completed"
		}
		require.Equal(t, want, status, "the cancel was answered %d %s", a.status, a.body)
		if done.get("request_counts.total").Int() > 0 {
			s.whole(done, lines)
			answersFit(t, s.lines(done.get("output_file_id")))
		}
		hook.wait(batch, "batch."+want)
		hook.onlyOnce(batch, secret)
		s.oneEnd(batch, "batch."+want)
	}
	t.Log(outcomes)
	s.stop()
	integrity(t, s.dir)
}
