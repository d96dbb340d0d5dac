package web

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/jobs"
)

// TestWhatIsKeptNoLongerIsSaidToBe: an empty answer would look as if there had been none. What became of the job is still told.
func TestWhatIsKeptNoLongerIsSaidToBe(t *testing.T) {
	t.Parallel()
	h, results := withBatch(t)
	gone := func() { // those of the job that was submitted last
		h.records.mu.Lock()
		defer h.records.mu.Unlock()
		j := &h.records.jobs[len(h.records.jobs)-1]
		j.Status, j.ResultsGone = jobs.Completed, true
	}
	check := func(path string) {
		a := h.get(path)
		require.Equal(t, http.StatusGone, a.status, path)
		e := failure(t, a)
		require.Equal(t, string(callbacks.CodeExpired), e.Code)
		require.Contains(t, e.Message, "retention.results")
	}
	h.records.answer(7, jobs.Completed)
	gone()
	check(results)
	check(results + "?follow=true")
	require.Empty(t, h.web.streams)
	require.Equal(t, http.StatusOK, h.get(results[:len(results)-len("/results")]).status)

	generation := object(t, h.post("/v1/generate", `{"model":"sim-small","input":"x"}`).body)["id"].(string)
	gone()
	check("/v1/generate/" + generation)
	a := h.get("/v1/jobs/" + generation)
	require.Equal(t, http.StatusOK, a.status)
	require.Contains(t, a.body, `"status":"completed"`)

	const response = "resp_1"
	h.records.jobs = append(h.records.jobs, jobs.Job{ProjectID: jobs.DefaultProject, ID: response, Kind: jobs.KindResponse, Priority: jobs.PriorityNormal})
	gone()
	check("/v1/responses/" + response)
	check("/v1/responses/" + response + "/input_items")
	require.Nil(t, object(t, h.get("/v1/jobs/"+response).body)["detail"])
}
