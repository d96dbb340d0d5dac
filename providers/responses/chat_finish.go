package responses

import "strconv"

// Finish ends the items and completes the response: what it said, how it ended, what it used. An answer that was cut is
// incomplete, as its last item is.
func (s *ChatStream) Finish(o Object) (Object, []Event) {
	if len(s.items) == 0 {
		m := s.openMessage() // an answer without a word is still a message
		s.openPart(m, &m.text, m.textPart)
	}
	o.Status = Completed
	switch s.finish {
	case "length":
		o.Status, o.Reason = Incomplete, "max_output_tokens"
	case "content_filter":
		o.Status, o.Reason = Incomplete, "content_filter"
	}
	o.Output, o.Usage = s.closeAll(o.Status), s.usage
	if s.model != "" {
		o.Model = s.model
	}
	if s.tier != "" {
		o.ServiceTier = []byte(s.tier)
	}
	return o, s.take()
}

func (s *ChatStream) closeAll(status string) []byte {
	items := make([][]byte, len(s.items))
	for i, item := range s.items {
		state := Completed
		if i == len(s.items)-1 {
			state = status
		}
		s.close(item, state)
		items[i] = item.done
	}
	return join(items)
}

// close ends an item, once.
func (s *ChatStream) close(o *output, status string) {
	if o.done != nil {
		return
	}
	o.done = []byte(o.json(status))
	if o.call {
		s.emit("response.function_call_arguments.done", o.place()+`,"name":`+o.name.json()+`,"arguments":`+o.arguments.json())
	}
	if o.text.open {
		s.emit("response.output_text.done", o.partPlace(&o.text)+`,"text":`+o.text.json()+`,"logprobs":`+string(join(o.logprobs)))
		s.emit("response.content_part.done", o.partPlace(&o.text)+`,"part":`+o.textPart())
	}
	if o.refusal.open {
		s.emit("response.refusal.done", o.partPlace(&o.refusal)+`,"refusal":`+o.refusal.json())
		s.emit("response.content_part.done", o.partPlace(&o.refusal)+`,"part":`+o.refusalPart())
	}
	s.emit("response.output_item.done", `"output_index":`+strconv.Itoa(o.index)+`,"item":`+string(o.done))
}
