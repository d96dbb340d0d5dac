package queue

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/time/rate"
)

// quietFor is how long one warning stands for all that follow: a Redis that is away fails every call.
const quietFor = 10 * time.Second

// asynqLog passes Asynq's own messages on. Its errors are warnings here, since whatever failed, the sweeper comes; its
// info is debug; and nothing ends the process.
type asynqLog struct {
	log      *slog.Logger
	warnings *rate.Sometimes
}

func newAsynqLog(log *slog.Logger) asynqLog {
	return asynqLog{log: log, warnings: &rate.Sometimes{Interval: quietFor}}
}

// Debug implements asynq.Logger.
func (a asynqLog) Debug(args ...any) { a.log.Debug("queue: " + fmt.Sprint(args...)) }

// Info implements asynq.Logger.
func (a asynqLog) Info(args ...any) { a.log.Debug("queue: " + fmt.Sprint(args...)) }

// Warn implements asynq.Logger.
func (a asynqLog) Warn(args ...any) {
	a.warnings.Do(func() { a.log.Warn("queue: " + fmt.Sprint(args...)) })
}

// Error implements asynq.Logger.
func (a asynqLog) Error(args ...any) { a.Warn(args...) }

// Fatal implements asynq.Logger.
func (a asynqLog) Fatal(args ...any) { a.log.Error("queue: " + fmt.Sprint(args...)) }

// clientLog takes what go-redis would print to stderr: each failed dial, which the queue's own warnings cover.
type clientLog struct{ log *slog.Logger }

// Printf implements go-redis's logger.
func (c clientLog) Printf(ctx context.Context, format string, args ...any) {
	if c.log.Enabled(ctx, slog.LevelDebug) {
		c.log.DebugContext(ctx, "queue: "+fmt.Sprintf(format, args...))
	}
}
