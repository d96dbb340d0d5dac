package web

import (
	"encoding/json"
	"fmt"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
)

// requestKeys are those of one of a batch's requests. The last three are what an error file's lines have beside them; they
// say nothing here.
var requestKeys = []string{"custom_id", "method", "url", "body", "id", "response", "error"}

// readRequests reads a batch's requests: nil without any, and not nil for an empty list. Only their form is judged here;
// what they say is, as for an uploaded file, when the batch is validated.
func readRequests(v gjson.Result) ([]jobs.BatchRequest, error) {
	if v.Type == gjson.Null {
		return nil, nil
	}
	if !v.IsArray() {
		return nil, typeError("requests", "an array", v)
	}
	requests, err := []jobs.BatchRequest{}, error(nil)
	v.ForEach(func(_, entry gjson.Result) bool {
		var q jobs.BatchRequest
		q, err = readRequest(fmt.Sprintf("requests[%d]", len(requests)), entry)
		requests = append(requests, q)
		return err == nil
	})
	return requests, err
}

func readRequest(name string, v gjson.Result) (q jobs.BatchRequest, err error) {
	if !v.IsObject() {
		return q, typeError(name, "an object", v)
	}
	f, err := readFields(v, name+".", requestKeys...)
	if err != nil {
		return q, err
	}
	for _, text := range []struct {
		key string
		raw *json.RawMessage
	}{{"custom_id", &q.CustomID}, {"method", &q.Method}, {"url", &q.URL}} {
		if _, err := f.text(text.key); err != nil {
			return q, err
		}
		if f.given(text.key) {
			*text.raw = json.RawMessage(f.members[text.key].Raw)
		}
	}
	switch body := f.members["body"]; {
	case body.Type == gjson.Null:
		return q, missing(f.path + "body")
	case !body.IsObject():
		return q, typeError(f.path+"body", "an object", body)
	default:
		q.Body = json.RawMessage(body.Raw)
		return q, nil
	}
}
