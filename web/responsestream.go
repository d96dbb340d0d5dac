package web

import (
	"bytes"
	"math"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
)

// readWatch reads whether a GET asks for the stream, and after which event. Some clients ask in the query, some in a body
// of the GET, openai-go in both; the query counts where both say it. include and include_obfuscation change nothing here.
func (r *responses) readWatch(c *gin.Context) (stream bool, after int64, err error) {
	body, err := r.watchBody(c)
	if err != nil {
		return false, 0, err
	}
	if stream, err = readStream(c, body["stream"]); err != nil {
		return false, 0, err
	}
	const name = "starting_after"
	said := body[name]
	if text := c.Query(name); text != "" {
		if _, err := strconv.ParseInt(text, 10, 64); err != nil {
			return false, 0, jobs.Errorf(jobs.CodeType, name, "Invalid type for '%s': expected an integer.", name)
		}
		said = gjson.Parse(text)
	}
	if said.Type == gjson.Null {
		return stream, -1, nil
	}
	after, err = readInteger(name, said, 0, math.MaxInt64)
	return stream, after, err
}

// watchBody are the members of a GET's body; most have none.
func (r *responses) watchBody(c *gin.Context) (map[string]gjson.Result, error) {
	body, err := r.readBody(c)
	if err != nil || len(bytes.TrimSpace(body)) == 0 {
		return nil, err
	}
	root, err := parseBody(body)
	if err != nil {
		return nil, err
	}
	return root.Map(), nil
}

func readStream(c *gin.Context, said gjson.Result) (bool, error) {
	switch text := c.Query("stream"); {
	case text == "true":
		return true, nil
	case text == "false":
		return false, nil
	case text != "":
		return false, jobs.Errorf(jobs.CodeType, "stream", "Invalid type for 'stream': expected a boolean.")
	case said.Type == gjson.Null:
		return false, nil
	case !said.IsBool():
		return false, typeError("stream", "a boolean", said)
	}
	return said.Bool(), nil
}

// watch streams a response to a client that comes back, or comes later.
func (r *responses) watch(c *gin.Context, s *jobs.Snapshot, after int64) error {
	if err := watchable(s); err != nil {
		return err
	}
	leave, err := r.enter()
	if err != nil {
		return err
	}
	defer leave()
	return r.follow(c, s.Ref(), after)
}

func watchable(s *jobs.Snapshot) error {
	switch s.Response.Streaming {
	case jobs.NotStreamed:
		return jobs.Errorf(jobs.CodeInvalid, "stream", "Response with id '%s' was not created with 'stream': true, so it cannot be streamed. Poll it without 'stream'.", s.ID)
	case jobs.StreamGone:
		return jobs.Errorf(jobs.CodeInvalid, "stream", "The stream of response '%s' is kept for 24 hours after its end, which have passed. Fetch it without 'stream'.", s.ID)
	}
	return nil
}

// follow sends a response's events until its end, or until the client reads no more. When the server shuts down before
// that, the answer is cut off: clients take an orderly end for the response's. Comments in between are rare: some clients
// count them.
func (r *responses) follow(c *gin.Context, ref jobs.Ref, after int64) error {
	ctx, release := r.waiting(c)
	defer release()
	out := openFrames(c, r.pace)
	if c.Request.Method == http.MethodHead {
		return nil
	}
	for out.flush() {
		page, ended, err := r.jobs.ResponseEvents(ctx, ref, after, r.pace.ping-out.silent())
		if ctx.Err() != nil {
			panic(http.ErrAbortHandler)
		}
		if err != nil {
			return err
		}
		for _, e := range page {
			out.told(e.Type, e.Data)
			after = e.N
		}
		if ended {
			out.flush()
			return nil
		}
		if out.silent() >= r.pace.ping {
			out.ping()
		}
	}
	return nil
}

// told writes one event of a response, as OpenAI does: its type and its data, no ID. The data has no line breaks but
// those of an upstream's own, which become lines.
func (f *frames) told(typ string, data []byte) {
	f.limit(len(data))
	f.text("event: " + typ + "\n")
	f.data(data)
}
