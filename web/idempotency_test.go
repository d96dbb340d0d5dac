package web

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheSameRequestIsAnsweredTheSame(t *testing.T) {
	t.Parallel()
	h := start(t)
	for path, body := range map[string]string{"/v1/batches": batchBody, "/v1/generate": `{"model":"sim-small","input":"x"}`} {
		key := []string{"Idempotency-Key", "key" + strings.ReplaceAll(path, "/", "-")}
		first, second := h.post(path, body, key...), h.post(path, body, key...)
		require.Less(t, first.status, 300, first.body)
		require.Equal(t, first.status, second.status)
		require.Equal(t, first.body, second.body)
		require.Empty(t, first.header.Get("Idempotent-Replayed"))
		require.Equal(t, "true", second.header.Get("Idempotent-Replayed"))

		other := h.post(path, strings.Replace(body, "{", "{ ", 1), key...)
		require.Equal(t, http.StatusUnprocessableEntity, other.status)
		require.Equal(t, "idempotency_key_reused", failure(t, other).Code)
	}
	a := h.post("/v1/generate", batchBody, "Idempotency-Key", "key--v1-batches")
	require.NotEqual(t, "true", a.header.Get("Idempotent-Replayed"), "another path is another request")
	_, jobs := h.records.count()
	require.Equal(t, 2, jobs)
}

func TestTheSameUploadIsOneFile(t *testing.T) {
	t.Parallel()
	h := start(t)
	key := []string{"Idempotency-Key", "k"}
	first := h.submit(t, key, batchFile(), purpose("batch"))
	second := h.submit(t, key, purpose("batch"), batchFile()) // another order and boundary
	require.Equal(t, http.StatusOK, second.status, second.body)
	require.Equal(t, first.body, second.body)
	require.Equal(t, "true", second.header.Get("Idempotent-Replayed"))
	for _, other := range [][]part{
		{file("in.jsonl", lines+lines), purpose("batch")},
		{file("other.jsonl", lines), purpose("batch")},
		{batchFile(), purpose("fine-tune")},
		{batchFile(), purpose("batch"), anchor("created_at"), seconds("3600")},
	} {
		require.Equal(t, http.StatusUnprocessableEntity, h.submit(t, key, other...).status)
	}
	require.Equal(t, 1, h.blobs.count())
}

func TestOneInFlightTellsTheOthersToComeBack(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.records.hold, h.records.held = make(chan struct{}), make(chan struct{}, 1)
	first := make(chan answer)
	go func() { first <- h.post("/v1/batches", batchBody, "Idempotency-Key", "k") }()
	<-h.records.held
	for _, path := range []string{"/v1/batches", "/v1/generate"} {
		a := h.post(path, batchBody, "Idempotency-Key", "k")
		require.Equal(t, http.StatusConflict, a.status)
		require.Equal(t, "1", a.header.Get("Retry-After"))
		require.Empty(t, a.header.Get("x-should-retry"))
		require.Equal(t, "idempotency_key_in_flight", failure(t, a).Code)
	}
	require.Equal(t, http.StatusOK, h.submit(t, []string{"Idempotency-Key", "other"}, batchFile(), purpose("batch")).status)
	close(h.records.hold)
	made := <-first
	require.Equal(t, http.StatusOK, made.status)
	go func() { <-h.records.held }()
	require.Equal(t, made.body, h.post("/v1/batches", batchBody, "Idempotency-Key", "k").body)
}

func TestAKeyIsFreeAgainAfterAnError(t *testing.T) {
	t.Parallel()
	h := start(t)
	require.Equal(t, http.StatusBadRequest, h.post("/v1/batches", "{}", "Idempotency-Key", "k").status)
	a := h.post("/v1/batches", batchBody, "Idempotency-Key", "k")
	require.Equal(t, http.StatusOK, a.status)
	require.Empty(t, a.header.Get("Idempotent-Replayed"))
}

func TestFiftyAtOnceAreOneJob(t *testing.T) {
	t.Parallel()
	h := start(t)
	var all sync.WaitGroup
	answers := make([]answer, 50)
	for i := range answers {
		all.Go(func() {
			for answers[i].status == 0 || answers[i].status == http.StatusConflict {
				answers[i] = h.post("/v1/generate", `{"model":"sim-small","input":"x"}`, "Idempotency-Key", "k")
			}
		})
	}
	all.Wait()
	for _, a := range answers {
		require.Equal(t, http.StatusAccepted, a.status)
		require.Equal(t, answers[0].body, a.body)
	}
	_, jobs := h.records.count()
	require.Equal(t, 1, jobs)
}

func TestWrongKeysAreRefused(t *testing.T) {
	t.Parallel()
	h := start(t)
	for name, headers := range map[string][]string{
		"empty":     {"Idempotency-Key", ""},
		"too long":  {"Idempotency-Key", strings.Repeat("k", 256)},
		"a space":   {"Idempotency-Key", "a b"},
		"not ASCII": {"Idempotency-Key", "é"},
		"two":       {"Idempotency-Key", "a", "Idempotency-Key", "b"},
	} {
		for _, path := range []string{"/v1/batches", "/v1/generate", "/v1/files"} {
			a := h.post(path, batchBody, headers...)
			require.Equal(t, http.StatusBadRequest, a.status, name)
			require.Equal(t, "Idempotency-Key", failure(t, a).Param, name)
		}
	}
	require.Equal(t, http.StatusOK, h.post("/v1/batches", batchBody, "Idempotency-Key", strings.Repeat("k", 255)).status)
}

// TestAKeyIsAnsweredWhateverHasHappened since: a retry is answered as its first time was, though its model is gone.
func TestAKeyIsAnsweredWhateverHasHappened(t *testing.T) {
	t.Parallel()
	h := start(t)
	body := `{"model":"sim-small","input":"x"}`
	first := h.post("/v1/generate", body, "Idempotency-Key", "k")
	require.Equal(t, http.StatusAccepted, first.status, first.body)
	h.records.gone = true
	require.Equal(t, http.StatusNotFound, h.post("/v1/generate", body, "Idempotency-Key", "k2").status)
	again := h.post("/v1/generate", body, "Idempotency-Key", "k")
	require.Equal(t, first.status, again.status, again.body)
	require.Equal(t, first.body, again.body)
}
