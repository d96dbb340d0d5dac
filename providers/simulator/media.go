package simulator

import (
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

const (
	maxVideoPrompt  = 32_000 // characters
	maxVideoSeconds = 60
	maxVideoPage    = 100
)

// videoRoutes adds what is done with a video once it is submitted. None of it is
// a model call.
func (s *Simulator) videoRoutes(add func(method, path string, h func(*call))) {
	known := func(h func(c *call) *problem) func(*call) {
		return func(c *call) {
			p := s.authorize(c.r)
			if p == nil {
				p = h(c)
			}
			if p != nil {
				c.refuse(p)
			}
		}
	}
	add(http.MethodGet, "/v1/videos", known(s.listVideos))
	add(http.MethodGet, "/v1/videos/{id}", known(s.getVideo))
	add(http.MethodDelete, "/v1/videos/{id}", known(s.deleteVideo))
	add(http.MethodGet, "/v1/videos/{id}/content", known(s.videoContent))
}

// askVideo reads JSON or a form; a form's input_reference is read and dropped.
func askVideo(c *call) *problem {
	switch c.prompt = c.req.prompt.Str; {
	case c.req.prompt.Type == gjson.Null:
		return missing("prompt")
	case c.req.prompt.Type != gjson.String:
		return wrongType("prompt", "a string")
	case utf8.RuneCountInString(c.prompt) > maxVideoPrompt:
		return badRequest("prompt", "string_above_max_length", "Invalid 'prompt': use %d characters or fewer.", maxVideoPrompt)
	case c.req.frame.Type != gjson.Null && !isFrame(c.req.frame.Str):
		return badRequest("size", "invalid_value", "Invalid value for 'size'. Give width and height, such as '720x1280'.")
	}
	if seconds := c.req.seconds; seconds.Type != gjson.Null {
		if n, err := strconv.Atoi(seconds.String()); err != nil || n < 1 || n > maxVideoSeconds {
			return badRequest("seconds", "invalid_value", "Invalid value for 'seconds'. Give a whole number from 1 to %d.", maxVideoSeconds)
		}
	}
	return nil
}

func isFrame(size string) bool {
	const most = 1 << 14 // pixels a side
	var pixels int
	width, height, _ := strings.Cut(size, "x")
	return number(width, 1, most, &pixels) == "" && number(height, 1, most, &pixels) == ""
}

// answerVideo creates the video, or finds the one that its Idempotency-Key has
// created before. It exists from here on, whatever becomes of the answer.
func (s *Simulator) answerVideo(c *call) {
	v := video{
		id: string(c.appendID(nil, "video_")), key: c.r.Header.Get("Idempotency-Key"),
		model: c.req.model.name(), prompt: c.prompt, seconds: "4", size: "720x1280",
		created: c.started, fails: c.plan.fail,
	}
	if c.req.seconds.Type != gjson.Null {
		v.seconds = c.req.seconds.String()
	}
	if c.req.frame.Type != gjson.Null {
		v.size = c.req.frame.Str
	}
	c.out = s.videos.appendTo(c.out, s.videos.create(v), c.now())
}

func (s *Simulator) getVideo(c *call) *problem {
	v, found := s.videos.find(c.r.PathValue("id"))
	if !found {
		return noVideo(c.r.PathValue("id"))
	}
	c.out = s.videos.appendTo(c.out, v, c.now())
	c.send(http.StatusOK)
	return nil
}

func (s *Simulator) deleteVideo(c *call) *problem {
	id := c.r.PathValue("id")
	if !s.videos.remove(id) {
		return noVideo(id)
	}
	c.out = appendString(append(c.out, `{"id":`...), id)
	c.out = append(c.out, `,"object":"video.deleted","deleted":true}`...)
	c.send(http.StatusOK)
	return nil
}

func (s *Simulator) videoContent(c *call) *problem {
	id := c.r.PathValue("id")
	v, found := s.videos.find(id)
	if !found {
		return noVideo(id)
	}
	if variant := c.r.URL.Query().Get("variant"); variant != "" && variant != "video" {
		return badRequest("variant", "invalid_value", "Invalid value for 'variant'. Supported values are: 'video'.")
	}
	switch status, _ := s.videos.state(v, c.now()); status {
	case "completed":
		c.out = v.appendFile(c.out)
		c.sendAs(http.StatusOK, "video/mp4")
		return nil
	case "failed":
		return badRequest("", "video_failed", "Video '%s' failed: it has no content.", id)
	}
	return badRequest("", "video_not_ready", "Video '%s' is not ready. Ask GET /v1/videos/%s until its status is completed.", id, id)
}

// listVideos pages newest first, or oldest first with order=asc.
func (s *Simulator) listVideos(c *call) *problem {
	query := c.r.URL.Query()
	limit := 20
	if text := query.Get("limit"); text != "" {
		if why := number(text, 1, maxVideoPage, &limit); why != "" {
			return badRequest("limit", "invalid_value", "Invalid 'limit': %s.", why)
		}
	}
	page, more, found := s.videos.page(query.Get("after"), query.Get("order") == "asc", limit)
	if !found {
		return badRequest("after", "invalid_value", "Invalid 'after': there is no video '%s'. Give the ID of one in the list.", query.Get("after"))
	}
	first, last := "", ""
	c.out = append(c.out, `{"object":"list","data":[`...)
	for i, v := range page {
		c.out = s.videos.appendTo(append(c.out, separator(i)...), v, c.now())
		first, last = page[0].id, v.id
	}
	c.out = appendStringOrNull(append(c.out, `],"first_id":`...), first)
	c.out = appendStringOrNull(append(c.out, `,"last_id":`...), last)
	c.out = strconv.AppendBool(append(c.out, `,"has_more":`...), more)
	c.out = append(c.out, '}')
	c.send(http.StatusOK)
	return nil
}

func noVideo(id string) *problem {
	return &problem{
		status: http.StatusNotFound, typ: invalidRequest, param: "id",
		message: "No such video: '" + id + "'.",
	}
}
