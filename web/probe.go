package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Weight says what becomes of /readyz when a dependency does not work.
type Weight int

// The weights.
const (
	Vital     Weight = iota // nothing can be accepted: 503, and a load balancer takes this process out
	Degrading               // what is accepted waits, or some requests fail: 200, and the status says degraded
	Told                    // it is named, and nothing follows: it is somebody else's
)

// Check is one dependency, as /readyz names it.
type Check struct {
	Name   string
	Weight Weight
	// Probe tells whether it works; nil is good. Its context ends after two seconds. It never runs twice at once, and not
	// again for some seconds after it succeeded. One that does not heed its context counts as failed while it hangs, and is
	// left to end by itself.
	Probe func(ctx context.Context) error
}

const (
	probeAtMost = 2 * time.Second
	goodFor     = 3 * time.Second        // so long a success stands: a probe may cost the database a write
	badFor      = 250 * time.Millisecond // a failure is looked at again soon
)

// finding is what came of a probe.
type finding struct {
	err  error
	took time.Duration
	at   time.Time // when it came
}

func (f *finding) stands(now time.Time) bool {
	lasts := goodFor
	if f.err != nil {
		lasts = badFor
	}
	past := now.Sub(f.at)
	return !f.at.IsZero() && past >= 0 && past < lasts
}

var errHangs = errors.New("web: the dependency has not answered in time")

// prober runs one dependency's probe, once at a time, for all who ask.
type prober struct {
	Check
	now func() time.Time
	log *slog.Logger

	mu    sync.Mutex
	last  finding
	began time.Time
	ended chan struct{} // of the probe that runs; nil: none does
}

// probeAll asks all dependencies side by side, and waits two seconds at most.
func probeAll(ctx context.Context, all []*prober) []finding {
	findings := make([]finding, len(all))
	var wg sync.WaitGroup
	for i, p := range all {
		wg.Go(func() { findings[i] = p.ask(ctx) })
	}
	wg.Wait()
	return findings
}

// ask gives what is known, or waits for what the probe finds.
func (p *prober) ask(ctx context.Context) finding {
	p.mu.Lock()
	if p.ended == nil && p.last.stands(p.now()) {
		defer p.mu.Unlock()
		return p.last
	}
	if p.ended == nil {
		p.began, p.ended = p.now(), make(chan struct{})
		go p.run(ctx, p.ended)
	}
	began, ended := p.began, p.ended
	p.mu.Unlock()
	patience := time.NewTimer(max(probeAtMost-p.now().Sub(began), 0))
	defer patience.Stop()
	select {
	case <-ended:
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.last
	case <-patience.C:
		p.log.Warn("not ready", "dependency", p.Name, "err", errHangs, "for", p.now().Sub(began))
		return finding{err: errHangs, took: p.now().Sub(began)}
	}
}

// run is the one goroutine that nobody waits for: a dependency that hangs would hang whoever did.
func (p *prober) run(ctx context.Context, ended chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, probeAtMost)
	defer cancel()
	err := p.probe(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = finding{err: err, took: p.now().Sub(p.began), at: p.now()}
	p.ended = nil
	close(ended)
	if err != nil {
		p.log.Warn("not ready", "dependency", p.Name, "err", err)
	}
}

// probe turns a panic into an error: to look at a dependency must not end the process.
func (p *prober) probe(ctx context.Context) (err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("web: the probe panicked: %v", panicked)
		}
	}()
	return p.Probe(ctx)
}
