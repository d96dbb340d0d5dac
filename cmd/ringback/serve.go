package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"runtime"

	"github.com/spf13/cobra"
)

func newServeCommand() *cobra.Command {
	var source configSource
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the API, the workers and the sweepers, in one process or in many",
		Example: `  ringback serve
  ringback serve --config fleet.yaml --roles worker
  ringback serve --set callbacks.allow_http=true --set 'callbacks.allow_cidrs=[127.0.0.0/8]' --set 'callbacks.allow_ports=[3000]'`,
		Args: cobra.NoArgs,
	}
	source.addFlags(cmd)
	roles := cmd.Flags().String("roles", "", "what this process does: all, api or worker (server.roles)")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *roles != "" {
			source.set = append(source.set, "server.roles="+*roles)
		}
		cfg, warnings, err := source.load()
		if err != nil {
			return err
		}
		log := newLog(cfg.Log, cmd.ErrOrStderr())
		for _, warning := range warnings {
			log.Warn(warning)
		}
		return serve(cmd.Context(), cfg, log)
	}
	return cmd
}

// serve runs until ctx ends, then stops in order within the configured grace period.
func serve(ctx context.Context, cfg Config, log *slog.Logger) error {
	defer runtime.KeepAlive(make([]byte, ballast))
	a, err := start(ctx, cfg, log)
	if err != nil {
		return err
	}
	log.Info("ringback is ready", "url", a.ownURL(), "roles", cfg.Server.Roles, "data_dir", cfg.DataDir, "owner", a.owner)
	select {
	case <-ctx.Done():
		log.Info("stopping: calls in flight may end, the rest is handed back", "grace", cfg.Server.ShutdownGrace)
	case err = <-a.failed:
		log.Error("a part has stopped; stopping the rest", "err", err)
	}
	return errors.Join(err, a.Close())
}

// ballast is memory that is never touched, so that it costs address space only. The collector counts it as live and runs
// each time about as much more has been allocated: with a heap of 10 MB it would otherwise run many times a second, and
// its pauses were a third of a callback's latency under load.
const ballast = 32 << 20

func newLog(cfg LogConfig, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: cfg.Level}
	if cfg.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
