package main

import (
	"context"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCreatingTriesAgainUnderOneKey(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		fault func(w http.ResponseWriter)
	}{
		{"a server error", func(w http.ResponseWriter) { w.WriteHeader(503) }},
		{"still in flight", func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "0")
			refuse(w, 409, "in_flight", "wait")
		}},
		{"a lost connection", func(http.ResponseWriter) { panic(http.ErrAbortHandler) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := newFakeServer(t)
			var tries atomic.Int32
			server.before = func(w http.ResponseWriter, _ *http.Request) bool {
				faulty := tries.Add(1) <= 2
				if faulty {
					test.fault(w)
				}
				return faulty
			}
			batch, err := server.client().CreateBatch(t.Context(), NewBatch{InputFileID: "file-in", Endpoint: "/v1/x", CompletionWindow: "24h"})
			require.NoError(t, err)
			require.Equal(t, "batch_1", batch.ID)
			sent := server.sent("POST", "/v1/batches")
			require.Len(t, sent, 3)
			for _, request := range sent {
				require.NotEmpty(t, request.Key)
				require.Equal(t, sent[0], request, "the same key and the same bytes each time")
			}
		})
	}
}

func TestUploadIsSentWholeOnEachTry(t *testing.T) {
	t.Parallel()
	server := newFakeServer(t)
	var tries atomic.Int32
	server.before = func(w http.ResponseWriter, _ *http.Request) bool {
		if tries.Add(1) == 1 {
			w.WriteHeader(500)
			return true
		}
		return false
	}
	s := batchSubmission{file: batchFile(t, 50)}
	_, upload, err := s.prepare()
	require.NoError(t, err)
	file, err := server.client().UploadFile(t.Context(), upload, "batch")
	require.NoError(t, err)
	want, err := os.ReadFile(s.file)
	require.NoError(t, err)
	require.Equal(t, File{raw: file.raw, ID: "file-in", Bytes: int64(len(want)), Filename: "questions.jsonl"}, file)
	require.Equal(t, want, server.uploaded)
	sent := server.sent("POST", "/v1/files")
	require.Len(t, sent, 2)
	require.Equal(t, sent[0], sent[1])
}

func TestWhatIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		status int
		header http.Header
	}{
		{"a refusal", 400, nil},
		{"a settled conflict", 409, nil},
		{"what the server asks to leave", 503, http.Header{"X-Should-Retry": {"false"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := newFakeServer(t)
			server.before = func(w http.ResponseWriter, _ *http.Request) bool {
				for name, values := range test.header {
					w.Header()[name] = values
				}
				refuse(w, test.status, "some_code", "Some\n reason.")
				return true
			}
			_, err := server.client().Generate(t.Context(), map[string]any{"model": "m"})
			var refused *APIError
			require.ErrorAs(t, err, &refused)
			require.Equal(t, APIError{Status: test.status, Code: "some_code", Message: "Some reason.", Param: "id"}, *refused)
			require.Len(t, server.sent("POST", "/v1/generate"), 1)
		})
	}
}

func TestTriesEnd(t *testing.T) {
	t.Parallel()
	server := newFakeServer(t)
	server.before = func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("x-request-id", "req_9")
		w.WriteHeader(502)
		return true
	}
	_, err := server.client().Batch(t.Context(), "batch_1")
	require.EqualError(t, err, "the server failed (502): Bad Gateway, without a reason; is this a Ringback server? (request req_9, see its log)")
	require.Len(t, server.sent("GET", "/v1/batches/batch_1"), clientTries)
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	server := newFakeServer(t)
	client := server.client()
	server.Close()
	_, err := client.Batch(t.Context(), "batch_1")
	require.ErrorContains(t, err, "is `ringback serve` running there?")
	require.ErrorContains(t, err, "connection refused")
}

func TestCancelEndsTheTries(t *testing.T) {
	t.Parallel()
	server := newFakeServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	server.before = func(w http.ResponseWriter, _ *http.Request) bool {
		cancel()
		w.WriteHeader(500)
		return true
	}
	client := server.client()
	client.delay = time.Hour
	_, err := client.Batch(ctx, "batch_1")
	require.Error(t, err)
	require.Len(t, server.sent("GET", "/v1/batches/batch_1"), 1)
}

func TestKeyIsSent(t *testing.T) {
	t.Parallel()
	server := newFakeServer(t)
	client := NewClient(server.URL+"/", "secret")
	defer client.Close()
	key, err := client.SigningSecret(t.Context())
	require.NoError(t, err)
	require.Equal(t, testSigningKey, key.Reveal())
	require.Equal(t, "Bearer secret", server.sent("GET", "/v1/webhooks/default/secret")[0].Auth)
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]struct {
		wait time.Duration
		told bool
	}{"": {0, false}, "2": {2 * time.Second, true}, "0": {0, true}, "-5": {0, false}, "soon": {0, false}} {
		wait, told := retryAfter(http.Header{"Retry-After": {value}})
		require.Equal(t, want.told, told, value)
		if told {
			require.Equal(t, want.wait, wait, value)
		}
	}
}
