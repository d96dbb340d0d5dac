package providers

import "github.com/tidwall/gjson"

// topRule says how a chunk's own members become the answer's. Azure's first
// chunk has an empty ID and model; obfuscation is padding of the stream alone.
func topRule(key string) rule {
	switch key {
	case "id", "created", "model", "system_fingerprint", "service_tier":
		return (*part).first
	case "object":
		return (*part).object
	case "choices":
		return (*part).place
	case "obfuscation":
		return nil
	}
	return (*part).last
}

// addChoice merges a choice's share of a chunk. Members that a plain answer
// always has are made with it.
func (m *members) addChoice(choice gjson.Result) {
	if delta := choice.Get("delta"); delta.IsObject() {
		message := m.slot("message")
		message.merge(delta, messageRule)
		message.members.slot("role").fallback = `"assistant"`
		message.members.slot("content")
	}
	m.merge(choice, choiceRule)
	m.slot("finish_reason")
}

func choiceRule(key string) rule {
	switch key {
	case "index", "delta", "message":
		return nil // set by their own rules
	case "text":
		return (*part).grow
	case "logprobs":
		return within(logprobsRule)
	}
	return (*part).last
}

func messageRule(key string) rule {
	switch key {
	case "role":
		return (*part).first
	case "tool_calls":
		return (*part).calls
	case "function_call":
		return within(functionRule)
	case "audio":
		return within(callRule)
	}
	return (*part).grow
}

// callRule is for one tool call, whose index only says which one a chunk is about.
func callRule(key string) rule {
	switch key {
	case "index":
		return nil
	case "id", "type":
		return (*part).first
	case "function", "custom":
		return within(functionRule)
	}
	return (*part).grow
}

func functionRule(key string) rule {
	if key == "name" {
		return (*part).name
	}
	return (*part).grow
}

func logprobsRule(string) rule { return (*part).extend }
