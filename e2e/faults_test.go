package e2e

import (
	"cmp"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/providers/simulator"
)

// asked is a batch line whose prompt tells the upstream what to do.
func asked(id, words string) string {
	return fmt.Sprintf(`{"custom_id":%q,"method":"POST","url":%q,"body":{"model":"sim-small","messages":[{"role":"user","content":%q}]}}`,
		id, chat, id+" "+words)
}

// TestJ4ProviderFaults: everything that a provider does wrong at once, in one batch. What passes is called again and
// answered; what does not ends its own line, by its kind; the batch ends, and the next one runs as if nothing had been.
func TestJ4ProviderFaults(t *testing.T) {
	t.Parallel()
	up, setting := startSimulator(t, simulator.Options{}, ", timeout: 2s, retries: 3")
	s := startServer(t, "simulator.enabled=false", setting)
	passing := map[string]string{
		"429":               "[[sim:status=429 times=2]]",
		"429 with a time":   "[[sim:status=429 retry_after=1 times=1]]",
		"500":               "[[sim:status=500 times=2]]",
		"503":               "[[sim:status=503 retry_after=1 times=1]]",
		"hang":              "[[sim:hang times=1]]",
		"reset":             "[[sim:reset times=1]]",
		"reset in the body": "[[sim:reset=body times=1]]",
		"truncated":         "[[sim:truncate times=1]]",
		"a page":            "[[sim:html times=1]]",
		"an error with 200": "[[sim:error200 times=1]]",
		"a wrong type":      "[[sim:type=text/plain times=1]]",
		"a slow drip":       "[[sim:drip=1s]]",
		"nothing":           "",
	}
	lasting := map[string]string{ // with the code of the error, or the status of the provider's answer
		"[[sim:status=400]]":      "400",
		"[[sim:status=404]]":      "404",
		"[[sim:truncate]]":        "connection",
		"[[sim:html]]":            "overloaded",
		"[[sim:type=text/plain]]": "invalid_answer",
		"[[sim:error200]]":        "invalid_answer",
		"[[sim:bytes=50000000]]":  "answer_too_large",
		"[[sim:drip=4s]]":         "timeout",
		"[[sim:bytes=7000000]]":   "",
	}
	var lines []string
	for name, words := range passing {
		lines = append(lines, asked("passing "+name, words))
	}
	for words := range lasting {
		lines = append(lines, asked("lasting "+words, words))
	}
	for i := range 30 {
		lines = append(lines, asked(fmt.Sprint("plain ", i), ""))
	}
	began := time.Now()
	batch := s.batch(s.input(strings.Join(lines, "\n")), "")
	for range 6 { // five failures in a row are an outage: the limiter closes for longer and longer, up to 30 s
		if terminal(s.read("/v1/jobs/" + batch + "?wait=30s").get("status").String()) {
			break
		}
	}
	done := s.ended(batch)
	took := time.Since(began)
	require.Equal(t, "completed", done.get("status").String(), "%s", done.body)
	answers := map[string]gjson.Result{}
	for _, file := range []string{"output_file_id", "error_file_id"} {
		for _, text := range s.lines(done.get(file)) {
			id := gjson.Get(text, "custom_id").String()
			require.False(t, answers[id].Exists(), "%s stands twice", id)
			answers[id] = gjson.Parse(text)
		}
	}
	require.Len(t, answers, len(lines))
	for name := range passing {
		require.EqualValues(t, 200, answers["passing "+name].Get("response.status_code").Int(), "%s: %.300s", name, answers["passing "+name].Raw)
	}
	for words, want := range lasting {
		l := answers["lasting "+words]
		got := l.Get("error.code").String() + l.Get("response.status_code").String()
		require.Equal(t, cmp.Or(want, "200"), got, "%s: %.300s", words, l.Raw)
	}
	t.Logf("%d lines in %s", len(lines), took)

	// Careful for a while after so many refusals, but none is called twice, and all are called.
	before := up.read("/healthz").get("calls").Int()
	next := s.ended(s.batch(s.input(simLines(150)), ""))
	require.EqualValues(t, 150, next.get("request_counts.completed").Int())
	require.EqualValues(t, 150, up.read("/healthz").get("calls").Int()-before, "none is called twice")
}

// TestLastLinesThatFailAlwaysEnd: when only lines are left that never succeed, they are no outage to one another, for
// whose end the batch would wait until its window closes.
func TestLastLinesThatFailAlwaysEnd(t *testing.T) {
	t.Parallel()
	_, setting := startSimulator(t, simulator.Options{}, ", timeout: 20s, retries: 5")
	s := startServer(t, "simulator.enabled=false", setting)
	var lines []string
	for i := range 60 {
		words := ""
		switch {
		case i < 18 && i%3 == 2:
			words = "[[sim:reset]]"
		case i >= 18:
			words = "[[sim:drip=300ms]]" // answered between the failures of those before them
		}
		lines = append(lines, asked(fmt.Sprint("line ", i), words))
	}
	began := time.Now()
	done := s.ended(s.batch(s.input(strings.Join(lines, "\n")), ""))
	require.EqualValues(t, 54, done.get("request_counts.completed").Int())
	require.EqualValues(t, 6, done.get("request_counts.failed").Int())
	t.Logf("ended after %s", time.Since(began))
}
