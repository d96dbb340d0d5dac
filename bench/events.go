package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// eventLine is what the bench reads of an event, beside its bytes.
type eventLine struct {
	ID   string
	Type string
}

// makeBacklog has generations run that nobody is called back for, and writes
// the bodies of their last events to events.jsonl, one a line.
func (l *lab) makeBacklog(server *serveProcess, size plan) (b Backlog, err error) {
	ctx, cancel := within(server, backlogWithin, fmt.Sprintf("the end of %d generations", size.Callbacks))
	defer cancel()
	l.say("%d generations", size.Callbacks)
	if err := generateAll(ctx, server, size.Callbacks, size.Concurrency); err != nil {
		return b, err
	}
	file, err := os.Create(l.path("events.jsonl"))
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	out := bufio.NewWriterSize(file, 1<<20)
	total := 0
	for after := ""; b.Events < size.Callbacks; {
		page, err := server.events(ctx, after)
		if err != nil {
			return b, err
		}
		for _, body := range page {
			var line eventLine
			if err := json.Unmarshal(body, &line); err != nil {
				return b, err
			}
			if after = line.ID; line.Type == backlogEvent {
				b.Events++
				total += len(body)
				_, _ = out.Write(append(body, '\n')) // Flush tells
			}
		}
	}
	b.BodyBytes = total / b.Events
	return b, out.Flush()
}

// generateAll submits so many, and returns when all are accepted.
func generateAll(ctx context.Context, server *serveProcess, count, workers int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	numbers := make(chan int, count)
	for n := range count {
		numbers <- n
	}
	close(numbers)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for n := range numbers {
				if _, err := server.generate(ctx, fmt.Sprintf("How many bolts do %d robes take?", n), nil); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

// events is the next page of what happened, oldest first. It waits for one that
// is not empty.
func (c *client) events(ctx context.Context, after string) ([]json.RawMessage, error) {
	const pause = 20 * time.Millisecond
	for {
		var page struct{ Data []json.RawMessage }
		err := c.get(ctx, "/v1/events?limit=100&after="+after, &page)
		if err != nil || len(page.Data) > 0 {
			return page.Data, err
		}
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
	}
}
