package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

// client speaks to a server as any OpenAI client does.
type client struct {
	t    *testing.T
	http *http.Client
	url  string
	key  string // sent as bearer token, if any

	checked *tally // what was held to the API's document; nil for a server that is not Ringback
}

// answer is what came back, whole.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// get reads a value of the answer's JSON, in gjson's path syntax.
func (a answer) get(path string) gjson.Result { return gjson.GetBytes(a.body, path) }

// do sends a request and reads the whole answer; headers are name, value, name, value.
func (c *client) do(method, path string, body io.Reader, headers ...string) (answer, error) {
	request, err := http.NewRequestWithContext(context.Background(), method, c.url+path, body)
	if err != nil {
		return answer{}, err
	}
	if c.key != "" {
		request.Header.Set("Authorization", "Bearer "+c.key)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := c.http.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	a := answer{response.StatusCode, response.Header, text}
	if err == nil {
		err = c.checked.checkAnswer(request, a)
	}
	return a, err
}

// call sends JSON and wants this status.
func (c *client) call(status int, method, path, body string, headers ...string) answer {
	c.t.Helper()
	a, err := c.do(method, path, strings.NewReader(body), append([]string{"Content-Type", "application/json"}, headers...)...)
	require.NoError(c.t, err)
	require.Equal(c.t, status, a.status, "%s %s: %.500s", method, path, a.body)
	return a
}

func (c *client) read(path string) answer {
	c.t.Helper()
	return c.call(http.StatusOK, "GET", path, "")
}

// part is one of a form's; a file where it has a filename.
type part struct{ name, filename, text string }

func form(parts ...part) (body []byte, contentType string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		// A buffer takes all: none of these fails.
		if p.filename == "" {
			_ = w.WriteField(p.name, p.text)
			continue
		}
		to, _ := w.CreateFormFile(p.name, p.filename)
		_, _ = io.WriteString(to, p.text)
	}
	_ = w.Close()
	return b.Bytes(), w.FormDataContentType()
}

// upload sends a form to /v1/files.
func (c *client) upload(status int, parts ...part) answer {
	c.t.Helper()
	body, contentType := form(parts...)
	return c.call(status, "POST", "/v1/files", string(body), "Content-Type", contentType)
}

// input uploads a batch's input and gives the file's ID.
func (c *client) input(text string) string {
	c.t.Helper()
	return c.upload(http.StatusOK, part{"purpose", "", "batch"}, part{"file", "input.jsonl", text}).get("id").String()
}

const chat = "/v1/chat/completions"

// batch creates one over an uploaded input and gives its ID. more are further members, as `,"webhook":"…"`.
func (c *client) batch(file, more string) string {
	c.t.Helper()
	body := fmt.Sprintf(`{"input_file_id":%q,"endpoint":%q,"completion_window":"24h"%s}`, file, chat, more)
	return c.call(http.StatusOK, "POST", "/v1/batches", body).get("id").String()
}

// generate submits a generation and gives its ID.
func (c *client) generate(prompt, more string) string {
	c.t.Helper()
	body := fmt.Sprintf(`{"model":"m","input":%q%s}`, prompt, more)
	return c.call(http.StatusAccepted, "POST", "/v1/generate", body).get("id").String()
}

// ended waits for a job's end and gives the object of its kind.
func (c *client) ended(job string) answer {
	c.t.Helper()
	eventually(c.t, "the job "+job+" has ended", func() bool {
		status := c.read("/v1/jobs/" + job + "?wait=30s").get("status").String()
		return terminal(status)
	})
	path := "/v1/batches/"
	if strings.HasPrefix(job, "gen_") {
		path = "/v1/generate/"
	}
	return c.read(path + job)
}

func terminal(status string) bool {
	switch status {
	case "completed", "failed", "expired", "cancelled", "incomplete", "succeeded":
		return true
	}
	return false
}

// reaches polls a batch until it has a status; it fails where the batch ends otherwise.
func (c *client) reaches(batch, status string) answer {
	c.t.Helper()
	var a answer
	eventually(c.t, "the batch is "+status, func() bool {
		a = c.read("/v1/batches/" + batch)
		now := a.get("status").String()
		require.False(c.t, terminal(now) && now != status, "the batch is %s instead of %s", now, status)
		return now == status
	})
	return a
}

// lines are a file's lines; none for the null that stands for no file.
func (c *client) lines(file gjson.Result) []string {
	c.t.Helper()
	if file.Type == gjson.Null {
		return nil
	}
	text := string(c.read("/v1/files/" + file.String() + "/content").body)
	require.True(c.t, strings.HasSuffix(text, "\n"), "the last line has its end")
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// events are all events of a job, or of all jobs for the empty ID, oldest first.
func (c *client) events(job string) (found []gjson.Result) {
	c.t.Helper()
	for after := ""; ; {
		page := c.read("/v1/events?limit=100&after=" + after)
		for _, e := range page.get("data").Array() {
			after = e.Get("id").String()
			if job == "" || e.Get("data.id").String() == job {
				found = append(found, e)
			}
		}
		if !page.get("has_more").Bool() {
			return found
		}
	}
}

// settled waits until each of a job's deliveries has ended and gives them.
func (c *client) settled(job string) []gjson.Result {
	c.t.Helper()
	var all []gjson.Result
	eventually(c.t, "the deliveries of "+job+" have ended", func() bool {
		all = c.read("/v1/jobs/" + job + "/deliveries").get("data").Array()
		for _, d := range all {
			if s := d.Get("status").String(); s != "delivered" && s != "failed" && s != "cancelled" {
				return false
			}
		}
		return len(all) > 0
	})
	return all
}

// refused wants OpenAI's envelope with all of its four keys.
func refused(t *testing.T, a answer) gjson.Result {
	t.Helper()
	e := a.get("error")
	require.True(t, e.IsObject(), "no envelope: %d %.300s", a.status, a.body)
	for _, key := range []string{"message", "type", "param", "code"} {
		require.True(t, e.Get(key).Exists(), "the envelope lacks %s: %s", key, a.body)
	}
	require.Len(t, e.Map(), 4)
	require.NotEmpty(t, e.Get("message").String())
	require.NotEmpty(t, e.Get("type").String())
	return e
}
