package simulator

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

const (
	maxPage         = 100
	usualPage       = 20
	usualCheckpoint = 10
)

func noTuning(id string) *problem {
	return &problem{
		status: http.StatusNotFound, typ: invalidRequest, param: "fine_tuning_job_id", code: "fine_tune_not_found",
		message: "Could not find fine tune: " + id,
	}
}

// listTunings shows jobs whose metadata has all the pairs that the query names
// as metadata[key]=value; metadata=null are those without any.
func listTunings(a *account, c *call) *problem {
	var list []tuningObject
	query := c.r.URL.Query()
	for _, t := range a.tunings.all() {
		if t.fits(query) {
			list = append(list, t.object(c.started))
		}
	}
	return replyPage(c, list, func(o tuningObject) string { return o.ID }, maxPage, usualPage)
}

func (t *tuning) fits(query url.Values) bool {
	metadata := gjson.ParseBytes(t.Metadata)
	if query.Get("metadata") == "null" && len(metadata.Map()) > 0 {
		return false
	}
	for name := range query {
		key, closed := strings.CutSuffix(name, "]")
		key, opened := strings.CutPrefix(key, "metadata[")
		if !opened || !closed {
			continue
		}
		if got, found := metadata.Map()[key]; !found || got.Str != query.Get(name) {
			return false
		}
	}
	return true
}

func getTuning(a *account, c *call) *problem {
	t, p := a.pathTuning(c)
	if p != nil {
		return p
	}
	return c.reply(t.object(c.started))
}

func (a *account) pathTuning(c *call) (tuning, *problem) {
	id := c.r.PathValue("id")
	t, found := a.tunings.get(id)
	if !found {
		return t, noTuning(id)
	}
	return t, nil
}

// moveTuning carries out cancel, pause or resume.
func moveTuning(move func(t *tuning, now time.Time) *problem) func(*account, *call) *problem {
	return func(a *account, c *call) *problem {
		t, p := a.pathTuning(c)
		if p != nil {
			return p
		}
		t, p = a.tunings.change(t.ID, func(t *tuning) *problem { return move(t, c.started) })
		if p != nil {
			return p
		}
		return c.reply(t.object(c.started))
	}
}

func tuningEvents(a *account, c *call) *problem {
	t, p := a.pathTuning(c)
	if p != nil {
		return p
	}
	return replyPage(c, t.events(c.started), func(e tuningEvent) string { return e.ID }, maxPage, usualPage)
}

func tuningCheckpoints(a *account, c *call) *problem {
	t, p := a.pathTuning(c)
	if p != nil {
		return p
	}
	return replyPage(c, t.checkpoints(c.started), func(k checkpoint) string { return k.ID }, maxPage, usualCheckpoint)
}

// settle writes the result files of the jobs that have succeeded since it was
// last called.
func (a *account) settle(now time.Time) error {
	a.settling.Lock()
	defer a.settling.Unlock()
	for {
		t, found := a.tunings.find(func(t *tuning) bool { return !t.Settled && t.status(now) == tuningSucceeded })
		if !found {
			return nil
		}
		if err := a.keepResults(&t); err != nil {
			return fmt.Errorf("write the results of %s: %w", t.ID, err)
		}
		_, p := a.tunings.change(t.ID, func(t *tuning) *problem {
			t.Settled = true
			return nil
		})
		if p != nil {
			return fmt.Errorf("settle %s: %s", t.ID, p.message)
		}
	}
}

func (a *account) keepResults(t *tuning) error {
	out, err := a.spool()
	if err != nil {
		return err
	}
	defer out.discard()
	if err := t.writeResults(out); err != nil {
		return err
	}
	_, err = a.keepFile(out, file{
		ID: t.resultFile(), Name: "step_metrics.csv", Purpose: "fine-tune-results", Created: t.finished(),
	})
	return err
}
