package simulator

import (
	"strings"

	"github.com/tidwall/gjson"
)

// maxInputs is how many inputs or prompts one call may carry.
const maxInputs = 2048

// An input is one text that came, or one array of tokens as it was written.
type input struct {
	text   string
	tokens int
}

func textInput(text string) input { return input{text, countTokens(text)} }

// conversation reads messages or response items: all their texts count, the
// last of the user's is the prompt (the last of all where the user has none).
func (c *call) conversation(list gjson.Result, name string) (p *problem) {
	if p := nonEmptyArray(list, name); p != nil {
		return p
	}
	byUser := false
	list.ForEach(func(_, item gjson.Result) bool {
		if !item.IsObject() {
			p = wrongType(name, "an array of objects")
			return false
		}
		text := textOf(item.Get("content"))
		c.promptTokens += countTokens(text)
		role := item.Get("role").Str
		if user := role == "user"; user || !byUser {
			c.prompt, byUser = text, user
		}
		c.answersTool = role == "tool" || role == "" && item.Get("type").Str == "function_call_output"
		return true
	})
	return p
}

func nonEmptyArray(list gjson.Result, name string) *problem {
	switch {
	case list.Type == gjson.Null:
		return missing(name)
	case !list.IsArray():
		return wrongType(name, "an array")
	case !list.Get("0").Exists():
		return badRequest(name, "empty_array", "Invalid '%s': empty array. Give at least one element.", name)
	}
	return nil
}

// textOf is the text of a content: a string, or the text of its parts.
func textOf(content gjson.Result) string {
	if content.Type == gjson.String {
		return content.Str
	}
	var texts []string
	content.ForEach(func(_, part gjson.Result) bool {
		if text := part.Get("text"); text.Type == gjson.String {
			texts = append(texts, text.Str)
		}
		return true
	})
	return strings.Join(texts, "\n")
}

// inputs reads a string, an array of strings, an array of tokens or an array of
// such arrays. The prompt is all the texts, one a line.
func (c *call) inputs(field gjson.Result, name string) *problem {
	if field.Type == gjson.String {
		c.asked = append(c.asked, textInput(field.Str))
	} else if p := c.inputList(field, name); p != nil {
		return p
	}
	c.prompt = c.asked[0].text
	if len(c.asked) > 1 {
		c.prompt = joined(c.asked)
	}
	for _, in := range c.asked {
		c.promptTokens += in.tokens
	}
	return nil
}

func (c *call) inputList(field gjson.Result, name string) (p *problem) {
	if p := nonEmptyArray(field, name); p != nil {
		return p
	}
	first := field.Get("0")
	if first.Type == gjson.Number {
		in, p := tokenInput(field, name)
		c.asked = append(c.asked, in)
		return p
	}
	field.ForEach(func(_, element gjson.Result) bool {
		var in input
		if in, p = oneInput(element, first.Type, name); p == nil && len(c.asked) == maxInputs {
			p = badRequest(name, "array_above_max_length", "Invalid '%s': give %d elements or fewer.", name, maxInputs)
		}
		c.asked = append(c.asked, in)
		return p == nil
	})
	return p
}

func oneInput(element gjson.Result, want gjson.Type, name string) (input, *problem) {
	switch {
	case element.Type != want:
	case element.Type == gjson.String:
		return textInput(element.Str), nil
	case element.IsArray():
		return tokenInput(element, name)
	}
	return input{}, wrongType(name, "a string, strings, tokens or arrays of tokens")
}

func tokenInput(list gjson.Result, name string) (in input, p *problem) {
	in.text = list.Raw
	list.ForEach(func(_, token gjson.Result) bool {
		if token.Type != gjson.Number {
			p = wrongType(name, "an array of integers")
		}
		in.tokens++
		return p == nil
	})
	return in, p
}

func joined(list []input) string {
	var b strings.Builder
	for i, in := range list {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(in.text)
	}
	return b.String()
}
