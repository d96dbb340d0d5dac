package jobs

import (
	"bytes"
	"context"
	"io"
	"regexp"
	"strconv"
)

// InputCheck is what a look at an input file has found so far.
type InputCheck struct {
	Lines    int64       // that have been looked at
	Bytes    int64       // of them
	Problems []LineError // the first ones, in the order of the file; Line is nil for one that is about the whole file
	Path     string      // of a batch: what its first line calls
	Model    string      // of a batch: of its first line
	Done     bool
}

// CheckInput looks at a batch's input, or a fine-tuning's examples, as it comes in, by the rules that the job will be held to.
// It reads to the end whatever it finds, and no more than a line is in memory. An empty path is that of the first line. tell
// hears of what is found, now and then; it may be nil.
func (s *Service) CheckInput(ctx context.Context, project string, kind Kind, path string, in io.Reader, tell func(InputCheck)) (InputCheck, error) {
	if tell == nil {
		tell = func(InputCheck) {}
	}
	counted := &tally{r: in, tell: tell}
	var err error
	if kind == KindTuning {
		err = counted.examples(ctx)
	} else {
		err = counted.requests(ctx, s, project, path)
	}
	if _, drained := io.Copy(io.Discard, counted); err == nil {
		err = drained
	}
	counted.found.Done = true
	return counted.found, err
}

// tally counts lines as they are read, and tells of them.
type tally struct {
	r     io.Reader
	found InputCheck
	told  int64
	tell  func(InputCheck)
	more  func() // adds what the scan has found to found
}

// tellEvery is how many bytes go by between two tellings.
const tellEvery = 1 << 18

func (t *tally) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	t.found.Bytes += int64(n)
	t.found.Lines += int64(bytes.Count(p[:n], []byte{'\n'}))
	if t.more != nil && t.found.Bytes-t.told >= tellEvery {
		t.told = t.found.Bytes
		t.more()
		t.tell(t.found)
	}
	return n, err
}

func (t *tally) requests(ctx context.Context, s *Service, project, path string) error {
	served := func(model string) error {
		_, err := route(ctx, s.Router, s.Records, project, model)
		return err
	}
	scan := scan{job: Job{ProjectID: project, Path: path}, limits: s.Limits, served: served, seen: map[customID]struct{}{}, anyPath: path == ""}
	t.more = func() { t.found.Problems, t.found.Path, t.found.Model = scan.errs, scan.job.Path, scan.model }
	_, err := scan.run(ctx, t)
	t.more()
	if err == nil && len(scan.errs) == 0 {
		t.found.Lines = scan.total
	}
	return err
}

// examples are held to the form of their first line: which method the job will have is not known yet.
func (t *tally) examples(ctx context.Context) error {
	s := &exampleScan{param: "training_file", least: leastTraining, forms: []exampleForm{formChat, formCompletion, formPreference, formReinforcement}}
	t.more = func() { t.found.Problems = problemsOf(s) }
	err := s.run(ctx, t)
	t.more()
	if err != nil || len(s.faults) > 0 {
		return err
	}
	t.found.Lines = int64(s.examples)
	if s.examples < s.least {
		t.found.Problems = []LineError{{Code: "invalid_n_examples", Message: "The file has " + strconv.Itoa(s.examples) + " examples, but must have at least " + strconv.Itoa(s.least) + "."}}
	}
	return nil
}

var linePlace = regexp.MustCompile(`^Line (\d+)[:,] `)

func problemsOf(s *exampleScan) (all []LineError) {
	for _, fault := range s.faults {
		p := LineError{Code: "invalid_training_file", Message: fault}
		if m := linePlace.FindStringSubmatch(fault); m != nil {
			n, _ := strconv.ParseInt(m[1], 10, 64) // digits alone
			p.Line, p.Message = &n, fault[len(m[0]):]
		}
		all = append(all, p)
	}
	return all
}
