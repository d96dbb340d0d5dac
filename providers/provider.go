package providers

import (
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Provider is one configured upstream. It is safe for use by many goroutines.
type Provider struct {
	config    Config
	base      *url.URL
	header    http.Header
	secrets   [][]byte
	ready     map[string]*http.Request // by path; never changed
	transport *http.Transport
	media     map[string]*Media // by path; never changed
	untraced  bool              // no trace goes along
	scratch   sync.Pool         // *bytes.Buffer, for answers of unknown length

	answerBytes int64
	mediaBytes  int64
	log         *slog.Logger
	now         func() time.Time
	rand        func() float64
	sharing     *sharing // nil: the limits are this process's alone

	mu       sync.RWMutex
	limiters map[string]*Limiter
	others   *Limiter // shared by the models past maxLimiters
}

func newProvider(o Options, c Config, s *sharing) (*Provider, error) {
	base, err := url.Parse(strings.TrimRight(c.BaseURL, "/"))
	if err != nil {
		return nil, err
	}
	p := &Provider{
		config: c, base: base, header: c.header(o.UserAgent), secrets: c.secrets(), transport: newTransport(c),
		answerBytes: o.AnswerBytes, mediaBytes: o.MediaBytes, now: o.Now, rand: o.Rand, sharing: s,
		log:      o.Log.With("provider", c.Name),
		limiters: make(map[string]*Limiter),
	}
	p.untraced = o.NoTrace || tracedByOperator(p.header)
	p.ready = p.prepare()
	p.media = p.describe(c.Media)
	p.others = p.newLimiter("")
	p.warnPlainText()
	return p, nil
}

// Name is the configured name.
func (p *Provider) Name() string { return p.config.Name }

// Models returns the patterns of the models that it serves.
func (p *Provider) Models() []string { return slices.Clone(p.config.Models) }

// Address is the base URL without its query, which may be secret.
func (p *Provider) Address() string { return p.address() }

// Slots is how many calls may be in flight at the same time for each model.
func (p *Provider) Slots() int { return p.config.Concurrency }

// SpeaksResponses tells whether the upstream has /v1/responses; otherwise the
// caller translates to chat completions.
func (p *Provider) SpeaksResponses() bool { return p.config.Responses != ResponsesChat }

// warnPlainText tells the operator that a key leaves this machine in clear.
func (p *Provider) warnPlainText() {
	if p.base.Scheme != "http" || len(p.secrets) == 0 || isLocal(p.base.Hostname()) {
		return
	}
	p.log.Warn("the provider's key is sent in clear; use an https base_url")
}

func isLocal(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
