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
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// loadReport is what `bench load` prints.
type loadReport struct {
	Calls   int
	Elapsed time.Duration
}

// loadCommand is the cheapest client that still waits for each answer: it
// writes requests made beforehand and reads of an answer its status, its
// length, and past its body.
func loadCommand(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	address := flags.String("address", "", "`HOST:PORT` of the upstream")
	in := flags.String("in", "", "input `FILE`, whose bodies are sent")
	calls := flags.Int("calls", 0, "calls to make in all")
	connections := flags.Int("concurrency", 64, "connections")
	if err := flags.Parse(args); err != nil {
		return err
	}
	requests, err := prebuilt(*in, *address)
	if err != nil {
		return err
	}
	started := time.Now()
	if err := runLoad(ctx, *address, requests, *calls, *connections); err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(loadReport{*calls, time.Since(started)})
}

// prebuilt makes one request of each line, up to a thousand.
func prebuilt(path, host string) ([][]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var requests [][]byte
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 32<<20)
	for len(requests) < 1000 && scanner.Scan() {
		var line inputLine
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			return nil, err
		}
		request := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
			line.Method, line.URL, host, len(line.Body))
		requests = append(requests, append(request, line.Body...))
	}
	if len(requests) == 0 {
		return nil, errors.Join(errors.New("the input has no lines"), scanner.Err())
	}
	return requests, scanner.Err()
}

func runLoad(ctx context.Context, address string, requests [][]byte, calls, connections int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var taken atomic.Int64
	next := func() []byte {
		n := taken.Add(1)
		if n > int64(calls) || ctx.Err() != nil {
			return nil
		}
		return requests[n%int64(len(requests))]
	}
	var group sync.WaitGroup
	for range connections {
		group.Go(func() {
			if err := exchange(ctx, address, next); err != nil {
				cancel(err)
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

// exchange goes through requests on one connection until next gives none.
func exchange(ctx context.Context, address string, next func() []byte) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // whatever it had to say has been read
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	answers := bufio.NewReaderSize(conn, 16<<10)
	for request := next(); request != nil; request = next() {
		if _, err := conn.Write(request); err != nil {
			return err
		}
		if err := skipAnswer(answers); err != nil {
			return err
		}
	}
	return nil
}

func skipAnswer(r *bufio.Reader) error {
	status, err := r.ReadSlice('\n')
	if err != nil || !bytes.HasPrefix(status, []byte("HTTP/1.1 200 ")) {
		return errors.Join(fmt.Errorf("the simulator answered %q", status), err)
	}
	length := -1
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(strings.TrimSpace(string(value))); err != nil {
				return err
			}
		}
		if len(bytes.TrimSpace(line)) == 0 {
			break
		}
	}
	if length < 0 {
		return errors.New("the simulator's answer has no Content-Length")
	}
	_, err = r.Discard(length)
	return err
}
