package main

import (
	"bufio"
	"context"
	"fmt"
	"time"

	"github.com/tidwall/gjson"
)

// The facts that a callback and polling must agree on.
var (
	batchFacts      = []string{"id", "status", "request_counts", "output_file_id", "error_file_id", "usage"}
	generationFacts = []string{"id", "status", "model", "model_output", "usage"}
)

const (
	shownLines    = 3
	deliveryPause = 20 * time.Millisecond
)

// poll reads both jobs, holds them against their callbacks, and shows the
// first answers.
func (j *journey) poll(ctx context.Context) error {
	j.out.printf("\n%s\n", j.out.paint(styleBold, "The same by polling"))
	batchPath, generationPath := "/v1/batches/"+j.batch, "/v1/generate/"+j.generation
	batch, err := j.compare(ctx, batchPath, j.batch, batchFacts)
	if err != nil {
		return err
	}
	generation, err := j.compare(ctx, generationPath, j.generation, generationFacts)
	if err != nil {
		return err
	}
	if err := answeredAll(batch); err != nil {
		return err
	}
	counts := batch.Get("request_counts")
	j.printPolled(batchPath, batch, fmt.Sprintf("%d of %d lines, %d failed", counts.Get("completed").Int(), counts.Get("total").Int(), counts.Get("failed").Int()))
	j.printPolled(generationPath, generation, generation.Get("model_output").String())
	for _, id := range []string{j.batch, j.generation} {
		if err := j.delivered(ctx, id); err != nil {
			return err
		}
	}
	return j.printOutput(ctx, batch.Get("output_file_id").String())
}

// compare reads an object and requires of it what its callback said.
func (j *journey) compare(ctx context.Context, path, id string, facts []string) (gjson.Result, error) {
	text, err := j.client.Object(ctx, path)
	if err != nil {
		return gjson.Result{}, err
	}
	polled := gjson.ParseBytes(text)
	called := gjson.GetBytes(j.callbacks[id].Body, "data.object")
	for _, fact := range facts {
		if told, now := called.Get(fact).Raw, polled.Get(fact).Raw; told != now {
			return polled, fmt.Errorf("polling %s says %s %s, its callback said %s", id, fact, orNothing(now), orNothing(told))
		}
	}
	return polled, nil
}

func orNothing(raw string) string {
	if raw == "" {
		return "nothing"
	}
	return raw
}

func answeredAll(batch gjson.Result) error {
	counts := batch.Get("request_counts")
	total, completed := counts.Get("total").Int(), counts.Get("completed").Int()
	if want := int64(demoLines()); total != want || completed != want {
		return fmt.Errorf("the batch answered %d of %d lines, %d were sent", completed, total, want)
	}
	return nil
}

// delivered waits until the server has recorded what the receiver answered.
func (j *journey) delivered(ctx context.Context, id string) error {
	for {
		deliveries, err := j.client.Deliveries(ctx, id)
		if err != nil {
			return err
		}
		if len(deliveries) > 0 && deliveries[0].Status == "delivered" {
			j.printDelivery(id, deliveries[0])
			return nil
		}
		select {
		case <-time.After(deliveryPause):
		case <-ctx.Done():
			return fmt.Errorf("%w; the delivery for %s is not recorded as delivered", context.Cause(ctx), id)
		}
	}
}

// printOutput shows the first answers of the output file.
func (j *journey) printOutput(ctx context.Context, fileID string) error {
	content, err := j.client.Content(ctx, fileID)
	if err != nil {
		return err
	}
	defer content.Close()
	j.out.printf("\n%s\n", j.out.paint(styleBold, "The first answers in "+fileID))
	lines := bufio.NewReader(content)
	for range shownLines {
		text, err := lines.ReadBytes('\n')
		if err != nil {
			return fmt.Errorf("the output file ends before line %d: %w", shownLines, err)
		}
		j.printAnswer(gjson.ParseBytes(text))
	}
	return nil
}
