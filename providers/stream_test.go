package providers

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	eventType = "text/event-stream; charset=utf-8"
	oneChunk  = `{"id":"c","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}`
	endChunk  = `{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`
	useChunk  = `{"id":"c","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}`
)

// asEvents makes a stream's body of its events' data.
func asEvents(data ...string) string {
	var b strings.Builder
	for _, d := range data {
		b.WriteString("data: " + d + "\n\n")
	}
	return b.String()
}

// listenTo makes a call and keeps what is handed on.
func listenTo(t *testing.T, p *Provider) (Answer, []string, error) {
	t.Helper()
	var got []string
	answer, err := p.Stream(t.Context(), chat(`{"stream":true}`), func(c Chunk) error {
		got = append(got, string(c.Data))
		return nil
	})
	return answer, got, err
}

func TestStreamHandsOnEachEvent(t *testing.T) {
	t.Parallel()
	var asked *http.Request
	var body []byte
	p := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		asked = r
		body, _ = io.ReadAll(r.Body)
		answer(200, eventType, ": hello\n\ndata:\n\n"+asEvents(oneChunk, endChunk, useChunk, "[DONE]", oneChunk), "X-Request-Id", "req_7")(w, r)
	})
	got, chunks, err := listenTo(t, p)
	require.NoError(t, err)
	require.Equal(t, []string{oneChunk, endChunk, useChunk}, chunks)
	require.Equal(t, Answer{
		Status: 200, RequestID: "req_7", ContentType: eventType, Usage: Usage{InputTokens: 3, OutputTokens: 2, TotalTokens: 5},
	}, got)
	require.JSONEq(t, `{"stream":true}`, string(body))
	require.Contains(t, asked.Header.Get("Accept"), "text/event-stream")
	require.Equal(t, "Bearer sk-test-0123456789", asked.Header.Get("Authorization"))
}

func TestStreamHandsOnAnEventWhenItComes(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	p := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", eventType)
		_, _ = io.WriteString(w, asEvents(oneChunk))
		w.(http.Flusher).Flush()
		<-arrived
		_, _ = io.WriteString(w, asEvents(endChunk))
	})
	first := sync.OnceFunc(func() { close(arrived) })
	_, err := p.Stream(t.Context(), chat(`{}`), func(Chunk) error {
		first()
		return nil
	})
	require.NoError(t, err)
}

func TestStreamKnowsItsEnd(t *testing.T) {
	t.Parallel()
	response := func(kind, rest string) string {
		return `{"type":"` + kind + `","response":{"id":"resp_1","status":"x","error":null,"usage":{"input_tokens":4,"output_tokens":6}` + rest + `}}`
	}
	second := strings.Replace(oneChunk, `"index":0`, `"index":1`, 1)
	secondEnd := strings.Replace(endChunk, `"index":0`, `"index":1`, 1)
	for name, test := range map[string]struct {
		body   string
		chunks int
		kind   Kind // empty: no error
	}{
		"DONE":                         {asEvents(oneChunk, "[DONE]"), 1, ""},
		"a finish_reason":              {asEvents(oneChunk, endChunk), 2, ""},
		"a finish_reason, then usage":  {asEvents(oneChunk, endChunk, useChunk), 3, ""},
		"no last blank line":           {"data: " + endChunk, 1, ""},
		"DONE without a line's end":    {asEvents(oneChunk) + "data: [DONE]", 1, ""},
		"completed":                    {asEvents(`{"type":"response.created"}`, response("response.completed", ""), oneChunk), 2, ""},
		"incomplete":                   {asEvents(response("response.incomplete", "")), 1, ""},
		"cancelled":                    {asEvents(response("response.cancelled", "")), 1, ""},
		"failed without an error":      {asEvents(response("response.failed", "")), 1, ""},
		"failed":                       {asEvents(response("response.failed", `,"error":{"code":"server_error","message":"x"}`)), 1, InvalidAnswer},
		"failed by its prompt":         {asEvents(response("response.failed", `,"error":{"code":"invalid_prompt","message":"x"}`)), 1, Rejected},
		"no end":                       {asEvents(oneChunk), 1, Connection},
		"no end of one choice":         {asEvents(oneChunk, second, endChunk), 3, Connection},
		"the end of both choices":      {asEvents(oneChunk, second, endChunk, secondEnd), 4, ""},
		"nothing":                      {"", 0, Connection},
		"comments alone":               {": a\n\n: b\n\n", 0, Connection},
		"DONE alone":                   {asEvents("[DONE]"), 0, InvalidAnswer},
		"a cut in an event":            {asEvents(oneChunk) + "data: " + endChunk[:20], 1, Connection},
		"no JSON":                      {asEvents(oneChunk, "hello"), 1, InvalidAnswer},
		"half an object":               {asEvents(`{"a":`), 0, InvalidAnswer},
		"no object":                    {asEvents("[1]"), 0, InvalidAnswer},
		"an error":                     {asEvents(oneChunk, serverBody), 1, InvalidAnswer},
		"an error about the quota":     {asEvents(quotaBody), 0, QuotaExceeded},
		"an error about the request":   {asEvents(badBody), 0, Rejected},
		"an error by the event's name": {"event: error\ndata: {\"code\":\"invalid_prompt\"}\n\n", 0, Rejected},
		"an error by its type":         {asEvents(`{"type":"error","code":"server_error","message":"x"}`), 0, InvalidAnswer},
		"a settled error by its type":  {asEvents(`{"type":"error","code":"invalid_prompt","message":"x"}`), 0, Rejected},
		"an error that is null":        {asEvents(`{"error":null,"choices":[]}`, "[DONE]"), 1, ""},
		"an odd end":                   {asEvents(`{"choices":[{"index":-1,"finish_reason":"stop"}]}`), 1, Connection},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, chunks, err := listenTo(t, upstream(t, answer(200, eventType, test.body)))
			require.Len(t, chunks, test.chunks)
			if test.kind == "" {
				require.NoError(t, err)
				require.Equal(t, 200, got.Status)
				return
			}
			require.Equal(t, test.kind, AsError(err).Kind)
			require.Equal(t, test.kind != Rejected && test.kind != QuotaExceeded, AsError(err).Retry)
		})
	}
}

func TestStreamReadsTheUsageOfAResponse(t *testing.T) {
	t.Parallel()
	got, _, err := listenTo(t, upstream(t, answer(200, eventType, asEvents(
		`{"type":"response.in_progress","response":{"usage":null}}`,
		`{"type":"response.completed","response":{"usage":{"input_tokens":4,"output_tokens":6,"output_tokens_details":{"reasoning_tokens":2}}}}`))))
	require.NoError(t, err)
	require.Equal(t, Usage{InputTokens: 4, OutputTokens: 6, ReasoningTokens: 2, TotalTokens: 10}, got.Usage)
}

func TestStreamGivesAPlainAnswer(t *testing.T) {
	t.Parallel()
	got, chunks, err := listenTo(t, upstream(t, answer(200, jsonType, benchBody)))
	require.NoError(t, err)
	require.Empty(t, chunks)
	require.JSONEq(t, benchBody, string(got.Body))
	require.EqualValues(t, 10, got.Usage.OutputTokens)
}

func TestStreamJudgesAsDoDoes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		kind    Kind
		after   time.Duration
	}{
		"429":                  {answer(429, jsonType, limitBody, "Retry-After", "7"), RateLimited, 7 * time.Second},
		"500":                  {answer(500, jsonType, serverBody), Overloaded, 0},
		"500 as a stream":      {answer(500, eventType, asEvents(serverBody)), Overloaded, 0},
		"400":                  {answer(400, jsonType, badBody), Rejected, 0},
		"an HTML page":         {answer(200, "text/html", "<html>"), InvalidAnswer, 0},
		"a plain error":        {answer(200, jsonType, quotaBody), QuotaExceeded, 0},
		"no type":              {answer(200, "", asEvents(oneChunk, endChunk)), InvalidAnswer, 0},
		"an event too long":    {answer(200, eventType, asEvents(`{"x":"`+strings.Repeat("x", 2000)+`"}`)), AnswerTooLarge, 0},
		"a stream too long":    {answer(200, eventType, strings.Repeat(asEvents(oneChunk), 100)), AnswerTooLarge, 0},
		"a plain one too long": {answer(200, jsonType, `{"x":"`+strings.Repeat("x", 2000)+`"}`), AnswerTooLarge, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := listenTo(t, upstream(t, test.handler, func(o *Options, _ *Config) { o.AnswerBytes = 1000 }))
			require.Equal(t, test.kind, AsError(err).Kind)
			require.Equal(t, test.after, AsError(err).After)
		})
	}
}

func TestStreamThatIsReset(t *testing.T) {
	t.Parallel()
	_, chunks, err := listenTo(t, upstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", eventType)
		_, _ = io.WriteString(w, asEvents(oneChunk, endChunk))
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}))
	require.Len(t, chunks, 2)
	require.Equal(t, Connection, AsError(err).Kind, "a cut is no end, whatever came before")
	require.True(t, AsError(err).Retry)
}

func TestStreamReturnsWhatEachReturns(t *testing.T) {
	t.Parallel()
	for _, full := range []error{errors.New("full"), &Error{Kind: Rejected}} {
		calls := 0
		got, err := upstream(t, answer(200, eventType, asEvents(useChunk, oneChunk, "[DONE]"))).Stream(t.Context(), chat(`{}`), func(Chunk) error {
			calls++
			return full
		})
		require.Same(t, full, err)
		require.Equal(t, 1, calls)
		require.EqualValues(t, 5, got.Usage.TotalTokens)
	}
}

func TestStreamStopsWithItsCaller(t *testing.T) {
	t.Parallel()
	p := upstream(t, endlessEvents(time.Millisecond))
	ctx, cancel := context.WithCancel(t.Context())
	_, err := p.Stream(ctx, chat(`{}`), func(Chunk) error {
		cancel()
		return nil
	})
	require.Equal(t, Canceled, AsError(err).Kind)
}

// endlessEvents sends chunks until the client is gone.
func endlessEvents(pace time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", eventType)
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, asEvents(oneChunk))
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
			case <-time.After(pace):
			}
		}
	}
}

func TestStreamHasAWholeTimeout(t *testing.T) {
	t.Parallel()
	_, _, err := listenTo(t, upstream(t, endlessEvents(time.Millisecond), func(_ *Options, c *Config) { c.Timeout = 100 * time.Millisecond }))
	require.Equal(t, Timeout, AsError(err).Kind)
	require.True(t, AsError(err).Retry)
}

// A silence counts while somebody waits for a byte, and not while each works.
func TestSilenceEndsAStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancelCause(t.Context())
		from, to := io.Pipe()
		patient := newPatient(from, time.Minute, stop)
		time.Sleep(time.Hour)
		go func() {
			for range 3 {
				time.Sleep(59 * time.Second)
				_, _ = io.WriteString(to, ":\n")
			}
		}()
		for range 3 {
			_, err := patient.Read(make([]byte, 10))
			require.NoError(t, err)
			time.Sleep(time.Hour)
			require.NoError(t, ctx.Err())
		}
		go func() {
			<-ctx.Done()
			_ = to.CloseWithError(context.Canceled)
		}()
		began := time.Now()
		_, err := patient.Read(make([]byte, 10))
		require.Equal(t, time.Minute, time.Since(began))
		failure := broken(t.Context(), because(ctx, err))
		require.Equal(t, Timeout, failure.Kind)
		require.True(t, failure.Retry)
	})
}

func TestSilenceEndsACall(t *testing.T) {
	t.Parallel()
	p := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", eventType)
		_, _ = io.WriteString(w, asEvents(oneChunk))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	ctx, stop := context.WithCancelCause(t.Context())
	req, err := p.request(ctx, chat(`{}`))
	require.NoError(t, err)
	s := &stream{p: p, caller: t.Context(), ctx: ctx, stop: stop, each: func(Chunk) error {
		stop(errSilence)
		return nil
	}}
	require.Equal(t, Timeout, s.call(req).Kind)
}

func TestStreamReusesItsConnections(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	from := make(map[string]bool)
	seen := make(chan struct{})
	p := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		from[r.RemoteAddr] = true
		mu.Unlock()
		answer(200, eventType, asEvents(oneChunk, "[DONE]"))(w, r)
		w.(http.Flusher).Flush()
		<-seen // so the body's own end comes after its last event
	})
	for range 10 {
		_, err := p.Stream(t.Context(), chat(`{}`), func(Chunk) error {
			seen <- struct{}{}
			return nil
		})
		require.NoError(t, err)
	}
	require.Len(t, from, 1)
}

// An upstream that keeps the connection open after the end holds nobody up.
func TestStreamDoesNotWaitAfterTheEnd(t *testing.T) {
	t.Parallel()
	p := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		answer(200, eventType, asEvents(oneChunk, "[DONE]"))(w, r)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}, func(_ *Options, c *Config) { c.Timeout = 10 * time.Second })
	began := time.Now()
	_, _, err := listenTo(t, p)
	require.NoError(t, err)
	require.Less(t, time.Since(began), 5*time.Second)
}
