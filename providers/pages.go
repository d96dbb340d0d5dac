package providers

import (
	"maps"
	"net/url"
	"strconv"

	"github.com/tidwall/gjson"
)

// pageSize is the most that OpenAI gives on one page of jobs, in items.
const pageSize = 100

// pages reads a list from its head on, at most so many pages of it: page asks
// for the items that follow the one whose ID is after, and take is given them
// and says whether to go on. Together the pages may be as long as one answer. A
// provider that ignores the cursor, and so would send the same page for ever, is
// stopped at the second.
func (p *Provider) pages(most int, page func(after string) (Answer, error), take func(items []gjson.Result) (more bool)) error {
	after, total := "", int64(0)
	for range most {
		answer, err := page(after)
		if err != nil {
			return err
		}
		if total += int64(len(answer.Body)); total > p.answerBytes {
			return &Error{Kind: AnswerTooLarge, Status: answer.Status, Message: p.tooLarge(), Err: errTooLarge}
		}
		items, more, err := readPage(answer)
		if err != nil {
			return err
		}
		if !take(items) || !more {
			return nil
		}
		last := items[len(items)-1].Get("id")
		if last.Type != gjson.String || last.Str == "" || last.Str == after {
			return nil
		}
		after = last.Str
	}
	return nil
}

// readPage reads {"data":[{…},…],"has_more":…}; more is never set on an empty page.
func readPage(answer Answer) (items []gjson.Result, more bool, err error) {
	object := gjson.ParseBytes(answer.Body)
	data := object.Get("data")
	if data.Type == gjson.Null && data.Raw != "" {
		return nil, false, nil // an empty list of some servers written in Go
	}
	if !data.IsArray() {
		return nil, false, unreadable(answer, "data")
	}
	items = data.Array()
	for _, item := range items {
		if !item.IsObject() {
			return nil, false, unreadable(answer, "data")
		}
	}
	return items, len(items) > 0 && hasMore(object, len(items)), nil
}

// hasMore goes by has_more, and failing that takes a full page as a sign.
func hasMore(object gjson.Result, items int) bool {
	if said := object.Get("has_more"); said.IsBool() {
		return said.Bool()
	}
	return items >= pageSize
}

// cursor is the query for the page that follows the item whose ID is after.
func cursor(query url.Values, after string) url.Values {
	full := url.Values{"limit": {strconv.Itoa(pageSize)}}
	maps.Copy(full, query)
	if after != "" {
		full.Set("after", after)
	}
	return full
}
