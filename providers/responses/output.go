package responses

import "strconv"

// output is an output item that grows: what an assistant says, or a function that it calls.
type output struct {
	id       string
	index    int
	call     bool
	done     []byte // the item as it ended; nil while it grows
	text     part   // of a message
	refusal  part   // of a message
	logprobs [][]byte

	shown     bool   // a call of which events have told
	theirID   string // what the upstream calls it; empty while it has not said
	callID    string // as JSON: theirs, or one of our own where that came too late; empty until there is one
	name      text
	arguments text
}

// part is one of a message's parts.
type part struct {
	text
	open  bool
	index int // content_index
}

// json is the item in a state. A message's parts stand in the order in which they began.
func (o *output) json(status string) string {
	if o.call {
		return `{"id":` + quote(o.id) + `,"type":"function_call","status":` + quote(status) + `,"arguments":` + o.arguments.json() +
			`,"call_id":` + o.callID + `,"name":` + o.name.json() + `}`
	}
	return `{"id":` + quote(o.id) + `,"type":"message","status":` + quote(status) + `,"role":"assistant","content":[` + o.content() + `]}`
}

func (o *output) content() string {
	switch {
	case o.text.open && o.refusal.open && o.refusal.index == 0:
		return o.refusalPart() + "," + o.textPart()
	case o.text.open && o.refusal.open:
		return o.textPart() + "," + o.refusalPart()
	case o.refusal.open:
		return o.refusalPart()
	case o.text.open:
		return o.textPart()
	}
	return ""
}

func (o *output) textPart() string {
	return `{"type":"output_text","text":` + o.text.json() + `,"annotations":[],"logprobs":` + string(join(o.logprobs)) + `}`
}

func (o *output) refusalPart() string {
	return `{"type":"refusal","refusal":` + o.refusal.json() + `}`
}

// place are the members that say where an event belongs.
func (o *output) place() string {
	return `"item_id":` + quote(o.id) + `,"output_index":` + strconv.Itoa(o.index)
}

func (o *output) partPlace(p *part) string {
	return o.place() + `,"content_index":` + strconv.Itoa(p.index)
}
