package web

import (
	"bytes"
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
)

// retry makes a new batch of what an ended one has not answered. Nothing must be said, so there may be no body.
func (b *batches) retry(c *gin.Context) error {
	return b.submit(c, http.StatusOK, func(body []byte, idem *jobs.Idempotency) ([]byte, error) {
		if _, err := readKind(c, b.facts, b.ref(c), jobs.KindBatch); err != nil {
			return nil, err
		}
		n, err := b.bindRetry(c, body)
		if err != nil {
			return nil, err
		}
		n.Idempotency = idem
		return objectOf(b.jobs.RetryBatch(c.Request.Context(), b.ref(c), n))
	})
}

func (b *batches) bindRetry(c *gin.Context, body []byte) (n jobs.BatchRetry, err error) {
	root := gjson.Parse("{}")
	if len(bytes.TrimSpace(body)) > 0 {
		if root, err = parseBody(body); err != nil {
			return n, err
		}
	}
	f, err := readFields(root, "", submissionKeys("model", "completion_window")...)
	if err != nil {
		return n, err
	}
	if n.Model, err = f.text("model"); err != nil {
		return n, err
	}
	if n.CompletionWindow, err = f.text("completion_window"); err != nil {
		return n, err
	}
	for _, name := range []string{"model", "completion_window"} {
		if v := f.members[name]; v.Type == gjson.String && v.Str == "" {
			return n, jobs.Errorf(jobs.CodeValue, name, "Invalid value for '%s': it is empty. Leave it out for what the ended batch had.", name)
		}
	}
	n.Submission, err = b.readSubmission(c, b.webhooks, f.members)
	return n, err
}
