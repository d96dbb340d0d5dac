package responses

import (
	"fmt"

	"github.com/tidwall/gjson"
)

// chatTools are the members tools, tool_choice and parallel_tool_calls of a chat request. Only functions exist there.
// Without tools the other two are refused by many; a choice that wants one then is refused here.
func (r *Request) chatTools() ([]byte, *Problem) {
	var tools [][]byte
	for i, tool := range r.members["tools"].Array() {
		if typ := tool.Get("type").Str; typ != "function" {
			return nil, untranslatable(fmt.Sprintf("tools[%d].type", i), fmt.Sprintf("The tool '%s' is", shorten(typ)))
		}
		function := extend([]byte(pick(tool, "name", "description", "parameters")), chatStrict(tool))
		tools = append(tools, []byte(`{"type":"function","function":`+string(function)+`}`))
	}
	choice := r.members["tool_choice"]
	if len(tools) == 0 {
		return nil, needless(choice)
	}
	out := member("tools", string(join(tools)))
	if v := r.members["parallel_tool_calls"]; given(v) {
		out = append(append(out, ','), member("parallel_tool_calls", v.Raw)...)
	}
	chosen, p := chatChoice(choice)
	return append(out, chosen...), p
}

// needless tells whether a choice among no tools can go without a change of the answer.
func needless(choice gjson.Result) *Problem {
	if !given(choice) || choice.Str == "auto" || choice.Str == "none" {
		return nil
	}
	return problem(codeValue, "tool_choice", "Invalid value for 'tool_choice': it wants a tool to be called, and 'tools' names none. Give 'tools', or leave 'tool_choice' out.")
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
