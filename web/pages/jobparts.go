package pages

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/history"
	"github.com/ringback/ringback/jobs"
)

// addCharts draws a batch's lines over time, and how long its calls took.
func (p *Pages) addCharts(ctx context.Context, s *jobs.Snapshot, to *jobPage) error {
	if s.Kind != jobs.KindBatch || s.StartedAt == 0 {
		return nil
	}
	ref := s.Ref()
	points, err := remember(&p.memo, "lines/"+ref.String(), func() ([]history.Point, error) {
		return p.Facts.History(ctx, history.Query{ProjectID: ref.ProjectID, Series: []string{history.LinesOK, history.LinesFailed}, About: ref.ID, Since: s.StartedAt - 1})
	})
	if err != nil || len(points) == 0 {
		return err
	}
	lines, latency := p.linesChart(s, merged(points, mostPoints)), latencyChart(s, merged(points, smoothPoints))
	if len(lines.X) > 1 {
		hint := ""
		if len(lines.Lines) > 1 {
			hint = "dashed: forecast"
		}
		to.Charts = append(to.Charts, titledChart{Title: "Lines finished", Live: "chart.job.lines", Hint: hint, Chart: lines})
	}
	if !latency.Empty() {
		to.Charts = append(to.Charts, titledChart{Title: "Upstream latency", Live: "chart.job.latency", Chart: latency, Legend: latency.Lines})
	}
	return nil
}

// moments of a batch: what was counted in one slot, both series together.
type counted struct {
	at     jobs.Time
	span   time.Duration
	ok     int64
	failed int64
	spread history.Spread
}

// mostPoints is how many points a chart shows: more than a screen can are merged.
const (
	mostPoints   = 200
	smoothPoints = 40 // of a latency, which jumps
)

func merged(points []history.Point, most int) []counted {
	byAt := map[jobs.Time]*counted{}
	for _, point := range points {
		c := byAt[point.At]
		if c == nil {
			c = &counted{at: point.At, span: point.Span}
			byAt[point.At] = c
		}
		c.span = max(c.span, point.Span)
		if point.Series == history.LinesOK {
			c.ok += point.N
			c.spread.Merge(point.Spread)
		} else {
			c.failed += point.N
		}
	}
	all := make([]counted, 0, len(byAt))
	for _, c := range byAt {
		all = append(all, *c)
	}
	slices.SortFunc(all, func(a, b counted) int { return int(a.at - b.at) })
	return fewer(all, most)
}

// fewer merges neighbours until no more are left than a chart shows.
func fewer(all []counted, most int) (few []counted) {
	for chunk := range slices.Chunk(all, max((len(all)+most-1)/most, 1)) {
		one := chunk[0]
		one.spread = one.spread.Clone()
		for _, c := range chunk[1:] {
			one.ok, one.failed, one.span = one.ok+c.ok, one.failed+c.failed, between(one.at, c.at)+c.span
			one.spread.Merge(c.spread)
		}
		few = append(few, one)
	}
	return few
}

// linesChart is how many lines were done at each moment, and when the last one may be.
func (p *Pages) linesChart(s *jobs.Snapshot, slots []counted) chart {
	c := chart{Label: fmt.Sprintf("Lines finished over time: %s of %s", grouped(s.Completed+s.Failed), grouped(s.Total))}
	done := s.Copied
	finished := series{Name: "finished", Kind: "area"}
	add := func(at jobs.Time, n int64) {
		if len(c.X) > 0 && c.X[len(c.X)-1] >= at.Unix() {
			finished.Values[len(finished.Values)-1] = known(float64(n))
			return
		}
		c.X = append(c.X, at.Unix())
		finished.Values = append(finished.Values, known(float64(n)))
	}
	add(s.StartedAt, done)
	for _, slot := range slots {
		done = min(done+slot.ok+slot.failed, s.Total)
		add(min(slot.at.Add(slot.span), max(p.now(), s.StartedAt+1000)), done)
	}
	c.Lines = []series{finished}
	if eta := s.ETA(); eta > 0 && eta.Unix() > c.X[len(c.X)-1] {
		forecast := series{Name: "forecast", Kind: "dash", Values: make([]*float64, len(c.X)+1)}
		forecast.Values[len(c.X)-1], forecast.Values[len(c.X)] = known(float64(done)), known(float64(s.Total))
		c.X = append(c.X, eta.Unix())
		c.Lines[0].Values = append(c.Lines[0].Values, nil)
		c.Lines = append(c.Lines, forecast)
	}
	return c.scaled()
}

func latencyChart(s *jobs.Snapshot, slots []counted) chart {
	c := chart{Unit: "ms"}
	half, most := series{Name: "p50", Kind: "line"}, series{Name: "p95", Kind: "dash", Tone: "second"}
	for _, slot := range slots {
		p50, ok := slot.spread.Quantile(0.5)
		p95, _ := slot.spread.Quantile(0.95)
		if !ok || len(c.X) > 0 && c.X[len(c.X)-1] >= slot.at.Unix() {
			continue
		}
		c.X = append(c.X, slot.at.Unix())
		half.Values, most.Values = append(half.Values, known(p50)), append(most.Values, known(p95))
	}
	c.Lines = []series{half, most}
	if n := len(c.X); n > 0 {
		half.Name, most.Name = "p50 "+milliseconds(*half.Values[n-1]), "p95 "+milliseconds(*most.Values[n-1])
		c.Label = "Upstream latency of " + nameOf(&s.Job) + ": " + half.Name + ", " + most.Name
	}
	return c.scaled()
}

// failures are a batch's failed lines by cause.
type failures struct {
	Causes   []cause
	Hint     string
	Retry    int64
	Download string
}

type cause struct {
	Lines         int64
	Code, Message string
	What          string // to do
	Sample        string
}

func (p *Pages) addFailures(ctx context.Context, s *jobs.Snapshot, to *jobPage) error {
	if s.Kind != jobs.KindBatch || s.Failed == 0 || s.ResultsGone {
		return nil
	}
	ref := s.Ref()
	key := fmt.Sprintf("failures/%s/%d", ref, s.Failed)
	found, err := remember(&p.memo, key, func() ([]jobs.Failure, error) { return p.Facts.Failures(ctx, ref) })
	if err != nil || len(found) == 0 {
		return err
	}
	f := &failures{Hint: grouped(s.Failed) + " of " + grouped(s.Completed+s.Failed), Retry: to.Actions.Retry}
	if s.ErrorFileID != "" {
		f.Download = "/v1/files/" + url.PathEscape(s.ErrorFileID) + "/content"
	}
	var looked int64
	for _, one := range found {
		looked += one.Lines
		f.Causes = append(f.Causes, causeOf(one))
	}
	if looked < s.Failed {
		f.Hint += "; the first " + grouped(looked) + " by cause"
	}
	to.Failures = f
	return nil
}

func causeOf(f jobs.Failure) cause {
	c := cause{Lines: f.Lines, Code: f.Code, Message: f.Message, What: remedy(f)}
	if f.Status > 0 {
		c.Code = strings.TrimSpace(fmt.Sprintf("%d %s", f.Status, f.Code))
	}
	c.Sample = strings.Join(f.Sample, ", ")
	if more := f.Lines - int64(len(f.Sample)); more > 0 && len(f.Sample) > 0 {
		c.Sample = f.Sample[0] + " and " + grouped(f.Lines-1) + " more"
	}
	return c
}

// remedy says what to do about a cause.
func remedy(f jobs.Failure) string {
	switch {
	case f.Code == "batch_expired":
		return "Retry with a longer completion window"
	case f.Code == "batch_cancelled":
		return "Retry, if these are wanted after all"
	case f.Status == 401 || f.Status == 403:
		return "Correct the provider’s key in the configuration, then retry"
	case f.Status == 404:
		return "Correct the model or the path, then send these lines as a new job"
	case f.Status == 408 || f.Status == 429 || f.Status >= 500:
		return "Retry: the cause passes by itself"
	case f.Status >= 400:
		return "Correct these lines, then send them as a new job"
	}
	return "Retry"
}

// addBodies shows what a single call sent and got.
func (p *Pages) addBodies(ctx context.Context, s *jobs.Snapshot, to *jobPage) error {
	if !s.Kind.OneCall() || s.ResultsGone {
		return nil
	}
	ref := s.Ref()
	request, err := p.Facts.Request(ctx, ref)
	if err != nil && !jobs.IsCode(err, jobs.CodeNotFound) {
		return err
	}
	to.Request, to.Result, to.Text = request, s.Result, clipped(s.ModelOutput())
	if s.Kind == jobs.KindGeneration && plainCall(s.Path, request) {
		to.Actions.Again = "/new?from=" + url.QueryEscape(s.ID)
	}
	return nil
}

// mostSteps is how many entries of a fine-tuning's log its chart is drawn from: the newest.
const mostSteps = 1000

// tuningLog is a fine-tuning's log, with the chart that is drawn from it.
type tuningLog struct {
	entries []jobs.TuningEvent
	loss    chart
}

func (p *Pages) addTuning(ctx context.Context, s *jobs.Snapshot, to *jobPage) error {
	if s.Kind != jobs.KindTuning {
		return nil
	}
	ref := s.Ref()
	log, err := remember(&p.memo, "log/"+ref.String(), func() (tuningLog, error) {
		found, _, err := p.Facts.TuningEvents(ctx, jobs.PartQuery{Job: ref, Limit: mostSteps})
		return tuningLog{found, lossChart(found, s.Total)}, err
	})
	if err != nil {
		return err
	}
	checkpoints, _, err := p.Facts.Checkpoints(ctx, jobs.PartQuery{Job: ref, Limit: 20})
	if err != nil {
		return err
	}
	if c := log.loss; len(c.X) > 1 {
		to.Charts = append(to.Charts, titledChart{Title: "Loss", Live: "chart.job.loss", Chart: c, Legend: c.Lines})
	}
	to.Checkpoints = checkpointRows(checkpoints)
	for _, e := range log.entries {
		if e.Type != "metrics" && len(to.Log) < 30 {
			to.Log = append(to.Log, logRow{At: e.CreatedAt, Tone: map[string]string{"warn": "wait", "error": "bad"}[e.Level], Message: e.Message})
		}
	}
	return nil
}

// lossChart is the loss at each step: as it was, smoothed, and of the validation.
func lossChart(log []jobs.TuningEvent, total int64) chart {
	type at struct{ train, valid *float64 }
	steps := map[int64]*at{}
	for _, e := range log {
		data := gjson.ParseBytes(e.Data)
		step := data.Get("step")
		if !step.Exists() {
			continue
		}
		a := steps[step.Int()]
		if a == nil {
			a = &at{}
			steps[step.Int()] = a
		}
		if v := data.Get("train_loss"); v.Type == gjson.Number {
			a.train = known(v.Float())
		}
		for _, key := range []string{"valid_loss", "full_valid_loss"} {
			if v := data.Get(key); v.Type == gjson.Number {
				a.valid = known(v.Float())
			}
		}
	}
	c := chart{Steps: true, Tall: true}
	each := series{Name: "each step", Kind: "thin"}
	smooth := series{Name: "training, smoothed", Kind: "line"}
	valid := series{Name: "validation", Kind: "points", Tone: "second"}
	var mean *float64
	validated := false
	c.X = slices.Sorted(maps.Keys(steps))
	for _, step := range c.X {
		a := steps[step]
		if a.train != nil {
			if mean == nil {
				mean = a.train
			}
			mean = known(*mean*0.8 + *a.train*0.2)
		}
		each.Values = append(each.Values, a.train)
		smooth.Values = append(smooth.Values, mean)
		valid.Values = append(valid.Values, a.valid)
		validated = validated || a.valid != nil
	}
	c.Lines = []series{smooth, each}
	if validated {
		c.Lines = append(c.Lines, valid)
	}
	if mean != nil {
		c.Label = fmt.Sprintf("Training loss, at step %s of %s: %.3g", grouped(c.X[len(c.X)-1]), grouped(total), *mean)
	}
	return c.scaled()
}

func checkpointRows(found []jobs.Checkpoint) (rows []checkpointRow) {
	least, at := 0.0, -1
	for i, c := range found {
		row := checkpointRow{Model: c.Model, Short: "…" + c.Model[strings.LastIndexByte(c.Model, ':')+1:], Step: grouped(c.Step), At: c.CreatedAt}
		metrics := gjson.ParseBytes(c.Metrics)
		for _, key := range []string{"full_valid_loss", "valid_loss", "train_loss"} {
			if v := metrics.Get(key); v.Type == gjson.Number {
				row.Loss = fmt.Sprintf("%.3f", v.Float())
				if at < 0 || v.Float() < least {
					least, at = v.Float(), i
				}
				break
			}
		}
		rows = append(rows, row)
	}
	if at >= 0 {
		rows[at].Least = len(rows) > 1
	}
	return rows
}

func (p *Pages) addFiles(ctx context.Context, s *jobs.Snapshot, to *jobPage) error {
	ids := []struct{ what, id string }{
		{"input", s.InputFileID}, {"validation", s.ValidationFileID}, {"output", s.OutputFileID}, {"errors", s.ErrorFileID},
	}
	if s.Kind == jobs.KindTuning {
		ids[0].what = "training"
		if s.Tuning != nil {
			for _, id := range s.Tuning.ResultFiles {
				ids = append(ids, struct{ what, id string }{"results", id})
			}
		}
	}
	for _, one := range ids {
		if one.id == "" {
			continue
		}
		link := fileLink{Name: short(one.id), What: one.what}
		f, err := p.Facts.File(ctx, jobs.Ref{ProjectID: s.ProjectID, ID: one.id})
		switch {
		case jobs.IsCode(err, jobs.CodeNotFound):
			link.What += ", deleted"
		case err != nil:
			return err
		default:
			link.Name, link.What = f.Filename, one.what+", "+size(f.Bytes)
			link.Href, link.Page = "/v1/files/"+f.ID+"/content", "/files/"+f.ID
		}
		to.Files = append(to.Files, link)
	}
	return nil
}
