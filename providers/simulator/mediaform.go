package simulator

import (
	"errors"
	"hash/fnv"
	"io"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// maxField bounds one field of a form that is no file.
const maxField = 1 << 20

// An upload is what is kept of the files that a route asks a form for: their
// length and a hash of their bytes, so that memory does not grow with them.
type upload struct {
	form  bool // the request is a form
	count int
	size  int64
	sum   uint64
}

// take reads the request: into memory, or field by field where it is a form and
// the route reads forms.
func (c *call) take(rt route) *problem {
	if rt.form == "" || !strings.HasPrefix(c.r.Header.Get("Content-Type"), "multipart/") {
		return c.read()
	}
	if c.r.ContentLength > maxBody {
		return tooLarge()
	}
	c.file.form = true
	c.r.Body = http.MaxBytesReader(c.w, c.r.Body, maxBody)
	parts, err := c.r.MultipartReader()
	if err != nil {
		return badForm(err)
	}
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return badForm(err)
		}
		if p := c.readPart(part, rt.form); p != nil {
			return p
		}
	}
}

func (c *call) readPart(part *multipart.Part, file string) *problem {
	switch {
	case part.FileName() == "":
		return c.readField(part)
	case part.FormName() != file && part.FormName() != file+"[]":
		return nil // the next part skips it
	}
	sum := fnv.New64a()
	n, err := io.Copy(sum, part)
	if err != nil {
		return badForm(err)
	}
	c.file.count++
	c.file.size += n
	c.file.sum = mix(c.file.sum ^ sum.Sum64())
	return nil
}

// readField keeps a field as if it had been a string of a JSON body, or a number
// where numbers are asked for.
func (c *call) readField(part *multipart.Part) *problem {
	to := c.req.field(part.FormName())
	if to == nil {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(part, maxField+1))
	switch {
	case err != nil:
		return badForm(err)
	case len(text) > maxField:
		return badRequest(part.FormName(), "string_above_max_length",
			"Invalid '%s': use %d bytes or fewer.", part.FormName(), maxField)
	}
	*to = gjson.Result{Type: gjson.String, Str: string(text), Raw: string(appendString(nil, text))}
	switch part.FormName() {
	case "n", "temperature":
		if x, err := strconv.ParseFloat(to.Str, 64); err == nil {
			*to = gjson.Result{Type: gjson.Number, Num: x, Raw: to.Str}
		}
	case "stream":
		c.req.stream = to.Str == "true"
	}
	return nil
}

func badForm(err error) *problem {
	var over *http.MaxBytesError
	if errors.As(err, &over) {
		return tooLarge()
	}
	return badRequest("", "", "The multipart form cannot be read: %v. Send a whole multipart/form-data body with its boundary.", err)
}
