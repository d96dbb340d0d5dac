package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const message = `"messages":[{"role":"user","content":"hi"}]`

// J6: a bad line fails the batch before any call, with its code, line and parameter.
func TestBadLinesFailTheBatch(t *testing.T) {
	t.Parallel()
	up := startUpstream(t, nil)
	hook := startReceiver(t)
	provider := strings.Replace(up.provider(""), `["*"]`, `["m", "n"]`, 1)
	s := startServer(t, append(openCallbacks(), provider, "limits.batch_lines=5")...)
	good := line("good", ask("hi"))
	body := func(text string) string { return line("bad", text) }
	for _, row := range []struct {
		name, second, code, param string
		line                      int // zero: about the whole file
	}{
		{"J6 bad JSON", `{"custom_id":`, "invalid_json_line", "", 2},
		{"J6 not an object", `[1]`, "invalid_json_line", "", 2},
		{"J6 null", `null`, "invalid_json_line", "", 2},
		{"J6 not UTF-8", "{\"custom_id\":\"\xff\"}", "invalid_json_line", "", 2},
		{"J6 missing custom_id", `{"method":"POST","url":"` + chat + `","body":` + ask("hi") + `}`, "missing_required_parameter", "custom_id", 2},
		{"J6 empty custom_id", line("", ask("hi")), "missing_required_parameter", "custom_id", 2},
		{"J6 custom_id is a number", `{"custom_id":1,"method":"POST","url":"` + chat + `","body":` + ask("hi") + `}`, "invalid_type", "custom_id", 2},
		{"J6 duplicate custom_id", good, "duplicate_custom_id", "custom_id", 2},
		{"J6 duplicate custom_id in other letters", `{"custom_id":"g\u006fod","method":"POST","url":"` + chat + `","body":` + ask("hi") + `}`, "duplicate_custom_id", "custom_id", 2},
		{"J6 wrong url", strings.Replace(body(ask("hi")), chat, "/v1/embeddings", 1), "invalid_url", "url", 2},
		{"J6 wrong method", strings.Replace(body(ask("hi")), "POST", "GET", 1), "invalid_value", "method", 2},
		{"J6 missing body", `{"custom_id":"bad","method":"POST","url":"` + chat + `"}`, "missing_required_parameter", "body", 2},
		{"J6 body is an array", body(`[]`), "invalid_type", "body", 2},
		{"J6 missing model", body(`{` + message + `}`), "invalid_request", "body.model", 2},
		{"J6 missing messages", body(`{"model":"m"}`), "invalid_request", "body.messages", 2},
		{"J6 another model", body(`{"model":"n",` + message + `}`), "mismatched_model", "body.model", 2},
		{"J6 stream: true", body(`{"model":"m","stream":true,` + message + `}`), "streaming_unsupported", "body.stream", 2},
		{"J6 JSON 10,001 deep", body(`{"model":"m",` + message + `,"x":` + nested(10_001) + `}`), "invalid_json_line", "", 2},
		{"J6 limit + 1 lines", strings.TrimSuffix(numbered(5, 0), "\n"), "too_many_tasks", "", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			done := s.ended(s.batch(s.input(good+"\n"+row.second+"\n"), hook.field()))
			require.Equal(t, "failed", done.get("status").String(), "%s", done.body)
			require.Equal(t, "list", done.get("errors.object").String())
			found := done.get("errors.data.0")
			require.Equal(t, row.code, found.Get("code").String(), "%s", done.body)
			require.Equal(t, row.param, found.Get("param").String(), "%s", done.body)
			require.EqualValues(t, row.line, found.Get("line").Int(), "%s", done.body)
			require.NotEmpty(t, found.Get("message").String())
			require.Zero(t, done.get("request_counts.total").Int())
			hook.wait(done.get("id").String(), "batch.failed")
		})
	}
	require.Zero(t, up.count(), "nothing is paid for in a batch that fails")
}

func nested(levels int) string { return strings.Repeat("[", levels) + strings.Repeat("]", levels) }

// J6: about the whole file.
func TestUnusableInputsFailTheBatch(t *testing.T) {
	t.Parallel()
	up := startUpstream(t, nil)
	provider := strings.Replace(up.provider(""), `["*"]`, `["m"]`, 1)
	s := startServer(t, provider)
	for _, row := range []struct {
		name, file, code, param string
		line                    int
	}{
		{"J6 unknown model", s.input(line("a", `{"model":"gpt-9",`+message+`}`)), "model_not_found", "body.model", 1},
		{"J6 unknown file", "file-unknown", "invalid_request", "file_id", 0},
		{"J6 file for another purpose", s.upload(http.StatusOK, part{"purpose", "", "user_data"}, part{"file", "a.jsonl", numbered(1, 0)}).get("id").String(), "invalid_request", "file_id", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			done := s.ended(s.batch(row.file, ""))
			require.Equal(t, "failed", done.get("status").String(), "%s", done.body)
			require.Equal(t, row.code, done.get("errors.data.0.code").String(), "%s", done.body)
			require.Equal(t, row.param, done.get("errors.data.0.param").String(), "%s", done.body)
			require.EqualValues(t, row.line, done.get("errors.data.0.line").Int(), "%s", done.body)
		})
	}
	t.Run("J6 0 lines", func(t *testing.T) {
		// An input without a line is refused at its upload; no batch can have one.
		refused(t, s.upload(http.StatusBadRequest, part{"purpose", "", "batch"}, part{"file", "in.jsonl", "\n\n"}))
	})
	t.Run("J6 many bad lines", func(t *testing.T) {
		done := s.ended(s.batch(s.input(line("a", ask("hi"))+strings.Repeat("\nbad", 50_000)), ""))
		require.Equal(t, "failed", done.get("status").String())
		n := len(done.get("errors.data").Array())
		require.True(t, n > 10 && n <= 1000, "%d errors are listed", n)
	})
}

// J6: what is odd but JSON goes to the provider byte for byte.
func TestOddLinesAreForwarded(t *testing.T) {
	t.Parallel()
	up := startUpstream(t, nil)
	s := startServer(t, up.provider(""))
	for _, row := range []struct{ name, body string }{
		{"J6 deep JSON", `{"model":"m",` + message + `,"x":` + nested(9_000) + `}`},
		{"J6 huge integers", `{"model":"m",` + message + `,"seed":123456789012345678901234567890,"y":1e400,"z":-0}`},
		{"J6 duplicate keys", `{"model":"m",` + message + `,"k":1,"k":2,"temperature":0,"temperature":0.0}`},
		{"J6 white space", `{ "model" :	"m" , ` + message + ` }`},
		{"J6 stream: false", `{"model":"m","stream":false,` + message + `}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			done := s.ended(s.batch(s.input(line("a", row.body)), ""))
			require.Equal(t, "completed", done.get("status").String(), "%.500s", done.body)
			require.EqualValues(t, 1, done.get("request_counts.completed").Int(), "%.500s", done.body)
			require.Contains(t, up.bodies(), row.body)
		})
	}
}

// A provider's refusal of a line goes to the error file with its own words; the batch completes.
func TestRefusedLinesGoToTheErrorFile(t *testing.T) {
	t.Parallel()
	const no = `{"error":{"message":"no","type":"invalid_request_error","param":null,"code":"bad"}}`
	up := startUpstream(t, func(body string) reply {
		if number(body) == question(1) {
			return reply{status: 400, body: no}
		}
		return reply{body: completion("answer to " + prompt(body))}
	})
	s := startServer(t, up.provider(""))
	done := s.ended(s.batch(s.input(numbered(3, 0)), ""))
	require.Equal(t, "completed", done.get("status").String())
	output, errs := s.whole(done, 3)
	require.Equal(t, []int{2, 1}, []int{output, errs})
	bad := s.lines(done.get("error_file_id"))[0]
	require.Contains(t, bad, fmt.Sprintf(`"custom_id":%q`, customID(1)))
	require.Contains(t, bad, `"status_code":400`)
	require.Contains(t, bad, `"body":`+no)
}
