package jobs

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

const (
	roleAssistant = "assistant"
	roleTool      = "tool"
)

var (
	messageRoles = []string{"system", "developer", "user", roleAssistant, roleTool, "function"}
	messageKeys  = []string{
		"role", "content", "name", "function_call", "tool_calls", "tool_call_id", "weight", "refusal", "audio",
	}
)

// mostFunctions bounds the functions of one example (OpenAI's).
const mostFunctions = 128

// judgeConversation looks at an example's messages and tools, and tells whether they hold something to learn: a message
// of the assistant whose weight is not 0.
func judgeConversation(at string, c members) (learnt bool, f *fault) {
	if f := judgeTools(at, c); f != nil {
		return false, f
	}
	list := inside(at, "messages")
	if !c["messages"].IsArray() {
		return false, wrong(list, "expected an array of messages, not %s", kindOf(c["messages"]))
	}
	n := 0
	c["messages"].ForEach(func(_, v gjson.Result) bool {
		var m members
		if m, f = judgeMessage(fmt.Sprintf("%s[%d]", list, n), v); f == nil {
			learnt = learnt || teaches(m)
		}
		n++
		return f == nil
	})
	if f == nil && n == 0 {
		f = wrong(list, "it is empty; give at least one message")
	}
	return learnt, f
}

func teaches(m members) bool {
	return m["role"].Str == roleAssistant && (!m.has("weight") || m["weight"].Num != 0) &&
		(m["content"].IsArray() || m["content"].Str != "" || m["refusal"].Str != "" || hasCalls(m))
}

func hasCalls(m members) bool { return m["tool_calls"].IsArray() || m["function_call"].IsObject() }

func judgeTools(at string, c members) *fault {
	if v := c["parallel_tool_calls"]; v.Exists() && !v.IsBool() {
		return wrong(inside(at, "parallel_tool_calls"), "expected true or false, not %s", kindOf(v))
	}
	for _, key := range []string{"tools", "functions"} {
		v := c[key]
		if v.Type == gjson.Null { // absent too
			continue
		}
		if !v.IsArray() {
			return wrong(inside(at, key), "expected an array, not %s", kindOf(v))
		}
		all := v.Array()
		if key == "functions" && (len(all) == 0 || len(all) > mostFunctions) {
			return wrong(inside(at, key), "expected 1 to %d functions, but there are %d", mostFunctions, len(all))
		}
		for i, tool := range all {
			if !tool.IsObject() {
				return wrong(fmt.Sprintf("%s[%d]", inside(at, key), i), "expected an object, not %s", kindOf(tool))
			}
		}
	}
	return nil
}

// judgeMessage holds one message to the rules.
func judgeMessage(at string, v gjson.Result) (members, *fault) {
	m, f := membersOf(at, v)
	if f != nil {
		return m, f
	}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if !slices.Contains(messageKeys, key) {
			return m, wrong(inside(at, shorten(key)), "unknown key; a message has only %s", strings.Join(messageKeys, ", "))
		}
	}
	for _, judge := range []func(string, members) *fault{judgeRole, judgeWeight, judgeContent, judgeCalls} {
		if f := judge(at, m); f != nil {
			return m, f
		}
	}
	return m, nil
}

func judgeRole(at string, m members) *fault {
	role := m["role"]
	switch {
	case role.Type != gjson.String:
		return wrong(inside(at, "role"), "expected one of %s, not %s", strings.Join(messageRoles, ", "), kindOf(role))
	case !slices.Contains(messageRoles, role.Str):
		return wrong(inside(at, "role"), "unknown role '%s'; use one of %s", shorten(role.Str), strings.Join(messageRoles, ", "))
	case role.Str == roleTool && m["tool_call_id"].Str == "":
		return wrong(inside(at, "tool_call_id"), "a tool message needs the ID of the call that it answers")
	}
	return nil
}

func judgeWeight(at string, m members) *fault {
	if w := m["weight"]; w.Exists() && (w.Type != gjson.Number || w.Num != 0 && w.Num != 1) {
		return wrong(inside(at, "weight"), "expected 0 or 1, not %s", shorten(w.Raw))
	}
	return nil
}

// judgeContent wants a text, or parts, or in their place a call or a refusal.
func judgeContent(at string, m members) *fault {
	at = inside(at, "content")
	switch content := m["content"]; {
	case content.Type == gjson.String:
		return nil
	case content.IsArray():
		return judgeParts(at, content.Array())
	case content.Type != gjson.Null:
		return wrong(at, "expected a string or an array of parts, not %s", kindOf(content))
	case !hasCalls(m) && m["refusal"].Type != gjson.String && !m["audio"].IsObject():
		return wrong(at, "it is missing; give a string, an array of parts, or a tool call in its place")
	}
	return nil
}

func judgeParts(at string, parts []gjson.Result) *fault {
	if len(parts) == 0 {
		return wrong(at, "it is empty; give at least one part, or a string")
	}
	for i, part := range parts {
		where := fmt.Sprintf("%s[%d]", at, i)
		m, f := membersOf(where, part)
		if f != nil {
			return f
		}
		if m["type"].Type != gjson.String {
			return wrong(where+".type", "expected a string, as 'text', not %s", kindOf(m["type"]))
		}
		if m["type"].Str == "text" && m["text"].Type != gjson.String {
			return wrong(where+".text", "expected a string, not %s", kindOf(m["text"]))
		}
	}
	return nil
}

// judgeCalls looks at what the assistant calls, in the present and in the older way of saying it.
func judgeCalls(at string, m members) *fault {
	for _, key := range []string{"tool_calls", "function_call"} {
		if m[key].Type != gjson.Null && m["role"].Str != roleAssistant {
			return wrong(inside(at, key), "only an assistant message may call; this one's role is '%s'", m["role"].Str)
		}
	}
	if v := m["function_call"]; v.Type != gjson.Null {
		if f := judgeFunction(inside(at, "function_call"), v); f != nil {
			return f
		}
	}
	v := m["tool_calls"]
	if v.Type == gjson.Null {
		return nil
	}
	if !v.IsArray() || len(v.Array()) == 0 {
		return wrong(inside(at, "tool_calls"), "expected an array with at least one call")
	}
	for i, call := range v.Array() {
		where := fmt.Sprintf("%s.tool_calls[%d]", at, i)
		c, f := membersOf(where, call)
		if f != nil {
			return f
		}
		if c["id"].Str == "" {
			return wrong(where+".id", "a call needs an ID, a string, which the tool message names")
		}
		if f := judgeFunction(where+".function", c["function"]); f != nil {
			return f
		}
	}
	return nil
}

func judgeFunction(at string, v gjson.Result) *fault {
	m, f := membersOf(at, v)
	switch {
	case f != nil:
		return f
	case m["name"].Str == "":
		return wrong(at+".name", "expected the function's name")
	case m["arguments"].Type != gjson.String:
		return wrong(at+".arguments", "expected JSON in a string, not %s", kindOf(m["arguments"]))
	}
	return nil
}
