package web

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

// Results gives the line {"n":N} for each of a batch's outcomes, from 1, three at a time.
func (m *memory) Results(_ context.Context, q jobs.ResultQuery) (lines [][]byte, last int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	last = q.After
	for _, j := range m.jobs {
		for n := q.After + q.Skip; j.ID == q.Job.ID && n < j.Completed && len(lines) < 3; n++ {
			last = n + 1
			lines = append(lines, fmt.Appendf(nil, outcomeLine, last))
		}
	}
	return lines, last, m.fail
}

// answer gives the last job outcomes, and a state.
func (m *memory) answer(completed int64, s jobs.Status) {
	m.mu.Lock()
	defer m.mu.Unlock()
	j := &m.jobs[len(m.jobs)-1]
	j.Completed, j.Status = completed, s
}

// withBatch is a harness with one batch, and the path of its results.
func withBatch(t *testing.T, tweaks ...func(*Options)) (*harness, string) {
	t.Helper()
	h := start(t, tweaks...)
	return h, "/v1/batches/" + object(t, h.post("/v1/batches", batchBody).body)["id"].(string) + "/results"
}

// outcomeLine is a line with a number.
const outcomeLine = `{"id":"batch_req_1","custom_id":"%d","response":null,"error":{"code":"timeout","message":"m"}}`

func numberedLines(from, to int) string {
	var b strings.Builder
	for n := from; n <= to; n++ {
		fmt.Fprintf(&b, outcomeLine+"\n", n)
	}
	return b.String()
}

func TestResultsAreReadInEachState(t *testing.T) {
	t.Parallel()
	h, path := withBatch(t)
	a := h.get(path)
	require.Equal(t, http.StatusOK, a.status)
	require.Empty(t, a.body)
	require.Equal(t, "application/x-ndjson", a.header.Get("Content-Type"))
	for _, s := range []jobs.Status{jobs.InProgress, jobs.Finalizing, jobs.Completed, jobs.Cancelled} {
		h.records.answer(7, s)
		require.Equal(t, numberedLines(1, 7), h.get(path).body, s)
		require.Equal(t, numberedLines(6, 7), h.get(path+"?after=5").body, s)
		require.Empty(t, h.get(path+"?after=7&follow=false").body, s)
		require.Empty(t, h.do(http.MethodHead, path+"?follow=true", "").body, s)
	}
	h.records.tweak(func(j *jobs.Job) { j.Status, j.Failed = jobs.Expired, 5 }) // lines that were never started have no outcome
	require.Equal(t, numberedLines(1, 7), h.get(path).body)
	require.Equal(t, numberedLines(4, 7), h.get(path+"?after=3&follow=true").body, "a batch that has ended is not waited for")
	require.Empty(t, h.get(path+"?after=8&follow=true").body)
	require.Empty(t, h.web.streams, "each place is given back")
}

func TestResultsAreRefusedByName(t *testing.T) {
	t.Parallel()
	h, path := withBatch(t)
	for query, want := range map[string]shown{
		"?after=x":     {Param: "after", Code: "invalid_type"},
		"?after=-1":    {Param: "after", Code: "integer_below_min_value"},
		"?after=1.5":   {Param: "after", Code: "invalid_type"},
		"?follow=yes":  {Param: "follow", Code: "invalid_value"},
		"?follow=TRUE": {Param: "follow", Code: "invalid_value"},
	} {
		a := h.get(path + query)
		require.Equal(t, http.StatusBadRequest, a.status, query)
		e := failure(t, a)
		require.Equal(t, want, shown{Param: e.Param, Code: e.Code}, query)
	}
	generation := object(t, h.post("/v1/generate", `{"model":"sim-small","input":"x"}`).body)["id"].(string)
	for _, id := range []string{"batch_none", generation, "%00"} {
		require.Equal(t, http.StatusNotFound, h.get("/v1/batches/"+id+"/results").status)
	}
	for range cap(h.web.streams) {
		h.web.streams <- struct{}{}
	}
	a := h.get(path)
	require.Equal(t, http.StatusTooManyRequests, a.status)
	require.Equal(t, "1", a.header.Get("Retry-After"))
}

// reading is an open answer.
type reading struct {
	t     *testing.T
	lines *bufio.Reader
	close func()
}

func (h *harness) readOn(path string) *reading {
	h.t.Helper()
	ctx, cancel := context.WithCancel(h.t.Context())
	h.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.server.URL+path, http.NoBody)
	require.NoError(h.t, err)
	response, err := h.server.Client().Do(r)
	require.NoError(h.t, err)
	h.t.Cleanup(func() { _ = response.Body.Close() })
	require.Equal(h.t, http.StatusOK, response.StatusCode)
	return &reading{h.t, bufio.NewReader(response.Body), cancel}
}

func (f *reading) wants(lines string) {
	f.t.Helper()
	for want := range strings.Lines(lines) {
		got, err := f.lines.ReadString('\n')
		require.NoError(f.t, err)
		require.Equal(f.t, want, got)
	}
}

func TestResultsAreFollowedToTheEnd(t *testing.T) {
	t.Parallel()
	h, path := withBatch(t)
	h.web.pace.poll = 5 * time.Millisecond
	all, late := h.readOn(path+"?follow=true"), h.readOn(path+"?follow=true&after=4")
	for done := int64(1); done <= 9; done += 2 {
		h.records.answer(done, jobs.InProgress)
		all.wants(numberedLines(max(1, int(done)-1), int(done)))
	}
	late.wants(numberedLines(5, 9))
	h.records.answer(10, jobs.Completed)
	for _, f := range []*reading{all, late} {
		f.wants(numberedLines(10, 10))
		_, err := f.lines.ReadByte()
		require.ErrorIs(t, err, io.EOF, "an orderly end")
	}
}

// TestFollowedResultsAreCutOff: whoever reads an orderly end knows that the batch has ended.
func TestFollowedResultsAreCutOff(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]func(h *harness){
		"when the server shuts down": func(h *harness) { h.web.EndWaits() },
		"when the store fails":       func(h *harness) { h.records.setFail(errors.New("disk")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, path := withBatch(t)
			h.web.pace.poll = 5 * time.Millisecond
			f := h.readOn(path + "?follow=true")
			h.records.answer(2, jobs.InProgress)
			f.wants(numberedLines(1, 2))
			cut(h)
			_, err := f.lines.ReadByte()
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		})
	}
}

// counting counts looks at lines.
type counting struct {
	*memory
	looks atomic.Int64
}

func (c *counting) Results(ctx context.Context, q jobs.ResultQuery) ([][]byte, int64, error) {
	c.looks.Add(1)
	return c.memory.Results(ctx, q)
}

// TestWhoLeavesGivesItsPlaceBack, and while nothing is new, no lines are looked for.
func TestWhoLeavesGivesItsPlaceBack(t *testing.T) {
	t.Parallel()
	var facts *counting
	h, path := withBatch(t, func(o *Options) {
		facts = &counting{memory: o.Facts.(*memory)}
		o.Facts = facts
	})
	h.web.pace.poll = time.Millisecond
	f := h.readOn(path + "?follow=true")
	h.records.answer(2, jobs.InProgress)
	f.wants(numberedLines(1, 2))
	require.Never(t, func() bool { return facts.looks.Load() > 1 }, 50*time.Millisecond, 5*time.Millisecond)
	f.close()
	require.Eventually(t, func() bool { return len(h.web.streams) == 0 }, 10*time.Second, time.Millisecond)
}
