package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

func TestEachErrorCodeHasItsStatus(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		err    error
		status int
		want   shown
		header string
		value  string
	}{
		{jobs.Errorf(jobs.CodeMissing, "a", "m"), 400, shown{"m", typeRequest, "a", "missing_required_parameter"}, "", ""},
		{jobs.Errorf(jobs.CodeInvalid, "", "m"), 400, shown{"m", typeRequest, "", ""}, "x-should-retry", ""},
		{jobs.Errorf(jobs.CodeUnsupported, "a", "m"), 400, shown{"m", typeRequest, "a", "unsupported_parameter"}, "", ""},
		{jobs.Errorf(jobs.CodeUnavailable, "", "m"), 503, shown{"m", typeServer, "", "unavailable"}, "Retry-After", "5"},
		{jobs.Errorf(jobs.CodeConflict, "", "m"), 409, shown{"m", typeRequest, "", ""}, "x-should-retry", "false"},
		{jobs.Errorf(jobs.CodeInFlight, "", "m"), 409, shown{"m", typeRequest, "", "idempotency_key_in_flight"}, "x-should-retry", ""},
		{jobs.Errorf(jobs.CodeInFlight, "", "m"), 409, shown{"m", typeRequest, "", "idempotency_key_in_flight"}, "Retry-After", "1"},
		{jobs.Errorf(jobs.CodeContext, "a", "m"), 400, shown{"m", typeRequest, "a", "context_length_exceeded"}, "", ""},
		{jobs.Errorf(jobs.CodeCompleting, "", "m"), 409, shown{"m", typeRequest, "", "upload_in_flight"}, "Retry-After", "1"},
		{jobs.Errorf(jobs.CodeKeyReused, "", "m"), 422, shown{"m", typeRequest, "", "idempotency_key_reused"}, "", ""},
		{jobs.Errorf(jobs.CodeTooLarge, "file", "m"), 413, shown{"m", typeRequest, "file", "request_too_large"}, "", ""},
		{jobs.Errorf(callbacks.CodeExpired, "id", "m"), 410, shown{"m", typeRequest, "id", "expired"}, "", ""},
		{jobs.Errorf(codeLoop, "", "m"), 508, shown{"m", typeRequest, "", "loop_detected"}, "x-should-retry", "false"},
		{jobs.Errorf(codeStreams, "", "m"), 429, shown{"m", typeRate, "", "too_many_streams"}, "Retry-After", "1"},
		{jobs.Errorf(jobs.CodeForbidden, "", "m"), 403, shown{"m", typeAccess, "", "forbidden"}, "", ""},
		{fmt.Errorf("wrapped: %w", jobs.NotFound("m")), 404, shown{"m", typeRequest, "id", ""}, "", ""},
		{errors.Join(jobs.Errorf(jobs.CodeModel, "model", "m"), errors.New("and")), 404, shown{"m", typeRequest, "model", "model_not_found"}, "", ""},
	} {
		t.Run(fmt.Sprint(tc.want.Code, " ", tc.status, " ", tc.header), func(t *testing.T) {
			t.Parallel()
			h := start(t, func(o *Options) { o.Callbacks = &brokenSecret{err: tc.err} }).madeUp()
			a := h.get("/v1/webhooks/default/secret")
			require.Equal(t, tc.status, a.status)
			require.Equal(t, tc.want, failure(t, a))
			require.Equal(t, tc.value, a.header.Get(tc.header))
		})
	}
}

// brokenSecret fails, or panics, where the secret is asked for.
type brokenSecret struct {
	fakeCallbacks
	err   error
	panic any
}

func (b *brokenSecret) Secret(context.Context, string) (string, error) {
	if b.panic != nil {
		panic(b.panic)
	}
	return "", b.err
}

func TestEveryDomainCodeIsInTheTable(t *testing.T) {
	t.Parallel()
	for _, code := range []jobs.Code{
		jobs.CodeMissing, jobs.CodeType, jobs.CodeValue, jobs.CodeUnsupported, jobs.CodeInvalid, jobs.CodeNotFound,
		jobs.CodeModel, jobs.CodePrevious, jobs.CodeContext, jobs.CodeConflict, jobs.CodeInFlight, jobs.CodeCompleting, jobs.CodeKeyReused, jobs.CodeTooLarge,
		jobs.CodeUnavailable, jobs.CodeUnauthorized, jobs.CodeForbidden,
		codeUnknownField, codeBelow, codeAbove, codeTooLong, codeTooMany, codeLongArray,
		codeMediaType, codeNoRoute, codeNoMethod, callbacks.CodeExpired, codeLoop, codeStreams, codeInternal,
	} {
		require.NotZero(t, shapes[code].status, "%s", code)
		require.NotEmpty(t, shapes[code].typ, "%s", code)
	}
}

func TestAnUnknownErrorIsNeutralAndLogged(t *testing.T) {
	t.Parallel()
	for name, callbacks := range map[string]*brokenSecret{
		"error": {err: errors.New("dial 10.0.0.1: canary")},
		"panic": {panic: "canary"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t, func(o *Options) { o.Callbacks = callbacks })
			a := h.get("/v1/webhooks/default/secret")
			require.Equal(t, http.StatusInternalServerError, a.status)
			require.Equal(t, "server_error", failure(t, a).Type)
			require.Contains(t, failure(t, a).Message, a.header.Get("x-request-id"))
			require.NotContains(t, a.body, "canary")
			require.Contains(t, h.log.String(), "canary")
			require.Contains(t, h.log.String(), "status=500")
		})
	}
}

func TestUnknownRoutesAndMethodsAnswerInTheEnvelope(t *testing.T) {
	t.Parallel()
	h := start(t)
	a := h.post("/v1/x", "{}")
	require.Equal(t, http.StatusNotFound, a.status)
	require.Equal(t, shown{"Invalid URL (POST /v1/x)", typeRequest, "", "unknown_url"}, failure(t, a))

	a = h.do(http.MethodPut, "/v1/batches", "")
	require.Equal(t, http.StatusMethodNotAllowed, a.status)
	require.Equal(t, "method_not_supported", failure(t, a).Code)
	for _, method := range []string{"GET", "HEAD", "POST"} {
		require.Contains(t, a.header.Get("Allow"), method)
	}
	require.Equal(t, http.StatusNotFound, h.get("/v1/batches/").status)
	require.Equal(t, http.StatusNotFound, h.get("/v1//batches").status)
}

func TestErrorTextsAreBounded(t *testing.T) {
	t.Parallel()
	for _, s := range []string{strings.Repeat("é", 5000), strings.Repeat("x", clipBytes+1), "x" + strings.Repeat("💥", 1000)} {
		got := clip(s)
		require.LessOrEqual(t, len(got), clipBytes+len("…"))
		require.True(t, utf8.ValidString(got))
		require.True(t, strings.HasSuffix(got, "…"))
	}
	require.Equal(t, "short", clip("short"))
}

func TestABrokenAnswerIsCutOffAndNotTakenForWhole(t *testing.T) {
	t.Parallel()
	h := start(t)
	text := strings.Repeat("0123456789", 1000)
	id := h.upload(t, file("a.txt", text), field("purpose", "user_data"))
	h.blobs.cut = true
	response, err := h.server.Client().Get(h.server.URL + "/v1/files/" + id + "/content")
	require.NoError(t, err)
	got, err := readAll(response)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Equal(t, text[:len(text)/2], got)
	require.Contains(t, h.log.String(), "input/output error")
}
