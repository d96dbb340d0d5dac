package providers

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const benchBody = `{"id":"chatcmpl-1","object":"chat.completion","created":1741386163,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello there, this is an answer of some length, as models give."},"finish_reason":"stop"}],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}}`

// BenchmarkDo against BenchmarkPlainClient is what this package costs above
// net/http.
func BenchmarkDo(b *testing.B) {
	server := httptest.NewServer(answer(200, jsonType, benchBody))
	defer server.Close()
	r, err := New(Options{Providers: []Config{{Name: "up", BaseURL: server.URL + "/v1", Models: []string{"*"}}}})
	require.NoError(b, err)
	defer r.Close()
	p, body := r.Providers()[0], []byte(benchBody)
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			slot, err := p.Limiter("m").Acquire(b.Context(), Turn{Project: "p", Job: "j"}, time.Minute)
			if err != nil {
				b.Error(err)
				return
			}
			a, err := p.Do(b.Context(), Request{Path: chatPath, Model: "m", Body: body})
			if err != nil {
				b.Error(err)
			}
			slot.Release(AsError(err), a.Usage)
		}
	})
}

func BenchmarkPlainClient(b *testing.B) {
	server := httptest.NewServer(answer(200, jsonType, benchBody))
	defer server.Close()
	client := &http.Client{Transport: newTransport(Config{Concurrency: 64})}
	defer client.CloseIdleConnections()
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := post(b.Context(), client, server.URL); err != nil {
				b.Error(err)
			}
		}
	})
}

func post(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+chatPath, bytes.NewReader([]byte(benchBody)))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", jsonType)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	_, err = io.ReadAll(resp.Body)
	return err
}

func BenchmarkAcquireRelease(b *testing.B) {
	for name, c := range map[string]Config{"plain": {}, "bounded": {RequestsPerMinute: 1 << 40, TokensPerMinute: 1 << 50}} {
		b.Run(name, func(b *testing.B) {
			c.Name, c.BaseURL, c.Models = "up", "http://127.0.0.1:9/v1", []string{"*"}
			r, err := New(Options{Providers: []Config{c}})
			require.NoError(b, err)
			l := r.Providers()[0].Limiter("m")
			b.ReportAllocs()
			for b.Loop() {
				slot, err := l.Acquire(b.Context(), Turn{Project: "p", Job: "j"}, time.Minute)
				if err != nil {
					b.Fatal(err)
				}
				slot.Release(nil, Usage{TotalTokens: 100})
			}
		})
	}
}
