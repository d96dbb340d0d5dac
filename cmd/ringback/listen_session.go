package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"time"

	"github.com/tidwall/gjson"
)

const (
	firstListenPause   = time.Second
	longestListenPause = 30 * time.Second
	// listenIdle is three missed pings and more: by then the connection is dead,
	// though nobody said so.
	listenIdle = 75 * time.Second
)

var errSilent = errors.New("nothing was heard for too long")

// listenSession follows a stream over its reconnects. last is the ID of the
// event that was dealt with last, or where to begin; it may be "".
type listenSession struct {
	client  *Client
	types   string
	last    string
	forward *forwarder // nil: print only
	show    listenView
	pause   time.Duration // before the first reconnect; doubles up to 30 s
	idle    time.Duration
}

// listenView is told what comes and what happens to the connection. before is
// the ID of the event before this one, or "".
type listenView interface {
	event(event sseEvent, result forwarded, before string)
	connected(server string, forward *forwarder)
	lost(err error, pause time.Duration, server string)
}

// run ends without an error when ctx does, and with one when the server
// refuses or an event cannot be held.
func (s *listenSession) run(ctx context.Context) error {
	pause := s.pause
	for {
		begun, err := s.connect(ctx)
		switch {
		case ended(ctx):
			return nil
		case !comesBack(err):
			return err
		case begun:
			pause = s.pause
		}
		s.show.lost(err, pause, s.client.server)
		if !interruptible(ctx, pause) {
			return nil
		}
		pause = min(2*pause, longestListenPause)
	}
}

func ended(ctx context.Context) bool { return ctx.Err() != nil }

// comesBack tells whether connecting again may help: the server is away or
// busy, rather than refusing.
func comesBack(err error) bool {
	var refused *APIError
	if errors.As(err, &refused) {
		return refused.Status >= 500 || refused.Status == http.StatusTooManyRequests
	}
	return !errors.Is(err, errLongEvent)
}

// connect follows one connection to its end. begun tells that it opened.
func (s *listenSession) connect(ctx context.Context) (begun bool, err error) {
	if err := s.readSecret(ctx); err != nil {
		return false, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stream, err := s.client.eventStream(ctx, s.types, s.last)
	if err != nil {
		return false, err
	}
	defer stream.Close()
	s.show.connected(s.client.server, s.forward)
	silence := time.AfterFunc(s.idle, func() { cancel(errSilent) })
	defer silence.Stop()
	events := newSSEReader(&heardReader{stream, silence, s.idle})
	err = s.follow(ctx, events)
	if s.last == "" { // no event yet, but the server may have said where it began
		s.last = events.last
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return true, err
}

// readSecret asks anew on each connect, since a secret may be rotated.
func (s *listenSession) readSecret(ctx context.Context) error {
	if s.forward == nil || s.forward.given() {
		return nil
	}
	secret, err := s.client.SigningSecret(ctx)
	var refused *APIError
	if errors.As(err, &refused) {
		return fmt.Errorf("read the secret to sign with (--secret-file names one instead): %w", err)
	}
	s.forward.project = secret
	return err
}

// follow deals with one event after the other. An event that ctx cuts off in
// its forward is not counted as dealt with.
func (s *listenSession) follow(ctx context.Context, events *sseReader) error {
	for {
		event, err := events.next()
		if err != nil {
			return err
		}
		if event.ID == "" {
			event.ID = gjson.GetBytes(event.Data, "id").String()
		}
		result := s.forward.event(ctx, event)
		if ended(ctx) && result.Err != nil {
			return context.Cause(ctx)
		}
		s.show.event(event, result, s.last)
		s.last = event.ID
	}
}

// heardReader counts the time in which nothing comes while somebody waits for
// it; the time that a forward takes is not silence.
type heardReader struct {
	io.Reader
	silence *time.Timer
	idle    time.Duration
}

func (r *heardReader) Read(p []byte) (int, error) {
	r.silence.Reset(r.idle)
	defer r.silence.Stop()
	return r.Reader.Read(p)
}

// eventStream opens the project's events after the one with the ID, or from
// now on for "". The caller closes it; there is no retry in here.
func (c *Client) eventStream(ctx context.Context, types, last string) (io.ReadCloser, error) {
	query := ""
	if types != "" && types != "*" {
		query = "?types=" + url.QueryEscape(types)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.server+"/v1/events/stream"+query, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "text/event-stream")
	request.Header.Set("Accept-Encoding", "identity") // a compressing proxy would hold events back
	if c.key != "" {
		request.Header.Set("Authorization", "Bearer "+c.key)
	}
	if last != "" {
		request.Header.Set("Last-Event-ID", last)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	return checkStream(answer)
}

func checkStream(answer *http.Response) (io.ReadCloser, error) {
	if answer.StatusCode != http.StatusOK {
		defer answer.Body.Close()
		return nil, readAPIError(answer)
	}
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if kind != "text/event-stream" {
		answer.Body.Close()
		return nil, &APIError{Status: answer.StatusCode, Message: fmt.Sprintf("it answered %q, not an event stream; is this a Ringback server?", kind)}
	}
	return answer.Body, nil
}
