// Command ringback is the server, the simulator and the command-line client.
// This package reads configuration, wires the parts, runs and stops them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

func init() { cobra.EnableCommandSorting = false } // help shows commands in the order of their use

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once, should stopping take too long.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run executes one command line and returns its exit code. Errors go to
// stderr.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	code := exitCode(err)
	if errors.As(err, new(silentFailure)) {
		return code
	}
	fmt.Fprintf(stderr, "ringback: %s\n", err)
	if code == exitUsage {
		fmt.Fprintf(stderr, "Run '%s --help' for its usage.\n", cmd.CommandPath())
	}
	return code
}

const rootHelp = `Ringback runs AI jobs that take too long to wait for, and calls you back when
they are done.

The commands about jobs, callbacks and files talk to a server: the one that
--server or $RINGBACK_SERVER names (default http://127.0.0.1:8787), with the key
in $RINGBACK_API_KEY where it wants one. Each prints a table for people, and with
--json one JSON object a line for programs.`

const rootExample = `  ringback serve                                            # a server on this machine, in another terminal
  ringback submit batch questions.jsonl --webhook https://example.com/hook --watch
  ringback list                                             # what has become of my jobs
  ringback deliveries list --never-arrived                  # which callbacks did not arrive
  ringback deliveries get dlv_01J9Z3NDEKTSV4RRFFQ69G5FAV    # why, and what to do
  ringback events --follow                                  # everything, as it happens`

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "ringback",
		Short:         "Runs AI jobs that take too long to wait for, and calls you back",
		Long:          rootHelp,
		Example:       rootExample,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	addGroups(root)
	asUsage(root)
	return root
}

// addGroups says what there is, in the order in which help shows it.
func addGroups(root *cobra.Command) {
	for _, g := range []struct {
		id, title string
		commands  []*cobra.Command
	}{
		{"jobs", "Jobs:", []*cobra.Command{
			newSubmitCommand(), newListCommand(), newGetCommand(), newWatchCommand(), newResultsCommand(),
			newCancelCommand(), newRetryCommand(), newPauseCommand(), newResumeCommand(),
		}},
		{"callbacks", "Callbacks:", []*cobra.Command{
			newEndpointsCommand(), newDeliveriesCommand(), newEventsCommand(),
			newListenCommand(), newVerifyCommand(), newTestReceiverCommand(),
		}},
		{"data", "Data:", []*cobra.Command{
			newFilesCommand(), newExportCommand(), newImportCommand(), newBackupCommand(), newRestoreCommand(),
		}},
		{"server", "Server:", []*cobra.Command{
			newServeCommand(), newDemoCommand(), newSimulateCommand(), newConfigCommand(), newDoctorCommand(),
			newMigrateCommand(), newVersionCommand(),
		}},
	} {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, cmd := range g.commands {
			cmd.GroupID = g.id
			root.AddCommand(cmd)
		}
	}
	root.AddCommand(newExitCodesTopic())
}

// usageError is a command line that cannot be understood: exit code 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// isUsage also knows cobra's own complaint about a command that is not there,
// which has no type.
func isUsage(err error) bool {
	var usage usageError
	return errors.As(err, &usage) || strings.HasPrefix(err.Error(), "unknown command")
}

// asUsage makes each command's complaints about its arguments usage errors.
func asUsage(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usageError{err}
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		asUsage(sub)
	}
}
