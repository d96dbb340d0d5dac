package callbacks

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

// What is given up makes an event, unless it carried such an event itself: or each that fails would make another one.
func TestExhausts(t *testing.T) {
	t.Parallel()
	for typ, want := range map[jobs.EventType]bool{
		"batch.completed": true, "generation.failed": true, "file.deleted": true,
		EventDeliveryExhausted: false, EventEndpointDisabled: false, EventEndpointRecovered: false,
	} {
		require.Equal(t, want, Exhausts(&Delivery{State: Failed, EventType: typ}), typ)
		for _, state := range []State{Waiting, Sending, Delivered, Cancelled} {
			require.False(t, Exhausts(&Delivery{State: state, EventType: typ}))
		}
	}
}

func TestEndpointEventsAreNumbered(t *testing.T) {
	t.Parallel()
	e := endpoint("a", "*")
	first, second := EndpointEvent(&e, EventEndpointDisabled, someTime), EndpointEvent(&e, EventEndpointRecovered, someTime)
	require.EqualValues(t, 2, e.Sequence)
	require.Equal(t, int64(1), first.Sequence)
	require.Equal(t, int64(2), second.Sequence)
	require.Empty(t, first.JobID)
	var body struct {
		Type  string
		Scope struct {
			Scope string
			Keys  []string
		} `json:"cache_scope_to_invalidate"`
		Data struct {
			ID     string
			Object map[string]any
		}
	}
	require.NoError(t, json.Unmarshal(first.Body, &body))
	require.Equal(t, "endpoint.disabled", body.Type)
	require.Equal(t, "COLLECTION", body.Scope.Scope)
	require.Equal(t, "a", body.Data.ID)
	require.Equal(t, "webhook_endpoint", body.Data.Object["object"])
	require.NotContains(t, body.Data.Object, "signing_secret")
}

func TestExhaustedEventShowsAllAttempts(t *testing.T) {
	t.Parallel()
	d := &Delivery{ProjectID: "p", ID: "dlv_1", EventID: "evt_1", EventType: "batch.completed", State: Failed, Recorded: 3}
	attempts := make([]Attempt, 3)
	for i := range attempts {
		attempts[i] = Attempt{ID: "att", StatusCode: 500, Snippet: []byte(strings.Repeat("é", 8<<10)), Rule: "r"}
	}
	e := ExhaustedEvent(d, attempts, someTime)
	require.Equal(t, int64(3), e.Sequence)
	require.Less(t, len(e.Body), 10<<10, "their answers are short here")
	var body struct {
		Data struct{ Object DeliveryObject }
	}
	require.NoError(t, json.Unmarshal(e.Body, &body))
	require.Len(t, body.Data.Object.Attempts, 3)
	require.Equal(t, Failed, body.Data.Object.Status)
	for _, a := range body.Data.Object.Attempts {
		require.True(t, strings.HasSuffix(a.Snippet, "é…"), a.Snippet[len(a.Snippet)-8:])
		require.LessOrEqual(t, len(a.Snippet), 1024+len("…"))
	}
	never := ExhaustedEvent(&Delivery{ProjectID: "p", ID: "dlv_2", State: Failed}, nil, someTime)
	require.Equal(t, int64(1), never.Sequence)
}

func TestInterruptedAttempt(t *testing.T) {
	t.Parallel()
	a := Interrupted(&Delivery{ProjectID: "p", ID: "dlv_1", Recorded: 2, Manual: true}, someTime)
	require.Equal(t, 3, a.Number)
	require.Equal(t, ClassInterrupted, a.ErrorClass)
	require.Equal(t, someTime, a.StartedAt)
	require.True(t, a.Manual)
	require.JSONEq(t, `{}`, string(a.Timings))
	require.NotEmpty(t, a.Rule)
}
