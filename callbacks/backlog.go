package callbacks

import "github.com/ringback/ringback/jobs"

// Backlog is what one receiver is owed.
type Backlog struct {
	Gate       string // the endpoint's ID, or the callback's host
	EndpointID string // empty for a host
	N          int64
	Next       jobs.Time // when the first of it is due
	ShutAt     jobs.Time // since when its gate is shut; zero while it is open
}
