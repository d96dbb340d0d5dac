package responses

import "strconv"

// Finish ends the items and completes the response: what it said, how it ended, what it used. An answer that was cut at
// its length or by a filter is incomplete, as its last item is. The error is [Unreadable], for an answer that holds no
// message, or did not come to its end: the upstream says so by its finish_reason, or streams none. (An answer in one piece
// may leave that out, as some upstreams do: it is there to its last brace.)
func (s *ChatStream) Finish(o Object) (Object, []Event, error) {
	s.endCalls()
	if err := s.judge(); err != nil {
		return o, nil, err
	}
	if len(s.items) == 0 {
		m := s.openMessage() // an answer without a word is still a message
		s.openPart(m, &m.text, m.textPart)
	}
	o.Status, o.Reason = finished(s.finish)
	o.Output, o.Usage = s.closeAll(o.Status), s.usage
	if s.model != "" {
		o.Model = s.model
	}
	if s.tier != "" {
		o.ServiceTier = []byte(s.tier)
	}
	return o, s.take(), nil
}

func (s *ChatStream) judge() error {
	switch {
	case s.spoiled != "":
		return s.spoiled
	case !s.spoke:
		return Unreadable("holds no message")
	case s.finish == "" && !s.whole:
		return Unreadable("ended without a finish_reason")
	case brokeOff(s.finish):
		return Unreadable("broke off with the finish_reason '" + shorten(s.finish) + "'")
	}
	return nil
}

// brokeOff knows the reasons by which upstreams say that they failed in mid-answer: OpenRouter, vLLM and SGLang, DeepSeek,
// Z.ai.
func brokeOff(reason string) bool {
	switch reason {
	case "error", "abort", "aborted", "cancelled", "insufficient_system_resource", "network_error":
		return true
	}
	return false
}

// finished is the state that a finish_reason makes. "model_length" is Mistral's word for the end of its context.
func finished(finish string) (status, reason string) {
	switch finish {
	case "length", "max_tokens", "model_length":
		return Incomplete, "max_output_tokens"
	case "content_filter":
		return Incomplete, "content_filter"
	}
	return Completed, ""
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
