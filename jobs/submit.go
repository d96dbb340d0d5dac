package jobs

import (
	"cmp"
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/ringback/ringback/rawjson"
)

// BatchPaths are the provider paths that a batch may call.
var BatchPaths = []string{
	"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings", "/v1/moderations",
	"/v1/images/generations",
}

// Submission is what clients may say of a job of any kind.
type Submission struct {
	ProjectID    string
	Metadata     json.RawMessage // an object of strings, or nil
	Webhook      *Webhook
	WebhookShown json.RawMessage
	WebhookIDs   []string // of registered endpoints; that they exist is checked where the job is kept
	RunAt        Time     // not before; zero for at once
	Priority     Priority // empty for normal
	Idempotency  *Idempotency
}

// job is the row of a submission: due at once, or at its time.
func (n *Submission) job(kind Kind, id string, status Status, now Time) Job {
	j := Job{
		ProjectID: n.ProjectID, ID: id, Kind: kind, Status: status, Metadata: n.Metadata,
		Webhook: n.WebhookShown, WebhookIDs: n.WebhookIDs, RunAt: n.RunAt, Priority: cmp.Or(n.Priority, PriorityNormal),
		CreatedAt: now, ChangedAt: now,
	}
	j.Due(max(now, n.RunAt))
	return j
}

// NewBatch is a client's wish for a batch.
type NewBatch struct {
	Submission
	InputFileID      string
	Requests         []BatchRequest // in place of the file; nil with one
	Path             string         // "endpoint" in the API
	CompletionWindow string
	OutputTTL        time.Duration // zero: the default
}

// CreateBatch accepts a batch. Its input is looked at later: an unknown file or a bad line makes it failed, with the
// reasons in errors, as OpenAI does it.
func (s *Service) CreateBatch(ctx context.Context, n NewBatch) (Snapshot, error) {
	window, err := s.checkBatch(n)
	if err != nil {
		return Snapshot{}, err
	}
	j := n.job(KindBatch, NewID("batch_"), Validating, s.now())
	j.Path, j.InputFileID, j.OutputTTL = n.Path, n.InputFileID, int64(n.OutputTTL/time.Second)
	j.CompletionWindow, j.ExpiresAt = n.CompletionWindow, j.DueAt.Add(window) // the window begins when it may run
	made := NewJob{Job: j, Webhook: n.Webhook, Events: []EventType{BatchCreated}, Idempotency: n.Idempotency}
	if n.Requests != nil {
		return s.createWithInput(ctx, made, n.Requests)
	}
	return s.create(ctx, made)
}

func (s *Service) checkBatch(n NewBatch) (time.Duration, error) {
	if err := s.checkInput(n); err != nil {
		return 0, err
	}
	for _, p := range []struct{ name, value string }{{"endpoint", n.Path}, {"completion_window", n.CompletionWindow}} {
		if p.value == "" {
			return 0, missing(p.name)
		}
	}
	if !slices.Contains(BatchPaths, n.Path) {
		return 0, Errorf(CodeValue, "endpoint", "Invalid value: '%s'. Supported values are: %s.", shorten(n.Path), quoted(BatchPaths))
	}
	return parseWindow(n.CompletionWindow)
}

func missing(name string) error {
	return Errorf(CodeMissing, name, "Missing required parameter: '%s'.", name)
}

// checkInput wants either a file or requests.
func (s *Service) checkInput(n NewBatch) error {
	const name = "input_file_id"
	switch {
	case n.Requests == nil && n.InputFileID == "":
		return missing(name)
	case n.Requests == nil:
		return checkName(name, n.InputFileID)
	case n.InputFileID != "":
		return Errorf(CodeValue, "requests", "Give either 'input_file_id' or 'requests', not both.")
	}
	return s.checkRequests(n.Requests)
}

// maxName bounds what names something, in bytes: it is shown again in errors, lists and events.
const maxName = 256

func checkName(param, value string) error {
	if len(value) > maxName {
		return Errorf(CodeValue, param, "Invalid value for '%s': it is longer than %d bytes.", param, maxName)
	}
	if !rawjson.Storable(value) {
		return Errorf(CodeValue, param, "Invalid value for '%s': it must be UTF-8 without NUL.", param)
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
	Submission
	Path  string // the provider path
	Model string
	Body  []byte // as it goes to the provider, byte for byte
	AsJob bool   // the answer is the job as GET /v1/jobs/{id} shows it
}

// CreateGeneration accepts one model call.
func (s *Service) CreateGeneration(ctx context.Context, n NewGeneration) (Snapshot, error) {
	if err := s.Records.Replayed(ctx, n.ProjectID, n.Idempotency); err != nil {
		return Snapshot{}, err
	}
	if err := s.checkModel(ctx, n.ProjectID, n.Model); err != nil {
		return Snapshot{}, err
	}
	form, err := s.checkForm(ctx, &n)
	if err != nil {
		return Snapshot{}, err
	}
	j := n.job(KindGeneration, NewID("gen_"), Queued, s.now())
	j.Path, j.Model, j.Total, j.InputFileID = n.Path, n.Model, 1, form.file
	return s.create(ctx, NewJob{Job: j, Webhook: n.Webhook, Body: n.Body, Idempotency: n.Idempotency, AsJob: n.AsJob})
}

// create commits the job, and only then wakes who works on it: a wake-up that fails delays nothing that was promised.
func (s *Service) create(ctx context.Context, n NewJob) (Snapshot, error) {
	ctx, accepted := accept(ctx, &n.Job)
	defer accepted.End()
	snapshot := Snapshot{Job: n.Job, Response: n.Response}
	if n.Answer = snapshot.Object(); n.AsJob {
		n.Answer = snapshot.Wrapped()
	}
	woken, err := s.Records.CreateJob(ctx, n)
	if err != nil {
		accepted.Drop() // refused, or accepted before: the request's own span says so
		return Snapshot{}, err
	}
	woken.Pass(ctx, s.Waker)
	return snapshot, nil
}
