package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"
)

// replayRun sends all events to so many new endpoints and waits until the
// attempts are on record. The clock runs from before the first replay is asked
// for: the deliveries are made within it too.
func (l *lab) replayRun(server *serveProcess, events, endpoints int) (run BacklogRun, err error) {
	ctx, cancel := within(server, backlogWithin, fmt.Sprintf("the callbacks of %d events to %d endpoints", events, endpoints))
	defer cancel()
	targets := make([]target, endpoints)
	for i := range targets {
		if targets[i], err = l.register(ctx, server, events); err != nil {
			return run, err
		}
		defer l.receiver.settle(targets[i].sink)
	}
	before, err := server.cpu()
	if err != nil {
		return run, err
	}
	begin := time.Now()
	for _, t := range targets {
		if err := server.replay(ctx, t.id, events); err != nil {
			return run, err
		}
	}
	for _, t := range targets {
		if err := server.delivered(ctx, t); err != nil {
			return run, err
		}
	}
	took := time.Since(begin)
	after, err := server.cpu()
	return backlogRun(events*endpoints, took, after-before), err
}

// target is a registered endpoint and the receiver's end of it.
type target struct {
	id   string
	sink *sink
}

func (l *lab) register(ctx context.Context, server *serveProcess, events int) (t target, err error) {
	var hook string
	t.sink, hook = l.receiver.open(events)
	var created struct {
		ID     string
		Secret string `json:"signing_secret"`
	}
	err = server.post(ctx, "/v1/webhook_endpoints", map[string]any{
		"name": "bench", "url": hook, "event_types": []string{backlogEvent},
	}, &created)
	t.id = created.ID
	t.sink.trust(created.Secret)
	return t, err
}

func (c *client) replay(ctx context.Context, endpoint string, events int) error {
	var answer struct{ Replayed int }
	err := c.post(ctx, "/v1/webhook_endpoints/"+endpoint+"/replay", map[string]any{"since": 1, "missing": true}, &answer)
	if err == nil && answer.Replayed != events {
		err = fmt.Errorf("%d events were replayed instead of %d", answer.Replayed, events)
	}
	return err
}

// delivered returns once all callbacks have come to an endpoint and the server
// says of each that it arrived. It asks nothing before all have come, so that
// the asking takes nothing from what is measured.
func (s *serveProcess) delivered(ctx context.Context, t target) error {
	if err := t.sink.wait(ctx); err != nil {
		return err
	}
	for _, status := range []string{"waiting", "sending", "waiting"} { // back to waiting: an attempt that failed
		if err := s.gone(ctx, t.id, status); err != nil {
			return err
		}
	}
	missed, err := s.anyDelivery(ctx, url.Values{"endpoint_id": {t.id}, "never_arrived": {"true"}})
	if err == nil && missed {
		err = errors.New("callbacks that came and verified are on record as never arrived")
	}
	return err
}

// gone returns once an endpoint has no delivery of a status.
func (s *serveProcess) gone(ctx context.Context, endpoint, status string) error {
	for {
		found, err := s.anyDelivery(ctx, url.Values{"endpoint_id": {endpoint}, "status": {status}})
		if err != nil || !found {
			return err
		}
		if err := sleep(ctx, pollEvery); err != nil {
			return fmt.Errorf("callbacks have come whose deliveries are still %s: %w", status, err)
		}
	}
}

func (c *client) anyDelivery(ctx context.Context, query url.Values) (bool, error) {
	query.Set("limit", "1")
	var found struct{ Data []json.RawMessage }
	err := c.get(ctx, "/v1/deliveries?"+query.Encode(), &found)
	return len(found.Data) > 0, err
}
