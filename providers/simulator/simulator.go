package simulator

import (
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Options sets how the simulator behaves. The zero value answers every call at
// once and without faults.
type Options struct {
	// TTFT is the time to the first token, TPOT the time for each output token.
	TTFT, TPOT time.Duration
	// Fail, Hang and Reset are shares (0 to 1) of the model calls: answered 500
	// with type server_error; never answered until the client goes away; cut by a
	// TCP reset. Together they count up to 1: Fail goes before Hang before Reset.
	Fail, Hang, Reset float64
	// RPM is how many model calls a minute are let through, at an even pace after
	// a burst. Those beyond it answer 429 with Retry-After in whole seconds, at
	// least 1. Zero is no limit.
	RPM int
	// Burst is how many calls are let through at once before RPM's pace holds; it
	// fills up again at that pace. Zero is max(1, RPM/60).
	Burst int
	// NoRetryAfter leaves Retry-After out of the rate limit's answers, and the wait
	// out of their message. The x-ratelimit headers stay.
	NoRetryAfter bool
	// MediaTime is how long a video takes from its submission to its end, by Now;
	// zero is a second.
	MediaTime time.Duration
	// TuneTime is how long a fine-tuning job runs, by Now; validation and the queue
	// take a sixth as long before it. Zero is 2 s.
	TuneTime time.Duration
	// Dir keeps files, fine-tuning jobs and batches across simulators; no two may
	// use it at once. Empty is a temporary folder that Close removes.
	Dir string
	// APIKey is the one key let in under /v1; empty lets any key in, or none.
	APIKey string
	// Log gets a debug line for each fault; nil is silence.
	Log *slog.Logger
	// Now is the clock of the rate limit and of the times in answers; nil is
	// time.Now. Latency runs on real timers.
	Now func() time.Time
}

// Simulator is an OpenAI-compatible upstream. It is an [http.Handler], safe for
// concurrent use.
type Simulator struct {
	opts    Options
	log     *slog.Logger
	now     func() time.Time
	mux     *http.ServeMux
	limit   *limiter
	videos  *videos
	tones   [toneKinds][]byte
	shares  shares
	images  []string
	account *account
	find    func(name string) (model, lessons, *problem)
	pool    sync.Pool
	seed    uint64
	calls   atomic.Int64
	refused atomic.Int64
	ids     atomic.Uint64
	repeats sync.Map // hash of a prompt -> *atomic.Int64, only for times=N
}

// New makes a simulator that is ready to serve.
func New(opts Options) *Simulator {
	s := &Simulator{opts: opts, log: opts.Log, now: opts.Now}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.seed = uint64(s.now().UnixNano())
	s.limit = newLimiter(opts.RPM, opts.Burst)
	s.limit.silent = opts.NoRetryAfter
	s.videos = newVideos(opts.MediaTime)
	s.tones = drawTones()
	s.shares = shares{fail: opts.Fail, hang: opts.Hang, reset: opts.Reset}
	s.images = palette()
	s.account, s.find = newAccount(opts.Dir), s.findModel
	s.pool.New = func() any { return new(call) }
	s.mux = s.routes()
	return s
}

// ServeHTTP answers one request.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Calls is how many model calls have been received, whatever their outcome;
// GET /healthz tells it as "calls".
func (s *Simulator) Calls() int64 { return s.calls.Load() }

// Refused is how many model calls were answered 429, by the rate limit or by a
// directive; GET /healthz tells it as "refused".
func (s *Simulator) Refused() int64 { return s.refused.Load() }

// Videos is how many videos have been created, deleted ones included; GET
// /healthz tells it as "videos".
func (s *Simulator) Videos() int64 { return s.videos.created.Load() }
