package queue

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// parkFor bounds how late a task is seen whose ring was lost.
	parkFor = 500 * time.Millisecond
	// afterError keeps Asynq, which asks again at once after an error, from spinning while Redis is away.
	afterError = 250 * time.Millisecond
)

// parking is a hook on the Redis client that makes Asynq's polling idle: the dequeue of an empty lane waits in this
// process until the lane is rung, then asks once more. Asynq itself may then poll as fast as it likes.
type parking struct {
	lanes map[string]*lane // by the key of the lane's waiting tasks
	stop  <-chan struct{}
}

func newParking(lanes map[string]*lane, stop <-chan struct{}) *parking {
	p := &parking{lanes: make(map[string]*lane, len(lanes)), stop: stop}
	for _, l := range lanes {
		p.lanes[l.pendingKey()] = l
	}
	return p
}

// DialHook leaves dialing as it is.
func (p *parking) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

// ProcessPipelineHook leaves pipelines as they are: Asynq dequeues by a lone script.
func (p *parking) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// ProcessHook parks empty dequeues. A parked command holds no connection.
func (p *parking) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		l := p.dequeues(cmd)
		if l == nil {
			return next(ctx, cmd)
		}
		return p.dequeue(ctx, l, cmd, next)
	}
}

func (p *parking) dequeue(ctx context.Context, l *lane, cmd redis.Cmder, next redis.ProcessHook) error {
	if p.stopped() {
		return redis.Nil
	}
	err := next(ctx, cmd)
	switch {
	case errors.Is(err, redis.Nil):
		l.ranEmpty()
		if p.wait(l.bell, parkFor) {
			cmd.SetErr(nil)
			return next(ctx, cmd)
		}
	case err != nil && !redis.HasErrorPrefix(err, "NOSCRIPT"): // Asynq answers NOSCRIPT with the script itself
		p.wait(nil, afterError)
	}
	return err
}

// dequeues returns the lane that cmd takes a task from, nil for any other command. Asynq's dequeue is the one script of
// a server whose first key is the list of waiting tasks.
func (p *parking) dequeues(cmd redis.Cmder) *lane {
	if name := cmd.Name(); name != "evalsha" && name != "eval" {
		return nil
	}
	args := cmd.Args()
	if len(args) < 4 {
		return nil
	}
	key, _ := args[3].(string)
	return p.lanes[key]
}

func (p *parking) stopped() bool {
	select {
	case <-p.stop:
		return true
	default:
		return false
	}
}

// wait returns at a ring or after d; false when the queue stops.
func (p *parking) wait(bell <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-bell:
	case <-timer.C:
	case <-p.stop:
		return false
	}
	return true
}
