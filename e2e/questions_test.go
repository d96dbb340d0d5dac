package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

// questionCount is the size of GSM8K's test set.
const questionCount = 1319

// questions is GSM8K's whole test set as a batch file, where RINGBACK_GSM8K names it; else the repository's own
// questions, repeated to as many lines.
func questions(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("RINGBACK_GSM8K"); path != "" {
		whole, err := os.ReadFile(path)
		require.NoError(t, err, "RINGBACK_GSM8K")
		t.Log("questions of", path)
		return string(whole)
	}
	shipped, err := os.ReadFile("../cmd/ringback/demo/questions.jsonl")
	require.NoError(t, err)
	t.Log("the repository's questions, repeated")
	return again(strings.Split(strings.TrimSpace(string(shipped)), "\n"))
}

// again repeats lines to the count, each with a custom_id of its own.
func again(lines []string) string {
	var b strings.Builder
	for i := range questionCount {
		text := lines[i%len(lines)]
		id := gjson.Get(text, "custom_id").Raw
		b.WriteString(strings.Replace(text, id, fmt.Sprintf("%q", customID(i)), 1) + "\n")
	}
	return b.String()
}

// Real questions run through the built-in simulator: every line answered, in order, counted and called back.
func TestRealQuestions(t *testing.T) {
	t.Parallel()
	hook := startReceiver(t)
	s := startServer(t, openCallbacks()...)
	input := questions(t)
	batch := s.batch(s.input(input), hook.field())
	done := s.ended(batch)
	require.Equal(t, "completed", done.get("status").String(), "%s", done.body)
	asked, answered := strings.Split(strings.TrimSpace(input), "\n"), s.lines(done.get("output_file_id"))
	require.Len(t, asked, questionCount)
	require.Len(t, answered, questionCount)
	require.Equal(t, gjson.Null, done.get("error_file_id").Type)
	var in, out, total int64
	for i, text := range answered {
		require.Equal(t, gjson.Get(asked[i], "custom_id").String(), gjson.Get(text, "custom_id").String(), "line %d", i+1)
		require.EqualValues(t, 200, gjson.Get(text, "response.status_code").Int())
		require.NotEmpty(t, gjson.Get(text, "response.body.choices.0.message.content").String())
		usage := gjson.Get(text, "response.body.usage")
		in += usage.Get("prompt_tokens").Int()
		out += usage.Get("completion_tokens").Int()
		total += usage.Get("total_tokens").Int()
	}
	usage := done.get("usage")
	require.Positive(t, total)
	require.Equal(t, []int64{in, out, total}, []int64{usage.Get("input_tokens").Int(), usage.Get("output_tokens").Int(), usage.Get("total_tokens").Int()})
	c := hook.wait(batch, "batch.completed")
	require.NoError(t, c.verify(s.secret()))
	require.EqualValues(t, questionCount, c.get("data.object.request_counts.completed").Int())
}
