package simulator

// A responseStream sends one response as server-sent events: each with its type
// and a number, from 0 and without a gap. It ends after its last event.
type responseStream struct {
	stream
	next   int    // the number of the next event
	prefix string // of the item's ID
}

// streamResponse sends the response's first events at once: the time to the
// first token passes between them and the output.
func (s *Simulator) streamResponse(c *call) {
	out := responseStream{stream: s.begin(c), prefix: "msg_"}
	if c.calls() {
		out.prefix = "fc_"
	}
	out.whole("response.created", "in_progress")
	out.whole("response.in_progress", "in_progress")
	out.flush()
	c.wait(s.opts.TTFT)
	tokens, finish := c.produce(0)
	c.outputTokens = tokens
	status := responseStatus(finish)
	out.item("response.output_item.added", "in_progress")
	if c.calls() {
		out.arguments(tokens)
	} else {
		out.message(tokens)
	}
	out.item("response.output_item.done", status)
	out.whole("response."+status, status)
}

func (s *responseStream) message(tokens int) {
	s.part("response.content_part.added", nil)
	s.pieces(tokens, func(text []byte) {
		s.within("response.output_text.delta")
		s.out = appendString(append(s.out, `,"content_index":0,"logprobs":[],"delta":`...), text)
		s.send()
	})
	s.within("response.output_text.done")
	s.out = appendString(append(s.out, `,"content_index":0,"logprobs":[],"text":`...), s.text)
	s.send()
	s.part("response.content_part.done", s.text)
}

func (s *responseStream) part(kind string, text []byte) {
	s.within(kind)
	s.out = appendTextPart(append(s.out, `,"content_index":0,"part":`...), text)
	s.send()
}

func (s *responseStream) arguments(tokens int) {
	s.pieces(tokens, func(text []byte) {
		s.within("response.function_call_arguments.delta")
		s.out = appendString(append(s.out, `,"delta":`...), text)
		s.send()
	})
	s.within("response.function_call_arguments.done")
	s.out = appendString(append(s.out, `,"name":`...), s.tool.name)
	s.out = appendString(append(s.out, `,"arguments":`...), s.text)
	s.send()
}

// whole sends an event with the response as it is in a state.
func (s *responseStream) whole(kind, status string) {
	s.event(kind)
	s.out = s.appendResponse(append(s.out, `,"response":`...), status)
	s.send()
}

func (s *responseStream) item(kind, status string) {
	s.event(kind)
	s.out = s.appendItem(append(s.out, `,"output_index":0,"item":`...), status)
	s.send()
}

// within begins an event about the inside of the output item.
func (s *responseStream) within(kind string) {
	s.event(kind)
	s.out = s.appendID(append(s.out, `,"item_id":"`...), s.prefix)
	s.out = append(s.out, `","output_index":0`...)
}

func (s *responseStream) event(kind string) {
	s.out = append(append(s.out[:0], "event: "...), kind...)
	s.out = append(append(s.out, "\ndata: {\"type\":\""...), kind...)
	s.out = appendInt(s.out, `","sequence_number":`, s.next)
	s.next++
}

func (s *responseStream) send() { s.write("}\n\n") }
