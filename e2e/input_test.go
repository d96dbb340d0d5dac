package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

// customID and question name line i of a numbered input.
func customID(i int) string { return fmt.Sprintf("line-%06d", i) }
func question(i int) string { return fmt.Sprintf("q-%06d", i) }

// line is a batch line with a body as raw text.
func line(customID, body string) string {
	return fmt.Sprintf(`{"custom_id":%q,"method":"POST","url":%q,"body":%s}`, customID, chat, body)
}

// ask is a chat request's body.
func ask(prompt string) string {
	return fmt.Sprintf(`{"model":"m","messages":[{"role":"user","content":%q}]}`, prompt)
}

// numbered is an input of n lines; each prompt begins with its number and is padded to about size bytes.
func numbered(n, size int) string {
	var b strings.Builder
	padding := strings.Repeat(" lorem", size/6)
	for i := range n {
		b.WriteString(line(customID(i), ask(question(i)+padding)))
		b.WriteByte('\n')
	}
	return b.String()
}

// number is the place in a numbered input that a recorded request came from.
func number(body string) string { p := prompt(body); return p[:min(len(p), len(question(0)))] }

// repeats counts the calls that were made more than once, by their prompt's number.
func repeats(bodies []string) int {
	seen := map[string]bool{}
	for _, body := range bodies {
		seen[number(body)] = true
	}
	return len(bodies) - len(seen)
}

// whole wants each of n numbered lines exactly once over the output and the error file, each file in the input's
// order. It gives the numbers of lines in both.
func (c *client) whole(batch answer, n int) (output, errs int) {
	c.t.Helper()
	out, bad := c.lines(batch.get("output_file_id")), c.lines(batch.get("error_file_id"))
	places := map[string]int{}
	for i := range n {
		places[customID(i)] = i
	}
	seen := map[int]bool{}
	for _, file := range [][]string{out, bad} {
		last := -1
		for _, text := range file {
			require.True(c.t, gjson.Valid(text), "a line is no JSON: %.200s", text)
			place, known := places[gjson.Get(text, "custom_id").String()]
			require.True(c.t, known, "an unknown line: %.200s", text)
			require.False(c.t, seen[place], "line %d stands twice", place)
			require.Greater(c.t, place, last, "the file is not in the input's order")
			seen[place], last = true, place
		}
	}
	require.Len(c.t, seen, n, "every line has an outcome")
	counts := batch.get("request_counts")
	require.EqualValues(c.t, n, counts.Get("total").Int())
	require.EqualValues(c.t, len(out), counts.Get("completed").Int())
	return len(out), len(bad)
}

// answersFit wants each output line to hold the answer to its own question.
func answersFit(t *testing.T, lines []string) {
	t.Helper()
	for _, text := range lines {
		id, said := gjson.Get(text, "custom_id").String(), gjson.Get(text, "response.body.choices.0.message.content").String()
		require.Contains(t, said, "q-"+strings.TrimPrefix(id, "line-"))
	}
}

// oneEnd wants exactly one terminal event of a job, of this type.
func (c *client) oneEnd(job, typ string) gjson.Result {
	c.t.Helper()
	var ends []gjson.Result
	for _, e := range c.events(job) {
		if _, state, _ := strings.Cut(e.Get("type").String(), "."); terminal(state) {
			ends = append(ends, e)
		}
	}
	require.Len(c.t, ends, 1, "terminal events of %s", job)
	require.Equal(c.t, typ, ends[0].Get("type").String())
	return ends[0]
}
