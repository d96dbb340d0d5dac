package queue

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// A Redis that hangs is noticed within these; nobody's request waits for it.
const (
	dialTimeout = time.Second
	callTimeout = 2 * time.Second
)

// connect makes the one client of a queue, and the Redis in this process where rawURL is empty. It does not dial.
func connect(rawURL string) (*redis.Client, *memory, error) {
	if rawURL == "" {
		mem := newMemory()
		opt := &redis.Options{Addr: "memory", Dialer: mem.dial}
		settings(opt)
		return redis.NewClient(opt), mem, nil
	}
	client, err := remote(rawURL)
	if err != nil {
		return nil, nil, fmt.Errorf("queue: queue.redis: %w: write it like redis://:password@host:6379/0", withoutURL(err))
	}
	return client, nil, nil
}

func remote(rawURL string) (*redis.Client, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	if u.Query().Has("master_name") {
		opt, err := redis.ParseFailoverURL(rawURL)
		if err != nil {
			return nil, err
		}
		failoverSettings(opt)
		return redis.NewFailoverClient(opt), nil
	}
	opt, err := redis.ParseURL(rawURL)
	if err != nil {
		return nil, err
	}
	settings(opt)
	return redis.NewClient(opt), nil
}

// settings turn repeats off: a dequeue whose answer was lost may have taken a task, and to ask again would lose a second.
func settings(o *redis.Options) {
	o.MaxRetries, o.DialerRetries = -1, 1
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = dialTimeout, callTimeout, callTimeout
	o.ContextTimeoutEnabled = true
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

func failoverSettings(o *redis.FailoverOptions) {
	o.MaxRetries, o.DialerRetries = -1, 1
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = dialTimeout, callTimeout, callTimeout
	o.ContextTimeoutEnabled = true
	o.DisableIdentity = true
}

// withoutURL keeps the password out of the message: url.Error quotes the whole URL.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
