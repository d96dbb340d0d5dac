package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	tokenHeader     = "X-Bench-Token"
	longestCallback = 1 << 20
)

// webhook is the field of a submission that names the callback.
type webhook struct {
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
}

// arrival is a callback that came: when, what it says, and why it is refused.
type arrival struct {
	at      time.Time // when its headers had been read
	event   string
	subject string // the job's ID
	err     error
}

// tally is what has come to the receiver.
type tally struct {
	Expected int      `json:"expected"`
	Verified int      `json:"verified"`
	Repeated int      `json:"repeated"` // beyond the first for a job; allowed, delivery is at least once
	Refused  []string `json:"refused"`  // why, one for each; fails the bench
}

// receiver is the customer's end of the callbacks. Each job has a path of its
// own, known before the job is: a callback may overtake the answer to its
// submission.
type receiver struct {
	port    int
	base    string
	token   string
	server  *http.Server
	stopped chan struct{}

	mu      sync.Mutex
	secret  string
	waiting map[string]chan arrival
	sinks   map[string]*sink // by path
	counts  tally
}

func startReceiver() (*receiver, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for callbacks: %w", err)
	}
	r := &receiver{
		port: listener.Addr().(*net.TCPAddr).Port, base: "http://" + listener.Addr().String(),
		token: rand.Text(), stopped: make(chan struct{}), waiting: map[string]chan arrival{}, sinks: map[string]*sink{},
	}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		defer close(r.stopped)
		// It ends with ErrServerClosed; the listener is ours, nothing else ends it.
		_ = r.server.Serve(listener)
	}()
	return r, nil
}

func (r *receiver) close() {
	_ = r.server.Close()
	<-r.stopped
}

// trust takes the signing secret of a server that was just started.
func (r *receiver) trust(ctx context.Context, server *client) error {
	var secret struct{ Key string }
	if err := server.get(ctx, "/v1/webhooks/default/secret", &secret); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secret = secret.Key
	return nil
}

// expect makes a place for one job's callback.
func (r *receiver) expect() (webhook, <-chan arrival) {
	path, came := "/"+rand.Text(), make(chan arrival, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting[path] = came
	r.counts.Expected++
	return webhook{URL: r.base + path, Headers: map[string]string{tokenHeader: r.token}}, came
}

// await gives the time at which the callback came, if it is the right one.
func await(ctx context.Context, came <-chan arrival, event, subject string) (time.Time, error) {
	select {
	case a := <-came:
		if a.err == nil && (a.event != event || a.subject != subject) {
			a.err = fmt.Errorf("the callback says %s of %s instead of %s of %s", a.event, a.subject, event, subject)
		}
		return a.at, a.err
	case <-ctx.Done():
		return time.Time{}, fmt.Errorf("no callback for %s: %w", subject, context.Cause(ctx))
	}
}

// ServeHTTP answers 204 to a callback that verifies, else 401.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	a := arrival{at: time.Now()}
	body, err := io.ReadAll(http.MaxBytesReader(w, request.Body, longestCallback))
	if s := r.sink(request.URL.Path); s != nil && err == nil {
		answer(w, s.take(request.Header, body, a.at))
		return
	}
	if err == nil {
		err = r.check(&a, request.Header, body)
	}
	a.err = err
	r.take(request.URL.Path, a)
	answer(w, err)
}

func answer(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, "the callback does not verify", http.StatusUnauthorized)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (r *receiver) sink(path string) *sink {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sinks[path]
}

func (r *receiver) check(a *arrival, header http.Header, body []byte) error {
	r.mu.Lock()
	secret := r.secret
	r.mu.Unlock()
	if err := verifySignature(secret, header, body, a.at); err != nil {
		return err
	}
	if header.Get(tokenHeader) != r.token {
		return errors.New("the callback lacks the header " + tokenHeader + " that was asked for")
	}
	var event struct {
		Type string
		Data struct{ ID string }
	}
	err := json.Unmarshal(body, &event)
	a.event, a.subject = event.Type, event.Data.ID
	return err
}

// take counts a callback and hands the first of a job to whoever awaits it.
func (r *receiver) take(path string, a arrival) {
	r.mu.Lock()
	defer r.mu.Unlock()
	came, known := r.waiting[path]
	switch {
	case !known:
		r.counts.Refused = append(r.counts.Refused, "a callback came to a path that nobody named: "+path)
	case a.err != nil:
		r.counts.Refused = append(r.counts.Refused, a.err.Error())
	}
	select {
	case came <- a: // never for an unknown path: a nil channel
		if a.err == nil {
			r.counts.Verified++
		}
	default:
		if known {
			r.counts.Repeated++
		}
	}
}

// forget begins to count anew.
func (r *receiver) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts = tally{}
}

func (r *receiver) tally() tally {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts
}
