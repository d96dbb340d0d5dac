package web

import (
	"time"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
)

// The bounds of a file's life in seconds, for uploads and for batch output (OpenAI's).
const (
	leastTTL = 3600
	mostTTL  = 2592000
)

// lifetime reads an expires_after: counted from the file's creation, which is the only anchor.
func lifetime(anchor, secondsName string, seconds gjson.Result, anchorName string) (time.Duration, error) {
	if anchor != "created_at" {
		return 0, jobs.Errorf(jobs.CodeValue, anchorName, "Invalid value for '%s': '%s'. Supported values are: 'created_at'.", anchorName, anchor)
	}
	n, err := readInteger(secondsName, seconds, leastTTL, mostTTL)
	return time.Duration(n) * time.Second, err
}
