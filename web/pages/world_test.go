package pages

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/ringback/ringback/callbacks"
	"github.com/ringback/ringback/history"
	"github.com/ringback/ringback/jobs"
)

// noon is what every clock of these tests shows.
var noon = time.Date(2024, 3, 1, 12, 0, 30, 0, time.UTC)

func ago(d time.Duration) jobs.Time { return jobs.At(noon.Add(-d)) }

func encoded(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// IDs of the full world.
const (
	batchID    = "batch_01HZZZZZZZZZZZZZZZZZZZZBAT"
	endedID    = "batch_01HZZZZZZZZZZZZZZZZZZZZEND"
	stuckID    = "batch_01HZZZZZZZZZZZZZZZZZZZZSTK"
	tuningID   = "ftjob-01HZZZZZZZZZZZZZZZZZZZZTUN"
	callID     = "gen_01HZZZZZZZZZZZZZZZZZZZZGEN"
	responseID = "resp_01HZZZZZZZZZZZZZZZZZZZZRES"
	endpointID = "0b5c5b0e-6f0e-4f4e-8b7f-2f6d6f1f0a01"
	offID      = "0b5c5b0e-6f0e-4f4e-8b7f-2f6d6f1f0a02"
	inputID    = "file-01HZZZZZZZZZZZZZZZZZZZZINP"
	outputID   = "file-01HZZZZZZZZZZZZZZZZZZZZOUT"
	examplesID = "file-01HZZZZZZZZZZZZZZZZZZZZEXA"
	eventID    = "evt_01HZZZZZZZZZZZZZZZZZZZZEVT"
	deliveryID = "dlv_01HZZZZZZZZZZZZZZZZZZZZDLV"
)

// world is facts with one of everything; every text that comes from outside is text.
func world(text string) *facts {
	f := &facts{requests: map[string][]byte{}, backlogs: map[string]callbacks.Backlog{}}
	f.jobs = worldJobs(text)
	f.requests[callID] = encoded(map[string]any{"model": text, "messages": []any{map[string]any{"role": "user", "content": text}}})
	f.requests[responseID] = []byte(`{"input":` + string(encoded(text)) + `}`)
	for i := range int64(40) {
		ok, kind := i%3 != 0, "response"
		line := map[string]any{"id": "x", "custom_id": fmt.Sprintf("%s-%d", text, i)}
		if ok {
			line[kind] = map[string]any{"status_code": 200, "body": map[string]any{"choices": []any{map[string]any{"message": map[string]any{"content": "So\n" + text}}}, "usage": map[string]any{"completion_tokens": 7}}}
		} else {
			line["error"] = map[string]any{"code": "x", "message": text}
		}
		f.lines = append(f.lines, jobs.Line{JobID: batchID, Line: i + 1, OK: ok, Text: encoded(line)})
	}
	f.failures = []jobs.Failure{
		{Code: text, Status: 429, Message: text, Lines: 12, Sample: []string{text, "b"}},
		{Code: "batch_expired", Message: text, Lines: 1, Sample: []string{text}},
	}
	for i := range 20 {
		f.log = append(f.log, jobs.TuningEvent{
			JobID: tuningID, CreatedAt: ago(time.Duration(i) * time.Minute), Level: []string{"info", "warn", "error"}[i%3], Message: text, Type: []string{"message", "metrics"}[i%2],
			Data: json.RawMessage(fmt.Sprintf(`{"step":%d,"train_loss":%g,"valid_loss":0.5}`, 20-i, 1/float64(i+1))),
		})
	}
	f.checkpoints = []jobs.Checkpoint{
		{JobID: tuningID, Model: "ft:" + text, Step: 20, CreatedAt: ago(time.Minute), Metrics: json.RawMessage(`{"valid_loss":0.4}`)},
		{JobID: tuningID, Model: "ft:b", Step: 10, CreatedAt: ago(time.Hour), Metrics: json.RawMessage(`{"train_loss":0.6}`)},
	}
	f.files = []jobs.File{
		{ID: inputID, Filename: text + ".jsonl", Purpose: jobs.PurposeBatch, Bytes: 12_345_678, CreatedAt: ago(time.Hour), ExpiresAt: ago(-time.Hour)},
		{ID: outputID, Filename: text, Purpose: jobs.PurposeBatchOutput, Bytes: 1, CreatedAt: ago(time.Minute)},
		{ID: examplesID, Filename: text, Purpose: "fine-tune", Bytes: 2000, CreatedAt: ago(time.Minute)},
	}
	for i := range 40 {
		f.files = append(f.files, jobs.File{ID: fmt.Sprintf("file-%d", i), Filename: "more.jsonl", Purpose: jobs.PurposeBatch, CreatedAt: ago(time.Hour)})
	}
	f.callbacks(text)
	f.counts(text)
	return f
}

func worldJobs(text string) []jobs.Snapshot {
	metadata := encoded(map[string]string{"name": text, "team": text, text: "x"})
	hook := encoded(map[string]any{"url": "https://hooks.example.com/" + text, "method": "POST", "headers": map[string]string{text: "***"}})
	job := func(id string, kind jobs.Kind, status jobs.Status, more func(j *jobs.Snapshot)) jobs.Snapshot {
		s := jobs.Snapshot{Job: jobs.Job{
			ProjectID: jobs.DefaultProject, ID: id, Kind: kind, Status: status, Model: text, Metadata: metadata, Webhook: hook, WebhookIDs: jobs.Texts{endpointID},
			CreatedAt: ago(10 * time.Minute), StartedAt: ago(9 * time.Minute), ChangedAt: ago(time.Second), ExpiresAt: ago(-time.Hour), Path: "/v1/chat/completions",
		}}
		s.Remote.Provider, s.Attempt = text, 1
		if status.Terminal() {
			s.EndedAt = ago(time.Minute)
		}
		more(&s)
		return s
	}
	all := []jobs.Snapshot{
		job(batchID, jobs.KindBatch, jobs.InProgress, func(s *jobs.Snapshot) {
			s.Total, s.Completed, s.Failed, s.InputFileID, s.ErrorFileID = 13190, 8000, 449, inputID, "file-gone"
			s.BlockedBy, s.BlockedUntil, s.Priority = jobs.BlockedByRateLimit, ago(-time.Minute), "high"
		}),
		job(endedID, jobs.KindBatch, jobs.Completed, func(s *jobs.Snapshot) {
			s.Total, s.Completed, s.Failed, s.InputFileID, s.OutputFileID, s.FinalizingAt, s.RetryOf = 40, 30, 10, inputID, outputID, ago(2*time.Minute), stuckID
			s.InputTokens, s.OutputTokens, s.CachedTokens, s.ReasoningTokens, s.TotalTokens = 5, 6, 1, 2, 11
		}),
		job(stuckID, jobs.KindBatch, jobs.Queued, func(s *jobs.Snapshot) {
			s.Total, s.BlockedBy, s.RunAt, s.CancellingAt = 10, jobs.BlockedByProvider, ago(-time.Hour), ago(time.Second)
		}),
		job(tuningID, jobs.KindTuning, jobs.Running, func(s *jobs.Snapshot) {
			s.Total, s.Completed, s.InputFileID, s.ValidationFileID = 100, 20, examplesID, "file-gone"
			s.Tuning = &jobs.Tuning{
				Suffix: text, Model: "ft:" + text, TrainedTokens: 9, ResultFiles: []string{outputID}, EstimatedFinish: noon.Unix() + 60,
				Metrics: json.RawMessage(`{"epoch":1,"train_loss":0.25}`),
			}
		}),
		job(callID, jobs.KindGeneration, jobs.Completed, func(s *jobs.Snapshot) {
			s.Result, s.OutputTokens = encoded(map[string]any{"choices": []any{map[string]any{"message": map[string]any{"content": text}}}}), 5
		}),
		job(responseID, jobs.KindResponse, jobs.Failed, func(s *jobs.Snapshot) {
			s.Errors = encoded(map[string]string{"message": text})
		}),
		job("batch_failed", jobs.KindBatch, jobs.Failed, func(s *jobs.Snapshot) {
			s.Errors = encoded([]any{map[string]any{"message": text, "line": 3}, map[string]any{"message": "b"}})
			s.Metadata, s.Webhook, s.ResultsGone = nil, nil, true
		}),
	}
	for i := range 30 {
		all = append(all, job(fmt.Sprintf("gen_more%d", i), jobs.KindGeneration, jobs.Queued, func(*jobs.Snapshot) {}))
	}
	return all
}

func (f *facts) callbacks(text string) {
	types := append(jobs.EventTypes(), callbacks.EventEndpointDisabled, callbacks.EventEndpointRecovered, callbacks.EventDeliveryExhausted)
	for i, typ := range types {
		f.events = append(f.events, jobs.Event{
			ProjectID: jobs.DefaultProject, Position: int64(len(types) - i), ID: fmt.Sprintf("evt_%d", i), Type: typ, Model: text, JobID: batchID,
			Sequence: int64(i + 1), CreatedAt: ago(time.Duration(i) * time.Minute), Body: encoded(map[string]string{"id": "evt", "text": text}),
		})
	}
	f.events[0].ID = eventID
	f.endpoints = []callbacks.Endpoint{
		{
			ProjectID: jobs.DefaultProject, ID: endpointID, Name: text, Description: text, URL: "https://a.example/" + text, HeaderNames: jobs.Texts{text}, EventTypes: jobs.Texts{"batch.*"},
			Models: jobs.Texts{text}, IsActive: true, Timeout: 2500, Schedule: callbacks.Schedule{0, 5 * time.Minute, 12 * time.Hour}, SecretHint: "abcd",
			LastSuccessAt: ago(time.Hour), LastFailureAt: ago(time.Minute), FailingSince: ago(30 * time.Minute), Failures: 3, CreatedAt: ago(24 * time.Hour),
		},
		{ProjectID: jobs.DefaultProject, ID: offID, URL: "https://b.example/" + text, Disabled: text, CreatedAt: ago(time.Hour)},
		{ProjectID: jobs.DefaultProject, ID: "off-failing", Name: "Third", Disabled: callbacks.DisabledFailing, CreatedAt: ago(time.Hour)},
		{ProjectID: jobs.DefaultProject, ID: "off-by-hand", Name: "Fourth", CreatedAt: ago(time.Hour)},
	}
	f.backlogs = map[string]callbacks.Backlog{
		endpointID:         {Gate: endpointID, EndpointID: endpointID, N: 12, ShutAt: ago(time.Hour)},
		"h.example" + text: {Gate: "h.example" + text, N: 2, ShutAt: ago(time.Hour)},
	}
	f.givenUp = []callbacks.Backlog{{Gate: endpointID, EndpointID: endpointID, N: 4}, {Gate: "h.example", N: 2}, {Gate: "deleted", EndpointID: "deleted", N: 1}}
	states := []callbacks.State{callbacks.Waiting, callbacks.Sending, callbacks.Delivered, callbacks.Failed, callbacks.Cancelled}
	for i := range 36 {
		d := callbacks.Delivery{
			ProjectID: jobs.DefaultProject, ID: fmt.Sprintf("dlv_%d", i), EventID: eventID, EventType: jobs.BatchCompleted, JobID: batchID, EndpointID: endpointID, URL: "https://a.example/" + text,
			State: states[i%5], Reason: text, CreatedAt: ago(time.Duration(i) * time.Minute), Work: jobs.Work{Tries: 2, DueAt: ago(-time.Minute)},
		}
		if i%2 == 1 {
			d.EndpointID, d.WebhookID = "", "whk_1"
		}
		if d.State == callbacks.Delivered {
			d.DeliveredAt, d.EndedAt = ago(time.Second), ago(time.Second)
		}
		f.deliveries = append(f.deliveries, d)
		f.attempts = append(f.attempts, attemptAt(d.ID, 1, 503, "", text), attemptAt(d.ID, 2, 0, callbacks.ClassTimeout, text))
	}
	f.deliveries[0].ID, f.deliveries[0].HeldSince = deliveryID, ago(time.Minute)
	f.attempts[0].DeliveryID, f.attempts[1].DeliveryID = deliveryID, deliveryID
	f.deliveries[1].EventID = "evt_gone"
}

func attemptAt(delivery string, n, status int, class callbacks.Class, text string) callbacks.Attempt {
	return callbacks.Attempt{
		ProjectID: jobs.DefaultProject, DeliveryID: delivery, Number: n, StartedAt: ago(time.Minute), DurationMS: 120, StatusCode: status, ErrorClass: class,
		Request: encoded(map[string]any{"method": "POST", "url": "https://a.example/" + text, "headers": map[string]any{text: text, "n": 1}}),
		Timings: json.RawMessage(`{"dns":1.5,"connect":10,"tls":20,"first_byte":80}`), Snippet: []byte(text), Truncated: true, Rule: "status_5xx", Manual: n == 2,
	}
}

// counts are what happened, by slots of time.
func (f *facts) counts(text string) {
	var spread history.Spread
	spread.Add(80 * time.Millisecond)
	spread.Add(2 * time.Second)
	add := func(series, about string, at jobs.Time, n int64) {
		f.points = append(f.points, history.Point{Series: series, About: about, At: at, Span: time.Minute, N: n, Spread: spread})
	}
	for i := range 5 {
		at := ago(time.Duration(i) * time.Minute)
		for _, series := range []string{history.LinesOK, history.LinesFailed} {
			add(series, "", at, 30)
			add(series, batchID, at, 30)
		}
		add(history.CallsOK, "one", at, 10)
		add(history.CallsFailed, "two", at, 10)
		add(history.CallsLimited, "one", at, 10)
		for _, about := range []string{"", endpointID} {
			add(history.CallbacksDelivered, about, at, 3)
			add(history.CallbacksRetried, about, at, 2)
			add(history.CallbacksGaveUp, about, at, 1)
		}
		add(history.TokensInput, text, at, 12_000)
		add(history.TokensOutput, text, at, 1_000_000)
		add(history.JobsRunning, "", at, 2)
		add(history.JobsWaiting, "", at, 1)
	}
}

func worldProviders(text string) []Provider {
	return []Provider{
		{Name: "one", BaseURL: "https://one.example/" + text, Models: []string{text, "gpt-*"}, Slots: 8, Calls: 2, Works: true},
		{Name: "two", Models: []string{"sim-*"}, Slots: 4, Down: true},
		{Name: "idle" + text, Models: nil},
	}
}
