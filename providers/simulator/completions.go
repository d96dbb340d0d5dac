package simulator

func askCompletion(c *call) *problem {
	if c.req.stream {
		return noStreaming("/v1/completions")
	}
	if p := c.tokenLimit(c.req.maxTokens, "max_tokens"); p != nil {
		return p
	}
	return c.inputs(c.req.prompt, "prompt")
}

func noStreaming(path string) *problem {
	return badRequest("stream", "unsupported_parameter",
		"The simulator does not stream %s. Leave out 'stream', or use /v1/chat/completions.", path)
}

// answerCompletion gives n choices for each prompt, in the prompts' order.
func answerCompletion(c *call) {
	c.out = c.appendHead(c.out, "cmpl-", "text_completion")
	for i, in := range c.asked {
		for choice := range c.req.choices {
			tokens, cut := c.compose(in.text, choice)
			c.outputTokens += tokens
			index := i*c.req.choices + choice
			c.out = appendInt(c.out, separator(index)+`{"index":`, index)
			c.out = appendString(append(c.out, `,"text":`...), c.text)
			c.out = append(c.out, `,"logprobs":null,"finish_reason":"`...)
			c.out = append(append(c.out, finish(cut)...), `"}`...)
		}
	}
	c.out = c.appendUsage(append(c.out, `],"usage":`...))
	c.out = append(c.out, '}')
}
