package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/rawjson"
)

// The fewest examples that a file may have (OpenAI's for training).
const (
	leastTraining   = 10
	leastValidation = 1
)

// shownFaults bounds how many bad lines the reason of a failure names.
const shownFaults = 5

// checkFiles reads a fine-tuning's files once, line by line, and moves it to queued or failed. No more than a line is in
// memory.
func (r *Runner) checkFiles(ctx context.Context, j Job) error {
	why, err := r.wrongFile(ctx, &j)
	if err != nil {
		return err
	}
	now := At(r.Now())
	return r.move(ctx, j, func(j *Job) (Effects, error) {
		if why != nil {
			return j.tuningFailed(*why, now)
		}
		return j.filesValidated(now)
	})
}

// wrongFile gives what is wrong with the first file that cannot be used; nil for nothing.
func (r *Runner) wrongFile(ctx context.Context, j *Job) (*tuningError, error) {
	forms := formsOf(gjson.GetBytes(j.Tuning.Method, "type").String())
	for _, f := range []struct {
		param, id string
		least     int
	}{{"training_file", j.InputFileID, leastTraining}, {"validation_file", j.ValidationFileID, leastValidation}} {
		if f.id == "" {
			continue
		}
		s := &exampleScan{param: f.param, least: f.least, forms: forms}
		if err := r.scanExamples(ctx, Ref{j.ProjectID, f.id}, s); err != nil {
			return nil, err
		}
		if why := s.reason(); why != nil {
			return why, nil
		}
		forms = []exampleForm{s.form} // the validation file is of the training file's form
	}
	return nil, nil
}

func (r *Runner) scanExamples(ctx context.Context, ref Ref, s *exampleScan) error {
	in, _, err := r.openInput(ctx, ref)
	if IsCode(err, CodeNotFound) || errors.Is(err, fs.ErrNotExist) {
		s.gone = ref.ID
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close()
	return s.run(ctx, in)
}

// exampleScan is one pass over a file of examples.
type exampleScan struct {
	param string // that names the file in the API
	least int    // examples
	forms []exampleForm

	form     exampleForm // of the first line that has one
	formLine int64
	examples int
	faults   []string // of the first bad lines
	bad      int      // lines
	gone     string   // the file's ID, where it has been deleted
}

func (s *exampleScan) run(ctx context.Context, in io.Reader) error {
	lines := newLineReader(in, 0, 0)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		line, _, err := lines.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errLineTooLong):
			s.blame(lines.number+1, wrong("", "it is longer than %d bytes, the most that a line may have; the lines after it were not read", MaxLine))
			return nil
		case err != nil:
			return err
		case len(line) == 0:
			continue
		}
		s.examples++
		if lines.marked && lines.number == 1 { // it goes to the provider as it is
			s.blame(1, wrong("", "it begins with a byte order mark; save the file as UTF-8 without one"))
			continue
		}
		if f := s.judge(line, lines.number); f != nil {
			s.blame(lines.number, f)
		}
	}
}

func (s *exampleScan) blame(line int64, f *fault) {
	if s.bad++; s.bad <= shownFaults {
		place := fmt.Sprintf("Line %d: ", line)
		if f.at != "" {
			place = fmt.Sprintf("Line %d, ", line)
		}
		s.faults = append(s.faults, place+f.String()+".")
	}
}

func (s *exampleScan) judge(line []byte, number int64) *fault {
	if !rawjson.Valid(line) {
		if rawjson.TooDeep(line) {
			return wrong("", "it nests deeper than %d levels", rawjson.MaxDepth)
		}
		return invalidJSON(line)
	}
	v := gjson.ParseBytes(line)
	if !v.IsObject() {
		return wrong("", "expected one JSON object on the line, not %s", kindOf(v))
	}
	m, f := membersOf("", v)
	if f != nil {
		return f
	}
	if f := s.sameForm(m, number); f != nil {
		return f
	}
	return s.form.judge(m)
}

// sameForm holds a file to one form: the method's, or that of its first line.
func (s *exampleScan) sameForm(line members, number int64) *fault {
	form := formOf(line)
	if form == formChat && slices.Contains(s.forms, formReinforcement) {
		form = formReinforcement
	}
	switch {
	case form == "":
		return wrong("", "it is no example: %s", s.wanted())
	case form == s.form:
		return nil
	case s.form != "":
		return wrong("", "it is a %s example, but line %d is a %s example; a file must hold examples of one form", form, s.formLine, s.form)
	case !slices.Contains(s.forms, form):
		return wrong("", "it is a %s example, which this job does not learn from: %s%s", form, s.wanted(), hint(form))
	}
	s.form, s.formLine = form, number
	return nil
}

// wanted says how the examples must look.
func (s *exampleScan) wanted() string {
	looks := map[exampleForm]string{
		formChat: `{"messages": […]}`, formCompletion: `{"prompt": "…", "completion": "…"}`,
		formPreference:    `{"input": {"messages": […]}, "preferred_output": […], "non_preferred_output": […]}`,
		formReinforcement: `{"messages": […], …}`,
	}
	var texts []string
	for _, form := range s.forms {
		texts = append(texts, looks[form])
	}
	return "write " + strings.Join(texts, " or ")
}

func hint(form exampleForm) string {
	if form == formPreference {
		return ", or set method.type to 'dpo'"
	}
	return ""
}

// reason is why the file cannot be used; nil where it can.
func (s *exampleScan) reason() *tuningError {
	name := "Training file"
	if s.param == "validation_file" {
		name = "Validation file"
	}
	why := &tuningError{Code: "invalid_" + s.param, Param: &s.param}
	switch {
	case s.gone != "":
		why.Message = fmt.Sprintf("%s %s has been deleted. Upload it again, and create another job with it.", name, shorten(s.gone))
	case s.bad > 0:
		why.Message = fmt.Sprintf("%s has %s that cannot be used. %s", name, countLines(s.bad), strings.Join(s.faults, " "))
		if more := s.bad - len(s.faults); more > 0 {
			why.Message += fmt.Sprintf(" And %d more.", more)
		}
	case s.examples < s.least:
		why.Code = "invalid_n_examples"
		why.Message = fmt.Sprintf("%s has %d example(s), but must have at least %d examples", name, s.examples, s.least)
	default:
		return nil
	}
	return why
}

func countLines(n int) string {
	if n == 1 {
		return "1 line"
	}
	return fmt.Sprintf("%d lines", n)
}
