package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"
)

const submitHelp = `Submit a job: the server answers at once, works on it, and calls back when it is
done.

Who is called: --webhook names a URL for this job alone, with its own --header;
--endpoint-id names a registered endpoint (ringback endpoints list). Without
either, registered endpoints still get the events that they subscribe to.`

func newSubmitCommand() *cobra.Command {
	return group("submit", "Submit a batch, a single call or a fine-tuning", submitHelp, submitBatchExample+"\n"+submitGenerateExample+"\n"+submitTuningExample,
		newSubmitBatchCommand(), newSubmitGenerateCommand(), newSubmitTuningCommand())
}

// submission holds the flags that all submissions share.
type submission struct {
	webhook   string
	method    string
	headers   []string
	endpoints []string
	metadata  []string
	name      string
	runAt     string
	priority  string
	watch     bool
}

func (s *submission) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&s.webhook, "webhook", "", "`URL` to call back when the job ends")
	flags.StringVar(&s.method, "method", http.MethodPost, "method of the callback: POST, PUT or PATCH")
	flags.StringArrayVar(&s.headers, "header", nil, "header of the callback, `'Name: value'`; repeatable")
	flags.StringSliceVar(&s.endpoints, "endpoint-id", nil, "`ID` of a registered endpoint to call back as well; repeatable")
	flags.StringArrayVar(&s.metadata, "metadata", nil, "`NAME=VALUE` to keep with the job; repeatable")
	flags.StringVar(&s.name, "name", "", "`NAME` to know the job by in lists (kept as metadata)")
	flags.StringVar(&s.runAt, "run-at", "", "`TIME` before which it does not run: 2h from now, or 2027-01-25T06:00:00Z")
	flags.StringVar(&s.priority, "priority", "", "`PRIORITY` among your jobs: high, normal or low (default normal)")
	flags.BoolVar(&s.watch, "watch", false, "follow the job to its end; exit 0 only if it completed")
	completeFlag(cmd, "method", fixed(http.MethodPost, http.MethodPut, http.MethodPatch))
	completeFlag(cmd, "priority", fixed("high", "normal", "low"))
	completeFlag(cmd, "endpoint-id", endpointIDs)
}

// body is what the flags say of the job.
func (s *submission) body() (n Submission, err error) {
	if n.Webhook, err = s.callback(); err != nil {
		return n, err
	}
	if n.Metadata, err = pairs("metadata", s.metadata); err != nil {
		return n, err
	}
	if s.name != "" {
		n.Metadata["name"] = s.name
	}
	n.WebhookIDs, n.Priority = s.endpoints, s.priority
	n.RunAt, err = readFuture("run-at", s.runAt, time.Now())
	return n, err
}

// callback is the webhook that the flags name, or nil for none.
func (s *submission) callback() (*Webhook, error) {
	if s.webhook == "" {
		if len(s.headers) > 0 {
			return nil, usagef("--header belongs to a callback: name its URL with --webhook")
		}
		return nil, nil
	}
	headers, err := headerPairs(s.headers)
	if err != nil {
		return nil, err
	}
	method := strings.ToUpper(s.method)
	if !slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch}, method) {
		return nil, usagef("--method %s is not POST, PUT or PATCH", s.method)
	}
	return &Webhook{URL: s.webhook, Method: method, Headers: headers}, nil
}

// headerPairs reads 'Name: value' lines.
func headerPairs(lines []string) (map[string]string, error) {
	headers := make(map[string]string, len(lines))
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !ok || !isHeaderName(name) {
			return nil, usagef("--header %q is not 'Name: value'", line)
		}
		headers[name] = strings.TrimSpace(value)
	}
	return headers, nil
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

// accepted tells that a job was taken, and follows it if that was asked for.
// Progress goes to out; with --json all goes to standard output.
func (s *submission) accepted(ctx context.Context, on *session, out io.Writer, job raw, about string) error {
	id := gjson.GetBytes(job.text, "id").String()
	if on.print.json {
		out = on.print.out
		if err := printLine(out, job.text); err != nil {
			return err
		}
	} else if _, err := fmt.Fprintf(out, "accepted   %s  (%s)\n", id, about); err != nil {
		return err
	}
	if s.watch {
		return follow(ctx, on.client, newJobView(out, on.print.json), id)
	}
	return on.print.printf("follow it  ringback watch %s\n", id)
}
