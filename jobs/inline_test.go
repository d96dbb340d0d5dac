package jobs_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

func inlined(bodies ...string) jobs.NewBatch {
	n := jobs.NewBatch{
		Path: "/v1/chat/completions", CompletionWindow: "24h",
		Submission: submitted(&jobs.Webhook{URL: "https://example.com/hook", Method: "POST"}),
	}
	for _, body := range bodies {
		n.Requests = append(n.Requests, jobs.BatchRequest{Body: json.RawMessage(body)})
	}
	return n
}

// TestInlineRequestsRun as those of a file do, which commits with the batch and says so first.
func TestInlineRequestsRun(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	made, err := x.service.CreateBatch(t.Context(), inlined(`{"model":"m1","messages":[]}`, `{"model":"m1","messages":[]}`))
	require.NoError(t, err)
	events, _, err := x.store.Events(t.Context(), "default", "", 100)
	require.NoError(t, err)
	require.Equal(t, []jobs.EventType{jobs.FileCreated, jobs.BatchCreated}, []jobs.EventType{events[0].Type, events[1].Type})
	f, err := x.store.File(t.Context(), jobs.Ref{ProjectID: "default", ID: made.InputFileID})
	require.NoError(t, err)
	require.Equal(t, "batch", f.Purpose)
	s := x.settle(made.Ref())
	require.Equal(t, jobs.Completed, s.Status)
	require.Equal(t, []string{"request-1", "request-2"}, x.ids(s.OutputFileID))
}

// TestNamesOfInlineRequests: one without a custom_id gets a name that no other has.
func TestNamesOfInlineRequests(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	body := `{"model":"m1","messages":[]}`
	n := inlined(body, body, body)
	n.Requests[0].CustomID = json.RawMessage(`"request-2"`)
	n.Requests[2].CustomID = json.RawMessage(`"request-2_"`)
	made, err := x.service.CreateBatch(t.Context(), n)
	require.NoError(t, err)
	s := x.settle(made.Ref())
	require.Equal(t, jobs.Completed, s.Status, "%s", s.Object())
	require.Equal(t, []string{"request-2", "request-2__", "request-2_"}, x.ids(s.OutputFileID))
}

// TestInlineRequestsAreJudgedAsAFile where their form is right.
func TestInlineRequestsAreJudgedAsAFile(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"messages":[]}`:                            "invalid_request body.model 1",
		`{"model":"x","messages":[]}`:                "model_not_found body.model 1",
		`{"model":"m1"}`:                             "invalid_request body.messages 1",
		`{"model":"m1","messages":[],"stream":true}`: "streaming_unsupported body.stream 1",
	} {
		x := newExchange(t)
		made, err := x.service.CreateBatch(t.Context(), inlined(body))
		require.NoError(t, err)
		s := x.settle(made.Ref())
		require.Equal(t, jobs.Failed, s.Status)
		require.Equal(t, []string{want}, reasons(s))
	}
}

// TestRefusedInlineRequestsLeaveNothing: neither bytes nor a row.
func TestRefusedInlineRequestsLeaveNothing(t *testing.T) {
	t.Parallel()
	x := newExchange(t)
	n := inlined(`{}`)
	n.WebhookIDs = []string{"5f7e"}
	_, err := x.service.CreateBatch(t.Context(), n)
	require.True(t, jobs.IsCode(err, jobs.CodeValue), "%v", err)
	keys, err := x.files.Older(t.Context(), time.Now().Add(time.Hour))
	require.NoError(t, err)
	require.Empty(t, keys)
	files, _, err := x.store.Files(t.Context(), jobs.FileQuery{ProjectID: "default", Limit: 9})
	require.NoError(t, err)
	require.Empty(t, files)
	events, _, err := x.store.Events(t.Context(), "default", "", 9)
	require.NoError(t, err)
	require.Empty(t, events)
}
