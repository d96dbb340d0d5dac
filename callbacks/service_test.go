package callbacks

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

// kept answers a Service's reads from memory.
type kept struct {
	deliveries []Delivery
	attempts   []Attempt
	err        error
}

func (k kept) JobDeliveries(context.Context, jobs.Ref) ([]Delivery, []Attempt, error) {
	return k.deliveries, k.attempts, k.err
}

func (k kept) SigningSecret(_ context.Context, project string) (string, error) {
	return "whsec_of_" + project, k.err
}

func TestDeliveriesAreShownAsTheContractSays(t *testing.T) {
	t.Parallel()
	waiting := Delivery{
		ID: "dlv_1", EventID: "evt_1", EventType: "batch.completed", JobID: "batch_1", URL: "https://example.com/h",
		State: Waiting, Reason: "status_503", CreatedAt: 1700000000123,
	}
	waiting.Due(1700000300000)
	fresh := Delivery{ID: "dlv_2", State: Delivered, CreatedAt: 1700000001000}
	attempts := []Attempt{
		{
			ID: "att_1", DeliveryID: "dlv_1", Number: 1, StartedAt: 1700000000500, DurationMS: 12, StatusCode: 503,
			Timings: json.RawMessage(`{"connect":1}`), Snippet: []byte("no\x00\xff"), Truncated: true, Rule: "retry 2 of 5: 503",
		},
		{ID: "att_2", DeliveryID: "dlv_1", Number: 2, StartedAt: 1700000001500, ErrorClass: ClassTimeout, Rule: "r"},
	}
	s := NewService(ServiceOptions{Records: kept{deliveries: []Delivery{waiting, fresh}, attempts: attempts}})
	got, err := s.Deliveries(t.Context(), jobs.Ref{ProjectID: "default", ID: "batch_1"})
	require.NoError(t, err)
	text, err := json.Marshal(got)
	require.NoError(t, err)
	require.JSONEq(t, `[{
		"id":"dlv_1","object":"delivery","event_id":"evt_1","event_type":"batch.completed","job_id":"batch_1","endpoint_id":null,
		"url":"https://example.com/h","status":"waiting","reason":"status_503","next_attempt_at":1700000300,"created_at":1700000000,
		"attempts":[
			{"id":"att_1","started_at":1700000000,"duration_ms":12,"status_code":503,"error_class":null,"timings":{"connect":1},
			 "response_snippet":"no\u0000\ufffd","response_truncated":true,"rule":"retry 2 of 5: 503","manual":false},
			{"id":"att_2","started_at":1700000001,"duration_ms":0,"status_code":null,"error_class":"timeout","timings":null,
			 "response_snippet":"","response_truncated":false,"rule":"r","manual":false}]},
		{"id":"dlv_2","object":"delivery","event_id":"","event_type":"","job_id":"","endpoint_id":null,"url":"","status":"delivered",
		 "reason":null,"next_attempt_at":null,"created_at":1700000001,"attempts":[]}]`, string(text))
}

func TestServicePassesOn(t *testing.T) {
	t.Parallel()
	s := NewService(ServiceOptions{Records: kept{}, Rules: openRules()})
	secret, err := s.Secret(t.Context(), "default")
	require.NoError(t, err)
	require.Equal(t, "whsec_of_default", secret)
	w, err := s.Parse(json.RawMessage(`"http://127.0.0.1:9/"`))
	require.NoError(t, err)
	require.Equal(t, "http://127.0.0.1:9/", w.URL)
	_, err = s.Parse(json.RawMessage(`"http://10.0.0.1:9/"`))
	require.True(t, jobs.IsCode(err, jobs.CodeValue))

	broken := NewService(ServiceOptions{Records: kept{err: errors.New("away")}})
	_, err = broken.Deliveries(t.Context(), jobs.Ref{})
	require.Error(t, err)
}

func TestFanOwesOneDeliveryToWhoWantsTheEvent(t *testing.T) {
	t.Parallel()
	e := &jobs.Event{ProjectID: "default", ID: "evt_1", Type: "batch.completed", JobID: "batch_1", CreatedAt: 7}
	w := &jobs.Webhook{URL: "https://example.com/h?k=canary"}
	got := Fan(e, "whk_1", w)
	require.Len(t, got, 1)
	require.Equal(t, "https://example.com/h?k=***", got[0].URL)
	require.Equal(t, jobs.Time(7), got[0].DueAt)
	require.Empty(t, Fan(e, "", nil))
	require.Empty(t, Fan(e, "whk_1", &jobs.Webhook{URL: w.URL, Events: []string{"generation.*"}}))
}
