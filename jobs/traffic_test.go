package jobs

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/providers"
)

// TestTrafficTellsOfCallsAndOutages: what is in flight, what waits, what came of calls, and since when nobody is there.
func TestTrafficTellsOfCallsAndOutages(t *testing.T) {
	t.Parallel()
	status, arrived, hold := atomic.Int64{}, make(chan struct{}), make(chan struct{})
	status.Store(200)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if status.Load() == 200 {
			arrived <- struct{}{}
			<-hold
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(int(status.Load()))
		_, _ = w.Write([]byte(`{"id":"c"}`))
	}))
	defer server.Close()
	registry, err := providers.New(providers.Options{Providers: []providers.Config{{Name: "up", BaseURL: server.URL + "/v1", Models: []string{"*"}}}})
	require.NoError(t, err)
	defer registry.Close()
	outcomes := make(chan providers.Kind, 10)
	r := NewRunner(RunnerOptions{Router: registry, Called: func(provider string) func(string, providers.Kind, time.Duration) {
		require.Equal(t, "up", provider)
		return func(project string, outcome providers.Kind, took time.Duration) {
			require.Equal(t, "p", project)
			require.Positive(t, took)
			outcomes <- outcome
		}
	}})
	p, j := registry.Providers()[0], Job{ProjectID: "p", ID: "j", Model: "m"}
	call := func() {
		slot, err := r.acquire(t.Context(), p, &j)
		require.NoError(t, err)
		answer, err := r.doCall(t.Context(), p, "p", providers.Request{Path: "/v1/chat/completions", Model: "m", Body: []byte(`{}`)})
		slot.Release(providers.AsError(err), answer.Usage)
	}
	require.Equal(t, []Traffic{{Provider: "up"}}, r.Traffic())

	ended := make(chan struct{})
	go func() { defer close(ended); call() }()
	<-arrived
	require.Equal(t, []Traffic{{Provider: "up", Calls: 1}}, r.Traffic())
	close(hold)
	<-ended
	require.Equal(t, []Traffic{{Provider: "up"}}, r.Traffic())
	require.Empty(t, <-outcomes)

	status.Store(500)
	for range 5 { // in a row: an outage
		call()
		require.Equal(t, providers.Overloaded, <-outcomes)
	}
	_, err = p.Limiter("m").Acquire(t.Context(), j.turn(), 0)
	require.Error(t, err)
	require.Eventually(t, func() bool {
		slot, err := r.acquire(t.Context(), p, &j)
		if err == nil { // the probe of the outage, which fails too
			slot.Release(&providers.Error{Kind: providers.Overloaded, Retry: true}, providers.Usage{})
		}
		return r.Traffic()[0].Down
	}, 30*time.Second, time.Millisecond)

	status.Store(400) // an answer of any kind says that somebody is there
	_, err = r.doCall(t.Context(), p, "p", providers.Request{Path: "/v1/chat/completions", Model: "m", Body: []byte(`{}`)})
	require.Error(t, err)
	require.Equal(t, providers.Rejected, <-outcomes)
	require.Equal(t, []Traffic{{Provider: "up"}}, r.Traffic())
}
