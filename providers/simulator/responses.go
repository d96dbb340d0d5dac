package simulator

import "github.com/tidwall/gjson"

func askResponse(c *call) *problem {
	if p := c.tokenLimit(c.req.maxOutput, "max_output_tokens"); p != nil {
		return p
	}
	c.promptTokens = countTokens(c.req.instructions.Str)
	if c.req.input.Type == gjson.String {
		c.prompt = c.req.input.Str
		c.promptTokens += countTokens(c.prompt)
		return nil
	}
	return c.conversation(c.req.input, "input")
}

func answerResponse(c *call) {
	tokens, finish := c.produce(0)
	c.outputTokens = tokens
	c.out = c.appendResponse(c.out, responseStatus(finish))
}

// responseStatus is what a response calls the end of a choice.
func responseStatus(finish string) string {
	if finish == "length" {
		return "incomplete"
	}
	return "completed"
}

// appendResponse writes the response as it is in a state: without output and
// usage while it is in_progress.
func (c *call) appendResponse(dst []byte, status string) []byte {
	dst = c.appendID(append(dst, `{"id":"`...), "resp_")
	dst = appendInt(dst, `","object":"response","created_at":`, c.started.Unix())
	if status == "completed" {
		dst = appendInt(dst, `,"completed_at":`, c.now().Unix())
	}
	dst = append(append(dst, `,"status":"`...), status...)
	dst = append(append(dst, `","model":"`...), c.req.model.name()...)
	dst = append(dst, `","background":false,"error":null,"incomplete_details":`...)
	if status == "incomplete" {
		dst = append(dst, `{"reason":"max_output_tokens"}`...)
	} else {
		dst = append(dst, "null"...)
	}
	dst = append(dst, `,"output":[`...)
	if status != "in_progress" {
		dst = c.appendItem(dst, status)
	}
	dst = c.appendSettings(append(dst, ']'))
	if status == "in_progress" {
		return append(dst, `,"usage":null}`...)
	}
	return c.appendResponseUsage(dst)
}

// appendItem writes the one output item, which is empty while it is in_progress.
func (c *call) appendItem(dst []byte, status string) []byte {
	empty := status == "in_progress"
	if c.calls() {
		return c.appendFunctionCall(dst, status, empty)
	}
	dst = c.appendID(append(dst, `{"id":"`...), "msg_")
	dst = append(append(dst, `","type":"message","role":"assistant","status":"`...), status...)
	dst = append(dst, `","content":[`...)
	if !empty {
		dst = appendTextPart(dst, c.text)
	}
	return append(dst, `]}`...)
}

func appendTextPart(dst, text []byte) []byte {
	dst = appendString(append(dst, `{"type":"output_text","text":`...), text)
	return append(dst, `,"annotations":[],"logprobs":[]}`...)
}

func (c *call) appendFunctionCall(dst []byte, status string, empty bool) []byte {
	dst = c.appendID(append(dst, `{"id":"`...), "fc_")
	dst = c.appendCallID(append(dst, `","type":"function_call","call_id":"`...), 0)
	dst = appendString(append(dst, `","name":`...), c.tool.name)
	arguments := c.text
	if empty {
		arguments = nil
	}
	dst = appendString(append(dst, `,"arguments":`...), arguments)
	dst = append(append(dst, `,"status":"`...), status...)
	return append(dst, `"}`...)
}

// appendSettings repeats the request's settings, or their defaults.
func (c *call) appendSettings(dst []byte) []byte {
	dst = append(dst, `,"instructions":`...)
	dst = appendStringOrNull(dst, c.req.instructions.Str)
	dst = appendSetting(dst, `,"metadata":`, c.req.metadata, "{}")
	dst = appendSetting(dst, `,"temperature":`, c.req.temperature, "1")
	dst = appendSetting(dst, `,"top_p":`, c.req.topP, "1")
	dst = appendSetting(dst, `,"tools":`, c.req.tools, "[]")
	dst = appendSetting(dst, `,"tool_choice":`, c.req.toolChoice, `"auto"`)
	dst = append(dst, `,"parallel_tool_calls":true,"previous_response_id":null,"truncation":"disabled"`...)
	return appendSetting(dst, `,"max_output_tokens":`, c.req.maxOutput, "null")
}

func appendSetting(dst []byte, before string, field gjson.Result, fallback string) []byte {
	dst = append(dst, before...)
	if field.Type == gjson.Null {
		return append(dst, fallback...)
	}
	return appendOneLine(dst, field.Raw)
}

// appendOneLine leaves out raw line breaks, which may stand between tokens only
// and would end a line of a stream.
func appendOneLine(dst []byte, raw string) []byte {
	for i := range len(raw) {
		if raw[i] != '\n' && raw[i] != '\r' {
			dst = append(dst, raw[i])
		}
	}
	return dst
}

func (c *call) appendResponseUsage(dst []byte) []byte {
	dst = appendInt(dst, `,"usage":{"input_tokens":`, c.promptTokens)
	dst = append(dst, `,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":0}`...)
	dst = appendInt(dst, `,"output_tokens":`, c.outputTokens)
	dst = append(dst, `,"output_tokens_details":{"reasoning_tokens":0}`...)
	dst = appendInt(dst, `,"total_tokens":`, c.promptTokens+c.outputTokens)
	return append(dst, `}}`...)
}
