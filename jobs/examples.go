package jobs

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// exampleForm is how the lines of a file of examples are written. All lines of a file are of one form.
type exampleForm string

// The forms (OpenAI's fine-tuning guides).
const (
	formChat          exampleForm = "chat"          // {"messages":[…]}, with something of the assistant to learn
	formCompletion    exampleForm = "completions"   // {"prompt":"…","completion":"…"}
	formPreference    exampleForm = "preference"    // {"input":{…},"preferred_output":[…],"non_preferred_output":[…]}
	formReinforcement exampleForm = "reinforcement" // {"messages":[…]} and any keys for the grader
)

// formsOf are the forms that a method learns from. Without one the first line decides.
func formsOf(method string) []exampleForm {
	switch method {
	case "dpo":
		return []exampleForm{formPreference}
	case "reinforcement":
		return []exampleForm{formReinforcement}
	}
	return []exampleForm{formChat, formCompletion}
}

// formOf tells by its keys what a line is meant to be; empty for none.
func formOf(line members) exampleForm {
	switch {
	case line.has("messages"):
		return formChat
	case line.has("input"), line.has(choiceNames[0][0]), line.has(choiceNames[1][0]):
		return formPreference
	case line.has("prompt"), line.has("completion"):
		return formCompletion
	}
	return ""
}

// members are an object's, the first of each key.
type members map[string]gjson.Result

func (m members) has(key string) bool { return m[key].Exists() }

// fault is what is wrong with an example: where in it, and what to do about it.
type fault struct{ at, what string }

func (f fault) String() string {
	if f.at == "" {
		return f.what
	}
	return f.at + ": " + f.what
}

func wrong(at, format string, args ...any) *fault { return &fault{at, fmt.Sprintf(format, args...)} }

func inside(at, key string) string {
	if at == "" {
		return key
	}
	return at + "." + key
}

// membersOf takes an object apart. A repeated key is a fault: which of two values counts would be a guess.
func membersOf(at string, v gjson.Result) (members, *fault) {
	if !v.IsObject() {
		return nil, wrong(at, "expected an object, not %s", kindOf(v))
	}
	m := members{}
	var twice *fault
	v.ForEach(func(key, value gjson.Result) bool {
		name := key.String()
		if m.has(name) {
			twice = wrong(inside(at, shorten(name)), "the key is there twice; give it once")
		}
		m[name] = value
		return twice == nil
	})
	return m, twice
}

func kindOf(v gjson.Result) string {
	switch {
	case !v.Exists():
		return "nothing"
	case v.IsObject():
		return "an object"
	case v.IsArray():
		return "an array"
	case v.IsBool():
		return "a boolean"
	}
	return map[gjson.Type]string{gjson.String: "a string", gjson.Number: "a number", gjson.Null: "null"}[v.Type]
}

// invalidJSON says why a line is no JSON.
func invalidJSON(line []byte) *fault {
	var v json.RawMessage
	var syntax *json.SyntaxError
	switch {
	case hasPrefix(line, "\xff\xfe", "\xfe\xff"):
		return wrong("", "the file is in UTF-16; save it as UTF-8")
	case hasPrefix(line, "\x1f\x8b", "PK\x03\x04"):
		return wrong("", "the file is compressed; upload it uncompressed")
	case slices.Contains(line, 0):
		return wrong("", "it holds a NUL byte; remove it")
	case errors.As(json.Unmarshal(line, &v), &syntax):
		return wrong("", "it is not valid JSON at byte %d (%s); each line must be one whole JSON object", syntax.Offset, syntax.Error())
	}
	return wrong("", "it is not valid UTF-8; save the file as UTF-8")
}

func hasPrefix(line []byte, any ...string) bool {
	return slices.ContainsFunc(any, func(p string) bool { return strings.HasPrefix(string(line[:min(len(line), 4)]), p) })
}

// judge looks at one example of a form.
func (form exampleForm) judge(line members) *fault {
	switch form {
	case formCompletion:
		return judgeCompletion(line)
	case formPreference:
		return judgePreference(line)
	}
	learnt, f := judgeConversation("", line)
	if f == nil && form == formChat && !learnt {
		return wrong("messages", "no assistant message to learn from: add one with content or a tool call, and a weight that is not 0")
	}
	return f
}

func judgeCompletion(line members) *fault {
	for _, key := range []string{"prompt", "completion"} {
		if line[key].Type != gjson.String {
			return wrong(key, "expected a string, not %s", kindOf(line[key]))
		}
	}
	if line["completion"].Str == "" {
		return wrong("completion", "it is empty; give the text to learn")
	}
	return nil
}

func judgePreference(line members) *fault {
	input, f := membersOf("input", line["input"])
	if f != nil {
		return f
	}
	if _, f := judgeConversation("input", input); f != nil {
		return f
	}
	names := choiceNames[0]
	if line.has(choiceNames[1][0]) {
		names = choiceNames[1]
	}
	for _, name := range names {
		if f := judgeChoice(name, line[name]); f != nil {
			return f
		}
	}
	return nil
}

// choiceNames are the names of the two answers that a preference compares: those of OpenAI's guide, and those that its API
// document had before.
var choiceNames = [][]string{{"preferred_output", "non_preferred_output"}, {"preferred_completion", "non_preferred_completion"}}

// judgeChoice wants a list with one message of the assistant.
func judgeChoice(at string, v gjson.Result) *fault {
	if !v.IsArray() {
		return wrong(at, "expected an array with one assistant message, not %s", kindOf(v))
	}
	all := v.Array()
	if len(all) != 1 {
		return wrong(at, "expected exactly one assistant message, but there are %d", len(all))
	}
	m, f := judgeMessage(at+"[0]", all[0])
	if f == nil && m["role"].Str != roleAssistant {
		f = wrong(at+"[0].role", "expected 'assistant', not '%s'", m["role"].Str)
	}
	return f
}
