package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// TestEveryErrorHasWords: a class that is added gets advice too.
func TestEveryErrorHasWords(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "../../callbacks/class.go", nil, 0)
	require.NoError(t, err)
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, "Class") {
			return true
		}
		class, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		require.NoError(t, err)
		require.NotEmpty(t, classWords[callbacks.Class(class)], class)
		found++
		return true
	})
	require.Len(t, classWords, found)
}

func TestDefaultTypesEndJobs(t *testing.T) {
	t.Parallel()
	var ending []string
	for _, typ := range jobs.EventTypes() {
		if typ.Terminal() {
			ending = append(ending, string(typ))
		}
	}
	require.ElementsMatch(t, ending, endingTypes)
}

func TestAdviceForAttempts(t *testing.T) {
	t.Parallel()
	require.Empty(t, adviceFor("", 204))
	require.Contains(t, adviceFor("", 503), "failed (503)")
	require.Contains(t, adviceFor("", 404), "nothing at this path")
	require.Contains(t, adviceFor("timeout", 0), "answer 2xx first")
	require.Contains(t, adviceFor("redirect", 302), "redirect")
	require.Equal(t, "it failed: new_class", adviceFor("new_class", 0))
}

func TestOutlook(t *testing.T) {
	t.Parallel()
	p := printerOf(&bytes.Buffer{}, 0)
	in := strconv.FormatInt(p.now.Add(5*time.Minute).Unix(), 10)
	for _, test := range []struct{ name, delivery, why, next, do string }{
		{"delivered", `{"status":"delivered"}`, "", "nothing: it was delivered", ""},
		{"not tried yet", `{"status":"waiting","next_attempt_at":1}`, "", "an attempt is due now", ""},
		{"under way", `{"status":"sending"}`, "", "an attempt is under way", ""},
		{
			"waiting", `{"id":"dlv_1","status":"waiting","next_attempt_at":` + in + `,"attempts":[{"error_class":"dns_error"}]}`,
			"host's name was not found", "another attempt at", "the URL of a job's own webhook is fixed",
		},
		{"held", `{"status":"waiting","next_attempt_at":` + in + `,"held_since":99000,"attempts":[{"status_code":500}]}`, "failed (500)", "answers a probe", "mend"},
		{"given up", `{"id":"dlv_1","endpoint_id":"e","status":"failed","reason":"status_500","attempts":[{"status_code":500}]}`, "failed (500)", "it was given up", "endpoints update e --url"},
		{"gone", `{"endpoint_id":"e","status":"failed","reason":"gone","attempts":[{"status_code":410}]}`, "no more callbacks", "given up", "endpoints enable e"},
		{"switched off", `{"endpoint_id":"e","status":"cancelled","reason":"endpoint_disabled"}`, "switched off", "cancelled", "endpoints enable e"},
		{"deleted", `{"event_id":"evt_1","status":"cancelled","reason":"endpoint_deleted"}`, "deleted", "cancelled", "--event evt_1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			d := gjson.Parse(test.delivery)
			said := map[string]string{}
			for _, line := range p.outlook(d, d.Get("attempts").Array()) {
				said[line[0]] = line[1]
			}
			require.Contains(t, said["why"], test.why)
			require.Equal(t, test.why == "", said["why"] == "")
			require.Contains(t, said["next"], test.next)
			require.Contains(t, said["what to do"], test.do)
			require.Equal(t, test.do == "", said["what to do"] == "")
		})
	}
}
