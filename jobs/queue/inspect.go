package queue

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Inspection is what Inspect has found of a Redis.
type Inspection struct {
	Version string
	Policy  string        // what it does when its memory is full; "" where it does not say
	Took    time.Duration // one question and its answer
}

// Inspect looks at the Redis that a URL names. It changes nothing.
func Inspect(ctx context.Context, url string) (i Inspection, err error) {
	redis.SetLogger(clientLog{slog.New(slog.DiscardHandler)}) // what it would print is in the error
	client, mem, err := connect(url)
	if err != nil {
		return i, err
	}
	defer client.Close()
	if mem != nil {
		defer mem.close()
		return Inspection{Version: "embedded", Policy: "noeviction"}, nil
	}
	if err := client.Ping(ctx).Err(); err != nil {
		return i, err
	}
	began := time.Now()
	if err := client.Ping(ctx).Err(); err != nil {
		return i, err
	}
	i.Took = time.Since(began)
	info, err := client.Info(ctx, "server", "memory").Result()
	if err != nil {
		return i, err
	}
	for line := range strings.Lines(info) {
		switch name, value, _ := strings.Cut(strings.TrimSpace(line), ":"); name {
		case "redis_version":
			i.Version = value
		case "maxmemory_policy":
			i.Policy = value
		}
	}
	return i, nil
}
