package web

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func readAll(r *http.Response) (string, error) {
	defer func() { _ = r.Body.Close() }()
	b, err := io.ReadAll(r.Body)
	return string(b), err
}

func TestEveryAnswerIsTraced(t *testing.T) {
	t.Parallel()
	h := start(t)
	for _, path := range []string{"/healthz", "/v1/batches", "/nowhere"} {
		a := h.get(path, "X-Request-Id", "mine")
		require.Regexp(t, `^req_[0-9A-Z]{26}$`, a.header.Get("x-request-id"))
		require.Regexp(t, `^\d+$`, a.header.Get("openai-processing-ms"))
		require.Equal(t, "2020-10-01", a.header.Get("openai-version"))
	}
}

func TestTheAccessLogNamesTheRouteAndNoValues(t *testing.T) {
	t.Parallel()
	h := start(t)
	a := h.get("/v1/batches/canary-id?after=canary-query", "X-Custom", "canary-header")
	require.Equal(t, http.StatusNotFound, a.status)
	require.Contains(t, h.log.String(), "route=/v1/batches/:id status=404")
	require.Contains(t, h.log.String(), a.header.Get("x-request-id"))
	require.NotContains(t, h.log.String(), "canary")
}

func TestHeadAnswersAsGetWithoutABody(t *testing.T) {
	t.Parallel()
	h := start(t)
	id := h.upload(t, file("a.txt", "0123456789"), field("purpose", "user_data"))
	for _, path := range []string{"/healthz", "/v1/files", "/v1/files/" + id, "/v1/files/" + id + "/content"} {
		get, head := h.get(path), h.do(http.MethodHead, path, "")
		require.Equal(t, http.StatusOK, head.status, path)
		require.Empty(t, head.body)
		require.Equal(t, get.header.Get("Content-Length"), head.header.Get("Content-Length"), path)
		require.NotEmpty(t, head.header.Get("Content-Length"), path)
	}
}
