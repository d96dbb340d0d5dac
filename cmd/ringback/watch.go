package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	// pollWait is the length of one long poll. The server answers sooner when the status changes, but not for each
	// line: this is how often the counts move.
	pollWait = 250 * time.Millisecond
	// pollPause keeps a fast job from being read more often than eyes can see.
	pollPause = 100 * time.Millisecond
	// pollShare is the pause for each of many jobs, so that all of them together ask no more than fifty times a second.
	pollShare = 20 * time.Millisecond
	// redrawEvery moves the clock of a progress line while nothing changes.
	redrawEvery = 250 * time.Millisecond
	// lostPolls is how many polls may fail in turn once one has succeeded, each
	// with its own retries of about 3 s: long enough for a server's restart.
	lostPolls = 10
)

// jobUpdate is what one poll of a job brought. Err is its last update's only.
type jobUpdate struct {
	ID  string
	Job Job
	Err error
}

// last tells that no update of this job follows.
func (u jobUpdate) last() bool { return u.Err != nil || u.Job.Ended() }

// pollJob sends jobs' states until each has ended, ctx ends, or the server
// stays away; then it closes the channel.
func pollJob(ctx context.Context, client *Client, ids ...string) <-chan jobUpdate {
	updates := make(chan jobUpdate)
	p := poller{client, updates, max(pollPause, time.Duration(len(ids))*pollShare)}
	var polling sync.WaitGroup
	for _, id := range ids {
		polling.Go(func() { p.run(ctx, id) })
	}
	go func() {
		polling.Wait()
		close(updates)
	}()
	return updates
}

type poller struct {
	client  *Client
	updates chan<- jobUpdate
	pause   time.Duration
}

// run polls one job.
func (p *poller) run(ctx context.Context, id string) {
	// The first read does not wait, so that there is something to show.
	wait, lost := time.Duration(0), 0
	for {
		job, err := p.client.WaitJob(ctx, id, wait)
		if err != nil && wait > 0 && lost < lostPolls && passing(ctx, err) {
			lost++
			continue
		}
		if ctx.Err() != nil {
			return
		}
		update := jobUpdate{id, job, err}
		select {
		case p.updates <- update:
		case <-ctx.Done():
			return
		}
		if update.last() || !interruptible(ctx, p.pause) {
			return
		}
		wait, lost = pollWait, 0
	}
}

// drain ends the polling and waits for its goroutines.
func drain(cancel context.CancelFunc, updates <-chan jobUpdate) {
	cancel()
	for range updates {
	}
}

// passing tells whether the next poll may do better: the server is away or
// failed, rather than refusing.
func passing(ctx context.Context, err error) bool {
	var refused *APIError
	return ctx.Err() == nil && (!errors.As(err, &refused) || refused.Status >= 500)
}

// jobView shows jobs as they go on, in the way that suits where it shows them.
type jobView interface {
	update(u jobUpdate, now time.Time)
	tick(now time.Time) // time goes by
	finish()
}

// newJobView redraws lines on a terminal; elsewhere it writes a line when
// something has changed, as JSON if asked. Where IDs are named each line says whose
// it is, and the lines stand in the IDs' order.
func newJobView(out io.Writer, asJSON bool, ids ...string) jobView {
	if asJSON {
		return &jsonView{out: out, shown: map[string]string{}}
	}
	return &board{screen: newScreen(out), ids: ids}
}

// jsonView writes a job's object when it has changed.
type jsonView struct {
	out   io.Writer
	shown map[string]string
}

func (v *jsonView) update(u jobUpdate, _ time.Time) {
	if text := string(u.Job.text); u.Err == nil && text != v.shown[u.ID] {
		v.shown[u.ID] = text
		_ = printLine(v.out, u.Job.text)
	}
}

func (v *jsonView) tick(time.Time) {}
func (v *jsonView) finish()        {}

// watch follows jobs to their ends and gives the last update of each, in the
// order in which they came.
func watch(ctx context.Context, client *Client, view jobView, ids ...string) (ends []jobUpdate, err error) {
	ctx, cancel := context.WithCancel(ctx)
	updates := pollJob(ctx, client, ids...)
	defer drain(cancel, updates)
	defer view.finish()
	redraw := time.NewTicker(redrawEvery)
	defer redraw.Stop()
	for {
		select {
		case u, open := <-updates:
			if !open {
				return ends, context.Cause(ctx)
			}
			view.update(u, time.Now())
			if u.last() {
				ends = append(ends, u)
			}
		case now := <-redraw.C:
			view.tick(now)
		}
	}
}

// follow watches one job and reports any end but completed as an error.
func follow(ctx context.Context, client *Client, view jobView, id string) error {
	ends, err := watch(ctx, client, view, id)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("stopped watching; %s goes on, follow it with: ringback watch %s", id, id)
	case err != nil:
		return err
	}
	return ends[0].failure()
}

// failure is nil for a job that completed.
func (u jobUpdate) failure() error {
	if u.Err != nil {
		return u.Err
	}
	if u.Job.Completed() {
		return nil
	}
	return endedf("%s ended as %s%s", u.ID, u.Job.Status, u.Job.why())
}
