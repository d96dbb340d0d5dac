package jobs

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

const (
	chatExample       = `{"messages":[{"role":"system","content":"Be kind."},{"role":"user","content":"How are you?"},{"role":"assistant","content":"Well!"}]}`
	completionExample = `{"prompt":"One, two,","completion":" three"}`
	preferenceExample = `{"input":{"messages":[{"role":"user","content":"Hello"}],"tools":[],"parallel_tool_calls":true},"preferred_output":[{"role":"assistant","content":"Hello!"}],"non_preferred_output":[{"role":"assistant","content":"What?"}]}`
	gradedExample     = `{"messages":[{"role":"user","content":"6 x 7?"}],"answer":42,"hints":{"messages":[]}}`
)

func repeat(n int, line string) string { return strings.Repeat(line+"\n", n) }

// says is one message in an example that is sound but for it.
func says(message string) string {
	return `{"messages":[{"role":"user","content":"a"},` + message + `,{"role":"assistant","content":"b"}]}`
}

// look gives the reason against a training file; empty for none.
func look(t *testing.T, method string, in io.Reader) string {
	t.Helper()
	s := &exampleScan{param: "training_file", least: leastTraining, forms: formsOf(method)}
	require.NoError(t, s.run(t.Context(), in))
	why := s.reason()
	if why == nil {
		return ""
	}
	require.Equal(t, "training_file", *why.Param)
	return why.Code + " | " + why.Message
}

func TestExamplesThatAreTaken(t *testing.T) {
	t.Parallel()
	call := `{"role":"assistant","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}}]}`
	for name, tc := range map[string]struct{ method, input string }{
		"chat":                            {"", repeat(10, chatExample)},
		"chat, supervised":                {"supervised", repeat(10, chatExample)},
		"completions":                     {"", repeat(10, completionExample)},
		"completions, supervised":         {"supervised", repeat(10, completionExample)},
		"preference":                      {"dpo", repeat(10, preferenceExample)},
		"reinforcement":                   {"reinforcement", repeat(10, gradedExample)},
		"no final newline":                {"", strings.TrimSuffix(repeat(10, chatExample), "\n")},
		"CRLF":                            {"", strings.ReplaceAll(repeat(10, chatExample), "\n", "\r\n")},
		"preference, the older names":     {"dpo", strings.ReplaceAll(repeat(10, preferenceExample), "preferred_output", "preferred_completion")},
		"blank lines":                     {"", "\n \n" + repeat(10, chatExample+"\n\t") + "\n"},
		"a long line":                     {"", repeat(9, chatExample) + says(`{"role":"user","content":"`+strings.Repeat("x", MaxLine-200)+`"}`)},
		"a call in place of content":      {"", repeat(9, chatExample) + says(call+`,{"role":"tool","tool_call_id":"c1","content":""}`)},
		"null content beside a call":      {"", repeat(9, chatExample) + says(strings.Replace(call, `"tool_calls"`, `"content":null,"tool_calls"`, 1))},
		"nothing but a call":              {"", repeat(9, chatExample) + `{"messages":[` + call + `],"tools":[{"type":"function","function":{"name":"f"}}],"parallel_tool_calls":false}`},
		"the older call":                  {"", repeat(9, chatExample) + says(`{"role":"assistant","function_call":{"name":"f","arguments":"{}"}},{"role":"function","name":"f","content":"1"}`)},
		"functions":                       {"", repeat(9, chatExample) + strings.Replace(chatExample, `{"messages"`, `{"functions":[{"name":"f"}],"messages"`, 1)},
		"parts":                           {"", repeat(9, chatExample) + says(`{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"https://a.example/b.png"}}]}`)},
		"weights":                         {"", repeat(9, chatExample) + says(`{"role":"assistant","content":"x","weight":0},{"role":"assistant","content":"y","weight":1}`)},
		"a refusal":                       {"", repeat(9, chatExample) + says(`{"role":"assistant","refusal":"No."}`)},
		"developer":                       {"", repeat(9, chatExample) + says(`{"role":"developer","content":"x","name":"n"}`)},
		"the assistant is not the last":   {"", repeat(9, chatExample) + `{"messages":[{"role":"assistant","content":"b"},{"role":"user","content":"a"}]}`},
		"keys that providers have":        {"", repeat(9, chatExample) + strings.Replace(chatExample, `{"messages"`, `{"weighting":2,"messages"`, 1)},
		"reinforcement with an assistant": {"reinforcement", repeat(10, chatExample)},
		"huge integers":                   {"reinforcement", repeat(10, strings.Replace(gradedExample, "42", "12345678901234567890123", 1))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Empty(t, look(t, tc.method, strings.NewReader(tc.input)))
		})
	}
}

// TestAByteOrderMark would go to the provider with the file.
func TestAByteOrderMark(t *testing.T) {
	t.Parallel()
	require.Contains(t, look(t, "", strings.NewReader("\ufeff"+repeat(12, chatExample))), "Line 1: it begins with a byte order mark;")
}

func TestTooFewExamples(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{
		0: "invalid_n_examples | Training file has 0 example(s), but must have at least 10 examples",
		3: "invalid_n_examples | Training file has 3 example(s), but must have at least 10 examples",
		9: "invalid_n_examples | Training file has 9 example(s), but must have at least 10 examples",
	} {
		require.Equal(t, want, look(t, "", strings.NewReader(repeat(n, chatExample+"\n\n"))))
	}
	s := &exampleScan{param: "validation_file", least: leastValidation, forms: formsOf("")}
	require.NoError(t, s.run(t.Context(), strings.NewReader("\n")))
	require.Equal(t, "Validation file has 0 example(s), but must have at least 1 examples", s.reason().Message)
	require.Equal(t, "validation_file", *s.reason().Param)
	require.NoError(t, s.run(t.Context(), strings.NewReader(chatExample)))
	require.Nil(t, s.reason())
}

// TestFaultyExamplesAreNamed puts one faulty line after two sound ones: the reason names its line, the place in it, and
// what to do.
func TestFaultyExamplesAreNamed(t *testing.T) {
	t.Parallel()
	conversation := func(messages string) string { return `{"messages":` + messages + `}` }
	call := func(call string) string { return says(`{"role":"assistant","tool_calls":` + call + `}`) }
	prefers := func(what, with string) string { return strings.Replace(preferenceExample, what, with, 1) }
	for name, tc := range map[string]struct{ method, line, want string }{
		"bad JSON":        {"", `{oops}`, "Line 3: it is not valid JSON at byte 2 "},
		"no object":       {"", `[1]`, "Line 3: expected one JSON object on the line, not an array."},
		"null":            {"", `null`, "Line 3: expected one JSON object on the line, not null."},
		"bad UTF-8":       {"", strings.Replace(chatExample, "kind", "k\xffnd", 1), "Line 3: it is not valid UTF-8"},
		"NUL":             {"", strings.Replace(chatExample, "kind", "k\x00nd", 1), "Line 3: it holds a NUL byte"},
		"too deep":        {"", strings.Repeat("[", 900_000), "Line 3: it nests deeper than 10000 levels."},
		"a line too long": {"", `{"messages":"` + strings.Repeat("x", MaxLine) + `"}`, "Line 3: it is longer than 16777216 bytes"},
		"other keys":      {"", `{"text":"x"}`, `Line 3: it is no example: write {"messages": […]} or {"prompt": "…", "completion": "…"}.`},

		"messages no list":    {"", conversation(`"x"`), "Line 3, messages: expected an array of messages, not a string."},
		"messages null":       {"", conversation(`null`), "Line 3, messages: expected an array of messages, not null."},
		"no messages":         {"", conversation(`[]`), "Line 3, messages: it is empty;"},
		"messages twice":      {"", `{"messages":[],"messages":[]}`, "Line 3, messages: the key is there twice; give it once."},
		"a message no object": {"", conversation(`["x"]`), "Line 3, messages[0]: expected an object, not a string."},
		"unknown key":         {"", says(`{"role":"user","content":"x","cotnent":"y"}`), "Line 3, messages[1].cotnent: unknown key; a message has only role, content,"},
		"no role":             {"", says(`{"content":"x"}`), "Line 3, messages[1].role: expected one of system, developer, user, assistant, tool, function, not nothing."},
		"unknown role":        {"", says(`{"role":"bot","content":"x"}`), "Line 3, messages[1].role: unknown role 'bot'; use one of system,"},
		"role twice":          {"", says(`{"role":"user","role":"system","content":"x"}`), "Line 3, messages[1].role: the key is there twice"},
		"no content":          {"", says(`{"role":"user"}`), "Line 3, messages[1].content: it is missing;"},
		"null content":        {"", says(`{"role":"assistant","content":null}`), "Line 3, messages[1].content: it is missing;"},
		"content a number":    {"", says(`{"role":"user","content":7}`), "Line 3, messages[1].content: expected a string or an array of parts, not a number."},
		"no parts":            {"", says(`{"role":"user","content":[]}`), "Line 3, messages[1].content: it is empty;"},
		"a part no object":    {"", says(`{"role":"user","content":["x"]}`), "Line 3, messages[1].content[0]: expected an object, not a string."},
		"a part without type": {"", says(`{"role":"user","content":[{"type":"text","text":"x"},{"text":"x"}]}`), "Line 3, messages[1].content[1].type: expected a string"},
		"a part without text": {"", says(`{"role":"user","content":[{"type":"text"}]}`), "Line 3, messages[1].content[0].text: expected a string, not nothing."},
		"weight":              {"", says(`{"role":"assistant","content":"x","weight":0.5}`), "Line 3, messages[1].weight: expected 0 or 1, not 0.5."},
		"weight a text":       {"", says(`{"role":"assistant","content":"x","weight":"1"}`), `Line 3, messages[1].weight: expected 0 or 1, not "1".`},
		"no tool_call_id":     {"", says(`{"role":"tool","content":"x"}`), "Line 3, messages[1].tool_call_id: a tool message needs the ID"},
		"nobody to learn from": {
			"", conversation(`[{"role":"user","content":"x"}]`), "Line 3, messages: no assistant message to learn from:",
		},
		"weight 0 alone":         {"", conversation(`[{"role":"assistant","content":"x","weight":0}]`), "Line 3, messages: no assistant message to learn from:"},
		"an empty assistant":     {"", conversation(`[{"role":"assistant","content":""}]`), "Line 3, messages: no assistant message to learn from:"},
		"a user calls":           {"", says(`{"role":"user","content":"x","tool_calls":[]}`), "Line 3, messages[1].tool_calls: only an assistant message may call; this one's role is 'user'."},
		"no calls":               {"", call(`[]`), "Line 3, messages[1].tool_calls: expected an array with at least one call."},
		"a call without ID":      {"", call(`[{"function":{"name":"f","arguments":""}}]`), "Line 3, messages[1].tool_calls[0].id: a call needs an ID"},
		"a call of nothing":      {"", call(`[{"id":"c"}]`), "Line 3, messages[1].tool_calls[0].function: expected an object, not nothing."},
		"a call without name":    {"", call(`[{"id":"c","function":{"arguments":""}}]`), "Line 3, messages[1].tool_calls[0].function.name: expected the function's name."},
		"arguments an object":    {"", call(`[{"id":"c","function":{"name":"f","arguments":{}}}]`), "Line 3, messages[1].tool_calls[0].function.arguments: expected JSON in a string, not an object."},
		"the older call":         {"", says(`{"role":"assistant","content":null,"function_call":{}}`), "Line 3, messages[1].function_call.name:"},
		"tools no list":          {"", strings.Replace(chatExample, `{"messages"`, `{"tools":{},"messages"`, 1), "Line 3, tools: expected an array, not an object."},
		"a tool no object":       {"", strings.Replace(chatExample, `{"messages"`, `{"tools":[1],"messages"`, 1), "Line 3, tools[0]: expected an object, not a number."},
		"no functions":           {"", strings.Replace(chatExample, `{"messages"`, `{"functions":[],"messages"`, 1), "Line 3, functions: expected 1 to 128 functions, but there are 0."},
		"parallel":               {"", strings.Replace(chatExample, `{"messages"`, `{"parallel_tool_calls":"yes","messages"`, 1), "Line 3, parallel_tool_calls: expected true or false, not a string."},
		"another form":           {"", completionExample, "Line 3: it is a completions example, but line 1 is a chat example; a file must hold examples of one form."},
		"preference among chats": {"", preferenceExample, "Line 3: it is a preference example, but line 1 is a chat example;"},

		"no input":                {"dpo", `{"preferred_output":[],"non_preferred_output":[]}`, "Line 3, input: expected an object, not nothing."},
		"input's messages":        {"dpo", prefers(`"role":"user"`, `"role":"x"`), "Line 3, input.messages[0].role: unknown role 'x';"},
		"nothing preferred":       {"dpo", prefers(`"preferred_output"`, `"preferred"`), "Line 3, preferred_output: expected an array with one assistant message, not nothing."},
		"two preferred":           {"dpo", prefers(`[{"role":"assistant","content":"Hello!"}]`, `[{},{}]`), "Line 3, preferred_output: expected exactly one assistant message, but there are 2."},
		"a user preferred":        {"dpo", prefers(`{"role":"assistant","content":"Hello!"}`, `{"role":"user","content":"Hello!"}`), "Line 3, preferred_output[0].role: expected 'assistant', not 'user'."},
		"a user is not preferred": {"dpo", prefers(`{"role":"assistant","content":"What?"}`, `{"role":"user","content":"Hello!"}`), "Line 3, non_preferred_output[0].role: expected 'assistant', not 'user'."},
		"chat among preferences":  {"dpo", chatExample, "Line 3: it is a chat example, but line 1 is a preference example;"},
		"graded no messages":      {"reinforcement", `{"messages":[],"answer":1}`, "Line 3, messages: it is empty;"},
		"graded role":             {"reinforcement", strings.Replace(gradedExample, `"user"`, `"usr"`, 1), "Line 3, messages[0].role: unknown role 'usr';"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sound := map[string]string{"": chatExample, "dpo": preferenceExample, "reinforcement": gradedExample}[tc.method]
			got := look(t, tc.method, strings.NewReader(repeat(2, sound)+tc.line+"\n"+repeat(10, sound)))
			require.Contains(t, got, "invalid_training_file | Training file has 1 line that cannot be used. "+tc.want)
			require.Less(t, len(got), 1000)
			require.True(t, utf8.ValidString(got))
		})
	}
}

func TestTheFirstLineSaysTheForm(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ method, line, want string }{
		"preference without dpo":     {"", preferenceExample, "it is a preference example, which this job does not learn from: write {\"messages\": […]} or {\"prompt\": \"…\", \"completion\": \"…\"}, or set method.type to 'dpo'."},
		"chat for dpo":               {"dpo", chatExample, `it is a chat example, which this job does not learn from: write {"input": {"messages": […]},`},
		"completions for dpo":        {"dpo", completionExample, "it is a completions example, which this job does not learn from"},
		"completions, reinforcement": {"reinforcement", completionExample, "it is a completions example, which this job does not learn from"},
		"prompt no text":             {"", `{"prompt":["a"],"completion":"b"}`, "Line 1, prompt: expected a string, not an array."},
		"no completion":              {"", `{"prompt":"a"}`, "Line 1, completion: expected a string, not nothing."},
		"an empty completion":        {"", `{"prompt":"a","completion":""}`, "Line 1, completion: it is empty;"},
		"UTF-16":                     {"", "\xff\xfe{\x00", "Line 1: the file is in UTF-16; save it as UTF-8."},
		"compressed":                 {"", "\x1f\x8b\x08\x00", "Line 1: the file is compressed; upload it uncompressed."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, look(t, tc.method, strings.NewReader(repeat(12, tc.line))), tc.want)
		})
	}
}

func TestManyBadLinesMakeAShortReason(t *testing.T) {
	t.Parallel()
	bad := says(`{"role":"` + strings.Repeat("ü", 5000) + `","content":"x"}`)
	got := look(t, "", strings.NewReader(chatExample+"\n"+repeat(40, bad)+repeat(10, chatExample)))
	require.Contains(t, got, "Training file has 40 lines that cannot be used. Line 2, messages[1].role:")
	require.Contains(t, got, " Line 6, ")
	require.NotContains(t, got, " Line 7, ")
	require.True(t, strings.HasSuffix(got, " And 35 more."), got)
	require.Less(t, len(got), 3000)
	require.True(t, utf8.ValidString(got))
}

// manyLines is a file that is never in memory.
type manyLines struct {
	line string
	left int
	rest strings.Reader
	peak uint64 // the most that the heap held
}

func (m *manyLines) Read(p []byte) (int, error) {
	if m.rest.Len() == 0 {
		if m.left == 0 {
			return 0, io.EOF
		}
		m.left--
		var now runtime.MemStats
		runtime.ReadMemStats(&now)
		m.peak = max(m.peak, now.HeapAlloc)
		m.rest.Reset(m.line)
	}
	return m.rest.Read(p)
}

// FuzzExamples: whatever a file holds, it is judged without a crash, and a reason is short text in UTF-8.
func FuzzExamples(f *testing.F) {
	for _, line := range []string{chatExample, completionExample, preferenceExample, gradedExample, says(`{"role":"tool"}`), "{", "\xff"} {
		f.Add([]byte(line+"\n"+chatExample), uint8(0))
		f.Add([]byte(line), uint8(1))
	}
	f.Fuzz(func(t *testing.T, text []byte, method uint8) {
		s := &exampleScan{
			param: "training_file", least: 1, forms: formsOf([]string{"", "supervised", "dpo", "reinforcement"}[method%4]),
		}
		require.NoError(t, s.run(t.Context(), bytes.NewReader(text)))
		why := s.reason()
		if why == nil {
			require.NotEmpty(t, s.form)
			return
		}
		require.LessOrEqual(t, len(why.Message), 5000)
		require.True(t, utf8.ValidString(why.Message), fmt.Sprintf("%q", why.Message))
	})
}
