package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
)

const (
	demoDeadline = 60 * time.Second
)

// demoQuestions is a batch input file of real questions; demo/NOTICE names
// their source.
//
//go:embed demo/questions.jsonl
var demoQuestions []byte

func newDemoCommand() *cobra.Command {
	var exit, keep bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the whole journey: serve, submit, callback, polling",
		Example: `  ringback demo
  ringback demo --exit && echo every callback came and verified`,
		Long: `Show the whole journey on free ports and in a temporary folder: a server with
its simulator, a receiver, a batch of real questions and a generation, their
signed callbacks, and the same facts by polling. It stays up until Ctrl-C.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDemo(cmd.Context(), newScreen(cmd.OutOrStdout()), exit, keep)
		},
	}
	cmd.Flags().BoolVar(&exit, "exit", false, "end when all is shown; exit 0 only if every callback came and verified")
	cmd.Flags().BoolVar(&keep, "keep", false, "keep the temporary folder")
	return cmd
}

// runDemo gives the demo its folder, and takes it away unless it is asked for
// or needed to see what went wrong.
func runDemo(ctx context.Context, out *screen, exit, keep bool) error {
	folder, err := os.MkdirTemp("", "ringback-demo-")
	if err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	err = demoIn(ctx, folder, out, exit)
	if err == nil && !keep {
		return os.RemoveAll(folder)
	}
	out.printf("\nkept %s; the server's log is serve.log there\n", folder)
	return err
}

// demoIn starts the receiver and the server, and stops them in the other
// order.
func demoIn(ctx context.Context, folder string, out *screen, exit bool) (err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for callbacks: %w", err)
	}
	defer listener.Close()
	logFile, err := os.Create(filepath.Join(folder, "serve.log"))
	if err != nil {
		return fmt.Errorf("make the server's log: %w", err)
	}
	defer logFile.Close()
	cfg, err := demoConfig(folder, listener.Addr().(*net.TCPAddr).Port)
	if err != nil {
		return err
	}
	// The server outlives the signal, so that it is stopped in order below.
	server, err := start(context.WithoutCancel(ctx), cfg, slog.New(slog.NewTextHandler(logFile, nil)))
	if err != nil {
		return fmt.Errorf("start the server: %w", err)
	}
	defer func() { err = errors.Join(err, stopServer(server)) }()

	client := NewClient(server.URL(), "")
	defer client.Close()
	return demoAgainst(ctx, client, listener, &journey{client: client, out: out, folder: folder}, exit)
}

// demoAgainst goes through the journey with a running server, then shows what
// else arrives until ctx ends.
func demoAgainst(ctx context.Context, client *Client, listener net.Listener, demo *journey, exit bool) error {
	secret, err := client.SigningSecret(ctx)
	if err != nil {
		return err
	}
	hooks := startReceiver(listener, secret)
	defer hooks.close()
	demo.hooks = "http://" + listener.Addr().String() + "/hooks"
	if err := demo.show(ctx, hooks.calls); err != nil || exit {
		return err
	}
	demo.out.printf("\nEverything stays up until Ctrl-C; further callbacks are shown here.\n")
	for {
		select {
		case callback := <-hooks.calls:
			demo.printCallback(callback)
		case <-ctx.Done():
			return nil
		}
	}
}

func stopServer(server *app) error {
	if err := server.Close(); err != nil {
		return fmt.Errorf("stop the server: %w", err)
	}
	return nil
}

// demoConfig is the defaults, opened for a receiver on this machine, with a
// simulator slow enough for progress to be seen. No file and no environment
// changes it.
func demoConfig(folder string, receiverPort int) (Config, error) {
	cfg, _, err := LoadConfig(ConfigSources{NoFile: true, Set: []string{
		"server.listen=127.0.0.1:0",
		"server.shutdown_grace=5s",
		"data_dir=" + filepath.Join(folder, "data"),
		"simulator.enabled=true",
		"simulator.ttft=200ms",
		"simulator.tpot=20ms",
		"callbacks.allow_http=true",
		"callbacks.allow_cidrs=[127.0.0.0/8]",
		fmt.Sprintf("callbacks.allow_ports=[%d]", receiverPort),
	}})
	return cfg, err
}
