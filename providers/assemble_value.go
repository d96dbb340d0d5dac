package providers

import (
	"maps"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// rule merges what a chunk brought into what is there. Null brings nothing.
type rule func(v *part, came gjson.Result)

// partKind is what a part is so far.
type partKind int

const (
	isNothing partKind = iota // null, or the fallback
	isLiteral
	isText   // raw is what stands between the quotes
	isArray  // raw is what stands between the brackets
	isObject // members
	isCalls  // items
	isHole   // filled in by whoever writes the answer
)

// part is a JSON value that grows with each chunk.
type part struct {
	kind     partKind
	raw      []byte
	members  members
	items    map[int]*members
	fallback string // stands where nothing came; empty means null
	absent   bool   // does not stand at all where nothing came
}

// members are an object's, in the order in which they first came.
type members struct {
	keys   []string // as they stand in JSON, quotes included
	values []*part
	at     map[string]int
}

// slot gives the member of that plain name, and makes it where it is missing.
func (m *members) slot(name string) *part { return m.keyed(name, `"`+name+`"`) }

func (m *members) keyed(name, key string) *part {
	if at, ok := m.at[name]; ok {
		return m.values[at]
	}
	if m.at == nil {
		m.at = make(map[string]int)
	}
	m.at[strings.Clone(name)] = len(m.values)
	m.keys, m.values = append(m.keys, strings.Clone(key)), append(m.values, new(part))
	return m.values[len(m.values)-1]
}

// raw is a literal member as it came, or empty.
func (m *members) raw(name string) string {
	if at, ok := m.at[name]; ok {
		return string(m.values[at].raw)
	}
	return ""
}

// merge takes in an object's members by their rules; those without one are left
// out. What is no object has none.
func (m *members) merge(from gjson.Result, rules func(key string) rule) {
	if !from.IsObject() {
		return
	}
	from.ForEach(func(key, came gjson.Result) bool {
		if merge := rules(key.Str); merge != nil {
			if v := m.keyed(key.Str, key.Raw); came.Type != gjson.Null {
				merge(v, came)
			}
		}
		return true
	})
}

// append writes the object; fill writes a hole.
func (m *members) append(out []byte, fill func([]byte) []byte) []byte {
	out = append(out, '{')
	first := true
	for i, v := range m.values {
		if v.kind == isNothing && v.absent {
			continue
		}
		if !first {
			out = append(out, ',')
		}
		first = false
		out = append(append(out, m.keys[i]...), ':')
		if v.kind == isHole {
			out = fill(out)
		} else {
			out = v.append(out)
		}
	}
	return append(out, '}')
}

func (v *part) append(out []byte) []byte {
	switch v.kind {
	case isLiteral:
		return append(out, v.raw...)
	case isText:
		return append(append(append(out, '"'), v.raw...), '"')
	case isArray:
		return append(append(append(out, '['), v.raw...), ']')
	case isObject:
		return v.members.append(out, nil)
	case isCalls:
		return v.appendItems(out)
	}
	if v.fallback != "" {
		return append(out, v.fallback...)
	}
	return append(out, "null"...)
}

func (v *part) appendItems(out []byte) []byte {
	out = append(out, '[')
	for i, index := range slices.Sorted(maps.Keys(v.items)) {
		if i > 0 {
			out = append(out, ',')
		}
		out = v.items[index].append(out, nil)
	}
	return append(out, ']')
}

// become makes v a value of that kind, empty where it was none.
func (v *part) become(kind partKind) {
	if v.kind != kind {
		*v = part{kind: kind, raw: v.raw[:0], fallback: v.fallback, absent: v.absent}
	}
}
