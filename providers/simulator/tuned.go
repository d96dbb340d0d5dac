package simulator

import (
	"strings"
	"time"
)

const (
	maxLessons = 128
	maxLesson  = 16 << 10
)

// Lessons are answers from a training file. A tuned model composes its own from
// them, so that they have the same form.
type lessons []string

// A sample keeps up to 128 answers, spread evenly over all that it is given.
type sample struct {
	kept   lessons
	stride int
	seen   int
}

// add passes over empty answers and those of more than 16 KiB.
func (s *sample) add(answer string) {
	if answer == "" || len(answer) > maxLesson {
		return
	}
	s.stride = max(1, s.stride)
	if s.seen%s.stride == 0 {
		if len(s.kept) == maxLessons {
			s.thin()
		}
		if s.seen%s.stride == 0 {
			s.kept = append(s.kept, answer)
		}
	}
	s.seen++
}

func (s *sample) thin() {
	for i := range maxLessons / 2 {
		s.kept[i] = s.kept[2*i]
	}
	s.kept = s.kept[:maxLessons/2]
	s.stride *= 2
}

// appendAnswer opens as one lesson does and closes as another. It tries again
// while the text has more tokens than the limit, so that its end is not cut off.
func (l lessons) appendAnswer(dst []byte, state uint64, limit int) []byte {
	const attempts = 16
	start := len(dst)
	for range attempts {
		opening, _ := halves(l[state%uint64(len(l))])
		state = mix(state + 1)
		_, closing := halves(l[state%uint64(len(l))])
		dst = append(append(dst[:start], opening...), closing...)
		if countTokens(dst[start:]) <= limit {
			break
		}
		state = mix(state + 1)
	}
	return dst
}

// halves parts an answer between two lines. One line is all closing.
func halves(answer string) (opening, closing string) {
	lines := strings.SplitAfter(answer, "\n")
	half := len(lines) / 2
	return strings.Join(lines[:half], ""), strings.Join(lines[half:], "")
}

// findTuned knows a tuned model, or a checkpoint of one.
func (s *Simulator) findTuned(name string) (model, lessons, *problem) {
	a, err := s.open()
	if err != nil {
		return "", nil, storageFailed(err)
	}
	t, found := a.tuned(name, s.now())
	if !found {
		return "", nil, unknownModel(name)
	}
	return model(name), t.Lessons, nil
}

// tuned gives the job whose model, or one of whose checkpoints, has this name
// and answers now.
func (a *account) tuned(name string, now time.Time) (tuning, bool) {
	whole, _, part := strings.Cut(name, checkpointMark)
	t, found := a.tunings.find(func(t *tuning) bool { return t.Name == whole })
	if !found || t.ModelDeleted {
		return t, false
	}
	if !part {
		return t, t.status(now) == tuningSucceeded
	}
	for _, c := range t.checkpoints(now) {
		if c.Model == name {
			return t, true
		}
	}
	return t, false
}

func (t *tuning) modelObject(name string) modelObject {
	return modelObject{name, "model", t.finished().Unix(), "org-ringback"}
}
