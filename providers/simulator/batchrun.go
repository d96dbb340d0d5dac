package simulator

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// batchWorkers is how many lines of a batch are answered at once.
const batchWorkers = 16

// A batchRun is a batch while its lines are answered.
type batchRun struct {
	s    *Simulator
	a    *account
	id   string
	ctx  context.Context // ends with a cancel of the batch, and with the account
	stop context.CancelFunc

	completed, failed         atomic.Int64
	inputTokens, outputTokens atomic.Int64

	mu           sync.Mutex // guards what is written to
	output, lost lineFile
}

// startBatch begins or goes on with a batch; Close waits for it.
func (s *Simulator) startBatch(a *account, id string) {
	run := &batchRun{s: s, a: a, id: id}
	run.ctx, run.stop = context.WithCancel(a.ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || a.running[id] != nil {
		run.stop()
		return
	}
	a.running[id] = run
	a.runs.Go(func() {
		defer a.forget(run)
		if err := run.carry(); err != nil && a.ctx.Err() == nil {
			run.fault(err)
		}
	})
}

func (a *account) forget(run *batchRun) {
	run.stop()
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.running, run.id)
}

func (a *account) interrupt(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if run := a.running[id]; run != nil {
		run.stop()
	}
}

// withCounts brings a batch that runs up to date.
func (a *account) withCounts(b batch) batch {
	a.mu.Lock()
	defer a.mu.Unlock()
	if run := a.running[b.ID]; run != nil && !b.ended() && b.Status != batchValidating {
		b.Counts.Completed, b.Counts.Failed = run.completed.Load(), run.failed.Load()
	}
	return b
}

// carry brings the batch from the state it is in to its end. It leaves it where
// it is when the account closes.
func (r *batchRun) carry() error {
	b, _ := r.a.batches.get(r.id)
	if b.Status == batchValidating {
		check, err := r.s.checkBatch(r.a, b)
		if err != nil {
			return err
		}
		if b, err = r.move(func(b *batch) { b.checked(check, r.s.now()) }); err != nil {
			return err
		}
	}
	if b.ended() {
		return nil
	}
	defer r.output.discard()
	defer r.lost.discard()
	expired := false
	if b.Status != batchCancelling {
		var err error
		if expired, err = r.answerLines(b); err != nil {
			return err
		}
	}
	if r.a.ctx.Err() != nil {
		return nil
	}
	return r.finish(expired)
}

// checked is the batch after its validation.
func (b *batch) checked(check *batchCheck, now time.Time) {
	b.Model = check.model
	switch {
	case b.Status == batchCancelling:
	case len(check.errors) > 0:
		*b = b.moved(batchFailed, now)
		b.Errors = check.errors
	default:
		*b = b.moved(batchInProgress, now)
		b.Counts.Total = check.total
	}
}

// finish keeps the files first and then says where they are.
func (r *batchRun) finish(expired bool) error {
	if _, err := r.move(func(b *batch) {
		if b.Status != batchCancelling {
			*b = b.moved(batchFinalizing, r.s.now())
		}
	}); err != nil {
		return err
	}
	output, err := r.output.keep(r.a, r.id, "output", r.s.now())
	if err != nil {
		return err
	}
	lost, err := r.lost.keep(r.a, r.id, "error", r.s.now())
	if err != nil {
		return err
	}
	_, err = r.move(func(b *batch) {
		status := batchCompleted
		switch {
		case b.Status == batchCancelling:
			status = batchCancelled
		case expired:
			status = batchExpired
		}
		*b = b.moved(status, r.s.now())
		b.Output, b.Failed = output, lost
		b.Counts.Completed, b.Counts.Failed = r.completed.Load(), r.failed.Load()
		b.Usage = batchUsage{r.inputTokens.Load(), r.outputTokens.Load()}
	})
	return err
}

func (r *batchRun) move(edit func(*batch)) (batch, error) {
	b, p := r.a.batches.change(r.id, func(b *batch) *problem {
		edit(b)
		return nil
	})
	if p != nil {
		return b, errors.New(p.message)
	}
	return b, nil
}

// fault ends a batch that the simulator itself cannot go on with.
func (r *batchRun) fault(err error) {
	r.s.log.ErrorContext(r.ctx, "a simulated batch failed", "batch", r.id, "error", err)
	_, err = r.move(func(b *batch) {
		*b = b.moved(batchFailed, r.s.now())
		b.Errors = []lineError{{Code: "server_error", Message: "The simulator could not work on this batch."}}
	})
	if err != nil {
		r.s.log.ErrorContext(r.ctx, "a simulated batch is stuck until a restart", "batch", r.id, "error", err)
	}
}
