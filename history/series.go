package history

import (
	"slices"
	"time"

	"github.com/ringback/ringback/jobs"
)

// The series. About says what a point is about; empty is all of the project.
const (
	// LinesOK counts answers: of batches' lines, and of single calls that ended. Its spread is of how long the call took that
	// brought the answer. About "" and about each batch's ID. What a retried batch has taken over is not counted again.
	LinesOK = "lines.ok"
	// LinesFailed counts lines and single calls that ended without one, of the same abouts. Lines that were never called,
	// because their batch was cancelled or expired, are in neither.
	LinesFailed = "lines.failed"

	// CallsOK counts calls to a provider that were answered; about its name. Its spread is of how long they took, streams to
	// their end. A line may take several calls.
	CallsOK = "calls.ok"
	// CallsFailed counts those that were not, for whatever reason but a 429 or Ringback's own.
	CallsFailed = "calls.failed"
	// CallsLimited counts those that were answered with 429.
	CallsLimited = "calls.limited"

	// CallbacksDelivered counts attempts at callbacks that were accepted; about "" and about each endpoint's ID. Its spread is
	// of how long they took.
	CallbacksDelivered = "callbacks.delivered"
	// CallbacksRetried counts attempts that failed and are made again.
	CallbacksRetried = "callbacks.retried"
	// CallbacksGaveUp counts deliveries that were given up: after their last attempt, or as they waited too long.
	CallbacksGaveUp = "callbacks.gave_up"

	// TokensInput counts the tokens that providers reported for what was sent; about a model's name. It counts when the line's
	// or the call's outcome is recorded.
	TokensInput = "tokens.input"
	// TokensOutput counts those of the answers.
	TokensOutput = "tokens.output"

	// JobsRunning is a gauge: how many jobs are being worked on, about "". It is sampled each minute, and counts 20,000 at most.
	JobsRunning = "jobs.running"
	// JobsWaiting is a gauge too: how many jobs are queued.
	JobsWaiting = "jobs.waiting"
)

// Gauge tells whether a series holds samples instead of counts: N of a point is the last one, and it is carried forward.
func Gauge(series string) bool { return series == JobsRunning || series == JobsWaiting }

// coarse is the span of the slots that lines and calls have beside their own, so that a chart of a day or a week reads few
// rows.
const coarse = 5 * time.Minute

// SpanGauges is how often gauges are sampled.
const SpanGauges = time.Minute

// spansOf are the spans of a series' slots, the finest first: each counts all. Of a batch's own see BatchSpan.
var spansOf = map[string][]time.Duration{
	LinesOK: {10 * time.Second, coarse}, LinesFailed: {10 * time.Second, coarse},
	CallsOK: {time.Minute, coarse}, CallsFailed: {time.Minute, coarse}, CallsLimited: {time.Minute, coarse},
	CallbacksDelivered: {coarse}, CallbacksRetried: {coarse}, CallbacksGaveUp: {coarse},
	TokensInput: {10 * time.Minute}, TokensOutput: {10 * time.Minute},
	JobsRunning: {SpanGauges}, JobsWaiting: {SpanGauges},
}

// SpanFor is the span of the slots to read for steps of a length: the longest of which a step is a multiple, else the
// finest. Zero is for a batch's own, of which all are read.
func SpanFor(series, about string, step time.Duration) (span time.Duration) {
	if OfBatch(series, about) {
		return 0
	}
	for i, s := range spansOf[series] {
		if i == 0 || step > 0 && step%s == 0 {
			span = s
		}
	}
	return span
}

// batchSpans grow with a batch's age, so that a day of it has no more than about 800 slots from each process, a week 1,700.
var batchSpans = []struct{ until, span time.Duration }{
	{4 * time.Minute, time.Second},
	{40 * time.Minute, 10 * time.Second},
	{4 * time.Hour, time.Minute},
}

const oldBatchSpan = 10 * time.Minute

// BatchSpan is the span of a batch's slots when its work began so long ago.
func BatchSpan(age time.Duration) time.Duration {
	for _, s := range batchSpans {
		if age < s.until {
			return s.span
		}
	}
	return oldBatchSpan
}

// OfBatch tells whether a series is a batch's own, which goes with the job.
func OfBatch(series, about string) bool {
	return about != "" && slices.Contains([]string{LinesOK, LinesFailed}, series)
}

// slotAt is the start of the slot in which an instant lies.
func slotAt(now jobs.Time, span time.Duration) jobs.Time {
	return now - now%jobs.Time(span.Milliseconds())
}
