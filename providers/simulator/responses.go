package simulator

import "github.com/tidwall/gjson"

func askResponse(c *call) *problem {
	if c.req.stream {
		return noStreaming("/v1/responses")
	}
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
	tokens, cut := c.compose(c.prompt, 0)
	c.outputTokens = tokens
	status, reason := "completed", "null"
	if cut {
		status, reason = "incomplete", `{"reason":"max_output_tokens"}`
	}
	c.out = c.appendID(append(c.out, `{"id":"`...), "resp_")
	c.out = appendInt(c.out, `","object":"response","created_at":`, c.started.Unix())
	c.out = append(append(c.out, `,"status":"`...), status...)
	if !cut {
		c.out = appendInt(c.out, `","completed_at":`, c.now().Unix())
		c.out = append(c.out, `,"model":"`...)
	} else {
		c.out = append(c.out, `","model":"`...)
	}
	c.out = append(append(c.out, c.req.model.name()...), `","background":false,"error":null,"incomplete_details":`...)
	c.out = append(c.out, reason...)
	c.appendMessage(status)
	c.appendSettings()
	c.appendResponseUsage()
}

func (c *call) appendMessage(status string) {
	c.out = c.appendID(append(c.out, `,"output":[{"id":"`...), "msg_")
	c.out = append(append(c.out, `","type":"message","role":"assistant","status":"`...), status...)
	c.out = append(c.out, `","content":[{"type":"output_text","text":`...)
	c.out = appendString(c.out, c.text)
	c.out = append(c.out, `,"annotations":[],"logprobs":[]}]}]`...)
}

// appendSettings repeats the request's settings, or their defaults.
func (c *call) appendSettings() {
	c.out = append(c.out, `,"instructions":`...)
	c.out = appendStringOrNull(c.out, c.req.instructions.Str)
	c.out = appendSetting(c.out, `,"metadata":`, c.req.metadata, "{}")
	c.out = appendSetting(c.out, `,"temperature":`, c.req.temperature, "1")
	c.out = appendSetting(c.out, `,"top_p":`, c.req.topP, "1")
	c.out = append(c.out, `,"parallel_tool_calls":true,"tool_choice":"auto","tools":[],"previous_response_id":null,"truncation":"disabled"`...)
	c.out = appendSetting(c.out, `,"max_output_tokens":`, c.req.maxOutput, "null")
}

func appendSetting(dst []byte, before string, field gjson.Result, fallback string) []byte {
	dst = append(dst, before...)
	if field.Type == gjson.Null {
		return append(dst, fallback...)
	}
	return append(dst, field.Raw...)
}

func (c *call) appendResponseUsage() {
	c.out = appendInt(c.out, `,"usage":{"input_tokens":`, c.promptTokens)
	c.out = append(c.out, `,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":0}`...)
	c.out = appendInt(c.out, `,"output_tokens":`, c.outputTokens)
	c.out = append(c.out, `,"output_tokens_details":{"reasoning_tokens":0}`...)
	c.out = appendInt(c.out, `,"total_tokens":`, c.promptTokens+c.outputTokens)
	c.out = append(c.out, `}}`...)
}
