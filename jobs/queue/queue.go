// Package queue carries "wake up and look at these IDs" through Redis.
//
// A task holds row IDs and nothing else; the rows decide what happens. So a task may be lost, doubled or late without
// harm: a lane's sweeper asks the rows again a moment later. Redis may be wiped, restarted or away at any instant.
//
// This package is the only home of Asynq, miniredis and go-redis.
package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"golang.org/x/time/rate"
)

const (
	defaultWindow = 256
	defaultSweep  = 250 * time.Millisecond
)

// Options says where the queue lives and what runs on it.
type Options struct {
	// Redis is the server's URL: redis://, rediss:// or unix://, or a redis:// URL of a Sentinel with ?master_name=.
	// Empty: a Redis inside this process, in memory only.
	Redis string
	// Window is how many tasks may wait in a lane, over all processes; Wake drops what is beyond it and the sweeper
	// stops asking, so the queue never holds the backlog. Default 256.
	Window int
	// Sweep is how often each lane asks Due. Default 250 ms.
	Sweep time.Duration
	// Drain is how long running work may go on by itself after Run's context ended, before its own context ends.
	// Default 0: at once.
	Drain time.Duration
	// Lanes are the kinds of work; names must differ.
	Lanes []Lane
	// Heard is told the IDs that any process, this one too, gives to Tell. It must not block. Nil: nobody listens.
	Heard func(id string)
	// Log gets the queue's warnings; default slog.Default().
	Log *slog.Logger
}

// Queue wakes handlers up. Safe for many goroutines at once.
type Queue struct {
	opt    Options
	log    *slog.Logger
	redis  *redis.Client
	memory *memory // nil with a Redis of its own
	tasks  *asynq.Client
	lanes  map[string]*lane
	news   chan string
	stop   chan struct{} // closed when no task may be claimed any more

	warnings rate.Sometimes
	started  atomic.Bool
	close    func() error
}

var laneName = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)

// Open prepares a queue without connecting: Redis may come later. The error names the option to mend.
// A queue that was opened is ended by Run or by Close.
func Open(opt Options) (*Queue, error) {
	opt = withDefaults(opt)
	redis.SetLogger(clientLog{opt.Log}) // go-redis has one for the process: the last queue opened gets it
	client, mem, err := connect(opt.Redis)
	if err != nil {
		return nil, err
	}
	q := &Queue{
		opt: opt, log: opt.Log, redis: client, memory: mem,
		tasks: asynq.NewClientFromRedisClient(client),
		lanes: make(map[string]*lane, len(opt.Lanes)),
		news:  make(chan string, newsMost),
		stop:  make(chan struct{}),

		warnings: rate.Sometimes{Interval: quietFor},
	}
	q.close = sync.OnceValue(q.closeAll)
	for _, l := range opt.Lanes {
		if err := q.add(l); err != nil {
			return nil, errors.Join(err, q.Close())
		}
	}
	client.AddHook(newParking(q.lanes, q.stop))
	return q, nil
}

func withDefaults(opt Options) Options {
	if opt.Window <= 0 {
		opt.Window = defaultWindow
	}
	if opt.Sweep <= 0 {
		opt.Sweep = defaultSweep
	}
	if opt.Log == nil {
		opt.Log = slog.Default()
	}
	return opt
}

func (q *Queue) add(l Lane) error {
	if !laneName.MatchString(l.Name) {
		return fmt.Errorf("queue: lane name %q: use lower-case letters, digits, - and _, beginning with a letter", l.Name)
	}
	if q.lanes[l.Name] != nil {
		return fmt.Errorf("queue: two lanes are called %q: give each its own name", l.Name)
	}
	q.lanes[l.Name] = newLane(l, q)
	return nil
}

// Wake asks for a look at the rows ids of a lane. It never blocks and never fails its caller: the rows are committed,
// and what is dropped here (a full window, Redis away, Run not running any more) the sweeper finds. IDs that come while
// an enqueue is on its way share the next task. ctx carries no deadline: a caller that hung up is still owed its wake-up.
func (q *Queue) Wake(_ context.Context, lane string, ids ...string) {
	l := q.lanes[lane]
	if l == nil {
		q.log.Error("queue: wake-up for a lane that does not exist: name it in Options.Lanes", "lane", lane)
		return
	}
	l.offer(ids)
}

// Ping says whether Redis answers, for readiness. The error is Redis's own; ctx bounds it.
func (q *Queue) Ping(ctx context.Context) error {
	if err := q.redis.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("queue: Redis does not answer: check queue.redis: %w", err)
	}
	return nil
}

// Close frees a queue whose Run was never called; Run closes by itself. It may be called again.
func (q *Queue) Close() error { return q.close() }

func (q *Queue) closeAll() error {
	err := q.redis.Close()
	if q.memory != nil {
		q.memory.close()
	}
	return err
}
