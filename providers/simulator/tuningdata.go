package simulator

import (
	"bufio"
	"errors"
	"fmt"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/rawjson"
)

// minExamples is how many lines a training file needs, as at OpenAI.
const minExamples = 10

// A course is what one file of examples holds.
type course struct {
	examples, tokens int
	lessons          sample
}

// errNoObject ends the reading of a file at its first line that is no example.
var errNoObject = errors.New("is not a JSON object")

// study reads a file once. A fault is what the job will fail with; an error is
// the simulator's own.
func (a *account) study(id, param string) (course, *tuningError, error) {
	var read course
	content, err := a.content(id)
	if err != nil {
		return read, nil, err
	}
	defer func() { _ = content.Close() }()
	last := 0
	err = eachLine(content, func(number int, line []byte) error {
		last = number
		return read.add(line)
	})
	switch {
	case errors.Is(err, bufio.ErrTooLong):
		last++
	case err != nil && !errors.Is(err, errNoObject):
		return read, nil, err
	case err == nil:
		return read, nil, nil
	}
	return read, &tuningError{
		Code: "invalid_" + param, Param: &param,
		Message: fmt.Sprintf("Invalid file format. Line %d of %s is not a JSON object.", last, id),
	}, nil
}

// tooFew is the fault of a training file with less than ten examples.
func (c course) tooFew() *tuningError {
	if c.examples >= minExamples {
		return nil
	}
	param := "training_file"
	return &tuningError{
		Code: "invalid_n_examples", Param: &param,
		Message: fmt.Sprintf("Training file has %d example(s), but must have at least %d examples", c.examples, minExamples),
	}
}

func (c *course) add(line []byte) error {
	if !rawjson.Valid(line) {
		return errNoObject
	}
	example := gjson.ParseBytes(line)
	if !example.IsObject() {
		return errNoObject
	}
	c.examples++
	answer := ""
	for _, name := range []string{"messages", "input.messages", "preferred_output", "preferred_completion", "non_preferred_output", "non_preferred_completion"} {
		example.Get(name).ForEach(func(_, message gjson.Result) bool {
			text := textOf(message.Get("content"))
			c.tokens += countTokens(text)
			if message.Get("role").Str == "assistant" && !strings.HasPrefix(name, "non_") {
				answer = text
			}
			return true
		})
	}
	if completion := example.Get("completion"); completion.Type == gjson.String {
		c.tokens += countTokens(example.Get("prompt").Str) + countTokens(completion.Str)
		answer = completion.Str
	}
	c.lessons.add(strings.TrimSpace(answer))
	return nil
}
