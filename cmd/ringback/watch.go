package main

import (
	"context"
	"errors"
	"io"
	"time"
)

const (
	// pollWait is the length of one long poll. The server answers sooner when the status changes, but not for each
	// line: this is how often the counts move.
	pollWait = 250 * time.Millisecond
	// pollPause keeps a fast job from being read more often than eyes can see.
	pollPause = 100 * time.Millisecond
	// redrawEvery moves the clock of a progress line while nothing changes.
	redrawEvery = 250 * time.Millisecond
	// lostPolls is how many polls may fail in turn once one has succeeded, each
	// with its own retries of about 3 s: long enough for a server's restart.
	lostPolls = 10
)

// jobUpdate is what one poll brought. Err is the last update's only.
type jobUpdate struct {
	Job Job
	Err error
}

// pollJob sends a job's states until it has ended, ctx ends, or the server
// stays away; then it closes the channel.
func pollJob(ctx context.Context, client *Client, id string) <-chan jobUpdate {
	updates := make(chan jobUpdate)
	go func() {
		defer close(updates)
		// The first read does not wait, so that there is something to show.
		wait, lost := time.Duration(0), 0
		for {
			job, err := client.WaitJob(ctx, id, wait)
			if err != nil && wait > 0 && lost < lostPolls && passing(ctx, err) {
				lost++
				continue
			}
			select {
			case updates <- jobUpdate{job, err}:
			case <-ctx.Done():
				return
			}
			if err != nil || job.Ended() {
				return
			}
			wait, lost = pollWait, 0
			select {
			case <-time.After(pollPause):
			case <-ctx.Done():
				return
			}
		}
	}()
	return updates
}

// drain ends the polling and waits for its goroutine.
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

// watch follows a job to its end and shows each state, and the last one again
// as time goes by.
func watch(ctx context.Context, client *Client, id string, show func(Job, time.Time)) (Job, error) {
	ctx, cancel := context.WithCancel(ctx)
	updates := pollJob(ctx, client, id)
	defer drain(cancel, updates)
	redraw := time.NewTicker(redrawEvery)
	defer redraw.Stop()
	var last Job
	for {
		select {
		case update, open := <-updates:
			if !open {
				return last, context.Cause(ctx)
			}
			if update.Err != nil {
				return last, update.Err
			}
			last = update.Job
			show(last, time.Now())
			if last.Ended() {
				return last, nil
			}
		case now := <-redraw.C:
			if last.ID != "" {
				show(last, now)
			}
		}
	}
}

// reporter shows a job's progress in the way that suits where it is shown.
type reporter struct {
	show   func(Job, time.Time)
	finish func()
}

// newReporter redraws one line on a terminal; elsewhere it writes a line when
// something has changed, as JSON if asked.
func newReporter(out io.Writer, asJSON bool) reporter {
	if asJSON {
		shown := ""
		return reporter{finish: func() {}, show: func(job Job, _ time.Time) {
			if string(job.text) != shown {
				shown = string(job.text)
				_ = printLine(out, job.text)
			}
		}}
	}
	screen := newScreen(out)
	meter := newMeter()
	return reporter{
		show:   func(job Job, now time.Time) { screen.progress(meter.read(job, now)) },
		finish: screen.keep,
	}
}
