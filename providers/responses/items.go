package responses

import (
	"github.com/tidwall/gjson"
)

// isInput wants a string, or at least one item.
func isInput(name string, v gjson.Result) *Problem {
	if v.Type == gjson.String {
		return nil
	}
	if !v.IsArray() {
		return wrongType(name, "a string or an array of items", v)
	}
	if len(v.Array()) == 0 {
		return problem(codeValue, name, "Invalid 'input': empty array. Expected an array with minimum length 1.")
	}
	if p := each(name, v, isItem); p != nil {
		return p
	}
	return haveOwnIDs(name, v)
}

// haveOwnIDs wants items whose IDs, where they have any, tell them apart: whoever pages through them goes on after one.
func haveOwnIDs(name string, items gjson.Result) *Problem {
	seen := map[string]string{}
	return each(name, items, func(name string, item gjson.Result) (p *Problem) {
		item.ForEach(func(key, id gjson.Result) bool {
			if key.String() == "id" && given(id) {
				p = isOwnID(name+".id", id, seen)
			}
			return p == nil
		})
		return p
	})
}

// isOwnID remembers in seen which parameter has which ID.
func isOwnID(name string, id gjson.Result, seen map[string]string) *Problem {
	if p := isText(0)(name, id); p != nil {
		return p
	}
	first, twice := seen[id.Str]
	switch {
	case id.Str == "":
		return problem(codeValue, name, "Invalid '%s': it is empty. Leave it out, or give the item an ID of its own.", name)
	case twice:
		return problem(codeValue, name, "Duplicate item: '%s' is '%s', as '%s' is. Give each item an ID of its own, or none.", name, shorten(id.Str), first)
	}
	seen[id.Str] = name
	return nil
}

// isItem checks messages, whose shape is settled. Items of other types are judged by who gets them.
func isItem(name string, v gjson.Result) *Problem {
	if !v.IsObject() {
		return wrongType(name, "an object", v)
	}
	typ := v.Get("type")
	if given(typ) && typ.Type != gjson.String {
		return wrongType(name+".type", "a string", typ)
	}
	if !isMessage(v) {
		return nil
	}
	role, content := v.Get("role"), v.Get("content")
	if !role.Exists() {
		return missing(name + ".role")
	}
	if p := isOneOf("user", "assistant", "system", "developer")(name+".role", role); p != nil {
		return p
	}
	switch {
	case !content.Exists():
		return missing(name + ".content")
	case content.Type == gjson.String:
		return nil
	case !content.IsArray():
		return wrongType(name+".content", "a string or an array of parts", content)
	}
	return each(name+".content", content, isPart)
}

// isMessage tells whether an item is a message: the one type that need not be named.
func isMessage(item gjson.Result) bool {
	typ := item.Get("type")
	return !given(typ) || typ.Str == "message"
}

func isPart(name string, v gjson.Result) *Problem {
	if !v.IsObject() {
		return wrongType(name, "an object", v)
	}
	typ := v.Get("type")
	if !typ.Exists() {
		return missing(name + ".type")
	}
	return isText(0)(name+".type", typ)
}

// input are the request's input items as they came; a string is one message of the user's.
func (r *Request) input() [][]byte {
	v := r.members["input"]
	if v.Type == gjson.String {
		return [][]byte{[]byte(`{"type":"message","role":"user","content":[{"type":"input_text","text":` + v.Raw + `}]}`)}
	}
	return elements(v)
}

// Items are the request's input as GET input_items shows it: each item with an ID, its type and where it has one its
// status, the content of a message as a list of parts. Members that the client gave keep their bytes.
func (r *Request) Items(id NewID) [][]byte {
	items := r.input()
	for i, item := range items {
		items[i] = shownItem(item, id)
	}
	return items
}

func shownItem(item []byte, id NewID) []byte {
	v := gjson.ParseBytes(item)
	typ := v.Get("type").Str
	has := members(v)
	out := edit(item, func(key string, value gjson.Result) (string, bool) {
		switch {
		case (key == "id" || key == "status" || key == "type") && !given(value):
			return "", false
		case key == "content" && isMessage(v):
			return string(member(key, shownContent(value, v.Get("role").Str))), true
		}
		return "", true
	})
	if isMessage(v) {
		typ = "message"
	}
	return extend(out, missingFacts(typ, has, id))
}

// prefixes are what IDs of items begin with at OpenAI.
var prefixes = map[string]string{
	"message": "msg_", "function_call": "fc_", "function_call_output": "fco_", "reasoning": "rs_",
}

// missingFacts are the members that an item lacks when a client gives it and has when it is listed.
func missingFacts(typ string, has map[string]gjson.Result, id NewID) []byte {
	var add [][]byte
	if !given(has["type"]) {
		add = append(add, member("type", quote(typ)))
	}
	if !given(has["id"]) && typ != "item_reference" {
		prefix, known := prefixes[typ]
		if !known {
			prefix = "item_"
		}
		add = append(add, member("id", quote(id(prefix))))
	}
	if !given(has["status"]) && (typ == "message" || typ == "function_call" || typ == "function_call_output") {
		add = append(add, member("status", `"completed"`))
	}
	list := join(add)
	return list[1 : len(list)-1]
}

// shownContent is a message's content as a list of parts. What an assistant said is output, what others said is input.
func shownContent(content gjson.Result, role string) string {
	if content.Type == gjson.String && role == "assistant" {
		return `[{"type":"output_text","text":` + content.Raw + `,"annotations":[],"logprobs":[]}]`
	}
	if content.Type == gjson.String {
		return `[{"type":"input_text","text":` + content.Raw + `}]`
	}
	return filled(content, shownPart)
}

// shownPart adds what a listed part must name: how an image is looked at, what hangs on an output's text.
func shownPart(part []byte) []byte {
	switch gjson.GetBytes(part, "type").Str {
	case "input_image":
		return fill(part, fact{"detail", `"auto"`})
	case "output_text":
		return fill(part, fact{"text", `""`}, fact{"annotations", "[]"}, fact{"logprobs", "[]"})
	case "refusal":
		return fill(part, fact{"refusal", `""`})
	}
	return part
}
