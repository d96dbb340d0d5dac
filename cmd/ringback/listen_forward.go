package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/ringback/ringback/callbacks/signature"
)

// longestReceiverAnswer is read of an answer, so that its connection is kept.
const longestReceiverAnswer = 64 << 10

// forwarder carries events to the developer's program as callbacks are
// carried.
type forwarder struct {
	url     string
	headers http.Header // the developer's own; the contract's win
	secret  Secret      // "": project's
	project Secret      // as the server said last
	retries int
	pause   time.Duration // before the first retry; doubles up to 30 s
	http    *http.Client
}

func (f *forwarder) given() bool { return f.secret != "" }

// forwarded is how an event's last try went. Attempt is 0 where nothing was
// sent; Err is nil where an answer came.
type forwarded struct {
	Attempt  int
	Status   int
	Location string // where a redirect points
	Took     time.Duration
	Err      error
}

func (r forwarded) delivered() bool { return r.Err == nil && r.Status/100 == 2 }

// event forwards one event, again while it fails and tries are left. A nil
// forwarder sends nothing.
func (f *forwarder) event(ctx context.Context, event sseEvent) forwarded {
	if f == nil {
		return forwarded{}
	}
	pause := f.pause
	for attempt := 1; ; attempt++ {
		result := f.once(ctx, event, attempt)
		if result.delivered() || result.Status == http.StatusGone || attempt > f.retries || !interruptible(ctx, pause) {
			return result
		}
		pause = min(2*pause, longestListenPause)
	}
}

func (f *forwarder) once(ctx context.Context, event sseEvent, attempt int) forwarded {
	call := signedCallback(Secret(firstSet(f.secret.Reveal(), f.project.Reveal())), event.ID, time.Now(), event.Data)
	call.Header.Set("X-Ringback-Attempt", strconv.Itoa(attempt))
	for name, values := range f.headers {
		if call.Header.Get(name) == "" || name == "Content-Type" {
			call.Header[name] = values
		}
	}
	result := call.send(ctx, f.http, f.url)
	result.Attempt = attempt
	return result
}

// callbackCall is a callback before it is sent, so that a test can spoil it.
type callbackCall struct {
	Method string
	Header http.Header
	Body   []byte
}

// signedCallback is what Ringback sends first for an event.
func signedCallback(secret Secret, id string, at time.Time, body []byte) callbackCall {
	header := http.Header{}
	header.Set("Content-Type", "application/json")
	header.Set("User-Agent", "Ringback/1.0")
	header.Set(signature.HeaderID, id)
	header.Set(signature.HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	header.Set(signature.HeaderSignature, signature.Sign(secret.Reveal(), id, at, body))
	header.Set(signature.DefaultBodyHeader, signature.BodySignature(secret.Reveal(), body))
	header.Set("X-Ringback-Attempt", "1")
	return callbackCall{Method: http.MethodPost, Header: header, Body: body}
}

// send makes the request and reads its answer, of which only the status counts.
func (c callbackCall) send(ctx context.Context, client *http.Client, url string) forwarded {
	request, err := http.NewRequestWithContext(ctx, c.Method, url, bytes.NewReader(c.Body))
	if err != nil {
		return forwarded{Err: err}
	}
	request.Header = c.Header
	begun := time.Now()
	answer, err := client.Do(request)
	if err != nil {
		return forwarded{Took: time.Since(begun), Err: err}
	}
	defer answer.Body.Close()
	// A body that breaks off changes nothing: the status has been said.
	_, _ = io.CopyN(io.Discard, answer.Body, longestReceiverAnswer)
	return forwarded{Status: answer.StatusCode, Location: answer.Header.Get("Location"), Took: time.Since(begun)}
}
