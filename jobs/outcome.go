package jobs

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/providers"
	"github.com/ringback/ringback/rawjson"
)

// failure is why something has no answer, as the API shows it.
type failure struct {
	Code       string          `json:"code"`
	Message    string          `json:"message"`
	StatusCode int             `json:"status_code,omitempty"`
	Body       json.RawMessage `json:"body,omitempty"` // the provider's own words, where it gave JSON
}

// lineRequest takes the request out of a batch line.
func lineRequest(j Job, line []byte) providers.Request {
	return providers.Request{Path: j.Path, Model: j.Model, Body: j.lineBody(line)}
}

// lineBody is a line's body byte for byte, but for its model where a retry has another.
func (j *Job) lineBody(line []byte) []byte {
	body := gjson.GetBytes(line, "body")
	raw := line[body.Index : body.Index+len(body.Raw)]
	if j.RetryOf == "" || body.Get("model").String() == j.Model {
		return raw
	}
	model := `"model":` + string(encode(j.Model))
	return rawjson.Edit(raw, gjson.ParseBytes(raw), func(key string, _ gjson.Result) (text string, keep bool) {
		if key == "model" {
			return model, true
		}
		return "", true
	})
}

// outcome is the line of the output or the error file that an answer, or its lack, makes (OpenAI's batch output).
// An HTTP answer of any status fills response; no answer at all fills error.
func (s *shardRun) outcome(number int64, line []byte, answer providers.Answer, failed *providers.Error) Line {
	l := Line{ProjectID: s.job.ProjectID, JobID: s.job.ID, Shard: s.shard.N, Line: number, OK: failed == nil, Took: answer.Took, Usage: answer.Usage}
	id := gjson.GetBytes(line, "custom_id").Raw
	switch {
	case failed == nil:
		l.Text = answered(id, answer)
	case failed.Answer != nil && failed.Kind != providers.InvalidAnswer && rawjson.Valid(failed.Answer.Body):
		l.Text = answered(id, *failed.Answer)
	default:
		l.Text = unanswered(id, string(failed.Kind), failed.Message)
	}
	return l
}

func (s *shardRun) crashed(number int64, line []byte) Line {
	l := Line{ProjectID: s.job.ProjectID, JobID: s.job.ID, Shard: s.shard.N, Line: number}
	l.Text = unanswered(gjson.GetBytes(line, "custom_id").Raw, "claimed_too_often",
		"Work on this request was begun "+strconv.Itoa(MaxClaims)+" times and never came to an end; it is not tried again.")
	return l
}

// answered renders a line with the provider's answer. The body stays byte for byte, but for raw line ends between its
// tokens, which a line cannot hold.
func answered(customID string, a providers.Answer) []byte {
	b := make([]byte, 0, len(a.Body)+len(customID)+160)
	b = append(append(b, `{"id":"`...), NewID("batch_req_")...)
	b = append(append(b, `","custom_id":`...), customID...)
	b = append(strconv.AppendInt(append(b, `,"response":{"status_code":`...), int64(a.Status), 10), `,"request_id":`...)
	b = append(append(b, encode(a.RequestID)...), `,"body":`...)
	at := len(b)
	b = append(b, bytes.TrimSpace(a.Body)...)
	inOneLine(b[at:])
	return append(b, `},"error":null}`...)
}

// inOneLine turns the raw line ends of valid JSON, which stand between its tokens, into spaces.
func inOneLine(b []byte) []byte {
	for i, c := range b {
		if c == '\n' || c == '\r' {
			b[i] = ' '
		}
	}
	return b
}

// withRequest adds the request to a line of an error file, so that the file can be submitted as it is. A line that would
// be longer than a batch's input may have goes without.
func (j *Job) withRequest(text, line []byte) []byte {
	r := gjson.GetManyBytes(line, "method", "url")
	body := j.lineBody(line)
	b := make([]byte, 0, len(text)+len(body)+len(r[0].Raw)+len(r[1].Raw)+32)
	b = append(append(b, text[:len(text)-1]...), `,"method":`...)
	b = append(append(b, r[0].Raw...), `,"url":`...)
	b = append(append(append(b, r[1].Raw...), `,"body":`...), body...)
	if b = append(b, '}'); len(b) >= MaxLine { // its end counts too
		return text
	}
	return b
}

// unanswered renders a line that has no answer.
func unanswered(customID, code, message string) []byte {
	b := append([]byte(`{"id":"`), NewID("batch_req_")...)
	b = append(append(b, `","custom_id":`...), customID...)
	b = append(b, `,"response":null,"error":`...)
	return append(append(b, encode(failure{Code: code, Message: message})...), '}')
}
