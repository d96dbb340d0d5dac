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

// Exit codes: what a script can rely on.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

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
	var silent silentFailure
	if errors.As(err, &silent) {
		return exitFailure
	}
	fmt.Fprintf(stderr, "ringback: %s\n", err)
	if isUsage(err) {
		fmt.Fprintf(stderr, "Run '%s --help' for its usage.\n", cmd.CommandPath())
		return exitUsage
	}
	return exitFailure
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "ringback",
		Short:         "Runs AI jobs that take too long to wait for, and calls you back",
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(
		newServeCommand(),
		newDemoCommand(),
		newSubmitCommand(),
		newGetCommand(),
		newSimulateCommand(),
		newListenCommand(),
		newVerifyCommand(),
		newTestReceiverCommand(),
		newBackupCommand(),
		newRestoreCommand(),
		newExportCommand(),
		newImportCommand(),
		newConfigCommand(),
		newDoctorCommand(),
		newMigrateCommand(),
		newVersionCommand(),
	)
	asUsage(root)
	return root
}

// usageError is a command line that cannot be understood: exit code 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// silentFailure ends with exit code 1 after the command itself has said why.
type silentFailure struct{}

func (silentFailure) Error() string { return "failed" }

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
