package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// simulatorProcess is a running `ringback simulate`.
type simulatorProcess struct {
	*process
	*client
}

// simulate starts a simulator with further flags of `ringback simulate`.
func (l *lab) simulate(ctx context.Context, flags ...string) (*simulatorProcess, error) {
	args := append([]string{"simulate", "--listen", "127.0.0.1:0"}, flags...)
	p, err := startProcess(ctx, "ringback simulate", l.folder, "listens on ", l.program, args...)
	if err != nil {
		return nil, err
	}
	return &simulatorProcess{p, newClient(p.url)}, nil
}

// calls is how many model calls it has received since it started.
func (s *simulatorProcess) calls() (int, error) {
	var health struct{ Calls int }
	err := s.get(s, "/healthz", &health)
	return health.Calls, err
}

// serveProcess is a running `ringback serve` and a client of it.
type serveProcess struct {
	*process
	*client
}

// freshData is a data folder that no serve has had.
func (l *lab) freshData() string {
	l.serves++
	return l.path(fmt.Sprintf("data-%d", l.serves))
}

// serve starts Ringback on a data folder with one provider, the simulator.
// Apart from what the bench needs, all settings are the defaults.
func (l *lab) serve(ctx context.Context, data string, upstream *simulatorProcess, concurrency int) (*serveProcess, error) {
	providers, err := json.Marshal([]map[string]any{{
		"name": "bench", "type": "openai", "base_url": upstream.url + "/v1",
		"models": []string{"sim-*"}, "concurrency": concurrency, "timeout": "1m",
	}})
	if err != nil {
		return nil, err
	}
	args := []string{"serve"}
	for _, setting := range []string{
		"server.listen=127.0.0.1:0",
		"server.shutdown_grace=5s",
		"data_dir=" + data,
		"simulator.enabled=false",
		"providers=" + string(providers),
		"callbacks.allow_http=true",
		"callbacks.allow_cidrs=[127.0.0.0/8]",
		fmt.Sprintf("callbacks.allow_ports=[%d]", l.receiver.port),
	} {
		args = append(args, "--set", setting)
	}
	p, err := startProcess(ctx, "ringback serve", l.folder, `"ringback is ready" url=`, l.program, args...)
	if err != nil {
		return nil, err
	}
	server := &serveProcess{p, newClient(p.url)}
	if err := l.receiver.trust(server, server.client); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return server, nil
}

// close stops the server and adds what went wrong to err, for a defer.
func (s *serveProcess) close(err *error) {
	*err = errors.Join(*err, s.stop())
	s.http.CloseIdleConnections()
}

// within bounds one wait on a process.
func within(ctx context.Context, limit time.Duration, what string) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("%s did not come within %s", what, limit))
}
