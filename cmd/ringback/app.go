package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/history"
	"github.com/ringback/ringback/jobs"
	"github.com/ringback/ringback/jobs/queue"
	"github.com/ringback/ringback/metrics"
	"github.com/ringback/ringback/providers"
	"github.com/ringback/ringback/store"
	"github.com/ringback/ringback/telemetry"
	"github.com/ringback/ringback/telemetry/span"
	"github.com/ringback/ringback/web"
)

// app is a running Ringback. Its parts are made from the bottom up, and stopped from the top down: HTTP, the queue with
// its sweepers and handlers, what records outcomes, the store.
type app struct {
	cfg    Config
	log    *slog.Logger
	owner  string // this process on its claims: random at each start
	failed chan error

	telemetry  *telemetry.Recorder // nil where no spans are kept
	tracer     *span.Tracer
	metrics    *metrics.Metrics
	history    *history.Recorder
	listener   net.Listener
	simulator  *http.Server
	providers  *providers.Registry
	sharer     *queue.Sharer // nil where limits are this process's alone
	store      *store.Store
	files      store.Files
	filesPing  *lately
	callbacks  *callbacks.Client
	queue      *queue.Queue
	watchers   *jobs.Watchers
	presence   *jobs.Presence // among other processes; nil where there are none
	runner     *jobs.Runner
	service    *jobs.Service
	sender     *callbacks.Sender
	deliveries *callbacks.Service
	http       *http.Server

	stopping   chan struct{} // closed first: no new call begins
	stopQueue  context.CancelFunc
	stopRest   context.CancelFunc
	queueEnded sync.WaitGroup
	restEnded  sync.WaitGroup

	simulatorEnded sync.WaitGroup
}

// start makes all parts and runs them. On an error what was started is stopped again. ctx bounds only the start.
func start(ctx context.Context, cfg Config, log *slog.Logger) (_ *app, err error) {
	a := &app{
		cfg: cfg, log: log, owner: jobs.NewID("own_"), failed: make(chan error, 4), stopping: make(chan struct{}),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	if a.listener, err = net.Listen("tcp", cfg.Server.Listen); err != nil {
		return nil, fmt.Errorf("server.listen: %w", err)
	}
	for _, open := range []func(context.Context) error{a.openTelemetry, a.openMetrics, a.openHistory, a.openSharer, a.openProviders, a.openStore, a.openQueue, a.openCallbacks, a.openJobs, a.openHTTP} {
		if err := open(ctx); err != nil {
			return nil, err
		}
	}
	a.run(context.WithoutCancel(ctx))
	return a, nil
}

// URL is where clients reach this server.
func (a *app) URL() string {
	if a.cfg.Server.PublicURL != "" {
		return a.cfg.Server.PublicURL
	}
	return a.ownURL()
}

// ownURL is where this process listens.
func (a *app) ownURL() string { return "http://" + a.listener.Addr().String() }

func (a *app) openProviders(context.Context) (err error) {
	configured := make([]providers.Config, 0, len(a.cfg.Providers)+1)
	for _, p := range a.cfg.Providers {
		configured = append(configured, p.options())
	}
	if a.cfg.Simulator.Enabled {
		simulated, err := a.startSimulator()
		if err != nil {
			return err
		}
		configured = append(configured, simulated)
	}
	a.providers, err = providers.New(providers.Options{
		Providers: configured, AnswerBytes: int64(a.cfg.Limits.AnswerBytes), Log: a.log, UserAgent: userAgent,
		NoTrace: !a.cfg.Telemetry.ToProviders, Sharer: a.sharing(),
	})
	return err
}

const userAgent = "Ringback/1.0"

func (p ProviderConfig) options() providers.Config {
	headers := make(map[string]string, len(p.Headers))
	for name, value := range p.Headers {
		headers[name] = value.Reveal()
	}
	retries := p.Retries
	if retries == 0 {
		retries = -1 // the package's word for never; its zero is its default
	}
	media := make([]providers.MediaConfig, len(p.Media))
	for i, m := range p.Media {
		media[i] = providers.MediaConfig(m)
	}
	return providers.Config{
		Name: p.Name, Type: p.Type, BaseURL: p.BaseURL, APIKey: p.APIKey.Reveal(), Headers: headers, Models: p.Models,
		Concurrency: p.Concurrency, PerProcess: p.PerProcess,
		RequestsPerMinute: p.RequestsPerMinute, TokensPerMinute: p.TokensPerMinute,
		Timeout: p.Timeout, Retries: retries, Responses: p.Responses, Media: media,
	}
}

func (a *app) openStore(ctx context.Context) (err error) {
	key, err := base64.StdEncoding.DecodeString(a.cfg.Secrets.Key.Reveal())
	if err != nil {
		return fmt.Errorf("secrets.key: it must be base64 of 32 bytes")
	}
	a.store, err = store.Open(ctx, store.Options{
		Dir: a.cfg.DataDir, DSN: a.cfg.Store.DSN.Reveal(), Connections: a.cfg.Store.Connections, Key: key,
		SigningSecret: a.cfg.Callbacks.SigningSecret.Reveal(), ShardsAwake: a.cfg.shardsAwake(),
		Events:     jobs.EventLimits{Bytes: int(a.cfg.Limits.EventBytes), PublicURL: a.URL()},
		FirstDelay: a.cfg.Callbacks.Schedule[0], Now: time.Now, Meter: a.storeMeter(),
	})
	if err != nil {
		return err
	}
	if a.files, err = openFiles(ctx, a.cfg, a.log); err != nil {
		return err
	}
	a.filesPing = &lately{ask: a.files.Ping}
	if !a.store.Shared() {
		return a.store.FreeOthers(ctx, a.owner)
	}
	a.presence = jobs.NewPresence(jobs.PresenceOptions{
		Beats: a.store, Owner: a.owner, Lost: a.lost, Took: a.metrics.TookOver, Log: a.log,
	})
	return a.presence.Begin(ctx)
}

// lost is told that others have taken over what this process had in hand.
func (a *app) lost() {
	a.metrics.TakenForDead()
	a.runner.Abandon()
}

// shardsAwake is how many shards of one batch are due at once: enough lines for any provider's slots, in a fleet for each
// process's, and few enough that a large batch never fills the queue.
func (c Config) shardsAwake() int {
	if c.Store.DSN != "" {
		return 16
	}
	return 8
}

// gateGroups is how many groups of up to 64 gates are noted at the same time: noting takes no time, the Sender does the
// work.
const gateGroups = 2

// batchSteps is how many batches are validated, ended or written out at the same time, in groups of up to four.
const batchSteps = 8

func (a *app) openQueue(context.Context) (err error) {
	lanes := []queue.Lane{
		{Name: jobs.LaneBatches, Workers: batchSteps, Group: 4, Due: a.store.DueBatches, Work: a.workJobs},
		{Name: jobs.LaneCalls, Workers: a.cfg.Jobs.Workers, Group: 4, Due: a.store.DueCalls, Work: a.workJobs},
		{Name: jobs.LaneShards, Workers: a.cfg.Batches.Workers, Group: 1, Due: a.store.DueShards, Work: a.workShards},
		{Name: jobs.LaneDeliveries, Workers: gateGroups, Group: 64, Due: a.store.DueGates, Work: a.workDeliveries},
	}
	if !a.cfg.Server.works() {
		for i := range lanes { // this process only wakes others
			lanes[i].Due, lanes[i].Work = nil, nil
		}
	}
	a.watchers = jobs.NewWatchers()
	a.watchers.Tell = func(ref jobs.Ref) { a.queue.Tell(ref.String()) }
	heard := func(id string) {
		if ref, ok := jobs.ParseRef(id); ok {
			a.watchers.Heard(ref)
		}
	}
	a.queue, err = queue.Open(queue.Options{
		Heard: heard,
		Redis: a.cfg.Queue.Redis.Reveal(), Drain: a.cfg.Server.ShutdownGrace, Log: a.log, Lanes: lanes,
	})
	return err
}

// The queue needs its handlers before the parts behind them can have the queue to wake others with.
func (a *app) workJobs(ctx context.Context, ids []string)       { a.runner.WorkJobs(ctx, ids) }
func (a *app) workShards(ctx context.Context, ids []string)     { a.runner.WorkShards(ctx, ids) }
func (a *app) workDeliveries(ctx context.Context, ids []string) { a.sender.Work(ctx, ids) }

// openCallbacks makes what sends, and what clients command it with.
func (a *app) openCallbacks(context.Context) (err error) {
	a.callbacks, err = callbacks.NewClient(callbacks.ClientOptions{
		Rules: a.rules(), CAFile: a.cfg.Callbacks.CAFile, Proxy: a.cfg.Callbacks.Proxy.Reveal(),
	})
	if err != nil {
		return err
	}
	poster := callbacks.NewPoster(callbacks.PosterOptions{
		Client: a.callbacks, Timeout: a.cfg.Callbacks.Timeout, BodySignatureHeader: a.cfg.Callbacks.BodySignatureHeader,
		Tracer: a.tracer, Now: time.Now,
	})
	a.sender = callbacks.NewSender(callbacks.SenderOptions{
		Store: a.store, Poster: poster, Policy: callbacks.Policy{Schedule: a.cfg.Callbacks.Schedule}, Owner: a.owner,
		Concurrency: a.cfg.Callbacks.Workers, PerReceiver: a.cfg.Callbacks.PerReceiver, Stopping: a.stopping, Lapsed: a.presence.Lapsed,
		Grace: a.cfg.Server.ShutdownGrace, Attempted: a.metrics.Attempted, Now: time.Now, Log: a.log,
	})
	a.deliveries = callbacks.NewService(callbacks.ServiceOptions{
		Records: a.store, Rules: a.rules(), Poster: poster, Waker: a.queue,
		SecretIsSet: a.cfg.Callbacks.SigningSecret != "", Now: time.Now,
	})
	return nil
}

func (a *app) rules() callbacks.Rules {
	c := a.cfg.Callbacks
	r := callbacks.Rules{
		AllowHTTP: c.AllowHTTP, AllowCIDRs: c.AllowCIDRs, PublicURL: a.URL(), BodySignatureHeader: c.BodySignatureHeader,
		Self: func() []netip.AddrPort {
			return []netip.AddrPort{a.listener.Addr().(*net.TCPAddr).AddrPort()}
		},
	}
	for _, p := range c.AllowPorts {
		r.AllowPorts = append(r.AllowPorts, callbacks.PortRange{From: p.From, To: p.To})
	}
	return r
}

// openJobs makes what works on jobs, and what clients command it with.
func (a *app) openJobs(context.Context) error {
	limits := jobs.Limits{
		BatchLines: a.cfg.Limits.BatchLines, BatchBytes: int64(a.cfg.Limits.BatchBytes),
		FileBytes: int64(a.cfg.Limits.FileBytes), ShardLines: a.cfg.Batches.ShardLines,
		UploadBytes: int64(a.cfg.Limits.UploadBytes), UploadPartBytes: int64(a.cfg.Limits.UploadPartBytes),
		BodyBytes: int64(a.cfg.Limits.BodyBytes), AnswerBytes: int64(a.cfg.Limits.AnswerBytes),
	}
	a.runner = jobs.NewRunner(jobs.RunnerOptions{
		Store: a.store, Blobs: a.files, Router: a.providers, Waker: a.queue, Watchers: a.watchers, Limits: limits,
		Owner: a.owner, Stopping: a.stopping, Presence: a.presence, Tracer: a.tracer, Called: a.called, Now: time.Now, Log: a.log,
	})
	a.service = jobs.NewService(jobs.ServiceOptions{
		Records: a.store, Blobs: a.files, Router: a.providers, Waker: a.queue, Watchers: a.watchers, Limits: limits,
		Now: time.Now,
	})
	return nil
}

func (a *app) openHTTP(context.Context) error {
	keys := make([]string, 0, len(a.cfg.Auth.Keys))
	for _, key := range a.cfg.Auth.Keys {
		keys = append(keys, key.Reveal())
	}
	a.http = web.HTTPServer(web.New(web.Options{
		Jobs: a.service, Facts: a.store, Callbacks: a.deliveries, People: a.people(),
		Keys: keys, PublicURL: a.URL(), BodyBytes: int64(a.cfg.Limits.BodyBytes), FileBytes: int64(a.cfg.Limits.FileBytes),
		UploadPartBytes: int64(a.cfg.Limits.UploadPartBytes), Ready: a.checks(),
		Metrics: a.metrics.Handler(), Requests: a.metrics.Route, ProbesOnly: !a.cfg.Server.takesRequests(), Tracer: a.tracer, Log: a.log, Now: time.Now, Version: version(),
	}))
	a.http.ErrorLog = slog.NewLogLogger(a.log.Handler(), slog.LevelDebug)
	return nil
}

// run starts the loops. One that ends by itself with an error is told to failed.
func (a *app) run(ctx context.Context) {
	queueCtx, stopQueue := context.WithCancel(ctx)
	restCtx, stopRest := context.WithCancel(ctx)
	a.stopQueue, a.stopRest = stopQueue, stopRest
	if a.presence != nil {
		a.restEnded.Go(func() { a.note(restCtx, a.presence.Run(restCtx)) })
	}
	if a.cfg.Server.works() {
		a.work(restCtx)
	}
	a.restEnded.Go(func() { a.checkProviders(restCtx) })
	a.queueEnded.Go(func() { a.note(queueCtx, a.queue.Run(queueCtx)) })
	a.restEnded.Go(func() {
		if err := a.http.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
			a.note(restCtx, err)
		}
	})
}

// work starts what a worker does beside what the queue wakes it for.
func (a *app) work(ctx context.Context) {
	a.restEnded.Go(func() { a.note(ctx, a.runner.Run(ctx)) })
	a.restEnded.Go(func() { a.note(ctx, a.sender.Run(ctx)) })
	a.restEnded.Go(func() { a.history.Run(ctx, a.store, a.log) })
	a.restEnded.Go(func() { (&store.JobSampler{Store: a.store, Log: a.log}).Run(ctx) })
	a.restEnded.Go(func() {
		(&store.Janitor{Store: a.store, Files: a.files, Keep: store.Periods(a.cfg.Retention), Owner: a.owner, Log: a.log}).Run(ctx)
	})
}

// checkProviders says in the log which providers answer. One that does not is no reason not to start: its jobs wait.
func (a *app) checkProviders(ctx context.Context) {
	for _, p := range a.providers.Providers() {
		models, err := p.Check(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			a.log.Warn("a provider does not answer as it should; jobs for its models will be tried all the same", "provider", p.Name(), "models", p.Models(), "err", err)
		default:
			a.log.Info("a provider answers", "provider", p.Name(), "models", p.Models(), "it_lists", len(models))
		}
	}
}

func (a *app) note(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		select {
		case a.failed <- err:
		default:
		}
	}
}

// Close stops all parts in order. Open requests and calls in flight have the same grace period, side by side. What this
// process still holds then is given back, so that the next start goes on at once.
func (a *app) Close() error {
	began := time.Now()
	close(a.stopping)
	var httpEnded sync.WaitGroup
	if a.http != nil {
		httpEnded.Go(func() { closeHTTP(a.http, a.cfg.Server.ShutdownGrace) })
	}
	var err error
	if a.stopQueue != nil {
		a.stopQueue()
		a.queueEnded.Wait()
		httpEnded.Wait()
		a.stopRest()
		a.restEnded.Wait()
	} else if a.queue != nil {
		err = a.queue.Close()
	}
	httpEnded.Wait()
	return errors.Join(err, a.closeParts(), a.closeTelemetry(began))
}

func (a *app) closeParts() error {
	var errs []error
	if a.simulator != nil {
		errs = append(errs, a.simulator.Close())
		a.simulatorEnded.Wait()
	}
	if a.providers != nil {
		a.providers.Close()
	}
	if a.sharer != nil {
		errs = append(errs, a.sharer.Close())
	}
	if a.callbacks != nil {
		a.callbacks.Close()
	}
	if a.store != nil {
		a.closeHistory()
		if a.stopQueue != nil {
			errs = append(errs, a.store.Leave(context.Background(), a.owner))
		}
		errs = append(errs, a.store.Close())
	}
	if a.files != nil {
		errs = append(errs, a.files.Close())
	}
	if a.listener != nil {
		_ = a.listener.Close() // the HTTP server has closed it, if it ran
	}
	return errors.Join(errs...)
}
