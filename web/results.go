package web

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/ringback/ringback/jobs"
)

// ResultReader reads batches' outcomes.
type ResultReader interface {
	// Results reads a page of at least one, while there is one, in an order that never changes, and gives the place of the
	// last one.
	Results(ctx context.Context, q jobs.ResultQuery) (lines [][]byte, last int64, err error)
}

// results sends the lines of a batch that have an outcome, successes and failures, as they would stand in its files and in
// the order in which they came. after is how many of them the client has already; follow keeps the answer open until the
// batch has ended. Lines that were never started are in the error file alone.
func (b *batches) results(c *gin.Context) error {
	after, follow, err := readResults(c)
	if err != nil {
		return err
	}
	batch, err := readKind(c, b.facts, b.ref(c), jobs.KindBatch)
	if err == nil {
		err = batch.Kept()
	}
	if err != nil {
		return err
	}
	leave, err := b.enter()
	if err != nil {
		return err
	}
	defer leave()
	out := openLines(c, b.pace)
	if c.Request.Method == http.MethodHead {
		return nil
	}
	r := &resultStream{facts: b.facts, results: b.outcomes, query: jobs.ResultQuery{Job: b.ref(c), Skip: after}, sent: after, out: out}
	if !follow {
		return r.send(c.Request.Context())
	}
	ctx, release := b.waiting(c)
	defer release()
	return r.follow(ctx)
}

func readResults(c *gin.Context) (after int64, follow bool, err error) {
	if text := c.Query("after"); text != "" {
		if after, err = strconv.ParseInt(text, 10, 64); err != nil {
			return 0, false, jobs.Errorf(jobs.CodeType, "after", "Invalid type for 'after': expected an integer, the number of lines that you have.")
		}
		if err := within("after", after, 0, math.MaxInt64); err != nil {
			return 0, false, err
		}
	}
	said, err := oneOf(c, "follow", "true", "false")
	return after, said == "true", err
}

// openLines begins an answer of JSON lines. The connection is closed at its end: the deadline of the last write stays on it.
func openLines(c *gin.Context, pace pace) *frames {
	h := c.Writer.Header()
	h.Set("Content-Type", "application/x-ndjson")
	h.Set("X-Accel-Buffering", "no")
	h.Set("Connection", "close")
	c.Writer.WriteHeaderNow()
	return &frames{w: c.Writer, conn: http.NewResponseController(below(c.Writer)), pace: pace, wrote: time.Now()}
}

// resultStream is one client's answer: what it has, and where it stands.
type resultStream struct {
	facts   JobReader
	results ResultReader
	query   jobs.ResultQuery
	sent    int64 // lines that the client has
	out     *frames
}

// send sends what there is. Its error is the store's alone.
func (r *resultStream) send(ctx context.Context) error {
	_, err := r.catchUp(ctx)
	return err
}

// follow sends what comes until the batch has ended. When the server shuts down before that, the answer is cut off: an
// orderly end would say that there is no more.
func (r *resultStream) follow(ctx context.Context) error {
	tick := time.NewTicker(r.out.pace.poll)
	defer tick.Stop()
	for r.out.flush() {
		ended, err := r.catchUp(ctx)
		if ctx.Err() != nil {
			panic(http.ErrAbortHandler)
		}
		if err != nil || ended {
			return err
		}
		select {
		case <-ctx.Done():
			panic(http.ErrAbortHandler)
		case <-tick.C:
		}
	}
	return nil
}

// catchUp sends what has come by now. The batch is read before its lines: so none can follow those of one that has ended.
// While its counters say that nothing is new, its lines are not looked at.
func (r *resultStream) catchUp(ctx context.Context) (ended bool, err error) {
	batch, err := r.facts.Job(ctx, r.query.Job)
	if err != nil {
		return false, err
	}
	for r.sent < batch.Completed+batch.Failed {
		lines, last, err := r.results.Results(ctx, r.query)
		if err != nil || len(lines) == 0 {
			return err == nil && batch.Status.Terminal(), err
		}
		for _, line := range lines {
			r.out.line(line)
		}
		if !r.out.flush() {
			return true, nil
		}
		r.query.After, r.query.Skip = last, 0
		r.sent += int64(len(lines))
	}
	return batch.Status.Terminal(), nil
}

// line writes one line within a deadline of its own.
func (f *frames) line(text []byte) {
	f.limit(len(text))
	f.write(text)
	f.text("\n")
}
