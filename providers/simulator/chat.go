package simulator

import "github.com/tidwall/gjson"

func askChat(c *call) *problem {
	field, name := c.req.maxTokens, "max_tokens"
	if c.req.maxCompletion.Type != gjson.Null {
		field, name = c.req.maxCompletion, "max_completion_tokens"
	}
	if p := c.tokenLimit(field, name); p != nil {
		return p
	}
	return c.conversation(c.req.messages, "messages")
}

func answerChat(c *call) {
	c.out = c.appendHead(c.out, "chatcmpl-", "chat.completion")
	for i := range c.req.choices {
		tokens, finish := c.produce(i)
		c.outputTokens += tokens
		c.out = appendInt(c.out, separator(i)+`{"index":`, i)
		c.out = append(c.out, `,"message":{"role":"assistant","content":`...)
		if c.calls() {
			c.out = c.appendToolCall(append(c.out, `null,"tool_calls":[{`...), i, c.text)
			c.out = append(c.out, `}]`...)
		} else {
			c.out = appendString(c.out, c.text)
		}
		c.out = append(c.out, `,"refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"`...)
		c.out = append(append(c.out, finish...), `"}`...)
	}
	c.out = c.appendUsage(append(c.out, `],"usage":`...))
	c.out = append(c.out, '}')
}

// appendToolCall writes the members of a choice's call.
func (c *call) appendToolCall(dst []byte, choice int, arguments []byte) []byte {
	dst = c.appendCallID(append(dst, `"id":"`...), choice)
	dst = appendString(append(dst, `","type":"function","function":{"name":`...), c.tool.name)
	dst = appendString(append(dst, `,"arguments":`...), arguments)
	return append(dst, '}')
}

// appendHead begins a completion or a chunk of one, up to its choices.
func (c *call) appendHead(dst []byte, prefix, object string) []byte {
	dst = c.appendID(append(dst, `{"id":"`...), prefix)
	dst = append(append(dst, `","object":"`...), object...)
	dst = appendInt(dst, `","created":`, c.started.Unix())
	dst = append(append(dst, `,"model":"`...), c.req.model.name()...)
	return append(dst, `","system_fingerprint":"fp_simulator","choices":[`...)
}

func (c *call) appendUsage(dst []byte) []byte {
	dst = appendInt(dst, `{"prompt_tokens":`, c.promptTokens)
	dst = appendInt(dst, `,"completion_tokens":`, c.outputTokens)
	dst = appendInt(dst, `,"total_tokens":`, c.promptTokens+c.outputTokens)
	return append(dst, `,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}`...)
}

func finish(cut bool) string {
	if cut {
		return "length"
	}
	return "stop"
}

// separator is what stands before the i-th element of a JSON array.
func separator(i int) string {
	if i == 0 {
		return ""
	}
	return ","
}
