package pages

import (
	"strconv"

	"github.com/ringback/ringback/jobs"
)

// badge says what something means: a tone, a sign of its own shape, and a word.
type badge struct{ Tone, Icon, Word string }

// bar is how far something is, in hundredths of a percent of its length.
type bar struct {
	Label        string
	Now, Max     int64
	Tone         string
	Done, Failed string // widths, as 63.8%
	FailedAt     string
	Flight       string
	FlightAt     string
	Large        bool
}

// least is the width that any failure has, so that one among thousands is seen.
const least = 0.6

// newBar is the bar of so many done, failed and in flight of a total.
func newBar(label string, done, failed, flight, total int64, tone string) *bar {
	b := &bar{Label: label, Now: done + failed, Max: total, Tone: tone}
	if total <= 0 {
		b.Max, b.Done = 1, "0%"
		return b
	}
	share := func(n int64) float64 { return 100 * float64(n) / float64(total) }
	bad, fly := share(failed), share(flight)
	if failed > 0 {
		bad = max(bad, least)
	}
	if flight > 0 {
		fly = max(fly, least)
	}
	good := min(share(done), 100-bad)
	fly = min(fly, 100-bad-good)
	b.Done = percent(good)
	if bad > 0 {
		b.Failed, b.FailedAt = percent(bad), percent(good)
	}
	if fly > 0 {
		b.Flight, b.FlightAt = percent(fly), percent(good+bad)
	}
	return b
}

func percent(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) + "%" }

// statusBadge says a job's state.
func statusBadge(j *jobs.Job) badge {
	switch j.Status {
	case jobs.Completed, jobs.Succeeded:
		return badge{"ok", "s-ok", sentence(string(j.Status))}
	case jobs.Failed:
		return badge{"bad", "s-bad", "Failed"}
	case jobs.Incomplete:
		return badge{"wait", "s-warn", "Cut short"}
	case jobs.Expired:
		return badge{"wait", "clock", "Expired"}
	case jobs.Cancelled:
		return badge{"off", "s-off", "Cancelled"}
	case jobs.Cancelling:
		return badge{"off", "s-run", "Cancelling"}
	case jobs.Queued:
		if j.BlockedBy == jobs.BlockedByProvider {
			return badge{"bad", "s-warn", "Stuck"}
		}
		return badge{"off", "s-wait", "Queued"}
	case jobs.Paused:
		return badge{"off", "pause", "Paused"}
	case jobs.Validating, jobs.ValidatingFiles:
		return badge{"run", "s-run", "Checking"}
	case jobs.Finalizing:
		return badge{"run", "s-run", "Writing files"}
	}
	if j.BlockedBy == jobs.BlockedByProvider {
		return badge{"bad", "s-warn", "Stuck"}
	}
	if j.Status == jobs.Running {
		return badge{"run", "s-run", "Running"}
	}
	return badge{"run", "s-run", "In progress"}
}

// sentence begins a word with a capital.
func sentence(word string) string {
	if word == "" {
		return ""
	}
	return string(word[0]-'a'+'A') + word[1:]
}

// kindIcon is the sign of a kind, and kindWord its name.
func kindIcon(k jobs.Kind) string {
	switch k {
	case jobs.KindBatch:
		return "batch"
	case jobs.KindTuning:
		return "tune"
	case jobs.KindResponse:
		return "resp"
	}
	return "gen"
}

func kindWord(k jobs.Kind) string {
	switch k {
	case jobs.KindBatch:
		return "Batch"
	case jobs.KindTuning:
		return "Fine-tuning"
	case jobs.KindResponse:
		return "Response"
	}
	return "Generation"
}
