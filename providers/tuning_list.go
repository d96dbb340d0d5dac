package providers

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"

	openai "github.com/sashabaranov/go-openai"
	"github.com/tidwall/gjson"
)

const (
	tuningsPath = "/fine_tuning/jobs"
	// ownName is the key in a job's metadata that says which job of ours made it.
	ownName = "ringback_job"
	// findPages and eventPages bound how far back a list is read.
	findPages, eventPages = 10, 20
	// clockSlack is how far a provider's clock may be behind, in seconds.
	clockSlack = 3600
)

// TuningEvent is one line of a job's log.
type TuningEvent struct {
	ID        string // never empty
	CreatedAt int64  // Unix seconds
	Level     string // info, warn, error
	Message   string
	Type      string          // message, metrics
	Data      json.RawMessage // nil if none
}

// TuningCheckpoint is a model as it was after a step of its training.
type TuningCheckpoint struct {
	ID        string // never empty
	CreatedAt int64  // Unix seconds
	Model     string
	Step      int64
	Metrics   json.RawMessage // nil if none
}

// FindTuning looks for the job that a create has made before its answer was lost:
// the newest whose metadata.ringback_job is name, or whose training_file is
// trainingFile. It asks by metadata first and then, as providers ignore, refuse
// or forget metadata, reads the list itself, newest first, back to the time since
// (Unix seconds, with an hour for clocks that differ) and at most 10 pages of
// 100. The error is always an *[Error].
func (p *Provider) FindTuning(ctx context.Context, name, trainingFile string, since int64) (Tuning, bool, error) {
	search := tuningSearch{read: p.readTuning, name: name, trainingFile: trainingFile, since: since - clockSlack}
	err := p.searchTunings(ctx, url.Values{"metadata[" + ownName + "]": {name}}, 1, &search)
	if e := AsError(err); search.found || e != nil && e.Kind != Rejected {
		return search.job, search.found, err
	}
	err = p.searchTunings(ctx, url.Values{}, findPages, &search)
	return search.job, search.found, err
}

func (p *Provider) searchTunings(ctx context.Context, query url.Values, most int, search *tuningSearch) error {
	return p.pages(most, func(after string) (Answer, error) {
		return p.raw(ctx, ask{timeout: pollTimeout, query: cursor(query, after)}, http.MethodGet, tuningsPath)
	}, search.take)
}

type tuningSearch struct {
	read               func(gjson.Result) Tuning
	name, trainingFile string
	since              int64
	found              bool
	job                Tuning
}

// take goes on until a whole page is too old, as not all lists are in strict order.
func (s *tuningSearch) take(items []gjson.Result) (more bool) {
	for _, item := range items {
		f := fields{object: item}
		if created := f.number("created_at"); created == 0 || created >= s.since {
			more = true
		}
		if !s.ours(&f) {
			continue
		}
		if job := s.read(item); job.ID != "" {
			s.job, s.found = job, true
			return false
		}
	}
	return more
}

func (s *tuningSearch) ours(f *fields) bool {
	return s.name != "" && f.text("metadata."+ownName) == s.name ||
		s.trainingFile != "" && f.text("training_file") == s.trainingFile
}

// TuningEvents gives the events after the one named (all for ""), oldest first
// and each once. The provider lists newest first in pages; it reads back until it
// meets that event, at most 20 pages of 100, so what is older than the newest
// 2,000 is left out. Where the provider no longer shows the event named, those
// before it come again. A provider without the route has none. The error is always
// an *[Error].
func (p *Provider) TuningEvents(ctx context.Context, id, after string) ([]TuningEvent, error) {
	at, err := segment(id)
	if err != nil {
		return nil, err
	}
	log := eventLog{read: p.safe, until: after, seen: map[string]bool{}}
	err = p.pages(eventPages, func(after string) (Answer, error) { return p.eventPage(ctx, at, after) }, log.take)
	switch {
	case lacks(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	slices.Reverse(log.events)
	return log.events, nil
}

func (p *Provider) eventPage(ctx context.Context, at, after string) (Answer, error) {
	options := []openai.ListFineTuningJobEventsParameter{openai.ListFineTuningJobEventsWithLimit(pageSize)}
	if after != "" {
		options = append(options, openai.ListFineTuningJobEventsWithAfter(after))
	}
	return p.through(ctx, ask{timeout: pollTimeout}, func(ctx context.Context, c *openai.Client) error {
		_, err := c.ListFineTuningJobEvents(ctx, at, options...)
		return err
	})
}

// eventLog gathers events, newest first. An event without an ID is left out: it
// could not be told from one that is known.
type eventLog struct {
	read   func(gjson.Result) *safeFields
	until  string
	seen   map[string]bool
	events []TuningEvent
}

func (l *eventLog) take(items []gjson.Result) (more bool) {
	for _, item := range items {
		f := l.read(item)
		event := TuningEvent{
			ID: f.id("id"), CreatedAt: f.number("created_at"), Level: f.word("level"),
			Message: f.prose("message"), Type: f.word("type"), Data: f.data("data"),
		}
		if l.until != "" && event.ID == l.until {
			return false
		}
		if event.ID != "" && !l.seen[event.ID] {
			l.seen[event.ID] = true
			l.events = append(l.events, event)
		}
	}
	return true
}

// TuningCheckpoints gives a job's checkpoints, the lowest step first and each
// once, at most 2,000. A provider without the route has none. The error is always
// an *[Error].
func (p *Provider) TuningCheckpoints(ctx context.Context, id string) ([]TuningCheckpoint, error) {
	at, err := segment(id)
	if err != nil {
		return nil, err
	}
	shelf := checkpointShelf{read: p.safe, seen: map[string]bool{}}
	err = p.pages(eventPages, func(after string) (Answer, error) {
		return p.raw(ctx, ask{timeout: pollTimeout, query: cursor(nil, after)}, http.MethodGet, tuningsPath+"/"+at+"/checkpoints")
	}, shelf.take)
	switch {
	case lacks(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	slices.SortStableFunc(shelf.found, func(a, b TuningCheckpoint) int { return cmp.Compare(a.Step, b.Step) })
	return shelf.found, nil
}

type checkpointShelf struct {
	read  func(gjson.Result) *safeFields
	seen  map[string]bool
	found []TuningCheckpoint
}

func (s *checkpointShelf) take(items []gjson.Result) (more bool) {
	for _, item := range items {
		f := s.read(item)
		c := TuningCheckpoint{
			ID: f.id("id"), CreatedAt: f.number("created_at"), Model: f.model("fine_tuned_model_checkpoint"),
			Step: f.number("step_number"), Metrics: f.data("metrics"),
		}
		if c.ID != "" && !s.seen[c.ID] {
			s.seen[c.ID] = true
			s.found = append(s.found, c)
		}
	}
	return true
}
