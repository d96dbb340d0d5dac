package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Answer tells what is wrong with an answer: a status or a content type that the document does not name for the route, a
// body that its schema does not allow, or a field that it does not know. A request for HEAD has no body to look at.
func (c *Contract) Answer(r *http.Request, status int, header http.Header, body []byte) error {
	path := r.URL.EscapedPath()
	o, known := c.find(r.Method, path)
	switch {
	case o == nil && status == http.StatusNotFound && !known:
		return c.json("#/components/schemas/NoRoute", body, r.Method)
	case o == nil && status == http.StatusMethodNotAllowed && known:
		return c.json("#/components/schemas/NoMethod", body, r.Method)
	case o == nil:
		return c.early(status, body, r.Method)
	}
	if status == http.StatusNotFound && c.json("#/components/schemas/NoRoute", body, "") == nil {
		return nil // a process that does not serve it
	}
	described, at, err := c.response(o, status)
	if err != nil {
		return err
	}
	return c.content(described, at, r.Method, header.Get("Content-Type"), body)
}

// early are the answers that are given before a path is looked at.
func (c *Contract) early(status int, body []byte, method string) error {
	name := map[int]string{
		http.StatusUnauthorized: "Unauthorized", http.StatusForbidden: "Forbidden", http.StatusLoopDetected: "LoopDetected",
	}[status]
	if name == "" {
		return fmt.Errorf("the document has no such route, and the answer is a %d", status)
	}
	return c.json("#/components/schemas/"+name, body, method)
}

// response is what the document says of a status: by its number, by its class, or by default.
func (c *Contract) response(o *operation, status int) (described map[string]any, at string, err error) {
	responses := object(o.body["responses"])
	text := strconv.Itoa(status)
	for _, key := range []string{text, text[:1] + "XX", "default"} {
		if v, there := responses[key]; there {
			described, at = c.follow(v, o.at+"/responses/"+key)
			return described, at, nil
		}
	}
	return nil, "", fmt.Errorf("the document names no answer %d", status)
}

func (c *Contract) content(described map[string]any, at, method, contentType string, body []byte) error {
	contents := object(described["content"])
	if len(contents) == 0 {
		return nil
	}
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return fmt.Errorf("the content type %q: %w", contentType, err)
	}
	if _, there := contents[media]; !there {
		return fmt.Errorf("the document names no content type %s here", media)
	}
	at += "/content/" + escape(media) + "/schema"
	switch media {
	case "application/json":
		return c.json(at, body, method)
	case "application/x-ndjson":
		return c.lines(at, body)
	case "text/event-stream":
		return c.frames(at, body)
	}
	return nil
}

func (c *Contract) json(at string, body []byte, method string) error {
	if method == http.MethodHead {
		return nil
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return c.schemas.validate(at, value)
}

func (c *Contract) lines(at string, body []byte) error {
	for line := range bytes.Lines(body) {
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // it was cut off
		}
		if err := c.json(at, line, ""); err != nil {
			return err
		}
	}
	return nil
}

// frames looks at each whole frame of the stream of events. Other streams carry a provider's own.
func (c *Contract) frames(at string, body []byte) error {
	schema, _ := c.follow(c.place(at), at)
	if schema["x-frames"] == nil {
		return nil
	}
	whole := body[:bytes.LastIndex(body, []byte("\n\n"))+1]
	for _, frame := range strings.Split(string(whole), "\n\n") {
		var data []string
		for _, line := range strings.Split(frame, "\n") {
			if text, is := strings.CutPrefix(line, "data: "); is {
				data = append(data, text)
			}
		}
		if len(data) == 0 {
			continue
		}
		if err := c.json(schema["x-frames"].(string), []byte(strings.Join(data, "\n")), ""); err != nil {
			return err
		}
	}
	return nil
}

// place is the object at a JSON pointer into the document; nil where there is none.
func (c *Contract) place(at string) map[string]any {
	v, _ := c.follow(map[string]any{"$ref": at}, at)
	return v
}

// Request tells what is wrong with the document's description of a request that a server has accepted: a parameter in the
// query that it does not name, or a JSON body that its schema does not allow.
func (c *Contract) Request(r *http.Request, body []byte) error {
	o, _ := c.find(r.Method, r.URL.EscapedPath())
	if o == nil {
		return nil
	}
	return errors.Join(c.query(o, r.URL.Query()), c.sent(o, body))
}

func (c *Contract) query(o *operation, query url.Values) error {
	own, _ := o.body["parameters"].([]any)
	var names []string
	for _, v := range slices.Concat(o.shared, own) {
		if p, _ := c.follow(v, ""); p["in"] == "query" {
			names = append(names, p["name"].(string))
		}
	}
	for key := range query {
		name, _, deep := strings.Cut(key, "[")
		if !slices.Contains(names, key) && (!deep || !slices.Contains(names, name)) {
			return fmt.Errorf("the document names no parameter %q here", key)
		}
	}
	return nil
}

func (c *Contract) sent(o *operation, body []byte) error {
	described, at := c.follow(o.body["requestBody"], o.at+"/requestBody")
	content := object(object(described["content"])["application/json"])
	switch {
	case content == nil, len(bytes.TrimSpace(body)) == 0 && described["required"] != true, !json.Valid(body):
		return nil
	}
	return c.json(at+"/content/application~1json/schema", body, "")
}

// Callback tells what is wrong with a callback: its headers, or its body.
func (c *Contract) Callback(typ string, header http.Header, body []byte) error {
	hook := object(object(object(c.root["webhooks"])[typ])["post"])
	if hook == nil {
		return fmt.Errorf("the document has no webhook %q", typ)
	}
	at := "#/webhooks/" + escape(typ) + "/post"
	parameters, _ := hook["parameters"].([]any)
	for i, v := range parameters {
		p, place := c.follow(v, at+"/parameters/"+strconv.Itoa(i))
		name := p["name"].(string)
		if err := c.schemas.validate(place+"/schema", header.Get(name)); err != nil || header.Get(name) == "" {
			return fmt.Errorf("the header %s is %q: %w", name, header.Get(name), err)
		}
	}
	return c.Event(typ, body)
}

// Event tells what is wrong with an event's body.
func (c *Contract) Event(typ string, body []byte) error {
	at := "#/webhooks/" + escape(typ) + "/post/requestBody/content/application~1json/schema"
	if c.place(at) == nil {
		return fmt.Errorf("the document has no webhook %q", typ)
	}
	return c.json(at, body, "")
}

// Tells says whether the document names an answer of this status with this body for any route at all.
func (c *Contract) Tells(status int, body []byte) bool {
	for i := range c.operations {
		described, at, err := c.response(&c.operations[i], status)
		if err == nil && c.content(described, at, c.operations[i].Method, "application/json", body) == nil {
			return true
		}
	}
	for _, name := range []string{"NoRoute", "NoMethod"} {
		if c.json("#/components/schemas/"+name, body, "") == nil {
			return true
		}
	}
	return false
}
