package jobs

import (
	"time"

	"github.com/ringback/ringback/providers"
)

// Shard is a run of a batch's lines: the unit that workers claim.
type Shard struct {
	ProjectID string
	ID        string // the job's ID, a colon, and N
	JobID     string
	N         int   // from 0, in the file's order
	FirstLine int64 // from 1
	Lines     int64 // lines that are requests; blank lines are skipped but counted as positions
	LastLine  int64
	Offset    int64    // of the first line in the input file
	Priority  Priority // its job's
	Done      bool
	Retries   []byte // JSON: the tries of lines that are to be called again, by line

	Work
}

// Ref names the shard.
func (s *Shard) Ref() Ref { return Ref{s.ProjectID, s.ID} }

// Line is the outcome of one line of a batch, ready for the output or the error file.
type Line struct {
	ProjectID string
	JobID     string
	Shard     int // the N of its shard
	Line      int64
	OK        bool          // a 2xx answer: output file; otherwise the error file
	Text      []byte        // one JSON object, without a newline
	Took      time.Duration // the call that brought it; not kept
	providers.Usage
}

// Tally is what outcomes add to a batch's counters.
type Tally struct {
	Completed, Failed int64
	providers.Usage
}

// Add counts one outcome.
func (t *Tally) Add(l Line) {
	t.Usage = t.Usage.Add(l.Usage)
	if l.OK {
		t.Completed++
	} else {
		t.Failed++
	}
}
