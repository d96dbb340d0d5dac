package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"
)

// results opens a batch's results; the test closes them.
func (c *client) results(batch, query string) *http.Response {
	c.t.Helper()
	response, err := c.http.Get(c.url + "/v1/batches/" + batch + "/results" + query)
	require.NoError(c.t, err)
	c.t.Cleanup(func() { _ = response.Body.Close() })
	require.Equal(c.t, http.StatusOK, response.StatusCode)
	require.Equal(c.t, "application/x-ndjson", response.Header.Get("Content-Type"))
	return response
}

// TestResultsWhileItRuns: they come as they are kept; who was cut off by a kill goes on where it was, and has each line of
// both files once, byte for byte but for the requests of the error file.
func TestResultsWhileItRuns(t *testing.T) {
	t.Parallel()
	const lines, before = 3000, 400
	var calls atomic.Int64
	var open atomic.Bool
	up := startUpstream(t, func(body string) reply {
		if calls.Add(1) > before && !open.Load() {
			return reply{wait: time.Hour}
		}
		if strings.HasSuffix(number(body), "9") {
			return reply{status: http.StatusBadRequest, body: `{"error":{"message":"no"}}`}
		}
		return reply{body: completion("answer to " + prompt(body))}
	})
	s := startServer(t, up.provider(", retries: 0"))
	batch := s.batch(s.input(numbered(lines, 0)), "")
	all := bufio.NewReader(s.results(batch, "?follow=true").Body)
	var got []string
	for range before {
		line, err := all.ReadString('\n')
		require.NoError(t, err)
		got = append(got, line)
	}
	require.Equal(t, "in_progress", s.read("/v1/batches/"+batch).get("status").String())
	s.kill9()
	rest, err := io.ReadAll(all)
	require.Error(t, err, "no orderly end")
	for line := range strings.Lines(string(rest)) {
		if strings.HasSuffix(line, "\n") {
			got = append(got, line)
		}
	}
	open.Store(true)
	s.restart()
	part, err := io.ReadAll(s.results(batch, fmt.Sprintf("?after=%d", len(got)/2)).Body)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(part), strings.Join(got[len(got)/2:], "")), "the order stays")
	more, err := io.ReadAll(s.results(batch, fmt.Sprintf("?follow=true&after=%d", len(got))).Body)
	require.NoError(t, err)
	for line := range strings.Lines(string(more)) {
		got = append(got, line)
	}

	done := s.read("/v1/batches/" + batch)
	require.Equal(t, "completed", done.get("status").String(), "the end of the answer is that of the batch")
	s.whole(done, lines)
	byID := map[string]string{}
	for _, line := range got {
		byID[gjson.Get(line, "custom_id").String()] = strings.TrimSuffix(line, "\n")
	}
	require.Len(t, got, lines)
	require.Len(t, byID, lines)
	for _, line := range s.lines(done.get("output_file_id")) {
		require.Equal(t, line, byID[gjson.Get(line, "custom_id").String()])
	}
	for _, line := range s.lines(done.get("error_file_id")) {
		require.True(t, strings.HasPrefix(line, strings.TrimSuffix(byID[gjson.Get(line, "custom_id").String()], "}")))
	}
	whole, err := io.ReadAll(s.results(batch, "").Body)
	require.NoError(t, err)
	require.Equal(t, strings.Join(got, ""), string(whole))
	refused(t, s.call(http.StatusNotFound, "GET", "/v1/batches/batch_none/results", ""))
}

// TestFollowersDoNotHoldUpTheEnd of the server.
func TestFollowersDoNotHoldUpTheEnd(t *testing.T) {
	t.Parallel()
	up := startUpstream(t, func(string) reply { return reply{wait: time.Hour} })
	s := startServer(t, up.provider(""), "server.shutdown_grace=1s")
	body := s.results(s.batch(s.input(numbered(1, 0)), ""), "?follow=true").Body
	code, took := s.stop()
	require.Zero(t, code)
	require.Less(t, took, 10*time.Second)
	_, err := io.ReadAll(body)
	require.Error(t, err, "no orderly end")
}

// TestInlineRequests: what came with the submission is a file like any other, and what they lack is there.
func TestInlineRequests(t *testing.T) {
	t.Parallel()
	up := startUpstream(t, nil)
	s := startServer(t, up.provider(""))
	odd := "{ \"model\":\"m\",\n\"seed\":12345678901234567890,\"seed\":1e400," + message + " }"
	create := func(status int, requests string) answer {
		return s.call(status, "POST", "/v1/batches", fmt.Sprintf(`{"requests":%s,"endpoint":%q,"completion_window":"24h"}`, requests, chat))
	}
	made := create(http.StatusOK, `[{"body":`+odd+`},{"custom_id":"mine","method":"POST","url":"/v1/chat/completions","body":`+ask("b")+`},{"body":`+ask("c")+`}]`)
	done := s.ended(made.get("id").String())
	require.Equal(t, "completed", done.get("status").String(), "%s", done.body)
	var ids []string
	for _, line := range s.lines(done.get("output_file_id")) {
		ids = append(ids, gjson.Get(line, "custom_id").String())
	}
	require.Equal(t, []string{"request-1", "mine", "request-3"}, ids)
	require.Contains(t, up.bodies(), strings.ReplaceAll(odd, "\n", " "))
	file := s.read("/v1/files/" + done.get("input_file_id").String())
	require.Equal(t, "batch", file.get("purpose").String())
	require.Len(t, s.lines(done.get("input_file_id")), 3)
	s.call(http.StatusOK, "DELETE", "/v1/files/"+done.get("input_file_id").String(), "")

	a := create(http.StatusBadRequest, `[{"body":{}},{"body":{}},{"body":{}},{}]`)
	require.Equal(t, "requests[3].body", refused(t, a).Get("param").String())
	twice := s.ended(create(http.StatusOK, `[{"custom_id":"a","body":`+ask("a")+`},{"custom_id":"a","body":`+ask("a")+`}]`).get("id").String())
	require.Equal(t, "failed", twice.get("status").String())
	require.Equal(t, "duplicate_custom_id", twice.get("errors.data.0.code").String())
	require.EqualValues(t, 2, twice.get("errors.data.0.line").Int())
}
