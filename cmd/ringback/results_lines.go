package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/tidwall/gjson"
)

// resultLines writes a batch's lines as they come. read counts all, also those
// that are left out; err is why one could not be written.
type resultLines struct {
	out    io.Writer
	failed bool
	begun  bool // the server has answered once
	read   int
	err    error
}

// results reads a batch's lines after the first so many. Its end is orderly
// only where the server said so: a line that was cut off is none.
func (c *Client) results(ctx context.Context, id string, after int, follow bool, into *resultLines) error {
	path := fmt.Sprintf("/v1/batches/%s/results?after=%d&follow=%t", url.PathEscape(id), after, follow)
	answer, err := c.send(ctx, call{method: http.MethodGet, path: path})
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if err := into.copy(answer.Body); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return err
	}
	return nil
}

func (l *resultLines) copy(body io.Reader) error {
	l.begun = true
	lines := bufio.NewReaderSize(body, 64<<10)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return nil
		}
		if err != nil {
			return awayError{fmt.Errorf("the results broke off: %w", err)}
		}
		l.read++
		if l.failed && !failedLine(line) {
			continue
		}
		if _, l.err = l.out.Write(line); l.err != nil {
			return l.err
		}
	}
}

// failedLine tells that a request came to nothing: an error, or an answer other
// than 2xx.
func failedLine(line []byte) bool {
	status := gjson.GetBytes(line, "response.status_code").Int()
	return status/100 != 2 || gjson.GetBytes(bytes.TrimSpace(line), "error").Type == gjson.JSON
}

// writeTo writes to standard output, or to a file that appears when all is
// written. What an error leaves unfinished stays beside it.
func writeTo(file string, stdout io.Writer, write func(io.Writer) error) error {
	if file == "" || file == "-" {
		return write(stdout)
	}
	part := file + ".part"
	out, err := os.Create(part)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriterSize(out, 64<<10)
	err = write(buffered)
	err = errors.Join(err, buffered.Flush(), out.Close())
	if err == nil {
		return os.Rename(part, file)
	}
	if info, gone := os.Stat(part); gone == nil && info.Size() == 0 {
		return errors.Join(err, os.Remove(part))
	}
	return fmt.Errorf("%w; what came until then is in %s", err, part)
}
