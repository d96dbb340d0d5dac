package pages

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
)

// composerPage is the form of a new job, as it was filled in.
type composerPage struct {
	Kind         string
	Kinds        []kindChoice
	Model        string
	Models       []string
	Served       string
	FileID       string
	File         *fileRow
	Recent       []fileRow
	Path         string
	Paths        []option
	Prompt       string
	Name         string
	Window       string
	Priority     []option
	Suffix       string
	WebhookURL   string
	Headers      []headerRow
	Also         int // endpoints that subscribe
	Codes        []codeTab
	Error, Param string
	Check        *checkView
	NeedsKey     bool
	Most         int64  // bytes of a file; zero where none is known
	Secret       bool   // what was secret of the first job's webhook has to be given again
	Metadata     string // of the first job, as JSON; the name is laid over it
}

type kindChoice struct {
	Value, Word, Small, Icon string
	Chosen                   bool
}

type codeTab struct{ Lang, Text, Note string }

func kindChoices(chosen string) []kindChoice {
	return []kindChoice{
		{"batch", "Batch", "calls from a file", "batch", chosen == "batch"},
		{"fine_tuning", "Fine-tuning", "train on examples", "tune", chosen == "fine_tuning"},
		{"generation", "Generation", "one long call", "gen", chosen == "generation"},
	}
}

func (p *Pages) composer(ctx context.Context, r *http.Request) (any, error) {
	q := r.URL.Query()
	shown := &composerPage{Kind: q.Get("kind"), FileID: clean(q.Get("file")), Model: clean(q.Get("model")), Path: clean(q.Get("path")), Headers: []headerRow{{}}}
	if from := clean(q.Get("from")); from != "" {
		if err := p.fillFrom(ctx, shown, jobs.Ref{ProjectID: p.Project(r), ID: from}); err != nil {
			return nil, err
		}
	}
	return shown, p.complete(ctx, r, shown)
}

// fillFrom fills the form in as a job was submitted.
func (p *Pages) fillFrom(ctx context.Context, to *composerPage, ref jobs.Ref) error {
	s, err := p.Facts.Job(ctx, ref)
	if jobs.IsCode(err, jobs.CodeNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	to.Kind, to.Model, to.Name, to.Path = string(s.Kind), s.Model, gjson.GetBytes(s.Metadata, "name").String(), s.Path
	to.FileID = s.InputFileID
	if s.Tuning != nil {
		to.Suffix = s.Tuning.Suffix
	}
	if s.Kind.OneCall() {
		to.Kind, to.FileID = "generation", ""
		body, err := p.Facts.Request(ctx, ref)
		if err != nil && !jobs.IsCode(err, jobs.CodeNotFound) {
			return err
		}
		to.Prompt = promptOf(body)
	}
	to.Metadata, to.Priority = string(s.Metadata), priorities(string(cmp.Or(s.Priority, jobs.PriorityNormal)))
	to.WebhookURL, to.Headers, to.Secret = receiverAgain(&s.Job)
	return nil
}

// receiverAgain is a job's own webhook as a form can give it again: without what is secret of it.
func receiverAgain(j *jobs.Job) (url string, headers []headerRow, secret bool) {
	shown := gjson.ParseBytes(j.Webhook)
	url, secret = shown.Get("url").String(), shown.Get("secret").Exists()
	for _, name := range slices.Sorted(maps.Keys(shown.Get("headers").Map())) {
		headers, secret = append(headers, headerRow{Name: name}), true
	}
	if hidesQuery(url) {
		url, secret = "", true
	}
	if len(headers) == 0 {
		headers = []headerRow{{}}
	}
	return url, headers, secret
}

// promptOf is the last thing that was said in a request.
func promptOf(body []byte) string {
	messages := gjson.GetBytes(body, "messages").Array()
	if len(messages) > 0 {
		if content := messages[len(messages)-1].Get("content"); content.Type == gjson.String {
			return content.String()
		}
	}
	return gjson.GetBytes(body, "input").String()
}

// complete adds what the form offers.
func (p *Pages) complete(ctx context.Context, r *http.Request, to *composerPage) error {
	if !slices.Contains([]string{"batch", "fine_tuning", "generation"}, to.Kind) {
		to.Kind = "batch"
	}
	to.Kinds, to.NeedsKey, to.Most = kindChoices(to.Kind), p.Login != nil, p.FileBytes
	to.Window = cmp.Or(to.Window, "24h")
	for _, path := range jobs.BatchPaths {
		to.Paths = append(to.Paths, option{path, path, path == to.Path})
	}
	if to.Priority == nil {
		to.Priority = priorities("normal")
	}
	for _, one := range p.Providers() {
		for _, model := range one.Models {
			if !strings.ContainsAny(model, "*?") {
				to.Models = append(to.Models, model)
			}
		}
		to.Served = join(to.Served, one.Name+" serves "+strings.Join(one.Models, ", "))
		if slices.Contains(one.Models, "sim-*") {
			to.Models = append(to.Models, "sim-small", "sim-large", "sim-embed")
		}
	}
	to.Served = strings.TrimPrefix(to.Served, ", ")
	project := p.Project(r)
	known, err := p.receivers(ctx, project)
	if err != nil {
		return err
	}
	for _, e := range known {
		if e.IsActive {
			to.Also++
		}
	}
	if to.FileID != "" {
		if f, err := p.Facts.File(ctx, jobs.Ref{ProjectID: project, ID: to.FileID}); err == nil {
			row := fileRowOf(&f)
			to.File = &row
		}
	}
	purpose := jobs.PurposeBatch
	if to.Kind == "fine_tuning" {
		purpose = "fine-tune"
	}
	found, _, err := p.Facts.Files(ctx, jobs.FileQuery{ProjectID: project, Purpose: purpose, Limit: 12})
	if err != nil {
		return err
	}
	for _, f := range found {
		to.Recent = append(to.Recent, fileRowOf(&f))
	}
	to.Codes = p.samples(to)
	return nil
}

func priorities(chosen string) []option {
	return []option{{"high", "High", chosen == "high"}, {"normal", "Normal", chosen == "normal"}, {"low", "Low", chosen == "low"}}
}

// readComposer reads what was filled in.
func readComposer(r *http.Request) *composerPage {
	to := &composerPage{
		Kind: r.PostFormValue("kind"), Metadata: r.PostFormValue("metadata"), Secret: r.PostFormValue("secret") != "", Model: strings.TrimSpace(r.PostFormValue("model")), FileID: strings.TrimSpace(r.PostFormValue("file_id")),
		Path: r.PostFormValue("path"), Prompt: r.PostFormValue("prompt"), Name: strings.TrimSpace(r.PostFormValue("name")),
		Window: strings.TrimSpace(r.PostFormValue("window")), Priority: priorities(cmp.Or(r.PostFormValue("priority"), "normal")), Suffix: strings.TrimSpace(r.PostFormValue("suffix")),
		WebhookURL: strings.TrimSpace(r.PostFormValue("webhook_url")), Headers: headersOf(r),
	}
	return to
}

// request is the form as the API takes it: the path, and the body in the order in which people would write it.
func (c *composerPage) request() (to string, body members) {
	switch c.Kind {
	case "fine_tuning":
		to = "/v1/fine_tuning/jobs"
		body.add("model", c.Model)
		body.add("training_file", cmp.Or(c.FileID, "file-…"))
		if c.Suffix != "" {
			body.add("suffix", c.Suffix)
		}
	case "generation":
		to = "/v1/generate"
		body.add("model", c.Model)
		body.add("input", c.Prompt)
	default:
		to = "/v1/batches"
		body.add("input_file_id", cmp.Or(c.FileID, "file-…"))
		body.add("endpoint", cmp.Or(c.Path, jobs.BatchPaths[0]))
		body.add("completion_window", cmp.Or(c.Window, "24h"))
	}
	metadata := map[string]string{}
	gjson.Parse(c.Metadata).ForEach(func(name, value gjson.Result) bool {
		metadata[name.String()] = value.String()
		return true
	})
	if delete(metadata, "name"); c.Name != "" {
		metadata["name"] = c.Name
	}
	if len(metadata) > 0 {
		body.add("metadata", metadata)
	}
	for _, o := range c.Priority {
		if o.Chosen && o.Value != "normal" {
			body.add("priority", o.Value)
		}
	}
	if c.WebhookURL != "" {
		body.add("webhook", c.webhook())
	}
	return to, body
}

// webhook is the receiver that the form names.
func (c *composerPage) webhook() (hook members) {
	hook.add("url", c.WebhookURL)
	headers := map[string]string{}
	for _, h := range c.Headers {
		if h.Name != "" {
			headers[h.Name] = h.Value
		}
	}
	if len(headers) > 0 {
		hook.add("headers", headers)
	}
	return hook
}

// members are an object's, in an order of their own.
type members []member

type member struct {
	name  string
	value any
}

func (m *members) add(name string, value any) { *m = append(*m, member{name, value}) }

// MarshalJSON keeps the order.
func (m members) MarshalJSON() ([]byte, error) {
	var b strings.Builder
	b.WriteByte('{')
	for i, one := range m {
		if i > 0 {
			b.WriteByte(',')
		}
		value, err := json.Marshal(one.value)
		if err != nil {
			return nil, err
		}
		name, err := json.Marshal(one.name)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return []byte(b.String()), nil
}

// submit creates the job. A second press creates no second one: the form carries an Idempotency-Key of its own.
func (p *Pages) submit(w http.ResponseWriter, r *http.Request) error {
	to := readComposer(r)
	address, body := to.request()
	if empty := to.empty(); empty != "" {
		return p.refuse(w, r, to, &apiError{Status: http.StatusBadRequest, Param: "webhook", Message: "The header " + empty + " has no value. Give it one, or remove the header."})
	}
	made, err := p.call(r, http.MethodPost, address, body)
	if e, refused := refusal(err); refused {
		return p.refuse(w, r, to, e)
	}
	if err != nil {
		return err
	}
	return done(w, r, "/jobs/"+url.PathEscape(gjson.GetBytes(made, "id").String()), "submitted")
}

// empty names a header that has no value.
func (c *composerPage) empty() string {
	for _, h := range c.Headers {
		if h.Name != "" && strings.TrimSpace(h.Value) == "" && c.WebhookURL != "" {
			return h.Name
		}
	}
	return ""
}

// refuse shows the form again, with what is wrong with it.
func (p *Pages) refuse(w http.ResponseWriter, r *http.Request, to *composerPage, e *apiError) error {
	to.Error, to.Param = e.Message, e.field()
	if to.FileID == "" && to.Kind != "generation" {
		to.Error, to.Param = "Upload a file first, or choose one that is there.", "input_file_id"
	}
	if len(to.Headers) == 0 {
		to.Headers = []headerRow{{}}
	}
	if err := p.complete(r.Context(), r, to); err != nil {
		return err
	}
	return p.again(w, r, e.Status, "new.html", "/new", to)
}

// composerCode answers the form as code, as it stands.
func (p *Pages) composerCode(w http.ResponseWriter, r *http.Request) error {
	to := readComposer(r)
	if to.FileID != "" {
		if f, err := p.Facts.File(r.Context(), jobs.Ref{ProjectID: p.Project(r), ID: to.FileID}); err == nil {
			row := fileRowOf(&f)
			to.File = &row
		}
	}
	to.NeedsKey = p.Login != nil
	to.Codes = p.samples(to)
	return p.part(w, r, http.StatusOK, "new.html", "codes", to)
}

// fileName is what the code calls the input.
func (c *composerPage) fileName() string {
	if c.File != nil {
		return path.Base(c.File.Name)
	}
	if c.Kind == "fine_tuning" {
		return "examples.jsonl"
	}
	return "requests.jsonl"
}
