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
		c.calls = append(c.calls, []byte(`{"id":`+orEmpty(v.Get("call_id"))+`,"type":"function","function":`+pick(v, "name", "arguments")+`}`))
	case "function_call_output":
		output, p := toolOutput(name+".output", v.Get("output"))
		if p != nil {
			return p
		}
		c.close()
		c.messages = append(c.messages, []byte(`{"role":"tool","tool_call_id":`+orEmpty(v.Get("call_id"))+`,"content":`+output+`}`))
	case "reasoning":
		// thoughts are the provider's own; a chat has no place for them
	default:
		return untranslatable(name+".type", fmt.Sprintf("An input item of type '%s' is", shorten(typ)))
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

// chatContent is a message's content. Text alone becomes a string where it stands for one text: all that many upstreams
// take, and from an assistant or the system all that they take.
func chatContent(name, role string, v gjson.Result) (string, *Problem) {
	if !v.IsArray() {
		return orEmpty(v), nil
	}
	parts := v.Array()
	if whole, ok := plainText(parts); ok && (len(parts) == 1 || role != "user") {
		return whole, nil
	}
	var found [][]byte
	for i, part := range parts {
		translated, p := chatPart(fmt.Sprintf("%s[%d]", name, i), part)
		if p != nil {
			return "", p
		}
		found = append(found, translated)
	}
	return string(join(found)), nil
}

// plainText is the text of parts that are nothing else. A refusal is what was said, too.
func plainText(parts []gjson.Result) (string, bool) {
	var whole text
	for _, part := range parts {
		switch part.Get("type").Str {
		case "input_text", "output_text", "text":
			whole.add(part.Get("text"))
		case "refusal":
			whole.add(part.Get("refusal"))
		default:
			return "", false
		}
	}
	return whole.json(), true
}

func chatPart(name string, part gjson.Result) ([]byte, *Problem) {
	switch typ := part.Get("type").Str; typ {
	case "input_text", "output_text", "text":
		return []byte(`{"type":"text","text":` + orEmpty(part.Get("text")) + `}`), nil
	case "input_image":
		return chatImage(name, part)
	case "input_file":
		if given(part.Get("file_url")) {
			return nil, untranslatable(name+".file_url", "A file named by its URL is")
		}
		return []byte(`{"type":"file","file":` + pick(part, "file_id", "file_data", "filename") + `}`), nil
	case "input_audio":
		return []byte(pick(part, "type", "input_audio")), nil
	default:
		return nil, untranslatable(name+".type", fmt.Sprintf("Content of type '%s' is", shorten(typ)))
	}
}

func chatImage(name string, part gjson.Result) ([]byte, *Problem) {
	url := part.Get("image_url")
	if url.Type != gjson.String {
		return nil, untranslatable(name+".file_id", "An image named by a file's ID is")
	}
	image := member("url", url.Raw)
	if detail := part.Get("detail"); given(detail) {
		image = append(append(image, ','), member("detail", detail.Raw)...)
	}
	return []byte(`{"type":"image_url","image_url":{` + string(image) + `}}`), nil
}

// toolOutput is what a function gave: a string, or parts that are text.
func toolOutput(name string, v gjson.Result) (string, *Problem) {
	if !v.IsArray() {
		return orEmpty(v), nil
	}
	whole, ok := plainText(v.Array())
	if !ok {
		return "", untranslatable(name, "A function's output that is not text is")
	}
	return whole, nil
}
