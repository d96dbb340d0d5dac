package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringback/ringback/providers/simulator"
)

func newSimulateCommand() *cobra.Command {
	var listen string
	var options simulator.Options
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Run an OpenAI-compatible upstream with set latency and faults",
		Long: `Run an OpenAI-compatible upstream with set latency and faults.

It serves chat completions, completions, responses, embeddings, moderations, images,
speech, transcriptions, videos, files, batches and fine-tuning for the models
sim-small, sim-large and sim-embed.`,
		Example: `  ringback simulate --listen 127.0.0.1:9090 --ttft 200ms --tpot 20ms
  ringback simulate --listen 127.0.0.1:9090 --fail 0.1 --hang 0.01 --rpm 600`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for name, share := range map[string]float64{"fail": options.Fail, "hang": options.Hang, "reset": options.Reset} {
				if share < 0 || share > 1 {
					return usagef("--%s is %v: it is a share from 0 to 1", name, share)
				}
			}
			options.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
			return simulate(cmd.Context(), listen, simulator.New(options), cmd.OutOrStdout())
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&listen, "listen", "127.0.0.1:0", "`HOST:PORT` to listen on; port 0 takes a free one")
	flags.DurationVar(&options.TTFT, "ttft", 0, "time to the first token")
	flags.DurationVar(&options.TPOT, "tpot", 0, "time for each further token")
	flags.Float64Var(&options.Fail, "fail", 0, "`share` of calls that fail with a 500, from 0 to 1")
	flags.Float64Var(&options.Hang, "hang", 0, "`share` of calls that never answer, from 0 to 1")
	flags.Float64Var(&options.Reset, "reset", 0, "`share` of calls whose connection is reset, from 0 to 1")
	flags.IntVar(&options.RPM, "rpm", 0, "calls a minute before it answers 429; 0 means no limit")
	flags.IntVar(&options.Burst, "burst", 0, "calls taken at once before that pace holds; 0 means a sixtieth of --rpm")
	flags.DurationVar(&options.TuneTime, "tune-time", 0, "how long a fine-tuning takes; 0 means 2s")
	flags.DurationVar(&options.MediaTime, "media-time", 0, "how long a video takes; 0 means 1s")
	flags.StringVar(&options.Dir, "dir", "", "`folder` that keeps files, batches, fine-tunings and models; empty forgets them")
	flags.StringVar(&options.APIKey, "api-key", "", "key that callers must send; empty means none")
	return cmd
}

// simulate serves until ctx ends, then gives open calls a second.
func simulate(ctx context.Context, listen string, handler http.Handler, stdout io.Writer) error {
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", listen, err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	stopped := make(chan error, 1)
	go func() { stopped <- server.Serve(listener) }()
	fmt.Fprintf(stdout, "simulator listens on http://%s/v1\n", listener.Addr())

	select {
	case err := <-stopped:
		return fmt.Errorf("serve on %s: %w", listen, err)
	case <-ctx.Done():
	}
	closeHTTP(server, time.Second)
	if err := <-stopped; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// closeHTTP waits for open calls as long as the grace lasts, then cuts them.
func closeHTTP(server *http.Server, grace time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if server.Shutdown(ctx) != nil {
		_ = server.Close()
	}
}
