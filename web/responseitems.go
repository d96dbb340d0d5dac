package web

import (
	"slices"

	"github.com/gin-gonic/gin"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
)

// The limits of GET /v1/responses/{id}/input_items (OpenAI's).
const (
	listItems    = 20
	listMaxItems = 100
)

type order string

const (
	ascending  order = "asc"
	descending order = "desc"
)

// listItems lists the items of the request itself, the last first; those of a response that it continues are listed there.
func (r *responses) listItems(c *gin.Context) error {
	if _, err := r.kept(c); err != nil {
		return err
	}
	p, err := readPage(c, listItems, listMaxItems)
	if err != nil {
		return err
	}
	way, err := oneOf(c, "order", descending, ascending)
	if err != nil {
		return err
	}
	facts, err := r.items.Response(c.Request.Context(), r.ref(c))
	if err != nil {
		return r.gone(c, err)
	}
	items, more, err := p.ofItems(facts.Items, way)
	if err != nil {
		return err
	}
	return ok(c, list(items, more))
}

// ofItems cuts a page out of an array of items.
func (p page) ofItems(array []byte, way order) (items [][]byte, more bool, err error) {
	all := gjson.ParseBytes(array).Array()
	if way != ascending {
		slices.Reverse(all)
	}
	if p.after != "" {
		at := slices.IndexFunc(all, func(item gjson.Result) bool { return item.Get("id").String() == p.after })
		if at < 0 {
			return nil, false, p.listError(jobs.NotFound(""))
		}
		all = all[at+1:]
	}
	for _, item := range all[:min(len(all), p.limit)] {
		items = append(items, []byte(item.Raw))
	}
	return items, len(all) > p.limit, nil
}
