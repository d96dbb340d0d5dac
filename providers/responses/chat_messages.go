package responses

import (
	"fmt"

	"github.com/tidwall/gjson"
)

// conversation collects chat messages. What an assistant says and the functions it calls are several items of a response
// but one message of a chat: it is kept open until something else comes.
type conversation struct {
	messages [][]byte
	said     string   // the open message's content; empty for none
	calls    [][]byte // the open message's calls
}

// messages are the request's instructions and input as chat messages. developer becomes system: it is the same, and
// every upstream knows it.
func (r *Request) messages() ([][]byte, *Problem) {
	c := &conversation{}
	if v := r.members["instructions"]; v.Type == gjson.String {
		c.add("system", v.Raw)
	}
	for i, item := range r.input() {
		if p := c.item(fmt.Sprintf("input[%d]", i), gjson.ParseBytes(item)); p != nil {
			return nil, p
		}
	}
	c.close()
	return c.messages, nil
}

func (c *conversation) item(name string, v gjson.Result) *Problem {
	if isMessage(v) {
		return c.message(name, v)
	}
	switch typ := v.Get("type").Str; typ {
	case "function_call":
		if p := haveTexts(name, v, "call_id", "name", "arguments"); p != nil {
			return p
		}
		c.calls = append(c.calls, []byte(`{"id":`+v.Get("call_id").Raw+`,"type":"function","function":`+pick(v, "name", "arguments")+`}`))
	case "function_call_output":
		if p := haveTexts(name, v, "call_id"); p != nil {
			return p
		}
		output, p := toolOutput(name+".output", v.Get("output"))
		if p != nil {
			return p
		}
		c.close()
		c.messages = append(c.messages, []byte(`{"role":"tool","tool_call_id":`+v.Get("call_id").Raw+`,"content":`+output+`}`))
	case "reasoning":
		// thoughts are the provider's own; a chat has no place for them
	default:
		return untranslatable(name+".type", fmt.Sprintf("An input item of type '%s' is", shorten(typ)))
	}
	return nil
}

// haveTexts wants members that are strings: a message says nothing without them.
func haveTexts(name string, v gjson.Result, keys ...string) *Problem {
	for _, key := range keys {
		text := v.Get(key)
		if !given(text) {
			return missing(name + "." + key)
		}
		if p := isText(0)(name+"."+key, text); p != nil {
			return p
		}
	}
	return nil
}

func orEmpty(v gjson.Result) string {
	if v.Type != gjson.String {
		return `""`
	}
	return v.Raw
}

func (c *conversation) message(name string, v gjson.Result) *Problem {
	role := v.Get("role").Str
	if role == "developer" {
		role = "system"
	}
	content, p := chatContent(name+".content", role, v.Get("content"))
	if p != nil {
		return p
	}
	c.close()
	if role == "assistant" {
		c.said = content
		return nil
	}
	c.add(role, content)
	return nil
}

func (c *conversation) add(role, content string) {
	c.messages = append(c.messages, []byte(`{"role":`+quote(role)+`,"content":`+content+`}`))
}

// close ends the assistant's open message.
func (c *conversation) close() {
	if c.said == "" && len(c.calls) == 0 {
		return
	}
	m := `{"role":"assistant","content":`
	if c.said == "" {
		m += "null"
	}
	m += c.said
	if len(c.calls) > 0 {
		m += `,"tool_calls":` + string(join(c.calls))
	}
	c.messages = append(c.messages, []byte(m+"}"))
	c.said, c.calls = "", nil
}
