package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func newSubmitCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "submit",
		Short: "Submit a batch or a generation",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return usagef("say what to submit: batch FILE or generate") },
	}
	connect := clientFlags(cmd)
	cmd.AddCommand(newSubmitBatchCommand(connect), newSubmitGenerateCommand(connect))
	return cmd
}

// submission holds the flags that all submissions share.
type submission struct {
	webhook  string
	method   string
	headers  []string
	metadata []string
	watch    bool
	json     bool
}

func (s *submission) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&s.webhook, "webhook", "", "`URL` to call back when the job ends")
	flags.StringVar(&s.method, "method", http.MethodPost, "method of the callback: POST, PUT or PATCH")
	flags.StringArrayVar(&s.headers, "header", nil, "header of the callback, `'Name: value'`; repeatable")
	flags.StringArrayVar(&s.metadata, "metadata", nil, "`NAME=VALUE` to keep with the job; repeatable")
	flags.BoolVar(&s.watch, "watch", false, "follow the job to its end; exit 0 only if it completed")
	flags.BoolVar(&s.json, "json", false, "print JSON objects, one a line")
}

// callback is the webhook that the flags name, or nil for none.
func (s *submission) callback() (*Webhook, error) {
	if s.webhook == "" {
		if len(s.headers) > 0 {
			return nil, usagef("--header belongs to a callback: name its URL with --webhook")
		}
		return nil, nil
	}
	headers := make(map[string]string, len(s.headers))
	for _, line := range s.headers {
		name, value, ok := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !ok || !isHeaderName(name) {
			return nil, usagef("--header %q is not 'Name: value'", line)
		}
		headers[name] = strings.TrimSpace(value)
	}
	method := strings.ToUpper(s.method)
	if !slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch}, method) {
		return nil, usagef("--method %s is not POST, PUT or PATCH", s.method)
	}
	return &Webhook{URL: s.webhook, Method: method, Headers: headers}, nil
}

// pairs reads NAME=VALUE flags.
func pairs(flag string, lines []string) (map[string]string, error) {
	values := make(map[string]string, len(lines))
	for _, line := range lines {
		name, value, ok := strings.Cut(line, "=")
		if !ok || name == "" {
			return nil, usagef("--%s %q is not NAME=VALUE", flag, line)
		}
		values[name] = value
	}
	return values, nil
}

// follow watches a job to its end and reports any end but completed as an
// error.
func (s *submission) follow(ctx context.Context, client *Client, out io.Writer, id string) error {
	report := newReporter(out, s.json)
	job, err := watch(ctx, client, id, report.show)
	report.finish()
	if err != nil {
		return stoppedWatching(ctx, id, err)
	}
	if job.Status != "completed" && job.Status != "succeeded" {
		return fmt.Errorf("%s ended as %s%s", id, job.Status, why(ctx, client, job))
	}
	return nil
}

// stoppedWatching tells a signal from a failure: the job itself goes on.
func stoppedWatching(ctx context.Context, id string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("stopped watching; %s goes on, follow it with: ringback get %s --watch", id, id)
	}
	return err
}

// why is the first reason that a batch's input was refused for, as ": reason",
// or "".
func why(ctx context.Context, client *Client, job Job) string {
	if job.Kind != "batch" || ctx.Err() != nil {
		return ""
	}
	batch, err := client.Batch(ctx, job.ID)
	if err != nil || batch.Errors == nil || len(batch.Errors.Data) == 0 {
		return ""
	}
	first := batch.Errors.Data[0]
	where := ""
	if first.Line > 0 {
		where = fmt.Sprintf("line %d: ", first.Line)
	}
	more := ""
	if others := len(batch.Errors.Data) - 1; others > 0 {
		more = fmt.Sprintf(" (and %s more)", grouped(others))
	}
	return ": " + where + first.Message + more
}

// printLine writes an object as one line of JSON.
func printLine(out io.Writer, object []byte) error {
	var line bytes.Buffer
	if err := json.Compact(&line, object); err != nil {
		return fmt.Errorf("print the answer: %w", err)
	}
	line.WriteByte('\n')
	_, err := out.Write(line.Bytes())
	return err
}
