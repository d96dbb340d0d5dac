package jobs

import (
	"context"
	"errors"
	"io"

	"github.com/tidwall/gjson"
)

// lineSource gives lines one by one; io.EOF ends it.
type lineSource interface{ next() ([]byte, error) }

// lineStream is a reader over a lineSource.
type lineStream struct {
	from lineSource
	rest []byte
}

// Read fills p with as many lines as fit: a write for each line would cost more than the line.
func (l *lineStream) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(l.rest) == 0 {
			line, err := l.from.next()
			if err != nil {
				return n, err
			}
			l.rest = append(line, '\n')
		}
		m := copy(p[n:], l.rest)
		l.rest = l.rest[m:]
		n += m
	}
	return n, nil
}

// pages reads a batch's outcomes page by page.
type pages struct {
	load  func(after int64) ([]Line, error)
	page  []Line
	after int64
	ended bool
}

func (r *Runner) pages(ctx context.Context, job Ref, ok bool) *pages {
	return &pages{load: func(after int64) ([]Line, error) {
		return r.Store.Lines(ctx, LineQuery{Job: job, After: after, OK: &ok})
	}}
}

func (r *Runner) allPages(ctx context.Context, job Ref) *pages {
	return &pages{load: func(after int64) ([]Line, error) { return r.Store.Lines(ctx, LineQuery{Job: job, After: after}) }}
}

// peek gives the next outcome without taking it; nil at the end.
func (p *pages) peek() (*Line, error) {
	if len(p.page) == 0 && !p.ended {
		page, err := p.load(p.after)
		if err != nil {
			return nil, err
		}
		if p.ended = len(page) == 0; !p.ended {
			p.page, p.after = page, page[len(page)-1].Line
		}
	}
	if len(p.page) == 0 {
		return nil, nil //nolint:nilnil // the end is no error
	}
	return &p.page[0], nil
}

func (p *pages) take() { p.page = p.page[1:] }

// oneSort are the outcomes of one sort.
type oneSort struct{ pages *pages }

func (o *oneSort) next() ([]byte, error) {
	l, err := o.pages.peek()
	if err != nil {
		return nil, err
	}
	if l == nil {
		return nil, io.EOF
	}
	o.pages.take()
	return l.Text, nil
}

// errorLines are the failed outcomes of a batch, and where it ends early the lines of its input that have none, in the input's
// order and each with the request that it answers.
type errorLines struct {
	job   *Job
	input *lineReader
	pages *pages // of failures, where the batch was not ended early: then a line without one has succeeded
	never int64  // lines without an outcome so far
}

func (e *errorLines) next() ([]byte, error) {
	for {
		failed, err := e.pages.peek()
		if err != nil {
			return nil, err
		}
		if failed == nil && e.job.Ending == Completed {
			return nil, io.EOF
		}
		line, _, err := e.input.next()
		switch {
		case errors.Is(err, io.EOF) && failed != nil: // the input is shorter than it was
			e.pages.take()
			if !failed.OK {
				return failed.Text, nil
			}
		case err != nil:
			return nil, err
		case len(line) == 0:
		case failed != nil && failed.Line == e.input.number:
			e.pages.take()
			if !failed.OK {
				return e.job.withRequest(failed.Text, line), nil
			}
		case e.job.Ending != Completed:
			e.never++
			return e.job.withRequest(e.unanswered(line), line), nil
		}
	}
}

func (e *errorLines) unanswered(line []byte) []byte {
	return unanswered(gjson.GetBytes(line, "custom_id").Raw, "batch_"+string(e.job.Ending), restMessages[e.job.Ending])
}
