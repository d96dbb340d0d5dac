package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ringback/ringback/providers"
	"github.com/stretchr/testify/require"
)

// upstream is a provider that counts the calls that are open at the same time, by process.
type upstream struct {
	url     string
	latency time.Duration
	refuse  sync.Map // processes that are told to wait for 3 s

	mu     sync.Mutex
	open   map[string]int
	served map[string]int
	all    int
	most   int
}

func startUpstream(t *testing.T, latency time.Duration) *upstream {
	t.Helper()
	u := &upstream{latency: latency, open: map[string]int{}, served: map[string]int{}}
	server := httptest.NewServer(u)
	t.Cleanup(server.Close)
	u.url = server.URL + "/v1"
	return u
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	who := r.Header.Get("X-Process")
	_, _ = io.Copy(io.Discard, r.Body)
	u.count(who, 1)
	defer u.count(who, -1)
	select {
	case <-time.After(u.latency):
	case <-r.Context().Done():
	}
	w.Header().Set("Content-Type", "application/json")
	if _, refused := u.refuse.Load(who); refused {
		w.Header().Set("Retry-After", "3")
		w.WriteHeader(http.StatusTooManyRequests)
	}
	_, _ = io.WriteString(w, `{"id":"c","object":"chat.completion","choices":[],"usage":{"total_tokens":30}}`)
}

func (u *upstream) count(who string, n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.open[who] += n
	u.all += n
	u.most = max(u.most, u.all)
	if n < 0 {
		u.served[who]++
	}
}

// mostOpen is the most calls that were ever open at the same time.
func (u *upstream) mostOpen() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.most
}

func (u *upstream) servedTo(who string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.served[who]
}

// average is how many calls of who are open over d; of all where who is empty.
func (u *upstream) average(who string, d time.Duration) float64 {
	sum, n := 0, 0
	for end := time.Now().Add(d); time.Now().Before(end); n++ {
		u.mu.Lock()
		if who == "" {
			sum += u.all
		} else {
			sum += u.open[who]
		}
		u.mu.Unlock()
		time.Sleep(2 * time.Millisecond)
	}
	return float64(sum) / float64(n)
}

// process has a registry of its own, and callers that call as fast as they may.
type process struct {
	t        *testing.T
	name     string
	provider *providers.Provider
	sharer   *switched
	stopping atomic.Bool
	ctx      context.Context
	kill     context.CancelFunc
	callers  sync.WaitGroup
}

// switched is a Sharer that can be cut off, as by the process's death.
type switched struct {
	*Sharer
	off atomic.Bool
}

func (s *switched) Share(ctx context.Context, name string, ask providers.ShareAsk) (providers.Share, error) {
	if s.off.Load() {
		return providers.Share{}, errors.New("cut off")
	}
	share, err := s.Sharer.Share(ctx, name, ShareAsk(ask))
	return providers.Share(share), err
}

// startProcess starts one that shares through the Redis at url; none where url is empty.
func startProcess(t *testing.T, url, name string, u *upstream, c providers.Config) *process {
	t.Helper()
	c.Name, c.BaseURL, c.Models = "up", u.url, []string{"*"}
	c.Headers = map[string]string{"X-Process": name}
	p := &process{t: t, name: name}
	options := providers.Options{Providers: []providers.Config{c}}
	if url != "" {
		sharer, err := OpenSharer(SharerOptions{Redis: url, Process: "own_" + name})
		require.NoError(t, err)
		t.Cleanup(func() { sharer.Close() })
		sharer.lease = testLease
		p.sharer = &switched{Sharer: sharer}
		options.Sharer = p.sharer
	}
	registry, err := providers.New(options)
	require.NoError(t, err)
	p.provider = registry.Providers()[0]
	p.ctx, p.kill = context.WithCancel(context.Background())
	t.Cleanup(func() {
		p.stop()
		registry.Close()
	})
	return p
}

func (p *process) limiter() *providers.Limiter { return p.provider.Limiter("m") }

// call starts so many callers more.
func (p *process) call(callers int) *process {
	for i := range callers {
		p.callers.Go(func() {
			for !p.stopping.Load() && p.ctx.Err() == nil {
				p.once(i)
			}
		})
	}
	return p
}

func (p *process) once(caller int) {
	slot, err := p.limiter().Acquire(p.ctx, providers.Turn{Project: "p", Job: fmt.Sprint(caller % 3)}, 2*time.Second)
	var busy *providers.BusyError
	if errors.As(err, &busy) {
		select {
		case <-time.After(min(time.Until(busy.Until), 200*time.Millisecond)):
		case <-p.ctx.Done():
		}
	}
	if err != nil {
		return
	}
	answer, err := p.provider.Do(p.ctx, providers.Request{Path: "/v1/chat/completions", Model: "m", Body: []byte(`{"model":"m"}`)})
	slot.Release(providers.AsError(err), answer.Usage)
}

// stop lets the calls in flight end.
func (p *process) stop() {
	p.stopping.Store(true)
	p.callers.Wait()
	p.kill()
}

// die ends the process without a word.
func (p *process) die() {
	p.sharer.off.Store(true)
	p.kill()
	p.callers.Wait()
}

// requireOpen waits until a process has about so many calls open, a time long.
func requireOpen(t *testing.T, u *upstream, who string, want float64, within time.Duration) {
	t.Helper()
	began := time.Now()
	var had float64
	for end := time.Now().Add(within); time.Now().Before(end); {
		had = u.average(who, 250*time.Millisecond)
		if had >= 0.8*want && had <= 1.05*want {
			t.Logf("%q has %.1f of %.0f open after %v", who, had, want, time.Since(began).Round(time.Millisecond))
			return
		}
	}
	require.InDelta(t, want, had, 0.2*want, "calls that %q has open", who)
}
