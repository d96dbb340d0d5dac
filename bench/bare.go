package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// bareReport is what `bench bare` prints.
type bareReport struct {
	Elapsed time.Duration // from opening the input to the fsync of the output
}

// bareCommand is the loop that somebody would write instead of using
// Ringback: no state, no resume, no limits, no retries. It reads the same
// file at the same concurrency, reads whole answers, and writes and fsyncs
// an output file of the same form.
func bareCommand(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("bare", flag.ContinueOnError)
	base := flags.String("base", "", "`URL` of the upstream")
	in := flags.String("in", "", "input `FILE`")
	out := flags.String("out", "", "output `FILE`")
	workers := flags.Int("concurrency", 64, "calls open at once")
	if err := flags.Parse(args); err != nil {
		return err
	}
	started := time.Now()
	if err := runBare(ctx, *base, *in, *out, *workers); err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(bareReport{time.Since(started)})
}

func runBare(ctx context.Context, base, in, out string, workers int) error {
	input, err := os.Open(in)
	if err != nil {
		return err
	}
	defer input.Close()
	output, err := os.Create(out)
	if err != nil {
		return err
	}
	defer output.Close()
	loop := newBareLoop(base, output, workers)
	if err := loop.run(ctx, input, workers); err != nil {
		return err
	}
	return errors.Join(loop.out.Flush(), output.Sync())
}

type bareLoop struct {
	base string
	http *http.Client
	mu   sync.Mutex
	out  *bufio.Writer
}

func newBareLoop(base string, output io.Writer, workers int) *bareLoop {
	return &bareLoop{
		base: base,
		http: keptConnections(workers),
		out:  bufio.NewWriterSize(output, 1<<20),
	}
}

// keptConnections is a client with a connection for each worker.
func keptConnections(workers int) *http.Client {
	return &http.Client{Transport: &http.Transport{
		MaxIdleConns: workers, MaxIdleConnsPerHost: workers, MaxConnsPerHost: workers, DisableCompression: true,
	}}
}

// run ends at the first error.
func (b *bareLoop) run(ctx context.Context, input io.Reader, workers int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	lines := make(chan []byte, workers)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for line := range lines {
				if err := b.answer(ctx, line); err != nil {
					cancel(err)
				}
			}
		})
	}
	scanner := bufio.NewScanner(input)
	scanner.Buffer(nil, 32<<20)
	for ctx.Err() == nil && scanner.Scan() {
		lines <- bytes.Clone(scanner.Bytes())
	}
	close(lines)
	group.Wait()
	return errors.Join(context.Cause(ctx), scanner.Err())
}

func (b *bareLoop) answer(ctx context.Context, text []byte) error {
	var line inputLine
	if err := json.Unmarshal(text, &line); err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, line.Method, b.base+line.URL, bytes.NewReader(line.Body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := b.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("%s: %w", line.CustomID, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	_, err = fmt.Fprintf(b.out, `{"id":"batch_req_%s","custom_id":%q,"response":{"status_code":%d,"request_id":%q,"body":%s},"error":null}`+"\n",
		line.CustomID, line.CustomID, response.StatusCode, response.Header.Get("X-Request-Id"), body)
	return err
}
