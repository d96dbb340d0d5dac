package providers

import (
	"log/slog"
	"math/rand/v2"
	"time"
)

const (
	defaultAnswerBytes = 16 << 20
	defaultMediaBytes  = 4 << 30
	defaultUserAgent   = "ringback"
)

// Options is what [New] needs.
type Options struct {
	// Providers in routing order: the first whose pattern matches serves a model.
	Providers []Config
	// AnswerBytes is the longest answer taken, in bytes; 0 means 16 MiB.
	AnswerBytes int64
	// MediaBytes is the longest result of a media job taken, in bytes; 0 means 4 GiB.
	MediaBytes int64
	// Log receives warnings about the configuration and, at debug level, failed
	// calls; nil discards them. Header values, keys and bodies are never logged.
	Log *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Rand gives jitter in [0, 1) and is called from many goroutines; nil means
	// math/rand/v2.
	Rand func() float64
	// Sharer makes the limits those of all processes together; nil: each limit is this
	// process's alone.
	Sharer Sharer
	// UserAgent is sent with every call; empty means "ringback".
	UserAgent string
	// NoTrace keeps the trace of a call's context from the upstream; otherwise it
	// is sent as traceparent and tracestate.
	NoTrace bool
}

func (o *Options) fill() {
	if o.AnswerBytes <= 0 {
		o.AnswerBytes = defaultAnswerBytes
	}
	if o.MediaBytes <= 0 {
		o.MediaBytes = defaultMediaBytes
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	if o.UserAgent == "" {
		o.UserAgent = defaultUserAgent
	}
}
