package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hibiken/asynq"
)

const (
	// pollEvery is Asynq's pause between two asks of an empty lane; the real pause is the parking's.
	pollEvery = time.Millisecond
	// never is for Asynq's loops over things that no task of ours becomes: scheduled, retried, retained.
	never = 24 * time.Hour
)

// Run sweeps and works until ctx ends, then stops in order: sweepers and enqueues; claims; after Options.Drain the
// context of running work; when the last Work has returned, the connections, and the Redis in this process. It returns
// after all of that. A Redis that is away does not end it. Run may be called once.
func (q *Queue) Run(ctx context.Context) error {
	if !q.started.CompareAndSwap(false, true) {
		return errors.New("queue: Run was called before: open a new queue")
	}
	work, endWork := context.WithCancel(context.WithoutCancel(ctx))
	defer endWork()
	ctx, end := context.WithCancel(ctx)
	defer end()

	servers, err := q.startServers(work)
	if err != nil {
		end()
	}
	q.loop(ctx)
	close(q.stop)
	for _, s := range servers {
		s.Stop()
	}
	q.drain()
	endWork()
	q.awaitWork(context.Background())
	for _, s := range servers {
		s.Shutdown()
	}
	return errors.Join(err, q.Close())
}

// loop runs what wakes people up, until ctx ends.
func (q *Queue) loop(ctx context.Context) {
	var loops sync.WaitGroup
	if q.memory != nil {
		loops.Go(func() { q.memory.age(ctx) })
	} else {
		loops.Go(func() { q.listen(ctx) })
		loops.Go(func() { q.publish(ctx) })
	}
	for _, l := range q.lanes {
		loops.Go(func() { l.dispatch(ctx) })
		if l.Due != nil {
			loops.Go(func() { l.sweep(ctx, q.opt.Sweep) })
		}
	}
	loops.Wait()
}

// startServers starts a server for each lane that works here; work is the context of its handlers.
func (q *Queue) startServers(work context.Context) ([]*asynq.Server, error) {
	var servers []*asynq.Server
	for _, l := range q.lanes {
		if l.Work == nil {
			continue
		}
		s := asynq.NewServerFromRedisClient(q.redis, q.serverConfig(l))
		if err := s.Start(l.handler(work)); err != nil {
			return servers, fmt.Errorf("queue: start lane %s: %w", l.Name, err)
		}
		servers = append(servers, s)
	}
	return servers, nil
}

func (q *Queue) serverConfig(l *lane) asynq.Config {
	return asynq.Config{
		Concurrency:              l.Workers,
		Queues:                   map[string]int{l.Name: 1},
		StrictPriority:           true,
		TaskCheckInterval:        pollEvery,
		DelayedTaskCheckInterval: never,
		JanitorInterval:          never,
		ShutdownTimeout:          taskLimit, // Work has returned before Shutdown is called
		Logger:                   newAsynqLog(l.log),
		LogLevel:                 asynq.WarnLevel,
	}
}

// drain gives running work Options.Drain to end by itself.
func (q *Queue) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), q.opt.Drain)
	defer cancel()
	q.awaitWork(ctx)
}
