package responses

import (
	"strconv"

	"github.com/tidwall/gjson"
)

// retell makes the events that a stream would have had for items that came in one piece.
func (s *sequence) retell(items []gjson.Result) {
	for i, item := range items {
		at := strconv.Itoa(i)
		place := `"item_id":` + orEmpty(item.Get("id")) + `,"output_index":` + at
		s.emit("response.output_item.added", `"output_index":`+at+`,"item":`+begun(item))
		switch item.Get("type").Str {
		case "message":
			for j, part := range item.Get("content").Array() {
				s.retellPart(place+`,"content_index":`+strconv.Itoa(j), part)
			}
		case "function_call":
			arguments := orEmpty(item.Get("arguments"))
			s.emit("response.function_call_arguments.delta", place+`,"delta":`+arguments)
			s.emit("response.function_call_arguments.done", place+`,"name":`+orEmpty(item.Get("name"))+`,"arguments":`+arguments)
		}
		s.emit("response.output_item.done", `"output_index":`+at+`,"item":`+item.Raw)
	}
}

// begun is an item before it said anything. Those that are only passed on have no such state.
func begun(item gjson.Result) string {
	empty := map[string]string{"status": `"in_progress"`}
	switch item.Get("type").Str {
	case "message":
		empty["content"] = "[]"
	case "function_call":
		empty["arguments"] = `""`
	default:
		return item.Raw
	}
	return emptied(item, empty)
}

func emptied(object gjson.Result, empty map[string]string) string {
	return string(edit([]byte(object.Raw), func(key string, _ gjson.Result) (string, bool) {
		if value, there := empty[key]; there {
			return string(member(key, value)), true
		}
		return "", true
	}))
}

func (s *sequence) retellPart(place string, part gjson.Result) {
	added := func(empty map[string]string) {
		s.emit("response.content_part.added", place+`,"part":`+emptied(part, empty))
	}
	switch part.Get("type").Str {
	case "output_text":
		text, odds := orEmpty(part.Get("text")), `,"logprobs":`+string(join(elements(part.Get("logprobs"))))
		added(map[string]string{"text": `""`, "annotations": "[]", "logprobs": "[]"})
		s.emit("response.output_text.delta", place+`,"delta":`+text+odds)
		s.emit("response.output_text.done", place+`,"text":`+text+odds)
	case "refusal":
		refusal := orEmpty(part.Get("refusal"))
		added(map[string]string{"refusal": `""`})
		s.emit("response.refusal.delta", place+`,"delta":`+refusal)
		s.emit("response.refusal.done", place+`,"refusal":`+refusal)
	default:
		added(nil)
	}
	s.emit("response.content_part.done", place+`,"part":`+part.Raw)
}
