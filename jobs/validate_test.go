package jobs_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
)

// TestJ6BatchInput feeds bad input files: the batch fails with a reason that names code, line and parameter, or, where
// the input is merely strange, runs.
func TestJ6BatchInput(t *testing.T) {
	t.Parallel()
	line := func(replace, with string) string { return strings.Replace(request(2), replace, with, 1) }
	tests := []struct {
		name  string
		input string
		want  []string // "code param line"; none: it runs
	}{
		{"no final newline", strings.TrimSuffix(requests(2), "\n"), nil},
		{"CRLF", strings.ReplaceAll(requests(2), "\n", "\r\n"), nil},
		{"byte order mark", "\ufeff" + requests(2), nil},
		{"blank lines", request(1) + "\n\n \n" + request(2) + "\n\n", nil},
		{"stream false", request(1) + "\n" + line(`"model"`, `"stream":false,"model"`), nil},
		{"huge integers and repeated keys", request(1) + "\n" + line(`"model"`, `"seed":9007199254740993,"seed":12345678901234567890,"model"`), nil},
		{"10,000 levels are too deep with the line's own", request(1) + "\n" + line(`"messages":[`, `"x":`+strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000)+`,"messages":[`), []string{"invalid_json_line - 2"}},
		{"a depth that would end the stack", request(1) + "\n" + strings.Repeat("[", 900_000), []string{"invalid_json_line - 2"}},
		{"bad JSON", request(1) + "\n{oops}\n", []string{"invalid_json_line - 2"}},
		{"not an object", request(1) + "\n[1]\nnull\n7\n", []string{"invalid_json_line - 2", "invalid_json_line - 3", "invalid_json_line - 4"}},
		{"bad UTF-8", request(1) + "\n" + line("user", "us\xffer"), []string{"invalid_json_line - 2"}},
		{"NUL byte", request(1) + "\n" + line("user", "us\x00er"), []string{"invalid_json_line - 2"}},
		{"missing custom_id", request(1) + "\n" + line(`"custom_id":"r2",`, ""), []string{"missing_required_parameter custom_id 2"}},
		{"empty custom_id", request(1) + "\n" + line(`"r2"`, `""`), []string{"missing_required_parameter custom_id 2"}},
		{"custom_id of a wrong type", request(1) + "\n" + line(`"r2"`, `2`), []string{"invalid_type custom_id 2"}},
		{"duplicate custom_id", request(1) + "\n" + line(`"r2"`, `"r1"`), []string{"duplicate_custom_id custom_id 2"}},
		{"duplicate custom_id in another spelling", request(1) + "\n" + line(`"r2"`, `"\u00721"`), []string{"duplicate_custom_id custom_id 2"}},
		{"missing body, method and url", request(1) + "\n" + `{"custom_id":"r2"}`, []string{"missing_required_parameter method 2", "missing_required_parameter url 2", "missing_required_parameter body 2"}},
		{"wrong url", request(1) + "\n" + line("/v1/chat/completions", "/v1/embeddings"), []string{"invalid_url url 2"}},
		{"wrong method", request(1) + "\n" + line("POST", "GET"), []string{"invalid_value method 2"}},
		{"body is no object", request(1) + "\n" + `{"custom_id":"r2","method":"POST","url":"/v1/chat/completions","body":"x"}`, []string{"invalid_type body 2"}},
		{"missing model", request(1) + "\n" + line(`"model":"m1",`, ""), []string{"invalid_request body.model 2"}},
		{"a model that no database keeps", request(1) + "\n" + line("m1", `m1\u0000`), []string{"invalid_value body.model 2"}},
		{"missing messages", request(1) + "\n" + line(`"messages"`, `"massages"`), []string{"invalid_request body.messages 2"}},
		{"unknown model", strings.ReplaceAll(requests(1), "m1", "x1"), []string{"model_not_found body.model 1"}},
		{"two models", request(1) + "\n" + line("m1", "m2"), []string{"mismatched_model body.model 2"}},
		{"stream true", request(1) + "\n" + line(`"model"`, `"stream":true,"model"`), []string{"streaming_unsupported body.stream 2"}},
		{"one line more than the limit", requests(51), []string{"too_many_tasks - 0"}},
		{"as many lines as the limit", requests(50), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := newExchange(t)
			ref := x.batch(tt.input)
			s := x.settle(ref)
			if tt.want == nil {
				require.Equal(t, jobs.Completed, s.Status, "%s", s.Object())
				require.EqualValues(t, s.Total, s.Completed)
				return
			}
			require.Equal(t, jobs.Failed, s.Status)
			require.Zero(t, x.calls.Load(), "a batch that fails makes no call")
			require.Equal(t, tt.want, reasons(s))
			require.Equal(t, []string{"batch.created", "batch.failed"}, x.events(ref))
		})
	}
}

func reasons(s jobs.Snapshot) []string {
	var all []string
	for _, e := range gjson.GetBytes(s.Object(), "errors.data").Array() {
		param := e.Get("param").String()
		if param == "" {
			param = "-"
		}
		all = append(all, fmt.Sprintf("%s %s %d", e.Get("code"), param, e.Get("line").Int()))
	}
	return all
}

func TestJ6ManyBadLinesMakeASmallObject(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	s := x.settle(x.batch(request(1) + "\n" + strings.Repeat("{\"a\":1}\n", 40)))
	require.Equal(t, jobs.Failed, s.Status)
	require.LessOrEqual(t, len(reasons(s)), 104)
	require.Less(t, len(s.Object()), 20_000)
}

func TestJ5Uploads(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, filename, purpose, text string
		want                          jobs.Code
	}{
		{"nothing in it", "in.jsonl", "batch", "", jobs.CodeInvalid},
		{"UTF-16", "in.jsonl", "batch", "\xff\xfe{\x00\"\x00", jobs.CodeInvalid},
		{"NUL bytes", "in.jsonl", "batch", "{\x00}\n", jobs.CodeInvalid},
		{"a first line that is no object", "in.jsonl", "batch", "hello\n{}\n", jobs.CodeInvalid},
		{"compressed", "in.jsonl", "batch", "\x1f\x8b\x08\x00", jobs.CodeInvalid},
		{"another extension", "in.json", "batch", requests(1), jobs.CodeInvalid},
		{"no purpose", "in.jsonl", "", requests(1), jobs.CodeMissing},
		{"unknown purpose", "in.jsonl", "fun", requests(1), jobs.CodeValue},
		{"over limits.file_bytes", "in.jsonl", "batch", strings.Repeat("x", 1<<20+1), jobs.CodeTooLarge},
		{"a first line longer than the look at it", "in.jsonl", "batch", `{"a":"` + strings.Repeat("x", 100_000) + "\"}\n", ""},
		{"any bytes for another purpose", "in.bin", "user_data", "\x00\x01", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := newExchange(t)
			spooled, err := x.service.Spool(t.Context(), strings.NewReader(tt.text))
			if err == nil {
				_, err = x.service.KeepFile(t.Context(), spooled, jobs.NewFile{ProjectID: "default", Filename: tt.filename, Purpose: tt.purpose})
			}
			keys, listErr := x.files.Older(t.Context(), time.Now().Add(time.Hour))
			require.NoError(t, listErr)
			if tt.want == "" {
				require.NoError(t, err)
				require.Len(t, keys, 1)
				return
			}
			require.True(t, jobs.IsCode(err, tt.want), "%v", err)
			require.Empty(t, keys, "no bytes are left")
		})
	}
}

func TestUnknownInputFailsLater(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	s, err := x.service.CreateBatch(t.Context(), jobs.NewBatch{
		Submission: submitted(nil), InputFileID: "file-unknown", Path: "/v1/chat/completions", CompletionWindow: "24h",
	})
	require.NoError(t, err, "OpenAI accepts it too")
	failed := x.settle(s.Ref())
	require.Equal(t, jobs.Failed, failed.Status)
	require.Equal(t, []string{"invalid_request file_id 0"}, reasons(failed))
}

// unreadable is a file store whose bytes cannot be read now.
type unreadable struct{ jobs.Blobs }

func (unreadable) Open(context.Context, string, int64) (io.ReadCloser, error) {
	return nil, jobs.Errorf(jobs.CodeUnavailable, "", "The file store is away.")
}

// TestABatchThatIsNeverReadEnds with its completion window, and says why.
func TestABatchThatIsNeverReadEnds(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	x.runner.Blobs = unreadable{x.files}
	ref := x.batch(requests(1))
	for range 3 {
		x.later(7 * time.Hour)
		require.Equal(t, 1, x.sweep())
		require.Equal(t, jobs.Validating, x.job(ref).Status)
	}
	x.later(4 * time.Hour)
	failed := x.settle(ref)
	require.Equal(t, jobs.Failed, failed.Status)
	require.Equal(t, []string{"batch_expired - 0"}, reasons(failed))
	require.Equal(t, []string{"batch.created", "batch.failed"}, x.events(ref))
	require.Zero(t, x.calls.Load())
}

// TestABatchThatIsReadLate names each of its requests: run, or not run in its time.
func TestABatchThatIsReadLate(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	ref := x.batch(requests(2))
	x.later(25 * time.Hour)
	ended := x.settle(ref)
	require.Empty(t, reasons(ended))
	ids := strings.Join(append(x.ids(ended.OutputFileID), x.ids(ended.ErrorFileID)...), " ")
	require.Contains(t, ids, "r1")
	require.Contains(t, ids, "r2")
}

func TestCompletionWindow(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	file := x.upload(requests(1))
	for window, want := range map[string]time.Duration{
		"24h": 24 * time.Hour, "1m": time.Minute, "7d": 7 * 24 * time.Hour, "90m": 90 * time.Minute,
		"": 0, "8d": 0, "0h": 0, "1s": 0, "24": 0, "24 h": 0, "-1h": 0, "999999999h": 0, "169h": 0,
	} {
		s, err := x.service.CreateBatch(t.Context(), jobs.NewBatch{
			Submission: submitted(nil), InputFileID: file.ID, Path: "/v1/chat/completions", CompletionWindow: window,
		})
		if want == 0 {
			var e *jobs.Error
			require.ErrorAs(t, err, &e, window)
			require.Equal(t, "completion_window", e.Param)
			continue
		}
		require.NoError(t, err, window)
		require.Equal(t, s.CreatedAt.Add(want), s.ExpiresAt)
	}
}
