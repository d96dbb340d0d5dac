package jobs_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
)

func (x *exchange) again(fileID string) jobs.Ref {
	x.t.Helper()
	s, err := x.service.CreateBatch(x.t.Context(), jobs.NewBatch{
		InputFileID: fileID, Path: "/v1/chat/completions", CompletionWindow: "24h",
		Submission: submitted(&jobs.Webhook{URL: "https://example.com/hook", Method: "POST"}),
	})
	require.NoError(x.t, err)
	return s.Ref()
}

// TestErrorFileIsAnInput: each of its lines has OpenAI's members first and then the request, byte for byte; as a batch's
// input it asks for the same again.
func TestErrorFileIsAnInput(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	var sent []string
	refuse, answer := true, x.answer
	x.answer = func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		sent = append(sent, string(body))
		if !refuse {
			answer(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, "{\"error\":{\"message\":\"no\",\n\"body\":{},\"method\":\"GET\"}}")
	}
	body := `{ "model":"m1","seed":12345678901234567890,"x":1e400,"messages":[{"role":"user","content":"<é\u00e9>"}] }`
	first := x.settle(x.batch(fmt.Sprintf(`{"body": %s, "custom_id":"\u0061", "url":"\/v1/chat/completions","method" : "POST","more":1}`, body)))
	require.Empty(t, first.OutputFileID)
	line := x.text(first.ErrorFileID)
	require.Equal(t, []string{"id", "custom_id", "response", "error", "method", "url", "body"}, keys(line))
	require.Equal(t, body, gjson.Get(line, "body").Raw)
	require.Equal(t, `"\/v1/chat/completions"`, gjson.Get(line, "url").Raw)
	require.EqualValues(t, 400, gjson.Get(line, "response.status_code").Int())

	second := x.settle(x.again(first.ErrorFileID))
	require.Equal(t, jobs.Completed, second.Status)
	require.Equal(t, keys(line), keys(x.text(second.ErrorFileID)), "it does not grow from try to try")
	refuse = false
	third := x.settle(x.again(second.ErrorFileID))
	require.Equal(t, []string{"a"}, x.ids(third.OutputFileID))
	require.Equal(t, []string{body, body, body}, sent)
}

func keys(object string) (names []string) {
	gjson.Parse(object).ForEach(func(key, _ gjson.Result) bool {
		names = append(names, key.String())
		return true
	})
	return names
}

// TestErrorFileOfWhatEndedEarly holds the requests that were never sent.
func TestErrorFileOfWhatEndedEarly(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	x.refusing(func(prompt, _ string) bool { return prompt == "2" })
	ref := x.batch(strings.Replace(requests(12), request(10), "\n"+request(10)+"\n \n", 1)) // blank lines are none
	for range 2 {
		x.later(time.Second)
		x.sweep()
	}
	_, err := x.service.Cancel(t.Context(), ref)
	require.NoError(t, err)
	s := x.settle(ref)
	require.Equal(t, []string{"r2", "r9 batch_cancelled", "r10 batch_cancelled", "r11 batch_cancelled", "r12 batch_cancelled"}, x.ids(s.ErrorFileID))
	again := x.settle(x.again(s.ErrorFileID))
	require.Equal(t, []string{"r9", "r10", "r11", "r12"}, x.ids(again.OutputFileID))
	require.Equal(t, []string{"r2"}, x.ids(again.ErrorFileID))
}

// TestOutputFileIsNoInput: its lines have no requests.
func TestOutputFileIsNoInput(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	s := x.settle(x.again(x.settle(x.batch(requests(1))).OutputFileID))
	require.Equal(t, jobs.Failed, s.Status)
	require.Equal(t, []string{"missing_required_parameter method 1", "missing_required_parameter url 1", "missing_required_parameter body 1"}, reasons(s))
}

// TestErrorFileWithoutTheInput: what failed is told all the same, without the requests.
func TestErrorFileWithoutTheInput(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(x *exchange, f jobs.File){
		"it is gone": func(x *exchange, f jobs.File) { require.NoError(x.t, x.files.Remove(x.t.Context(), f.Blob)) },
		"it is shorter": func(x *exchange, f jobs.File) {
			_, err := x.files.Put(x.t.Context(), f.Blob, strings.NewReader(request(1)+"\n"))
			require.NoError(x.t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newExchange(t)
			x.refusing(func(string, string) bool { return true })
			ref := x.batch(requests(3))
			for range 2 {
				x.later(time.Second)
				x.sweep()
			}
			require.Equal(t, jobs.Finalizing, x.job(ref).Status)
			f, err := x.store.InputFile(t.Context(), jobs.Ref{ProjectID: "default", ID: x.job(ref).InputFileID})
			require.NoError(t, err)
			lose(x, f)
			s := x.settle(ref)
			require.Equal(t, numbers(1, 3), x.ids(s.ErrorFileID))
			last := x.text(s.ErrorFileID)
			require.NotContains(t, last[strings.LastIndex(last[:len(last)-1], "\n"):], `"body":{"model"`)
		})
	}
}

// large keeps an input that is larger than the limits of these tests allow.
func (x *exchange) large(text string) jobs.File {
	x.t.Helper()
	f := jobs.File{ProjectID: "default", ID: jobs.NewID("file-"), Filename: "in.jsonl", Purpose: "batch", Blob: "in/large", CreatedAt: 1}
	var err error
	f.Bytes, err = x.files.Put(x.t.Context(), f.Blob, strings.NewReader(text))
	require.NoError(x.t, err)
	require.NoError(x.t, x.store.CreateFile(x.t.Context(), f, nil))
	return f
}
