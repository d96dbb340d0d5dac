package callbacks

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/ringback/ringback/jobs"
)

// TestEndpoint sends an endpoint a sample of an event, signed and guarded as the real ones are, and tells at once how
// it went. It is neither kept nor retried, works for an endpoint that is switched off too, and its body says "test":
// true.
func (s *Service) TestEndpoint(ctx context.Context, ref jobs.Ref, typ jobs.EventType) (TestResult, error) {
	if typ == "" {
		typ = EventTest
	}
	if typ != EventTest && !slices.Contains(EventTypes(), string(typ)) {
		return TestResult{}, jobs.Errorf(jobs.CodeValue, "event_type", "'event_type' is an unknown type; known are %s and %s.", strings.Join(EventTypes(), ", "), EventTest)
	}
	r, err := s.Records.Endpoint(ctx, ref)
	if err != nil {
		return TestResult{}, err
	}
	to := r.Receiver(s.now())
	keys, err := s.Records.Keys(ctx, ref.ProjectID, s.now())
	if err != nil {
		return TestResult{}, err
	}
	to.Keys.Private = keys.Private
	select {
	case s.tests <- struct{}{}:
		defer func() { <-s.tests }()
	default:
		return TestResult{}, jobs.Errorf(jobs.CodeUnavailable, "", "%d test fires are under way. Try again when they have ended.", mostTests)
	}
	e := s.sample(&r.Endpoint, typ)
	result := s.Poster.Post(ctx, Claimed{
		Delivery: Delivery{ProjectID: ref.ProjectID, EventID: e.ID, EventType: typ, EndpointID: ref.ID, Manual: true},
		Body:     e.Body, Receiver: to,
	})
	result.Rule = "a test fire: neither kept nor retried"
	return TestResult{
		Object: "webhook_endpoint.test", EndpointID: ref.ID, EventType: typ, StatusCode: result.StatusCode,
		Success: result.accepted(), Attempt: result.object(),
	}, nil
}

// sample is an event of a type about something that does not exist.
func (s *Service) sample(e *Endpoint, typ jobs.EventType) jobs.Event {
	now := s.now()
	family, _, _ := strings.Cut(string(typ), ".")
	f := jobs.Fact{ProjectID: e.ProjectID, Type: typ, Sequence: 1, Scope: jobs.ScopeKey, At: now, Test: true}
	job := jobs.Job{
		ProjectID: e.ProjectID, Model: "test", Status: statusAt(typ), Priority: jobs.PriorityNormal, Total: 1, CreatedAt: now, ChangedAt: now,
	}
	if job.Status.Terminal() {
		job.EndedAt = now
	}
	switch family {
	case "batch":
		job.Kind, job.ID, job.Path, job.CompletionWindow = jobs.KindBatch, "batch_test", "/v1/chat/completions", "24h"
		job.ExpiresAt = now.Add(24 * time.Hour)
	case "generation":
		job.Kind, job.ID = jobs.KindGeneration, "gen_test"
	case "response":
		job.Kind, job.ID = jobs.KindResponse, "resp_test"
	case "fine_tuning":
		job.Kind, job.ID, job.Tuning = jobs.KindTuning, "ftjob-test", &jobs.Tuning{}
		if typ == jobs.TuningSucceeded {
			job.Tuning.Model = "ft:test:" + e.ProjectID + "::test"
		}
	case "file":
		f.SubjectID, f.Object = "file-test", (&jobs.File{ID: "file-test", Filename: "test.jsonl", Purpose: jobs.PurposeBatch, CreatedAt: now}).Object()
	case "delivery":
		d := Delivery{ID: "dlv_test", EventID: "evt_test", EventType: "batch.completed", JobID: "batch_test", EndpointID: e.ID, URL: e.URL, State: Failed, CreatedAt: now}
		f.SubjectID, f.Object = d.ID, plain(d.object(nil))
	default:
		f.SubjectID, f.Object = e.ID, e.Object("")
	}
	if job.Kind != "" {
		return jobs.SampleEvent(&jobs.Snapshot{Job: job}, typ, now)
	}
	return f.Event()
}

// statusAt is the state in which a job fires events of a type.
func statusAt(typ jobs.EventType) jobs.Status {
	switch typ {
	case jobs.BatchCreated:
		return jobs.Validating
	case jobs.BatchProgress, jobs.GenerationProgress:
		return jobs.InProgress
	case jobs.TuningCreated:
		return jobs.ValidatingFiles
	case jobs.TuningProgress:
		return jobs.Running
	}
	return jobs.Status(typ[strings.LastIndexByte(string(typ), '.')+1:])
}
