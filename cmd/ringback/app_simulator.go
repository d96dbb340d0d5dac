package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/ringback/ringback/providers"
	"github.com/ringback/ringback/providers/simulator"
)

// startSimulator serves the simulator on a loopback port and gives the provider that calls it: over real HTTP, like
// any other. Its files and fine-tunings stand in data_dir, since jobs that outlive this process go on with them.
func (a *app) startSimulator() (providers.Config, error) {
	c := a.cfg.Simulator
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return providers.Config{}, fmt.Errorf("start the simulator: %w", err)
	}
	handler := simulator.New(simulator.Options{
		TTFT: c.TTFT, TPOT: c.TPOT, Fail: c.Fail, RPM: c.RPM, Burst: c.Burst, TuneTime: c.Tuning,
		Dir: filepath.Join(a.cfg.DataDir, "simulator"), Log: a.log,
	})
	a.simulator = &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	a.simulatorEnded.Go(func() {
		if err := a.simulator.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			a.note(context.Background(), err)
		}
		a.note(context.Background(), handler.Close())
	})
	base := "http://" + listener.Addr().String() + "/v1"
	a.log.Info("the simulator answers models sim-*; switch it off with simulator.enabled: false", "base_url", base)
	return providers.Config{
		Name: "simulator", BaseURL: base, Models: []string{"sim-*"}, Concurrency: simulatorConcurrency, Timeout: time.Minute,
		Media: []providers.MediaConfig{{Path: "/v1/videos", Fetch: "/v1/videos/{id}/content", Cancel: "DELETE /v1/videos/{id}"}},
	}, nil
}

// simulatorConcurrency is how many calls the built-in simulator gets at once.
const simulatorConcurrency = 64
