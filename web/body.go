package web

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
	"github.com/ringback/ringback/rawjson"
)

// bodyTime is how long a JSON body may take to come in.
const bodyTime = time.Minute

// readBody reads a JSON body whole. The Content-Type is not looked at: the bytes decide.
func (s *core) readBody(c *gin.Context) ([]byte, error) {
	if err := plainEncoding(c.Request.Header); err != nil {
		return nil, err
	}
	// A client that stops sending must not hold a connection, and its Idempotency-Key, for ever. Where a connection knows
	// no deadlines (a test's), there is none.
	conn := http.NewResponseController(c.Writer)
	_ = conn.SetReadDeadline(time.Now().Add(bodyTime))
	defer func() { _ = conn.SetReadDeadline(time.Time{}) }()
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, s.bodyBytes))
	var long *http.MaxBytesError
	if err != nil && !errors.As(err, &long) {
		return nil, broken(err)
	}
	return body, err
}

// broken is the error of a body that ends before its end.
func broken(err error) error {
	e := jobs.Errorf(jobs.CodeInvalid, "", "The request body ended early or could not be read. Send it again, whole.")
	e.Err = err
	return e
}

// plainEncoding refuses compressed bodies: what is stored and forwarded is what came.
func plainEncoding(h http.Header) error {
	for _, coding := range h.Values("Content-Encoding") {
		if coding != "" && !strings.EqualFold(coding, "identity") {
			return jobs.Errorf(codeMediaType, "Content-Encoding", "The header Content-Encoding: %s is not supported. Send the body uncompressed, without this header.", coding)
		}
	}
	return nil
}

// parseBody reads a body as a JSON object. It is the only way in: what it lets through is valid UTF-8 and valid JSON.
func parseBody(body []byte) (gjson.Result, error) {
	if rawjson.TooDeep(body) {
		return gjson.Result{}, jobs.Errorf(jobs.CodeInvalid, "", "The JSON body of your request nests deeper than %d levels.", rawjson.MaxDepth)
	}
	if !rawjson.Valid(body) {
		return gjson.Result{}, jobs.Errorf(jobs.CodeInvalid, "", "We could not parse the JSON body of your request. The API expects a JSON payload in UTF-8, but what was sent was not valid JSON.")
	}
	root := gjson.ParseBytes(body)
	if !root.IsObject() {
		return gjson.Result{}, jobs.Errorf(jobs.CodeType, "", "Invalid type for the request body: expected an object, but got %s instead.", typeName(root))
	}
	return root, nil
}

// bodyFields reads a JSON body whose keys are all known. It may be empty where nothing must be said: many clients send
// no body then.
func (s *core) bodyFields(c *gin.Context, known ...string) (fields, error) {
	body, err := s.readBody(c)
	if err != nil {
		return fields{}, err
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return fields{}, nil
	}
	root, err := parseBody(body)
	if err != nil {
		return fields{}, err
	}
	return readFields(root, "", known...)
}

// storable tells whether every database keeps the text as it is.
func storable(s string) bool { return rawjson.Storable(s) }
