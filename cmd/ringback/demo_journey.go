package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/tidwall/gjson"
)

// demoTokenHeader is the custom header that the demo's receiver knows its
// callbacks by.
const demoTokenHeader = "X-Custom-Token"

const demoPrompt = "A train travels 60 miles in 1.5 hours. How fast does it go?"

// journey is the demo against one running server: submit, watch, be called
// back, poll.
type journey struct {
	client *Client
	out    *screen
	folder string

	hooks      string // the receiver's URL
	token      string
	batch      string // IDs
	generation string
	callbacks  map[string]Callback // the first for each job
}

// show runs the whole journey. Its error says which promise was not kept.
func (j *journey) show(ctx context.Context, calls <-chan Callback) error {
	ctx, cancel := context.WithTimeoutCause(ctx, demoDeadline, fmt.Errorf("the demo did not end within %s", demoDeadline))
	defer cancel()
	j.token = "demo-" + rand.Text()[:12]
	j.callbacks = map[string]Callback{}
	j.printHeading()
	if err := j.submit(ctx); err != nil {
		return err
	}
	if err := j.follow(ctx, calls); err != nil {
		return err
	}
	if err := j.poll(ctx); err != nil {
		return err
	}
	j.printNext()
	return nil
}

// submit sends the batch and the generation, each with its own callback.
func (j *journey) submit(ctx context.Context) error {
	path := filepath.Join(j.folder, "questions.jsonl")
	if err := os.WriteFile(path, demoQuestions, 0o600); err != nil {
		return err
	}
	s := batchSubmission{file: path, window: "24h"}
	request, upload, err := s.prepare()
	if err != nil {
		return err
	}
	file, err := j.client.UploadFile(ctx, upload, "batch")
	if err != nil {
		return err
	}
	request.InputFileID, request.Webhook = file.ID, j.webhook("batch")
	batch, err := j.client.CreateBatch(ctx, request)
	if err != nil {
		return err
	}
	generation, err := j.client.Generate(ctx, map[string]any{
		"model": "sim-small", "input": demoPrompt, "max_tokens": 48, "webhook": j.webhook("generation"),
	})
	j.batch, j.generation = batch.ID, generation.ID
	if err == nil {
		j.printSubmitted(request)
	}
	return err
}

func (j *journey) webhook(kind string) *Webhook {
	return &Webhook{
		URL:     j.hooks + "/" + kind,
		Method:  "POST",
		Headers: map[string]string{demoTokenHeader: j.token, "X-Demo-Job": kind},
	}
}

// follow shows the batch's progress and each callback, until the batch has
// ended and both callbacks have come.
func (j *journey) follow(ctx context.Context, calls <-chan Callback) error {
	polling, cancel := context.WithCancel(ctx)
	updates := pollJob(polling, j.client, j.batch)
	defer drain(cancel, updates)
	redraw := time.NewTicker(redrawEvery)
	defer redraw.Stop()
	meter, last := newMeter(), Job{}
	for incoming := updates; incoming != nil || len(j.callbacks) < 2; {
		select {
		case update, open := <-incoming:
			if update.Err != nil {
				return update.Err
			}
			if !open {
				incoming = nil
				j.out.keep()
				continue
			}
			last = update.Job
		case callback := <-calls:
			if err := j.receive(callback); err != nil {
				return err
			}
		case <-redraw.C:
		case <-ctx.Done():
			return j.missing(ctx)
		}
		if incoming != nil && last.ID != "" {
			j.out.progress(meter.read(last, time.Now()))
		}
	}
	return nil
}

// receive prints a callback and holds it against what was asked for. A repeat
// of one that came already is dropped, as a receiver should.
func (j *journey) receive(callback Callback) error {
	id := gjson.GetBytes(callback.Body, "data.id").String()
	if _, repeated := j.callbacks[id]; repeated {
		return nil
	}
	j.printCallback(callback)
	kind := map[string]string{j.batch: "batch", j.generation: "generation"}[id]
	switch event := gjson.GetBytes(callback.Body, "type").String(); {
	case callback.Err != nil:
		return fmt.Errorf("a callback did not verify: %w", callback.Err)
	case kind == "":
		return fmt.Errorf("a callback came for %q, which the demo did not submit", id)
	case event != kind+".completed":
		return fmt.Errorf("%s was called back with %s, not %s.completed", id, event, kind)
	case callback.Method != http.MethodPost || callback.Path != "/hooks/"+kind:
		return fmt.Errorf("the callback of %s came as %s %s", id, callback.Method, callback.Path)
	case callback.Header.Get(demoTokenHeader) != j.token || callback.Header.Get("X-Demo-Job") != kind:
		return fmt.Errorf("the callback of %s lacks its custom headers", id)
	}
	j.callbacks[id] = callback
	return nil
}

// missing names the callbacks that did not come in time.
func (j *journey) missing(ctx context.Context) error {
	for _, id := range []string{j.generation, j.batch} {
		if _, came := j.callbacks[id]; !came {
			return fmt.Errorf("%w; no callback came for %s", context.Cause(ctx), id)
		}
	}
	return context.Cause(ctx)
}
