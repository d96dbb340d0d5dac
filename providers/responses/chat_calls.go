package responses

import (
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/rawjson"
)

// maxCalls bounds how many functions one answer may call: each is kept while the stream runs. An answer with more is none.
const maxCalls = 1024

// calls are the functions that an answer calls.
type calls struct {
	all    []*output         // in the order in which they began
	at     map[int64]*output // the one that a chunk's index, or its place, means now
	single *output           // of function_call, which came before there were several
}

// call takes a piece of a function's call, or a whole one.
func (s *ChatStream) call(place int, v gjson.Result) {
	if c := s.callOf(place, v); c != nil {
		s.grow(c, v.Get("id"), v.Get("function"))
	}
}

// callFunction takes what some upstreams still answer with. Beside tool_calls it says the same again.
func (s *ChatStream) callFunction(v gjson.Result) {
	if !v.IsObject() || s.calls.single == nil && len(s.calls.all) > 0 {
		return
	}
	if s.calls.single == nil {
		s.calls.single = s.newCall()
	}
	s.grow(s.calls.single, gjson.Result{}, v)
}

// callOf finds the call that a piece belongs to. A chunk names it by its index; where upstreams leave that out, by its ID,
// else by its place. In a whole message each is one of its own.
func (s *ChatStream) callOf(place int, v gjson.Result) *output {
	at, index := int64(place), v.Get("index")
	indexed := index.Type == gjson.Number
	if indexed {
		at = index.Int()
	}
	c := s.calls.at[at]
	if known := s.calls.named(v.Get("id").Str); known != nil && !indexed {
		c = known
	}
	if s.whole || c == nil || c.isOther(v, indexed) {
		c = s.newCall()
	}
	s.calls.at[at] = c
	return c
}

func (c *calls) named(id string) *output {
	if id == "" {
		return nil
	}
	for _, o := range c.all {
		if o.theirID == id {
			return o
		}
	}
	return nil
}

// newCall is nil where there are too many. Calls are shown in the order in which they began.
func (s *ChatStream) newCall() *output {
	s.openNamed()
	if len(s.calls.all) == maxCalls {
		s.spoil("calls more than 1,024 functions")
		return nil
	}
	c := &output{call: true}
	s.calls.all = append(s.calls.all, c)
	return c
}

// isOther tells whether a piece begins another call, though it stands where this one does: it has another ID, or, of
// upstreams that give none, a name where the arguments of this one are whole. Without an index, another name is enough.
func (o *output) isOther(v gjson.Result, indexed bool) bool {
	id, name := v.Get("id").Str, v.Get("function.name")
	switch {
	case id != "" && o.theirID != "":
		return id != o.theirID
	case name.Str == "" || len(o.name) == 0:
		return false
	case name.Raw != o.name.json():
		return !indexed || o.hasAllArguments()
	}
	return v.Get("function.arguments").Raw != `""` && o.hasAllArguments()
}

func (o *output) hasAllArguments() bool {
	return strings.HasSuffix(string(o.arguments), "}") && rawjson.Valid([]byte(gjson.Parse(o.arguments.json()).Str))
}

// grow adds a piece to a call. It is shown once its name is known, and its ID or the first of its arguments came.
func (s *ChatStream) grow(o *output, id, function gjson.Result) {
	if o == nil {
		return
	}
	if id.Str != "" && o.theirID == "" {
		o.theirID = id.Str
		if o.callID == "" {
			o.callID = id.Raw
		}
	}
	if len(o.name) == 0 {
		o.name.add(function.Get("name"))
	}
	piece := argumentsIn(function)
	o.arguments.add(piece)
	switch {
	case o.shown && piece.Str != "":
		s.emit("response.function_call_arguments.delta", o.place()+`,"delta":`+piece.Raw)
	case !o.shown && len(o.name) > 0 && (o.callID != "" || len(o.arguments) > 0):
		s.openCall(o)
	}
}

// argumentsIn are a function's arguments as a string; some upstreams give the object itself.
func argumentsIn(function gjson.Result) gjson.Result {
	v := function.Get("arguments")
	if v.IsObject() {
		return gjson.Parse(quote(v.Raw))
	}
	return v
}

// openCall shows a call, first as it began: without arguments.
func (s *ChatStream) openCall(o *output) {
	o.shown, o.id = true, s.id("fc_")
	if o.callID == "" {
		o.callID = quote(s.id("call_"))
	}
	gathered := o.arguments
	o.arguments = nil
	s.open(o)
	if o.arguments = gathered; len(gathered) > 0 {
		s.emit("response.function_call_arguments.delta", o.place()+`,"delta":`+gathered.json())
	}
}

// openNamed shows those that have a name and waited for more than that.
func (s *ChatStream) openNamed() {
	for _, o := range s.calls.all {
		if !o.shown && len(o.name) > 0 {
			s.openCall(o)
		}
	}
}

// endCalls shows the last of them. One that never got a name cannot be made, by anyone.
func (s *ChatStream) endCalls() {
	s.openNamed()
	for _, o := range s.calls.all {
		if !o.shown && (o.theirID != "" || len(o.arguments) > 0) {
			s.spoil("calls a function without naming it")
		}
	}
}
