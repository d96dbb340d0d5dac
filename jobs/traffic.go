package jobs

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/ringback/ringback/providers"
)

// Traffic is how busy a provider is with this process's calls to its models.
type Traffic struct {
	Provider string
	Calls    int  // in flight
	Waiting  int  // for a slot of the limiter
	Down     bool // work was turned away because it seems down, and no call has been answered since
}

// Traffic tells it of each provider, without asking any.
func (r *Runner) Traffic() []Traffic {
	all := make([]Traffic, 0, len(r.traffic))
	for name, t := range r.traffic {
		all = append(all, Traffic{Provider: name, Calls: int(t.calls.Load()), Waiting: int(t.waiting.Load()), Down: t.down.Load()})
	}
	return all
}

// traffic counts one provider's.
type traffic struct {
	calls, waiting atomic.Int64
	down           atomic.Bool
	called         func(project string, outcome providers.Kind, took time.Duration) // nil: nobody hears
}

// newTraffic counts for each configured provider; none comes later.
func newTraffic(o RunnerOptions) map[string]*traffic {
	all := map[string]*traffic{}
	if o.Router == nil {
		return all
	}
	for _, p := range o.Router.Providers() {
		all[p.Name()] = &traffic{}
		if o.Called != nil {
			all[p.Name()].called = o.Called(p.Name())
		}
	}
	return all
}

func (r *Runner) trafficOf(p *providers.Provider) *traffic {
	if t := r.traffic[p.Name()]; t != nil {
		return t
	}
	return &traffic{}
}

// acquire takes a slot for a call; see [providers.Limiter.Acquire].
func (r *Runner) acquire(ctx context.Context, p *providers.Provider, j *Job) (*providers.Slot, error) {
	t := r.trafficOf(p)
	t.waiting.Add(1)
	defer t.waiting.Add(-1)
	slot, err := p.Limiter(j.Model).Acquire(ctx, j.turn(), patience)
	var busy *providers.BusyError
	if err != nil && errors.As(err, &busy) && busy.Reason == providers.ProviderDown {
		t.down.Store(true)
	}
	return slot, err
}

// doCall makes a call for one answer; see [providers.Provider.Do].
func (r *Runner) doCall(ctx context.Context, p *providers.Provider, project string, req providers.Request) (providers.Answer, error) {
	return r.counted(p, project, func() (providers.Answer, error) { return p.Do(ctx, req) })
}

// streamCall makes a call for an answer in pieces; see [providers.Provider.Stream].
func (r *Runner) streamCall(ctx context.Context, p *providers.Provider, project string, req providers.Request, each func(providers.Chunk) error) (providers.Answer, error) {
	return r.counted(p, project, func() (providers.Answer, error) { return p.Stream(ctx, req, each) })
}

func (r *Runner) counted(p *providers.Provider, project string, call func() (providers.Answer, error)) (providers.Answer, error) {
	t := r.trafficOf(p)
	t.calls.Add(1)
	defer t.calls.Add(-1)
	began := time.Now()
	answer, err := call()
	answer.Took = time.Since(began)
	t.ended(project, outcomeOf(err), answer.Took)
	return answer, err
}

// outcomeOf is what a call came to: empty for an answer. What this side ended for reasons of its own was canceled.
func outcomeOf(err error) providers.Kind {
	if err == nil {
		return ""
	}
	if failed := providers.AsError(err); failed != nil {
		return failed.Kind
	}
	return providers.Canceled
}

func (t *traffic) ended(project string, outcome providers.Kind, took time.Duration) {
	switch outcome {
	case providers.Connection, providers.Overloaded, providers.Timeout, providers.Canceled: // which an outage may go on with
	default:
		if t.down.Load() {
			t.down.Store(false)
		}
	}
	if t.called != nil {
		t.called(project, outcome, took)
	}
}
