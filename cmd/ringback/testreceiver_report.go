package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	verdictPass = "pass"
	verdictWarn = "warn"
	verdictFail = "fail"
	verdictSkip = "skip"
)

// trialRow is how a receiver did in one case. Answers are the status codes, 0
// where none came; DurationMS is the slowest's.
type trialRow struct {
	Case       string `json:"case"`
	Verdict    string `json:"verdict"` // pass, warn, fail or skip
	Want       string `json:"want"`    // 2xx or 4xx
	Answers    []int  `json:"answers"`
	DurationMS int64  `json:"duration_ms"`
	Mend       string `json:"mend,omitempty"`
}

// trialReport is the whole trial. Passed means that no row failed and none was
// left out.
type trialReport struct {
	URL      string     `json:"url"`
	Passed   bool       `json:"passed"`
	Requests int        `json:"requests"`
	Repeated string     `json:"repeated_event"` // must have been acted on once
	Cases    []trialRow `json:"cases"`
}

func (r *trialReport) add(row trialRow) {
	r.Cases = append(r.Cases, row)
	r.Requests += len(row.Answers)
	r.Passed = r.Passed && row.Verdict != verdictFail && row.Verdict != verdictSkip
}

// judge makes a case's row out of its answers: the worst of them counts.
func (t *trial) judge(c trialCase, results []forwarded) trialRow {
	row := trialRow{Case: c.name, Want: c.want.String(), Verdict: verdictPass}
	worst := 0
	for _, result := range results {
		row.Answers = append(row.Answers, result.Status)
		row.DurationMS = max(row.DurationMS, result.Took.Milliseconds())
		verdict, mend := t.verdict(c, result)
		if rank := slices.Index([]string{verdictPass, verdictWarn, verdictFail}, verdict); rank > worst {
			worst, row.Verdict, row.Mend = rank, verdict, mend
		}
	}
	return row
}

func (t *trial) verdict(c trialCase, r forwarded) (verdict, mend string) {
	switch {
	case isTimeout(r.Err):
		return verdictFail, fmt.Sprintf("no answer within %s: answer 2xx first, work afterwards", t.slowest)
	case r.Err == nil && r.Status/100 == 3:
		return verdictFail, redirectAdvice(r.Location)
	case c.want == wantRefused:
		verdict, mend = refusal(c, r)
	default:
		verdict, mend = taking(c, r)
	}
	if verdict == verdictPass && r.Took > t.slow {
		return verdictWarn, fmt.Sprintf("it took %s, and %s is the end: answer 2xx first, work afterwards", r.Took.Round(100*time.Millisecond), t.slowest)
	}
	return verdict, mend
}

// taking judges the answer to a callback that must be taken.
func taking(c trialCase, r forwarded) (verdict, mend string) {
	switch {
	case r.delivered():
		return verdictPass, ""
	case r.Err != nil || c.mend == "" || r.Status == http.StatusTooManyRequests:
		return verdictFail, advice(r)
	}
	return verdictFail, c.mend
}

// refusal judges the answer to what must be refused. A program that falls over
// did refuse it, but Ringback would send such a callback again and again.
func refusal(c trialCase, r forwarded) (verdict, mend string) {
	switch {
	case r.Err != nil:
		return verdictWarn, errorAdvice(r.Err) + "; a plain 4xx is the answer here"
	case r.Status == http.StatusTooManyRequests:
		return verdictWarn, "a limit of its rate answered, so this shows nothing: try again without it"
	case r.Status/100 == 4, r.Status == http.StatusNotImplemented: // 501: of methods that a server does not have
		return verdictPass, ""
	case r.Status >= 500:
		return verdictWarn, "it fell over instead of refusing: answer 4xx, and look in its log for the reason"
	case c.should:
		return verdictWarn, c.mend
	}
	return verdictFail, c.mend
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// print writes the table; what to mend stands below its row.
func (r trialReport) print(s *screen) {
	s.printf("%s\n\n", r.URL)
	count := map[string]int{}
	for _, row := range r.Cases {
		count[row.Verdict]++
		if row.Verdict == verdictSkip {
			continue
		}
		verdict := s.paint(verdictStyle(row.Verdict), row.Verdict)
		s.printf("  %s  %-31s want %s  got %-8s %6d ms\n", verdict, row.Case, row.Want, row.answers(), row.DurationMS)
		if row.Mend != "" {
			s.printf("        %s\n", wrapped(row.Mend, "        ", s.width()))
		}
	}
	s.printf("\n%d passed, %d to look at, %d failed%s\n", count[verdictPass], count[verdictWarn], count[verdictFail], r.skipped(count[verdictSkip]))
	if r.Passed {
		s.printf("Event %s was sent %d times: see in your program that it was acted on once.\n", r.Repeated, atOnceCallbacks+2)
	}
}

// skipped says how many cases were left out, and why.
func (r trialReport) skipped(count int) string {
	if count == 0 {
		return ""
	}
	return fmt.Sprintf(", %d %s", count, r.Cases[len(r.Cases)-1].Mend)
}

// answers lists each status once; --- is where none came.
func (r trialRow) answers() string {
	var texts []string
	for _, status := range slices.Compact(slices.Sorted(slices.Values(r.Answers))) {
		text := "---"
		if status > 0 {
			text = strconv.Itoa(status)
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ",")
}

func verdictStyle(verdict string) string {
	switch verdict {
	case verdictPass:
		return styleGreen
	case verdictFail:
		return styleRed
	}
	return styleBold
}
