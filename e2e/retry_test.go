package e2e

import (
	"database/sql"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/providers/simulator"
)

// retry makes a batch of what another has not answered and gives its ID.
func (c *client) retry(batch, body string) string {
	c.t.Helper()
	return c.call(http.StatusOK, "POST", "/v1/batches/"+batch+"/retry", body).get("id").String()
}

// simAsk is a batch line for the simulator's small model.
func simAsk(i int, prompt string) string {
	return fmt.Sprintf(`{"custom_id":%q,"method":"POST","url":%q,"body":{"model":"sim-small","messages":[{"role":"user","content":%q}]}}`+"\n", customID(i), chat, prompt)
}

// TestRetryAndErrorFileOverTheSimulator: of 40 lines every fourth is refused once and two are refused always. A retry with
// another model runs these again and nothing else; so does the error file, submitted as it is.
func TestRetryAndErrorFileOverTheSimulator(t *testing.T) {
	t.Parallel()
	const lines = 40
	up, setting := startSimulator(t, simulator.Options{TTFT: time.Millisecond}, "")
	hook := startReceiver(t)
	s := startServer(t, append(openCallbacks(), "simulator.enabled=false", setting)...)
	calls := func() int64 { return up.read("/healthz").get("calls").Int() }
	var input strings.Builder
	for i := range lines {
		prompt := fmt.Sprintf("line %d", i)
		switch {
		case i == 5 || i == 6:
			prompt += " [[sim:status=400]]"
		case i%4 == 0:
			prompt += " [[sim:status=400 times=1]]"
		}
		input.WriteString(simAsk(i, prompt))
	}
	first := s.ended(s.batch(s.input(input.String()), ""))
	output, errs := s.whole(first, lines)
	require.Equal(t, []int{28, 12}, []int{output, errs})
	require.EqualValues(t, lines, calls())
	path := "/v1/batches/" + first.get("id").String()

	a := s.call(http.StatusNotFound, "POST", path+"/retry", `{"model":"gpt-none"}`)
	require.Equal(t, "model_not_found", refused(t, a).Get("code").String())
	second := s.ended(s.retry(first.get("id").String(), `{"model":"sim-large"`+hook.field()+`}`))
	require.Equal(t, "completed", second.get("status").String())
	output, errs = s.whole(second, lines)
	require.Equal(t, []int{38, 2}, []int{output, errs})
	require.EqualValues(t, lines+12, calls(), "only what had failed is called")
	require.Equal(t, "sim-large", second.get("model").String())
	require.Equal(t, first.get("id").String(), second.get("retry_of").String())
	require.Equal(t, first.get("input_file_id").String(), second.get("input_file_id").String())
	models := map[string]int{}
	for _, line := range s.lines(second.get("output_file_id")) {
		models[gjson.Get(line, "response.body.model").String()]++
	}
	require.Equal(t, map[string]int{"sim-small": 28, "sim-large": 10}, models)
	require.Equal(t, string(first.body), string(s.read(path).body), "the first one stands as it stood")
	hook.wait(second.get("id").String(), "batch.completed")

	third := s.ended(s.batch(first.get("error_file_id").String(), ""))
	require.Equal(t, "completed", third.get("status").String(), "%s", third.body)
	require.EqualValues(t, 12, third.get("request_counts.total").Int())
	require.EqualValues(t, 10, third.get("request_counts.completed").Int())
	fourth := s.ended(s.batch(s.input(strings.Join(s.lines(third.get("error_file_id")), "\n")), ""))
	require.EqualValues(t, 2, fourth.get("request_counts.failed").Int(), "uploaded again it is the same")

	done := s.ended(s.batch(s.input(simAsk(1, "hi")), "")).get("id").String()
	a = s.call(http.StatusConflict, "POST", "/v1/batches/"+done+"/retry", "")
	require.Equal(t, "false", a.header.Get("x-should-retry"))
}

// TestKilledWhileAnswersAreTakenOver: kill -9 in the middle of the copying costs no call and loses no line.
func TestKilledWhileAnswersAreTakenOver(t *testing.T) {
	const lines, bad = 1200, 5
	big := strings.Repeat("x", 60_000)
	var mended atomic.Bool
	up := startUpstream(t, func(body string) reply {
		if !mended.Load() && strings.HasSuffix(number(body), "7") && number(body) < question(10*bad) {
			return reply{status: http.StatusBadRequest, body: `{"error":{"message":"no"}}`}
		}
		return reply{body: completion(number(body) + big)}
	})
	hook := startReceiver(t)
	s := startServer(t, append(openCallbacks(), up.provider(""))...)
	secret := s.secret()
	first := s.ended(s.batch(s.input(numbered(lines, 0)), ""))
	require.EqualValues(t, bad, first.get("request_counts.failed").Int())
	mended.Store(true)
	calls := up.count()

	batch := s.retry(first.get("id").String(), `{`+strings.TrimPrefix(hook.field(), ",")+`}`)
	db := openDatabase(t, s.dir)
	eventually(t, "a part of the answers is taken over", func() bool { return rows(t, db, batch) > 0 })
	s.kill9()
	copied := rows(t, db, batch)
	require.Less(t, copied, lines-bad, "the kill came in the middle")
	t.Logf("killed after %d of %d answers", copied, lines-bad)
	require.NoError(t, db.Close())
	s.restart()
	done := s.ended(batch)
	require.Equal(t, "completed", done.get("status").String())
	s.whole(done, lines)
	require.Empty(t, s.lines(done.get("error_file_id")))
	answersFit(t, s.lines(done.get("output_file_id")))
	require.Equal(t, bad, up.count()-calls)
	hook.wait(batch, "batch.completed")
	hook.onlyOnce(batch, secret)
	s.oneEnd(batch, "batch.completed")
}

// rows counts the outcomes that a batch has.
func rows(t *testing.T, db *sql.DB, batch string) (n int) {
	t.Helper()
	eventually(t, "the database can be read", func() bool {
		return db.QueryRowContext(t.Context(), "SELECT count(*) FROM lines WHERE project_id = 'default' AND job_id = ?", batch).Scan(&n) == nil
	})
	return n
}
