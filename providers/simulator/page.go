package simulator

import (
	"net/http"
	"strconv"

	"github.com/tidwall/gjson"
)

// A page is one piece of a list, as all of OpenAI's lists show it.
type page[T any] struct {
	Object  string  `json:"object"`
	Data    []T     `json:"data"`
	FirstID *string `json:"first_id"`
	LastID  *string `json:"last_id"`
	HasMore bool    `json:"has_more"`
}

// replyPage answers the piece of all that the query's after and limit name. An
// ID in after that is not in the list is refused.
func replyPage[T any](c *call, all []T, id func(T) string, most, usual int) *problem {
	limit, p := queryLimit(c.r, most, usual)
	if p != nil {
		return p
	}
	if after := c.r.URL.Query().Get("after"); after != "" {
		for len(all) > 0 && id(all[0]) != after {
			all = all[1:]
		}
		if len(all) == 0 {
			return badRequest("after", "invalid_value", "There is no '%s' in this list. Begin again without 'after'.", after)
		}
		all = all[1:]
	}
	list := page[T]{Object: "list", Data: append([]T{}, all[:min(limit, len(all))]...), HasMore: len(all) > limit}
	if n := len(list.Data); n > 0 {
		first, last := id(list.Data[0]), id(list.Data[n-1])
		list.FirstID, list.LastID = &first, &last
	}
	return c.reply(list)
}

func queryLimit(r *http.Request, most, usual int) (int, *problem) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return usual, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, badRequest("limit", "invalid_value", "Invalid 'limit': use a whole number from 1 to %d.", most)
	}
	return n, nil
}

// A deleted is the answer to a DELETE.
type deleted struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Deleted bool   `json:"deleted"`
}

// reply answers 200 with v as JSON.
func (c *call) reply(v any) *problem {
	raw, err := marshal(v)
	if err != nil {
		return storageFailed(err)
	}
	c.out = append(c.out[:0], raw...)
	c.send(http.StatusOK)
	return nil
}

const (
	maxPairs = 16
	maxKey   = 64
	maxValue = 512
)

// checkMetadata holds OpenAI's limits: 16 pairs of strings, of 64 and 512 bytes.
func checkMetadata(field gjson.Result) (p *problem) {
	if field.Type == gjson.Null {
		return nil
	}
	if !field.IsObject() {
		return wrongType("metadata", "an object")
	}
	pairs := 0
	field.ForEach(func(key, value gjson.Result) bool {
		pairs++
		name := "metadata." + key.Str
		switch {
		case value.Type != gjson.String:
			p = wrongType(name, "a string")
		case len(key.Str) > maxKey || len(value.Str) > maxValue:
			p = badRequest(name, "string_above_max_length", "Invalid '%s': a key has up to %d bytes, a value up to %d.", name, maxKey, maxValue)
		case pairs > maxPairs:
			p = badRequest("metadata", "object_above_max_properties", "Invalid 'metadata': give %d pairs or fewer.", maxPairs)
		}
		return p == nil
	})
	return p
}
