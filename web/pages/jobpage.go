package pages

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
)

// jobPage is one job with all that is its own.
type jobPage struct {
	ID, Name, Kind string
	Status         badge
	CreatedAt      jobs.Time
	Terminal       bool

	Headline, Sub string // "64.1 %", "8,449 of 13,190 lines"
	ETA           jobs.Time
	EndedAt       jobs.Time
	Took          string
	Bar           *bar
	Stats         []stat
	Reason        string     // why it failed
	Problems      *checkView // with a batch's input

	Charts      []titledChart
	Failures    *failures
	Lines       *lineList
	Request     []byte
	Result      []byte
	Text        string // the model's answer, where it is text
	Checkpoints []checkpointRow
	Log         []logRow

	Callbacks []callbackGroup
	Timeline  []moment
	Usage     []fact
	Files     []fileLink
	Details   []fact
	Metadata  []string

	Actions jobActions
	Again   *composerPage // of the dialog that asks for what is secret; nil while it is shut
}

// jobActions are what can be done with a job now.
type jobActions struct {
	Cancel, Pause, Resume bool
	Retry                 int64 // lines that failed; zero where nothing can be retried
	Ask                   bool  // what is secret of the webhook has to be given again for that
	Again                 string
	Results               string
}

type stat struct {
	Name, Value, Small string
	Tone               string
	Wide               bool
	Until              jobs.Time
	Then               string // what comes at that time
}

type fact struct {
	Name, Value string
	Href        string
	Code, Total bool
	At          jobs.Time
}

type titledChart struct {
	Title, Live, Hint string
	Chart             chart
	Legend            []series
}

type fileLink struct {
	Name, What, Href, Page string
}

type checkpointRow struct {
	Model, Step string
	Short       string // the end of its name
	Loss        string
	Least       bool
	At          jobs.Time
}

type logRow struct {
	At            jobs.Time
	Tone, Message string
}

func (p *Pages) job(ctx context.Context, r *http.Request) (any, error) {
	q := r.URL.Query()
	shown, err := p.loadJob(ctx, p.ref(r), clean(q.Get("custom_id")))
	if err != nil || q.Get("dialog") != "retry" || shown.Actions.Retry == 0 {
		return shown, err
	}
	s, err := p.findJob(ctx, p.ref(r))
	if err != nil {
		return nil, err
	}
	shown.Again = &composerPage{}
	shown.Again.WebhookURL, shown.Again.Headers, _ = receiverAgain(&s.Job)
	return shown, nil
}

func (p *Pages) loadJob(ctx context.Context, ref jobs.Ref, customID string) (*jobPage, error) {
	s, err := p.findJob(ctx, ref)
	if err != nil {
		return nil, err
	}
	if err := p.Facts.Outlook(ctx, &s); err != nil {
		return nil, err
	}
	shown := p.describe(&s)
	for _, add := range []func(context.Context, *jobs.Snapshot, *jobPage) error{
		p.addCharts, p.addFailures, p.addBodies, p.addTuning, p.addCallbacks, p.addTimeline, p.addFiles,
	} {
		if err := add(ctx, &s, shown); err != nil {
			return nil, err
		}
	}
	if s.Kind == jobs.KindBatch && s.Total > 0 && !s.ResultsGone {
		if shown.Lines, err = p.lineList(ctx, jobs.OutcomeQuery{Job: ref, CustomID: customID, Limit: firstLines}); err != nil {
			return nil, err
		}
	}
	return shown, nil
}

// findJob reads a job, or says that it is not there.
func (p *Pages) findJob(ctx context.Context, ref jobs.Ref) (jobs.Snapshot, error) {
	if clean(ref.ID) != ref.ID {
		return jobs.Snapshot{}, jobs.NotFound("There is no such job.")
	}
	s, err := p.Facts.Job(ctx, ref)
	if jobs.IsCode(err, jobs.CodeNotFound) {
		return s, jobs.NotFound("There is no job %s. It may have been deleted, or its time is over (retention.jobs).", ref.ID)
	}
	return s, err
}

// describe is what the job's row alone says.
func (p *Pages) describe(s *jobs.Snapshot) *jobPage {
	j := &s.Job
	shown := &jobPage{
		ID: j.ID, Name: nameOf(j), Kind: kindWord(j.Kind), Status: statusBadge(j), CreatedAt: j.CreatedAt,
		Terminal: j.Status.Terminal(), ETA: s.ETA(), EndedAt: j.EndedAt,
	}
	shown.Actions = actionsOn(j)
	if j.EndedAt > 0 {
		shown.Took = milliseconds(int64(j.EndedAt - max(j.StartedAt, j.CreatedAt)))
	}
	shown.Headline, shown.Sub = headline(j)
	if j.Total > 0 && (j.Kind == jobs.KindBatch || j.Kind == jobs.KindTuning) {
		shown.Bar = barOf(j, "Progress of "+shown.Name)
		shown.Bar.Large = true
	}
	shown.Stats = p.stats(s)
	shown.Reason = reasonOf(j)
	shown.Problems = problemsOf(j)
	shown.Usage = usageOf(j)
	shown.Details = p.details(j)
	gjson.ParseBytes(j.Metadata).ForEach(func(name, value gjson.Result) bool {
		shown.Metadata = append(shown.Metadata, name.String()+"="+value.String())
		return len(shown.Metadata) < 20
	})
	return shown
}

func actionsOn(j *jobs.Job) (a jobActions) {
	open := !j.Status.Terminal()
	a.Cancel = open && j.Status != jobs.Cancelling
	if j.Kind == jobs.KindTuning {
		a.Pause, a.Resume = j.Status == jobs.Running || j.Status == jobs.Queued, j.Status == jobs.Paused
	}
	if j.Kind == jobs.KindBatch && !open && !j.ResultsGone && j.Total > 0 {
		a.Retry = j.Total - j.Completed
		_, _, a.Ask = receiverAgain(j)
	}
	if !j.ResultsGone && (j.Kind == jobs.KindBatch || j.Kind == jobs.KindTuning && plainTuning(j)) { // of a single call see addBodies
		a.Again = "/new?from=" + url.QueryEscape(j.ID)
	}
	if j.Kind == jobs.KindBatch && j.Completed+j.Failed > 0 && !j.ResultsGone {
		a.Results = "/v1/batches/" + url.PathEscape(j.ID) + "/results"
	}
	return a
}

// plainTuning tells whether a fine-tuning is one that the composer's form can carry whole.
func plainTuning(j *jobs.Job) bool {
	return j.ValidationFileID == "" && j.Tuning != nil && len(j.Tuning.Method) == 0 && len(j.Tuning.Hyperparameters) == 0 && len(j.Tuning.Integrations) == 0
}

// plainCall tells whether a call is one that the composer's form can carry whole: one message of the user's, and nothing else.
func plainCall(path string, body []byte) bool {
	if path != "/v1/chat/completions" {
		return false
	}
	plain := true
	gjson.ParseBytes(body).ForEach(func(name, value gjson.Result) bool {
		switch name.String() {
		case "model":
		case "messages":
			said := value.Array()
			plain = len(said) == 1 && said[0].Get("role").String() == "user" && said[0].Get("content").Type == gjson.String && len(said[0].Map()) == 2
		default:
			plain = false
		}
		return plain
	})
	return plain && len(body) > 0
}

func headline(j *jobs.Job) (text, sub string) {
	done := j.Completed + j.Failed
	switch {
	case j.Kind == jobs.KindBatch && j.Total > 0:
		return percentOf(done, j.Total), grouped(done) + " of " + grouped(j.Total) + " lines"
	case j.Kind == jobs.KindTuning && j.Total > 0:
		return percentOf(done, j.Total), "step " + grouped(done) + " of " + grouped(j.Total)
	}
	return "", ""
}

func percentOf(n, of int64) string {
	if n >= of {
		return "100 %"
	}
	return fmt.Sprintf("%.1f %%", min(99.9, 100*float64(n)/float64(of)))
}

func (p *Pages) stats(s *jobs.Snapshot) (all []stat) {
	j := &s.Job
	switch j.Kind {
	case jobs.KindBatch:
		if j.Total > 0 {
			failed := stat{Name: "Failed", Value: grouped(j.Failed)}
			if j.Failed > 0 {
				failed.Tone = "bad"
			}
			all = append(all, stat{Name: "Done", Value: grouped(j.Completed)}, failed, stat{Name: "Left", Value: grouped(j.Total - j.Completed - j.Failed)})
			if rate := rateOf(j); rate != "" {
				all = append(all, stat{Name: "Speed", Value: rate})
			}
		}
	case jobs.KindTuning:
		all = append(all, tuningStats(j)...)
	default:
		if j.StartedAt > 0 {
			end := j.EndedAt
			if end == 0 {
				end = p.now()
			}
			all = append(all, stat{Name: "Call", Value: milliseconds(int64(end - j.StartedAt))})
		}
		if j.OutputTokens > 0 {
			all = append(all, stat{Name: "Tokens out", Value: grouped(j.OutputTokens)})
		}
	}
	if !j.Status.Terminal() {
		all = append(all, blockedStat(s))
	}
	return all
}

// blockedStat says what the job waits for, and what to do about it.
func blockedStat(s *jobs.Snapshot) stat {
	reason, until, position := s.Waits()
	b := stat{Name: "Blocked by", Value: "Nothing", Wide: true, Until: until, Then: "next look"}
	switch reason {
	case jobs.BlockedByRateLimit:
		b.Value, b.Tone, b.Small = "Rate limit", "wait", "the provider’s or the configured one; it goes on by itself"
	case jobs.BlockedByProvider:
		b.Value, b.Tone, b.Small = "Provider down", "bad", "several calls in a row found nobody. It is tried again by itself; start the provider, or cancel and keep what is done"
	case jobs.BlockedByWindow:
		b.Value, b.Small, b.Then = "Its time", "run_at has not come", "begins"
	case jobs.BlockedByRetry:
		b.Value, b.Tone, b.Small = "A retry", "wait", "its last call failed for a passing reason, and is made again"
	case jobs.BlockedByQueue:
		b.Value, b.Small = "Others go first", "all slots of the provider are busy"
		if position > 0 {
			b.Small = "place " + grouped(position) + " in the queue"
		}
	}
	return b
}

// rateOf is how fast a batch goes, or went.
func rateOf(j *jobs.Job) string {
	end := j.ChangedAt
	if j.FinalizingAt > 0 {
		end = j.FinalizingAt
	}
	done, took := j.Completed+j.Failed-j.Copied, between(j.StartedAt, end).Seconds()
	if j.StartedAt == 0 || done < 2 || took < 0.1 {
		return ""
	}
	if j.Kind == jobs.KindTuning {
		return rateWords(float64(done)/took, "steps")
	}
	return rateWords(float64(done)/took, "lines")
}

func rateWords(rate float64, unit string) string {
	switch {
	case rate >= 100:
		return grouped(int64(rate)) + " " + unit + "/s"
	case rate >= 1:
		return fmt.Sprintf("%.1f %s/s", rate, unit)
	}
	return fmt.Sprintf("%.1f %s/min", rate*60, unit)
}

func tuningStats(j *jobs.Job) (all []stat) {
	if j.Tuning == nil {
		return nil
	}
	metrics := gjson.ParseBytes(j.Tuning.Metrics)
	for _, m := range []struct{ name, key string }{
		{"Epoch", "epoch"}, {"Training loss", "train_loss"}, {"Validation loss", "valid_loss"}, {"Accuracy", "train_mean_token_accuracy"},
	} {
		if v := metrics.Get(m.key); v.Type == gjson.Number {
			all = append(all, stat{Name: m.name, Value: fmt.Sprintf("%.4g", v.Float())})
		}
	}
	if j.Tuning.TrainedTokens > 0 {
		all = append(all, stat{Name: "Trained tokens", Value: grouped(j.Tuning.TrainedTokens)})
	}
	return all
}

// reasonOf is why a job failed, in the words of who refused it.
func reasonOf(j *jobs.Job) string {
	if len(j.Errors) == 0 {
		return ""
	}
	e := gjson.ParseBytes(j.Errors)
	if !e.IsArray() {
		return e.Get("message").String()
	}
	all := e.Array()
	if len(all) == 0 {
		return ""
	}
	text := all[0].Get("message").String()
	if line := all[0].Get("line").Int(); line > 0 {
		text = "Line " + grouped(line) + ": " + text
	}
	if more := len(all) - 1; more > 0 {
		text += " And " + plural(int64(more), "more problem", "more problems") + "."
	}
	return text
}

// problemsOf are what was wrong with a batch's input, by line.
func problemsOf(j *jobs.Job) *checkView {
	var found []jobs.LineError
	if j.Kind != jobs.KindBatch || j.Status != jobs.Failed || json.Unmarshal(j.Errors, &found) != nil || len(found) == 0 {
		return nil
	}
	v := viewOf(jobs.InputCheck{Problems: found, Done: true})
	return &v
}

func usageOf(j *jobs.Job) (facts []fact) {
	if j.TotalTokens == 0 && j.InputTokens == 0 && j.OutputTokens == 0 {
		return nil
	}
	facts = append(facts, fact{Name: "Input tokens", Value: grouped(j.InputTokens)})
	if j.CachedTokens > 0 {
		facts = append(facts, fact{Name: "of these cached", Value: grouped(j.CachedTokens)})
	}
	facts = append(facts, fact{Name: "Output tokens", Value: grouped(j.OutputTokens)})
	if j.ReasoningTokens > 0 {
		facts = append(facts, fact{Name: "of these reasoning", Value: grouped(j.ReasoningTokens)})
	}
	return append(facts, fact{Name: "Total", Value: grouped(max(j.TotalTokens, j.InputTokens+j.OutputTokens)), Total: true})
}

func (p *Pages) details(j *jobs.Job) (facts []fact) {
	add := func(name, value string) {
		if value != "" {
			facts = append(facts, fact{Name: name, Value: value})
		}
	}
	add("Model", j.Model)
	if j.Tuning != nil && j.Tuning.Model != "" {
		facts = append(facts, fact{Name: "New model", Value: j.Tuning.Model, Code: true})
	}
	add("Provider", j.Remote.Provider)
	if j.Path != "" {
		facts = append(facts, fact{Name: "Path", Value: j.Path, Code: true})
	}
	if j.ExpiresAt > 0 && !j.Status.Terminal() {
		facts = append(facts, fact{Name: "Deadline", At: j.ExpiresAt})
	}
	if j.RunAt > 0 {
		facts = append(facts, fact{Name: "Not before", At: j.RunAt})
	}
	if j.Priority.Rank() != 0 {
		add("Priority", string(j.Priority))
	}
	if j.RetryOf != "" {
		facts = append(facts, fact{Name: "Retry of", Value: short(j.RetryOf), Href: "/jobs/" + j.RetryOf})
	}
	if j.ResultsGone {
		add("Results", "no longer kept (retention.results)")
	}
	return facts
}

// between is how long it was from one time to another, both known.
func between(from, to jobs.Time) time.Duration { return time.Duration(to-from) * time.Millisecond }
