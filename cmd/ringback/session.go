package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// session is one run of a command that talks to a server.
type session struct {
	client *Client
	args   []string
	in     io.Reader
	print  *printer  // of the answer, to standard output
	notes  io.Writer // standard error
}

// clientCommand makes cmd one that talks to a server: it gets --server, --key
// and --json, and runs with what they say.
func clientCommand(cmd *cobra.Command, run func(ctx context.Context, s *session) error) *cobra.Command {
	connect := clientFlags(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print each object as one line of JSON, as the server wrote it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := connect()
		if err != nil {
			return err
		}
		defer client.Close()
		return run(cmd.Context(), &session{
			client: client, args: args, in: cmd.InOrStdin(),
			print: newPrinter(cmd.OutOrStdout(), *asJSON), notes: cmd.ErrOrStderr(),
		})
	}
	return cmd
}

// note tells something on standard error that is no part of the answer; with
// --json nothing is.
func (s *session) note(format string, args ...any) {
	if !s.print.json {
		fmt.Fprintf(s.notes, format+"\n", args...)
	}
}

// group is a command that only holds others.
func group(use, short, long, example string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Example: example, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usagef("say which: %s", commandNames(cmd))
		},
	}
	cmd.AddCommand(commands...)
	return cmd
}

func commandNames(cmd *cobra.Command) string {
	text := ""
	for _, sub := range cmd.Commands() {
		if text != "" {
			text += ", "
		}
		text += sub.Name()
	}
	return text
}
