package providers

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/rawjson"
)

// Assembly puts a stream's chunks together into the answer that a call without a
// stream would have got: chat.completion from chat.completion.chunk,
// text_completion from its chunks, and for responses the response of the
// terminal event. Strings are joined as they stand in JSON, never decoded, and
// all else passes byte for byte, so nothing is lost that this code does not know.
// The zero value is ready. It is no safer for several goroutines than a buffer.
type Assembly struct {
	top      members
	choices  map[int]*members
	response []byte // of the terminal event, as it came
	brought  int64  // chunks, for each choice, that brought content
	counted  int64  // by the upstream
}

// Add takes the data of the stream's next chunk, a JSON object, and keeps nothing
// of its bytes.
func (a *Assembly) Add(data []byte) error {
	if !rawjson.Valid(data) {
		return errors.New("the chunk is not valid JSON")
	}
	chunk := gjson.ParseBytes(data)
	if !chunk.IsObject() {
		return errors.New("the chunk is not a JSON object")
	}
	if kind := chunk.Get("type").Str; strings.HasPrefix(kind, "response.") {
		return a.addEvent(kind, chunk)
	}
	return a.addChunk(chunk)
}

func (a *Assembly) addEvent(kind string, event gjson.Result) error {
	if strings.HasSuffix(kind, ".delta") {
		a.brought++
	}
	if !terminal(kind) {
		return nil
	}
	response := event.Get("response")
	if !response.IsObject() {
		return fmt.Errorf("the event %s holds no response", kind)
	}
	a.response = []byte(response.Raw)
	a.counted = readUsage(response.Get("usage")).OutputTokens
	return nil
}

func (a *Assembly) addChunk(chunk gjson.Result) error {
	list := chunk.Get("choices")
	if list.IsArray() {
		for _, choice := range list.Array() {
			if err := a.addChoice(choice); err != nil {
				return err
			}
		}
	}
	a.top.merge(chunk, topRule)
	a.top.slot("object").fallback = `"chat.completion"`
	a.top.slot("usage").absent = true
	if used := readUsage(chunk.Get("usage")); used.OutputTokens > 0 {
		a.counted = used.OutputTokens
	}
	return nil
}

func (a *Assembly) addChoice(choice gjson.Result) error {
	index, ok := position(choice)
	if !ok {
		return fmt.Errorf("the chunk has a choice without an index from 0 to %d", maxChoices-1)
	}
	if a.choices == nil {
		a.choices = make(map[int]*members)
	}
	if a.choices[index] == nil {
		a.choices[index] = new(members)
		a.choices[index].slot("index").replace(fmt.Sprint(index))
	}
	a.choices[index].addChoice(choice)
	if brings(choice) {
		a.brought++
	}
	return nil
}

// brings tells whether a choice's share of a chunk holds output, other than who speaks.
func brings(choice gjson.Result) bool {
	if choice.Get("text").Str != "" {
		return true
	}
	found := false
	choice.Get("delta").ForEach(func(key, came gjson.Result) bool {
		found = key.Str != "role" && (came.Str != "" || came.Type == gjson.JSON)
		return !found
	})
	return found
}

// Tokens counts the output so far: the chunks that brought content, and the
// upstream's own count once it is known.
func (a *Assembly) Tokens() int64 {
	if a.counted > 0 {
		return a.counted
	}
	return a.brought
}

// Body is the answer so far, one JSON object. The error says that nothing came
// of which one could be made: no choice, and no terminal event of a response.
func (a *Assembly) Body() ([]byte, error) {
	if a.response != nil {
		return bytes.Clone(a.response), nil
	}
	if len(a.choices) == 0 {
		return nil, errors.New("the stream held no choice of a completion and no end of a response")
	}
	return a.top.append(nil, a.appendChoices), nil
}

func (a *Assembly) appendChoices(out []byte) []byte {
	out = append(out, '[')
	for i, index := range slices.Sorted(maps.Keys(a.choices)) {
		if i > 0 {
			out = append(out, ',')
		}
		out = a.choices[index].append(out, nil)
	}
	return append(out, ']')
}
