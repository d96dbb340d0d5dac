package history

import (
	"time"

	"github.com/ringback/ringback/jobs"
)

// Sample is a gauge's number at an instant.
type Sample struct {
	At jobs.Time
	N  int64
}

const (
	// repeatAfter is when a number is written again that has not changed, so that it is known that somebody still looks. Zero is
	// not: while nothing goes on nothing is written.
	repeatAfter = 10 * time.Minute
	// staleAfter is how long a number holds that is not zero: then nobody looks any more.
	staleAfter = 15 * time.Minute
)

// Follow gives the sample to write after the last one; false where there is nothing new to say. The zero Sample is none.
func (s Sample) Follow(n int64, now jobs.Time) (next Sample, write bool) {
	next = Sample{slotAt(now, SpanGauges), n}
	if n == s.N {
		write = n > 0 && now >= s.At.Add(repeatAfter)
	} else {
		write = true
	}
	return next, write
}

// Carry gives a gauge's points from its samples, oldest first: the first may be older than since. Each point has the last
// sample before its end; there is none where nobody looked.
func Carry(samples []Sample, since, until jobs.Time, step time.Duration) (points []Point) {
	if len(samples) == 0 {
		return nil
	}
	var last Sample
	at := max(since, slotAt(samples[0].At, step))
	for ; at < until; at = at.Add(step) {
		for len(samples) > 0 && samples[0].At < at.Add(step) {
			last, samples = samples[0], samples[1:]
		}
		if last.N == 0 || at < last.At.Add(staleAfter) {
			points = append(points, Point{At: at, Span: step, N: last.N})
		}
	}
	return points
}
