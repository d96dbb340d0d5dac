package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"strings"
	"time"
)

// fetcher fetches the results that were too long for a callback. It works after the answer and after a restart, since
// the journal knows what is missing; fetching twice does no harm.
type fetcher struct {
	journal *journal
	client  *http.Client
	server  string // the only one that gets the key, whatever a callback says
	key     string
}

// run works until the context ends, and asks again each second for what failed.
func (f *fetcher) run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		for _, e := range f.journal.unfetched() {
			result, err := f.fetch(ctx, e.ResultURL)
			if err != nil {
				log.Printf("the result of %s is still to be fetched: %v", e.Job, err)
				continue
			}
			if err := f.journal.fetched(e, result); err != nil {
				log.Fatalf("the journal cannot be written, free its disk and start again: %v", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (f *fetcher) fetch(ctx context.Context, url string) ([]byte, error) {
	if !strings.HasPrefix(url, f.server+"/") {
		return nil, fmt.Errorf("%s is not on RINGBACK_SERVER (%s)", url, f.server)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if f.key != "" {
		req.Header.Set("Authorization", "Bearer "+f.key)
	}
	res, err := f.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s", url, res.Status)
	}
	return io.ReadAll(res.Body)
}
