package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// Exit codes: what a script can rely on. exits says what they mean.
const (
	exitOK       = 0
	exitFailure  = 1
	exitUsage    = 2
	exitNotFound = 3
	exitEnded    = 4
	exitAway     = 5
	exitKey      = 6
)

// exits is the one table of exit codes; help prints it.
var exits = []struct {
	code  int
	means string
}{
	{exitOK, "Done. What was watched has completed."},
	{exitFailure, "Not done, for any other reason; standard error says which. Also: Ctrl-C before the end."},
	{exitUsage, "The command line was not understood; nothing was sent."},
	{exitNotFound, "Nothing has this ID, or what had it is kept no longer."},
	{exitEnded, "What was waited for ended badly: a job failed, expired or was cancelled, or a test callback was not accepted."},
	{exitAway, "No answer: the server cannot be reached, failed (5xx) or is busy (429). Try again later."},
	{exitKey, "The server refused the key: give one in $" + envAPIKey + "."},
}

// endedError is a job, or anything else that was waited for, that ended
// otherwise than hoped.
type endedError struct{ error }

func endedf(format string, args ...any) error { return endedError{fmt.Errorf(format, args...)} }

// awayError is a server that did not answer.
type awayError struct{ error }

func (e awayError) Unwrap() error { return e.error }

// silentFailure ends the command after it has said itself why. A code of zero
// is exitFailure.
type silentFailure struct{ code int }

func (silentFailure) Error() string { return "failed" }

// exitCode is how the process ends after an error.
func exitCode(err error) int {
	var (
		silent  silentFailure
		ended   endedError
		away    awayError
		refused *APIError
	)
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &silent):
		return max(silent.code, exitFailure)
	case isUsage(err):
		return exitUsage
	case errors.As(err, &ended):
		return exitEnded
	case errors.As(err, &away):
		return exitAway
	case errors.As(err, &refused):
		return refused.exitCode()
	}
	return exitFailure
}

// exitCode tells by the status. A 404 of a path, or one that is not Ringback's,
// is no ID that is not there.
func (e *APIError) exitCode() int {
	switch e.Status {
	case http.StatusNotFound, http.StatusGone:
		if e.Code != "" && e.Code != "unknown_url" {
			return exitNotFound
		}
	case http.StatusUnauthorized, http.StatusForbidden:
		return exitKey
	case http.StatusTooManyRequests:
		return exitAway
	}
	if e.Status >= http.StatusInternalServerError {
		return exitAway
	}
	return exitFailure
}

// newExitCodesTopic is `ringback help exit-codes`.
func newExitCodesTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-codes",
		Short: "What the exit codes mean, for scripts",
		Long: exitText("What each command's exit code means:") + `

A command that was given several IDs goes on after a failure; its exit code is
that of the first one. Errors are one line on standard error that begins with
"ringback: ", so that standard output holds nothing but the answer.

  ringback watch "$id" --json > /dev/null
  case $? in
    0) ringback results "$id" -o answers.jsonl ;;
    4) ringback retry "$id" --watch ;;
    5) echo "the server is away" ;;
  esac

  until ringback get "$id" --json > job.json; [ $? -ne 5 ]; do sleep 10; done`,
	}
}

// exitText lists exit codes, all where none is named.
func exitText(heading string, codes ...int) string {
	var b strings.Builder
	b.WriteString(heading)
	for _, e := range exits {
		if len(codes) == 0 || slices.Contains(codes, e.code) {
			fmt.Fprintf(&b, "\n  %d  %s", e.code, wrapped(e.means, "     ", 77))
		}
	}
	return b.String()
}

// exitHelp ends a command's long help with the codes that it is known for.
func exitHelp(codes ...int) string {
	return "\n\n" + exitText("Exit codes (all: ringback help exit-codes):", append([]int{exitOK}, codes...)...)
}

// eachOf does something to each ID and goes on after a failure. Where there are
// several IDs each failure is told at once; the exit code is the first one's.
func eachOf(ctx context.Context, s *session, do func(id string) error) error {
	if len(s.args) == 1 {
		return do(s.args[0])
	}
	var first error
	for _, id := range s.args {
		err := do(id)
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			return err
		}
		fmt.Fprintf(s.notes, "ringback: %s: %s\n", id, err)
		if first == nil {
			first = silentFailure{exitCode(err)}
		}
	}
	return first
}
