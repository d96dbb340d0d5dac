package providers

import (
	"maps"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// within merges objects member by member, by rules of their own. What is no
// object replaces what was there.
func within(rules func(key string) rule) rule {
	return func(v *part, came gjson.Result) { v.merge(came, rules) }
}

func (v *part) merge(came gjson.Result, rules func(key string) rule) {
	if !came.IsObject() {
		v.last(came)
		return
	}
	v.become(isObject)
	v.members.merge(came, rules)
}

func (v *part) replace(raw string) {
	v.become(isLiteral)
	v.raw = append(v.raw[:0], raw...)
}

func (v *part) last(came gjson.Result) { v.replace(came.Raw) }

// first keeps the first that says something.
func (v *part) first(came gjson.Result) {
	switch string(v.raw) {
	case "", `""`, "0":
		v.last(came)
	}
}

// grow joins strings.
func (v *part) grow(came gjson.Result) {
	if came.Type != gjson.String {
		v.last(came)
		return
	}
	v.become(isText)
	v.raw = append(v.raw, inside(came)...)
}

// name joins strings too, but takes a name that comes again with each chunk once:
// some upstreams repeat it, none sends two equal halves.
func (v *part) name(came gjson.Result) {
	if v.kind == isText && string(v.raw) == inside(came) {
		return
	}
	v.grow(came)
}

// extend joins arrays.
func (v *part) extend(came gjson.Result) {
	if !came.IsArray() {
		v.last(came)
		return
	}
	v.become(isArray)
	more := strings.TrimSpace(inside(came))
	if more != "" && len(v.raw) > 0 {
		v.raw = append(v.raw, ',')
	}
	v.raw = append(v.raw, more...)
}

// inside is what stands between a string's quotes or an array's brackets.
func inside(came gjson.Result) string {
	raw := strings.TrimSpace(came.Raw)
	return raw[1 : len(raw)-1]
}

func (v *part) place(gjson.Result) { v.become(isHole) }

// object names the answer by its chunks.
func (v *part) object(came gjson.Result) {
	if came.Str == "chat.completion.chunk" {
		v.replace(`"chat.completion"`)
		return
	}
	v.first(came)
}

// calls merges tool calls by their index.
func (v *part) calls(came gjson.Result) {
	if !came.IsArray() {
		v.last(came)
		return
	}
	v.become(isCalls)
	if v.items == nil {
		v.items = make(map[int]*members)
	}
	for _, call := range came.Array() {
		v.item(call).merge(call, callRule)
	}
}

// item finds the tool call that a chunk is about. Some upstreams send no index:
// there an ID not seen before begins the next call.
func (v *part) item(call gjson.Result) *members {
	index, ok := position(call)
	if !ok || !call.Get("index").Exists() {
		index = v.unnumbered(call.Get("id"))
	}
	if v.items[index] == nil {
		v.items[index] = new(members)
	}
	return v.items[index]
}

func (v *part) unnumbered(id gjson.Result) int {
	if len(v.items) == 0 {
		return 0
	}
	latest := slices.Max(slices.Collect(maps.Keys(v.items)))
	if id.Str == "" || id.Raw == v.items[latest].raw("id") || latest+1 >= maxChoices {
		return latest
	}
	return latest + 1
}
