package web

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
)

// page is what a client asks of a list.
type page struct {
	after string // ID of the last one seen
	limit int
}

// readPage reads limit (1 to most; fallback when absent) and after.
func readPage(c *gin.Context, fallback, most int) (page, error) {
	p := page{after: c.Query("after"), limit: fallback}
	if !storable(p.after) {
		return p, unknownAfter(p.after)
	}
	text := c.Query("limit")
	if text == "" {
		return p, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return p, jobs.Errorf(jobs.CodeType, "limit", "Invalid type for 'limit': expected an integer from 1 to %d.", most)
	}
	p.limit = n
	return p, within("limit", int64(n), 1, int64(most))
}

func unknownAfter(after string) error {
	return jobs.Errorf(jobs.CodeValue, "after", "Invalid 'after': nothing found with id '%s'. Begin again without it.", after)
}

// listError makes the store's "not found" in a list what it is: a cursor that points nowhere.
func (p page) listError(err error) error {
	if jobs.IsCode(err, jobs.CodeNotFound) {
		return unknownAfter(p.after)
	}
	return err
}

// oneOf reads a query parameter that has few values; absent is the empty value.
func oneOf[T ~string](c *gin.Context, name string, values ...T) (T, error) {
	text := c.Query(name)
	if text == "" {
		return "", nil
	}
	names := make([]string, len(values))
	for i, v := range values {
		if string(v) == text {
			return v, nil
		}
		names[i] = string(v)
	}
	return "", jobs.Errorf(jobs.CodeValue, name, "Invalid value for '%s': '%s'. Supported values are: '%s'.", name, text, strings.Join(names, "', '"))
}

// list renders a page of objects, each byte for byte as it is.
func list(items [][]byte, more bool) []byte {
	first, last := "null", "null"
	if len(items) > 0 {
		first, last = rawID(items[0]), rawID(items[len(items)-1])
	}
	var b bytes.Buffer
	b.WriteString(`{"object":"list","data":[`)
	b.Write(bytes.Join(items, []byte(",")))
	b.WriteString(`],"first_id":` + first + `,"last_id":` + last + `,"has_more":` + strconv.FormatBool(more) + `}`)
	return b.Bytes()
}

// encodeEach renders each value of this package's or a service's own shape.
func encodeEach[T any](values []T) [][]byte {
	return objectsOf(values, func(v *T) []byte { return encode(*v) })
}

// objectsOf renders each value of a page.
func objectsOf[T any](values []T, object func(*T) []byte) [][]byte {
	objects := make([][]byte, len(values))
	for i := range values {
		objects[i] = object(&values[i])
	}
	return objects
}

func rawID(object []byte) string {
	if id := gjson.GetBytes(object, "id"); id.Exists() {
		return id.Raw
	}
	return "null"
}
