package jobs

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/providers"
)

// submissions keeps what was submitted; nothing else is asked of it.
type submissions struct {
	Records
	last NewJob
}

func (s *submissions) CreateJob(_ context.Context, n NewJob) (Woken, error) {
	s.last = n
	return Woken{}, nil
}

func (*submissions) Replayed(context.Context, string, *Idempotency) error { return nil }

type anyRoute struct{}

func (anyRoute) Route(string) (*providers.Provider, error) { return &providers.Provider{}, nil }

func (anyRoute) Provider(string) (*providers.Provider, bool) { return nil, false }

func (anyRoute) Providers() []*providers.Provider { return nil }

func newSubmissions() (*Service, *submissions) {
	kept := &submissions{}
	return NewService(ServiceOptions{Records: kept, Router: anyRoute{}, Now: noon.Time}), kept
}

// TestSubmissionsFire: a batch's creation is an event, and commits with its row; a generation's is none.
func TestSubmissionsFire(t *testing.T) {
	t.Parallel()
	service, kept := newSubmissions()
	_, err := service.CreateBatch(t.Context(), NewBatch{InputFileID: "f", Path: BatchPaths[0], CompletionWindow: "24h"})
	require.NoError(t, err)
	require.Equal(t, []EventType{BatchCreated}, kept.last.Events)
	_, err = service.CreateGeneration(t.Context(), NewGeneration{Model: "m1"})
	require.NoError(t, err)
	require.Empty(t, kept.last.Events)
}

// TestWebhookIDsAreShown in the answer, in polls and in events alike; null where none was named.
func TestWebhookIDsAreShown(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		ids  []string
		want string
	}{
		{"two", []string{"5f7e", "9a01"}, `["5f7e","9a01"]`},
		{"an empty list", []string{}, "null"},
		{"none", nil, "null"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			service, kept := newSubmissions()
			for _, create := range []func() (Snapshot, error){
				func() (Snapshot, error) {
					return service.CreateBatch(t.Context(), NewBatch{InputFileID: "f", Path: BatchPaths[0], CompletionWindow: "24h", Submission: Submission{WebhookIDs: tt.ids}})
				},
				func() (Snapshot, error) {
					return service.CreateGeneration(t.Context(), NewGeneration{Model: "m1", Submission: Submission{WebhookIDs: tt.ids}})
				},
			} {
				s, err := create()
				require.NoError(t, err)
				require.Len(t, kept.last.Job.WebhookIDs, len(tt.ids))
				e := JobEvent(&s, BatchCreated, At(time.Now()), wide)
				for where, raw := range map[string]string{
					"the kept answer": gjson.GetBytes(kept.last.Answer, "webhook_ids").Raw,
					"the object":      gjson.GetBytes(s.Object(), "webhook_ids").Raw,
					"the job":         gjson.GetBytes(s.Wrapped(), "webhook_ids").Raw,
					"the job's own":   gjson.GetBytes(s.Wrapped(), "detail.webhook_ids").Raw,
					"the event":       gjson.GetBytes(e.Body, "data.object.webhook_ids").Raw,
				} {
					require.Equal(t, tt.want, raw, where)
				}
			}
		})
	}
}
