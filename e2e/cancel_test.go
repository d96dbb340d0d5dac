package e2e

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

func (c *client) cancel(status int, path string) answer {
	c.t.Helper()
	return c.call(status, "POST", path+"/cancel", "")
}

// settledConflict wants a 409 that no SDK tries again.
func settledConflict(t *testing.T, a answer, status string) {
	t.Helper()
	require.Equal(t, "false", a.header.Get("x-should-retry"))
	require.Contains(t, refused(t, a).Get("message").String(), "'"+status+"'")
}

// J7: a batch cancelled while its input is looked at ends without a call.
func TestCancelWhileValidating(t *testing.T) {
	up := startUpstream(t, nil)
	hook := startReceiver(t)
	s := startServer(t, append(openCallbacks(), up.provider(""))...)
	batch := s.batch(s.input(numbered(400, 50_000)), hook.field())
	a := s.cancel(http.StatusOK, "/v1/batches/"+batch)
	require.Contains(t, []string{"cancelling", "cancelled"}, a.get("status").String())
	done := s.ended(batch)
	require.Equal(t, "cancelled", done.get("status").String())
	require.Positive(t, done.get("cancelled_at").Int())
	hook.wait(batch, "batch.cancelled")
	s.oneEnd(batch, "batch.cancelled")
	require.Zero(t, done.get("request_counts.total").Int(), "the cancel came before the input was looked through")
	require.Zero(t, up.count())
}

// J7: a batch cancelled in mid-run keeps what is done, cuts what is in flight and names what was never begun.
func TestCancelWhileInProgress(t *testing.T) {
	const lines, answered = 1000, 120
	var n atomic.Int64
	up := startUpstream(t, func(body string) reply {
		if n.Add(1) > answered {
			return reply{wait: time.Hour}
		}
		return reply{body: completion("answer to " + prompt(body))}
	})
	hook := startReceiver(t)
	s := startServer(t, append(openCallbacks(), up.provider(""))...)
	batch := s.batch(s.input(numbered(lines, 0)), hook.field())
	eventually(t, "the answered lines are kept", func() bool {
		return s.read("/v1/batches/"+batch).get("request_counts.completed").Int() == answered
	})
	require.Equal(t, "cancelling", s.cancel(http.StatusOK, "/v1/batches/"+batch).get("status").String())
	s.cancel(http.StatusOK, "/v1/batches/"+batch) // cancelling is cancelled twice
	began := time.Now()
	done := s.ended(batch)
	require.Less(t, time.Since(began), 5*time.Second, "the calls in flight do not hold it up")
	require.Equal(t, "cancelled", done.get("status").String())
	output, errs := s.whole(done, lines)
	require.Equal(t, []int{answered, lines - answered}, []int{output, errs})
	answersFit(t, s.lines(done.get("output_file_id")))
	for _, text := range s.lines(done.get("error_file_id")) {
		require.Equal(t, "batch_cancelled", gjson.Get(text, "error.code").String(), "%s", text)
	}
	eventually(t, "the calls in flight are cut", func() bool { return up.busy() == 0 })
	require.Equal(t, "cancelled", s.cancel(http.StatusOK, "/v1/batches/"+batch).get("status").String())
	require.Equal(t, "cancelled", hook.wait(batch, "batch.cancelled").get("data.object.status").String())
	s.oneEnd(batch, "batch.cancelled")
}

// J7: a batch whose files are being written completes; so does one that has ended.
func TestCancelWhileFinalizingAndAfter(t *testing.T) {
	big := strings.Repeat("x", 300_000)
	up := startUpstream(t, func(body string) reply { return reply{body: completion(number(body) + big)} })
	s := startServer(t, up.provider(""))
	batch := s.batch(s.input(numbered(150, 0)), "")
	s.reaches(batch, "finalizing")
	settledConflict(t, s.cancel(http.StatusConflict, "/v1/batches/"+batch), "finalizing")
	done := s.ended(batch)
	require.Equal(t, "completed", done.get("status").String())
	s.whole(done, 150)
	settledConflict(t, s.cancel(http.StatusConflict, "/v1/batches/"+batch), "completed")
	failed := s.batch("file-none", "")
	s.ended(failed)
	settledConflict(t, s.cancel(http.StatusConflict, "/v1/batches/"+failed), "failed")
	refused(t, s.cancel(http.StatusNotFound, "/v1/batches/batch_none"))
}

// J7: a generation is cancelled in each state.
func TestCancelGenerations(t *testing.T) {
	t.Parallel()
	up := startUpstream(t, func(body string) reply {
		if prompt(body) == "slow" {
			return reply{wait: time.Hour}
		}
		return reply{body: completion("quick")}
	})
	hook := startReceiver(t)
	s := startServer(t, append(openCallbacks(), up.provider(""))...)
	at := s.generate("slow", "")
	require.Equal(t, "cancelled", s.cancel(http.StatusOK, "/v1/generate/"+at).get("status").String(), "right after its 202")
	slow := s.generate("slow", hook.field())
	eventually(t, "the call is in flight", func() bool {
		return up.busy() == 1 && s.read("/v1/generate/"+slow).get("status").String() == "in_progress"
	})
	for range 2 {
		a := s.cancel(http.StatusOK, "/v1/generate/"+slow)
		require.Equal(t, "cancelled", a.get("status").String())
		require.Equal(t, "", a.get("model_output").String())
	}
	eventually(t, "the call is cut", func() bool { return up.busy() == 0 })
	require.Equal(t, "cancelled", hook.wait(slow, "generation.cancelled").get("status").String())
	s.oneEnd(slow, "generation.cancelled")
	quick := s.generate("quick", "")
	s.ended(quick)
	settledConflict(t, s.cancel(http.StatusConflict, "/v1/generate/"+quick), "completed")
	settledConflict(t, s.cancel(http.StatusConflict, "/v1/jobs/"+quick), "completed")
}

// J7: files are deleted under a running batch, and after it.
func TestDeleteFilesOfABatch(t *testing.T) {
	t.Parallel()
	const lines = 600
	gate := make(chan struct{})
	up := startUpstream(t, func(body string) reply {
		<-gate
		return reply{body: completion("answer to " + prompt(body))}
	})
	s := startServer(t, up.provider(""))
	file := s.input(numbered(lines, 0))
	batch := s.batch(file, "")
	eventually(t, "calls are in flight", func() bool { return up.busy() == slots })
	require.True(t, s.call(http.StatusOK, "DELETE", "/v1/files/"+file, "").get("deleted").Bool())
	refused(t, s.call(http.StatusNotFound, "GET", "/v1/files/"+file, ""))
	refused(t, s.call(http.StatusNotFound, "DELETE", "/v1/files/"+file, ""))
	s.kill9() // the bytes outlast a restart too
	close(gate)
	s.restart()
	done := s.ended(batch)
	require.Equal(t, "completed", done.get("status").String())
	s.whole(done, lines)
	output := "/v1/files/" + done.get("output_file_id").String()
	s.call(http.StatusOK, "DELETE", output, "")
	refused(t, s.call(http.StatusNotFound, "GET", output+"/content", ""))
	require.Equal(t, "completed", s.read("/v1/batches/"+batch).get("status").String())
}
