package jobs

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// BatchPaths are the provider paths that a batch may call.
var BatchPaths = []string{
	"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings", "/v1/moderations",
	"/v1/images/generations",
}

// NewBatch is a client's wish for a batch.
type NewBatch struct {
	ProjectID        string
	InputFileID      string
	Path             string // "endpoint" in the API
	CompletionWindow string
	Metadata         json.RawMessage // an object of strings, or nil
	OutputTTL        time.Duration   // zero: the default
	Webhook          *Webhook
	WebhookShown     json.RawMessage
	WebhookIDs       []string // of registered endpoints; the caller has checked that they exist
	Idempotency      *Idempotency
}

// CreateBatch accepts a batch. Its input is looked at later: an unknown file or a bad line makes it failed, with the
// reasons in errors, as OpenAI does it.
func (s *Service) CreateBatch(ctx context.Context, n NewBatch) (Snapshot, error) {
	window, err := checkBatch(n)
	if err != nil {
		return Snapshot{}, err
	}
	now := s.now()
	j := Job{
		ProjectID: n.ProjectID, ID: NewID("batch_"), Kind: KindBatch, Status: Validating, Path: n.Path,
		InputFileID: n.InputFileID, CompletionWindow: n.CompletionWindow, OutputTTL: int64(n.OutputTTL / time.Second),
		Metadata: n.Metadata, Webhook: n.WebhookShown, WebhookIDs: n.WebhookIDs,
		CreatedAt: now, ChangedAt: now, ExpiresAt: now.Add(window),
	}
	j.Due(now)
	return s.create(ctx, NewJob{
		Job: j, Webhook: n.Webhook, Events: []EventType{BatchCreated}, Idempotency: n.Idempotency,
	})
}

func checkBatch(n NewBatch) (time.Duration, error) {
	for _, p := range []struct{ name, value string }{
		{"input_file_id", n.InputFileID}, {"endpoint", n.Path}, {"completion_window", n.CompletionWindow},
	} {
		if p.value == "" {
			return 0, Errorf(CodeMissing, p.name, "Missing required parameter: '%s'.", p.name)
		}
	}
	if err := checkName("input_file_id", n.InputFileID); err != nil {
		return 0, err
	}
	if !slices.Contains(BatchPaths, n.Path) {
		return 0, Errorf(CodeValue, "endpoint", "Invalid value: '%s'. Supported values are: %s.", shorten(n.Path), quoted(BatchPaths))
	}
	return parseWindow(n.CompletionWindow)
}

// maxName bounds what names something, in bytes: it is shown again in errors, lists and events.
const maxName = 256

func checkName(param, value string) error {
	if len(value) > maxName {
		return Errorf(CodeValue, param, "Invalid value for '%s': it is longer than %d bytes.", param, maxName)
	}
	return nil
}

var windowForm = regexp.MustCompile(`^([1-9][0-9]{0,5})([mhd])$`)

// The shortest and the longest completion window.
const (
	minWindow = time.Minute
	maxWindow = 7 * 24 * time.Hour
)

// parseWindow reads a completion window: OpenAI's 24h, or any from 1m to 7d.
func parseWindow(s string) (time.Duration, error) {
	m := windowForm.FindStringSubmatch(s)
	if m == nil {
		return 0, windowError(s)
	}
	n, _ := strconv.Atoi(m[1]) // six digits at most
	d := time.Duration(n) * map[string]time.Duration{"m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[m[2]]
	if d < minWindow || d > maxWindow {
		return 0, windowError(s)
	}
	return d, nil
}

func windowError(s string) error {
	return Errorf(CodeValue, "completion_window", "Invalid value for 'completion_window': '%s'. Supported values are: '24h', or a number of m, h or d from '1m' to '7d'.", shorten(s))
}

// NewGeneration is a client's wish for one model call.
type NewGeneration struct {
	ProjectID    string
	Path         string // the provider path
	Model        string
	Body         []byte // as it goes to the provider, byte for byte
	Metadata     json.RawMessage
	Webhook      *Webhook
	WebhookShown json.RawMessage
	WebhookIDs   []string // of registered endpoints; the caller has checked that they exist
	Idempotency  *Idempotency
}

// CreateGeneration accepts one model call.
func (s *Service) CreateGeneration(ctx context.Context, n NewGeneration) (Snapshot, error) {
	if n.Model == "" {
		return Snapshot{}, Errorf(CodeMissing, "model", "Missing required parameter: 'model'.")
	}
	if err := checkName("model", n.Model); err != nil {
		return Snapshot{}, err
	}
	if _, err := s.Router.Route(n.Model); err != nil {
		return Snapshot{}, modelError(n.Model, err)
	}
	now := s.now()
	j := Job{
		ProjectID: n.ProjectID, ID: NewID("gen_"), Kind: KindGeneration, Status: Queued, Path: n.Path, Model: n.Model,
		Metadata: n.Metadata, Webhook: n.WebhookShown, WebhookIDs: n.WebhookIDs, Total: 1, CreatedAt: now, ChangedAt: now,
	}
	j.Due(now)
	return s.create(ctx, NewJob{Job: j, Webhook: n.Webhook, Body: n.Body, Idempotency: n.Idempotency})
}

func modelError(model string, err error) *Error {
	e := Errorf(CodeModel, "model", "The model '%s' does not exist: no configured provider serves it.", model)
	e.Err = err
	return e
}

// create commits the job, and only then wakes who works on it: a wake-up that fails delays nothing that was promised.
func (s *Service) create(ctx context.Context, n NewJob) (Snapshot, error) {
	snapshot := Snapshot{Job: n.Job}
	n.Answer = snapshot.Object()
	woken, err := s.Records.CreateJob(ctx, n)
	if err != nil {
		return Snapshot{}, err
	}
	woken.Pass(ctx, s.Waker)
	return snapshot, nil
}
