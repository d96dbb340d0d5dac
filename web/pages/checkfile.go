package pages

import (
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"sync"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
)

// checks are the looks at files that are coming in, by the number that the browser gave each.
type checks struct {
	mu   sync.Mutex
	byID map[string]jobs.InputCheck
}

// mostChecks bounds how many are remembered, and maxCheckID their numbers: a browser's are UUIDs.
const (
	mostChecks = 100
	maxCheckID = 64
)

// note keeps what a look has found so far. One whose browser gave it no number is not asked for.
func (c *checks) note(id string, found jobs.InputCheck) {
	if id == "" || len(id) > maxCheckID {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID == nil {
		c.byID = map[string]jobs.InputCheck{}
	}
	if _, known := c.byID[id]; !known && len(c.byID) >= mostChecks {
		return // it is told of at its end
	}
	c.byID[id] = found
}

func (c *checks) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byID, id)
}

func (c *checks) of(id string) (jobs.InputCheck, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok := c.byID[id]
	return found, ok
}

// checkView is what a look at a file has found.
type checkView struct {
	FileID, Name string
	Size         string
	Words        string
	Path, Model  string
	Problems     []problem
	More         int
	Bad          bool
	Error        string
}

type problem struct {
	Line    int64
	Message string
	What    string // to do
}

// shownProblems is how many of a file's problems are shown at once.
const shownProblems = 10

func viewOf(found jobs.InputCheck) checkView {
	v := checkView{Path: found.Path, Model: found.Model, Bad: len(found.Problems) > 0}
	v.Words = plural(found.Lines, "line", "lines") + " checked"
	for i, e := range found.Problems {
		if i == shownProblems {
			v.More = len(found.Problems) - shownProblems
			break
		}
		p := problem{Message: e.Message, What: problemRemedies[e.Code]}
		if e.Line != nil {
			p.Line = *e.Line
		}
		v.Problems = append(v.Problems, p)
	}
	switch n := len(found.Problems); {
	case n >= 100:
		v.Words += ", 100 problems and more"
	case n > 0:
		v.Words += ", " + plural(int64(n), "problem", "problems")
	case found.Done:
		v.Words += ", all valid"
	}
	return v
}

// problemRemedies say what to do about a line.
var problemRemedies = map[string]string{
	"duplicate_custom_id":        "Give each line its own custom_id.",
	"invalid_json_line":          "Write one JSON object on each line.",
	"mismatched_model":           "Move the line to a batch of its own.",
	"invalid_url":                "Move the line to a batch of its own, or correct its url.",
	"missing_required_parameter": "A line has custom_id, method, url and body.",
	"model_not_found":            "Correct the model, or have the operator add a provider for it.",
	"streaming_unsupported":      "Leave stream out of the body.",
	"empty_file":                 "Choose another file.",
	"too_many_tasks":             "Split the file.",
}

// maxFields bounds what a form says beside its file.
const maxFields = 64 << 10

// checkFile takes a file, keeps it, and looks at it on its way.
func (p *Pages) checkFile(w http.ResponseWriter, r *http.Request) error {
	parts, err := r.MultipartReader()
	if err != nil {
		return jobs.Errorf(jobs.CodeInvalid, "", "Choose a file to upload.")
	}
	fields, room := map[string]string{}, int64(maxFields)
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return jobs.Errorf(jobs.CodeInvalid, "", "Choose a file to upload.")
		}
		if err != nil {
			return jobs.Errorf(jobs.CodeInvalid, "", "The upload broke off. Try again.")
		}
		if part.FormName() == "file" && part.FileName() != "" {
			return p.takeFile(w, r, part, fields)
		}
		text, err := io.ReadAll(io.LimitReader(part, room+1))
		if room -= int64(len(part.FormName()) + len(text)); err != nil || room < 0 {
			return jobs.Errorf(jobs.CodeInvalid, "", "The upload broke off. Try again.")
		}
		fields[part.FormName()] = string(text)
	}
}

func (p *Pages) takeFile(w http.ResponseWriter, r *http.Request, part *multipart.Part, fields map[string]string) error {
	kind, purpose := jobs.KindBatch, jobs.PurposeBatch
	if fields["kind"] == "fine_tuning" {
		kind, purpose = jobs.KindTuning, "fine-tune"
	}
	name, id := part.FileName(), fields["check"]
	defer p.checks.forget(id)
	look, feed := io.Pipe()
	var found jobs.InputCheck
	var looked error
	var looking sync.WaitGroup
	looking.Go(func() {
		found, looked = p.Check(r.Context(), p.Project(r), kind, "", look, func(so jobs.InputCheck) { p.checks.note(id, so) })
		_ = look.CloseWithError(looked)
	})
	made, err := p.upload(r, name, purpose, io.TeeReader(part, feed))
	_ = feed.CloseWithError(err)
	looking.Wait()
	v := viewOf(found)
	v.Name = name
	if e, refused := refusal(err); refused {
		v.Error = e.Message
	} else if err != nil {
		return err
	} else if looked != nil {
		return looked
	}
	v.FileID, v.Size = gjson.GetBytes(made, "id").String(), size(gjson.GetBytes(made, "bytes").Int())
	if inPlace(r) {
		return p.part(w, r, http.StatusOK, "new.html", "checked", v)
	}
	if v.Error != "" || v.Bad {
		shown := &composerPage{Kind: string(kind), Check: &v, Headers: []headerRow{{}}}
		if err := p.complete(r.Context(), r, shown); err != nil {
			return err
		}
		return p.again(w, r, http.StatusBadRequest, "new.html", "/new", shown)
	}
	return done(w, r, "/new?kind="+url.QueryEscape(string(kind))+"&file="+url.QueryEscape(v.FileID)+"&path="+url.QueryEscape(v.Path), "")
}

// upload hands a file on to the API as it comes.
func (p *Pages) upload(r *http.Request, name, purpose string, content io.Reader) ([]byte, error) {
	out, in := io.Pipe()
	form := multipart.NewWriter(in)
	var sent sync.WaitGroup
	sent.Go(func() { _ = in.CloseWithError(fill(form, name, purpose, content)) })
	defer sent.Wait()
	made, err := p.stream(r, http.MethodPost, "/v1/files", form.FormDataContentType(), out)
	_ = out.CloseWithError(io.ErrClosedPipe) // what was refused is read no further
	return made, err
}

// fill writes the form of an upload.
func fill(form *multipart.Writer, name, purpose string, content io.Reader) error {
	if err := form.WriteField("purpose", purpose); err != nil {
		return err
	}
	to, err := form.CreateFormFile("file", name)
	if err != nil {
		return err
	}
	if _, err := io.Copy(to, content); err != nil {
		return err
	}
	return form.Close()
}

// checkProgress tells what has been found of a file that is still coming in.
func (p *Pages) checkProgress(w http.ResponseWriter, r *http.Request) error {
	found, ok := p.checks.of(r.URL.Query().Get("check"))
	if !ok {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	v := viewOf(found)
	html, err := p.partText("new.html", "problems", v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(map[string]string{"words": v.Words, "html": html})
}
