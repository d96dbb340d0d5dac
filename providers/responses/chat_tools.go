package responses

import (
	"fmt"

	"github.com/tidwall/gjson"
)

// chatTools are the members tools and tool_choice of a chat request. Only functions exist there.
func (r *Request) chatTools() ([]byte, *Problem) {
	var tools [][]byte
	for i, tool := range r.members["tools"].Array() {
		if typ := tool.Get("type").Str; typ != "function" {
			return nil, untranslatable(fmt.Sprintf("tools[%d].type", i), fmt.Sprintf("The tool '%s' is", shorten(typ)))
		}
		tools = append(tools, []byte(`{"type":"function","function":`+pick(tool, "name", "description", "parameters", "strict")+`}`))
	}
	if len(tools) == 0 {
		return nil, nil // a choice among none is refused by many
	}
	choice, p := chatChoice(r.members["tool_choice"])
	if p != nil {
		return nil, p
	}
	return append(member("tools", string(join(tools))), choice...), nil
}

func chatChoice(v gjson.Result) ([]byte, *Problem) {
	switch {
	case !given(v):
		return nil, nil
	case v.Type == gjson.String:
		return append([]byte{','}, member("tool_choice", v.Raw)...), nil
	case v.Get("type").Str == "function":
		return append([]byte{','}, member("tool_choice", `{"type":"function","function":`+pick(v, "name")+`}`)...), nil
	}
	return nil, untranslatable("tool_choice", fmt.Sprintf("The choice of '%s' is", shorten(v.Get("type").Str)))
}
