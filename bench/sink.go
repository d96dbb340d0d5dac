package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// sink is a path of the receiver that takes many callbacks: it verifies each
// and counts the events, by webhook-id.
type sink struct {
	path string
	full chan struct{} // closed when all that are expected have come

	mu     sync.Mutex
	secret string
	seen   map[string]struct{}
	counts tally
}

// open makes a path for so many callbacks and gives its URL.
func (r *receiver) open(expected int) (s *sink, url string) {
	s = &sink{
		path: "/" + rand.Text(), full: make(chan struct{}),
		seen: make(map[string]struct{}, expected), counts: tally{Expected: expected},
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sinks[s.path] = s
	return s, r.base + s.path
}

// shut takes the path away; what came there counts for nothing.
func (r *receiver) shut(s *sink) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sinks, s.path)
}

// settle takes the path away and adds what came there to the receiver's tally.
func (r *receiver) settle(s *sink) {
	r.shut(s)
	counts := s.tally()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts.Expected += counts.Expected
	r.counts.Verified += counts.Verified
	r.counts.Repeated += counts.Repeated
	r.counts.Refused = append(r.counts.Refused, counts.Refused...)
}

// trust takes the secret that signs what comes.
func (s *sink) trust(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secret = secret
}

// take verifies a callback and counts it.
func (s *sink) take(header http.Header, body []byte, at time.Time) error {
	s.mu.Lock()
	secret := s.secret
	s.mu.Unlock()
	err := verifySignature(secret, header, body, at)
	if err == nil && !strings.Contains(header.Get("webhook-signature"), "v1a,") {
		err = errors.New("the callback has no signature by a key pair")
	}
	s.count(header.Get("webhook-id"), err)
	return err
}

func (s *sink) count(id string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.counts.Refused = append(s.counts.Refused, err.Error())
		return
	}
	if _, again := s.seen[id]; again {
		s.counts.Repeated++
		return
	}
	s.seen[id] = struct{}{}
	if s.counts.Verified++; s.counts.Verified == s.counts.Expected {
		close(s.full)
	}
}

func (s *sink) tally() tally {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

func (s *sink) wait(ctx context.Context) error {
	select {
	case <-s.full:
		return nil
	case <-ctx.Done():
		counts := s.tally()
		return fmt.Errorf("%d of %d callbacks came and verified, %d were refused: %w",
			counts.Verified, counts.Expected, len(counts.Refused), context.Cause(ctx))
	}
}
