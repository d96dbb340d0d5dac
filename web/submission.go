package web

import (
	"math"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
)

// submissionKeys are the keys that a submission of any kind may have, and those of its own kind.
func submissionKeys(own ...string) []string {
	return append([]string{"metadata", "webhook", "webhook_ids", "run_at", "priority"}, own...)
}

// submit answers a submission with the job that it made, once for each Idempotency-Key.
func (s *core) submit(c *gin.Context, status int, create func(body []byte, idem *jobs.Idempotency) ([]byte, error)) error {
	return s.once(c, status, func(k key) ([]byte, error) {
		body, err := s.readBody(c)
		if err != nil {
			return nil, err
		}
		return create(body, k.over(body))
	})
}

// objectOf is a job as the route of its kind shows it.
func objectOf(snapshot jobs.Snapshot, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return snapshot.Object(), nil
}

// jobObject is a job in a list of its kind.
func jobObject(j *jobs.Job) []byte { return (&jobs.Snapshot{Job: *j}).Object() }

// readSubmission reads what clients may say of a job of any kind, all but its Idempotency-Key.
func (s *core) readSubmission(c *gin.Context, p WebhookParser, members map[string]gjson.Result) (n jobs.Submission, err error) {
	n.ProjectID = s.project(c)
	if n.Metadata, err = readMetadata(members["metadata"]); err != nil {
		return n, err
	}
	if n.RunAt, err = s.readRunAt(members["run_at"]); err != nil {
		return n, err
	}
	if n.Priority, err = readPriority(members["priority"]); err != nil {
		return n, err
	}
	r, err := readReceiver(p, members["webhook"], members["webhook_ids"])
	n.Webhook, n.WebhookShown, n.WebhookIDs = r.webhook, r.shown, r.ids
	return n, err
}

// maxAhead bounds how far ahead a job may be planned.
const maxAhead = 365 * 24 * time.Hour

// readRunAt reads a time as Unix seconds or as RFC 3339. One that has passed means at once.
func (s *core) readRunAt(v gjson.Result) (jobs.Time, error) {
	const name = "run_at"
	var at time.Time
	switch v.Type {
	case gjson.Null:
		return 0, nil
	case gjson.String:
		t, err := time.Parse(time.RFC3339, v.Str)
		if err != nil {
			return 0, jobs.Errorf(jobs.CodeValue, name, "Invalid value for 'run_at': expected a time as '2026-12-24T18:00:00Z' or in Unix seconds.")
		}
		at = t
	case gjson.Number:
		seconds, err := strconv.ParseInt(v.Raw, 10, 64)
		if err != nil || seconds < 0 || seconds > math.MaxInt32*2 {
			return 0, jobs.Errorf(jobs.CodeValue, name, "Invalid value for 'run_at': expected whole Unix seconds, or a time as '2026-12-24T18:00:00Z'.")
		}
		at = time.Unix(seconds, 0)
	default:
		return 0, typeError(name, "a time in Unix seconds or a string", v)
	}
	if at.After(s.now().Add(maxAhead)) {
		return 0, jobs.Errorf(jobs.CodeValue, name, "Invalid value for 'run_at': it is more than a year ahead.")
	}
	if !at.After(s.now()) {
		return 0, nil
	}
	return jobs.At(at), nil
}

func readPriority(v gjson.Result) (jobs.Priority, error) {
	text, err := readText("priority", v)
	if err != nil || text == "" && v.Type == gjson.Null {
		return "", err
	}
	for _, p := range jobs.Priorities() {
		if string(p) == text {
			return p, nil
		}
	}
	return "", jobs.Errorf(jobs.CodeValue, "priority", "Invalid value: '%s'. Supported values are: 'high', 'normal' and 'low'.", clip(text))
}
