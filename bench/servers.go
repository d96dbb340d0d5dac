package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
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

// serveProcess is a running Ringback and a client of it: one process, or the API of a fleet with its workers.
type serveProcess struct {
	*process
	*client
	workers []*process // beside it
}

// place is where a Ringback keeps what it has: the folder of one process, or of all that a fleet's have for themselves,
// with their database and their prefix in the bucket.
type place struct {
	folder string
	shared []string // settings
}

// freshData is a place that no Ringback has had.
func (l *lab) freshData() (*place, error) {
	l.serves++
	p := &place{folder: l.path(fmt.Sprintf("data-%d", l.serves))}
	if l.fleet == nil {
		return p, nil
	}
	var err error
	p.shared, err = l.fleet.settings(l.serves)
	return p, err
}

// clear takes a place away, for a defer: the next part begins on a disk that has nothing of the last one to write.
func (l *lab) clear(p *place, err *error) { remove(p.folder, err) }

// serve starts Ringback at a place with one provider, the simulator. Apart from what the bench needs, all settings are the
// defaults.
func (l *lab) serve(ctx context.Context, at *place, upstream *simulatorProcess, concurrency int) (*serveProcess, error) {
	return l.serveWith(ctx, at, upstream, map[string]any{"concurrency": concurrency}, fleetWorkers)
}

// serveWith does it with more of the provider's settings, and in a fleet with so many workers.
func (l *lab) serveWith(ctx context.Context, at *place, upstream *simulatorProcess, provider map[string]any, workers int) (_ *serveProcess, err error) {
	settings, err := l.settings(at, upstream, provider)
	if err != nil {
		return nil, err
	}
	server := &serveProcess{}
	defer func() {
		if err != nil {
			err = errors.Join(err, server.stop())
		}
	}()
	role := "all"
	if l.fleet != nil {
		role = "api"
	}
	if server.process, err = l.member(ctx, at, role, role, settings); err != nil {
		return nil, err
	}
	server.client = newClient(server.url)
	settings = append(settings, "server.public_url="+server.url)
	for i := 0; l.fleet != nil && i < workers; i++ {
		worker, err := l.member(ctx, at, fmt.Sprintf("worker-%d", i+1), "worker", settings)
		if err != nil {
			return nil, err
		}
		server.workers = append(server.workers, worker)
	}
	return server, l.receiver.trust(server, server.client)
}

func (l *lab) settings(at *place, upstream *simulatorProcess, provider map[string]any) ([]string, error) {
	one := map[string]any{"name": "bench", "type": "openai", "base_url": upstream.url + "/v1", "models": []string{"sim-*"}, "timeout": "1m"}
	maps.Copy(one, provider)
	providers, err := json.Marshal([]any{one})
	return append([]string{
		"server.listen=127.0.0.1:0",
		"server.shutdown_grace=5s",
		"simulator.enabled=false",
		"providers=" + string(providers),
		"callbacks.allow_http=true",
		"callbacks.allow_cidrs=[127.0.0.0/8]",
		fmt.Sprintf("callbacks.allow_ports=[%d]", l.receiver.port),
	}, at.shared...), err
}

// member starts one process.
func (l *lab) member(ctx context.Context, at *place, name, role string, settings []string) (*process, error) {
	folder := at.folder
	if l.fleet != nil {
		folder = filepath.Join(at.folder, name)
		if err := os.MkdirAll(at.folder, 0o700); err != nil {
			return nil, err
		}
	}
	args := []string{"serve", "--roles", role}
	for _, setting := range append(settings[:len(settings):len(settings)], "data_dir="+folder) {
		args = append(args, "--set", setting)
	}
	return startProcess(ctx, "ringback serve", l.folder, `"ringback is ready" url=`, l.program, args...)
}

func (s *serveProcess) all() []*process {
	if s.process == nil {
		return s.workers
	}
	return append([]*process{s.process}, s.workers...)
}

// stop ends all of its processes in order, the workers first.
func (s *serveProcess) stop() (err error) {
	all := s.all()
	slices.Reverse(all)
	for _, p := range all {
		err = errors.Join(err, p.stop())
	}
	return err
}

// kill is kill -9 for all.
func (s *serveProcess) kill() (err error) {
	for _, p := range s.all() {
		err = errors.Join(err, p.kill())
	}
	return err
}

// cpu is what all of its processes have used.
func (s *serveProcess) cpu() (total time.Duration, err error) {
	for _, p := range s.all() {
		used, err := p.cpu()
		if err != nil {
			return 0, err
		}
		total += used
	}
	return total, nil
}

// peakMemory is the most that any one of its processes has had.
func (s *serveProcess) peakMemory() (most int64, err error) {
	for _, p := range s.all() {
		peak, err := p.peakMemory()
		if err != nil {
			return 0, err
		}
		most = max(most, peak)
	}
	return most, nil
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

// working is how many processes call providers.
func (l *lab) working() int {
	if l.fleet == nil {
		return 1
	}
	return fleetWorkers
}
