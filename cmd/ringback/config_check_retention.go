package main

import "time"

// shortestKept is the least period: what has just ended may still be read by those who waited for it.
const shortestKept = time.Minute

// checkRetention wants each period long enough to be read in, and an event kept no longer than what says who has got it:
// a replay of what is missing would send it again.
func (l *configLoader) checkRetention(r RetentionConfig) {
	for _, p := range []struct {
		key  string
		keep time.Duration
	}{{"files", r.Files}, {"results", r.Results}, {"events", r.Events}, {"attempts", r.Attempts}, {"jobs", r.Jobs}} {
		l.require(p.keep == 0 || p.keep >= shortestKept, "retention."+p.key, "is %s: it must be at least 1m, or 0 to keep for ever", shortDuration(p.keep))
	}
	for _, p := range []struct {
		key  string
		keep time.Duration
	}{{"attempts", r.Attempts}, {"jobs", r.Jobs}} {
		if l.hasProblem("retention.events") {
			return
		}
		l.require(keptAsLong(p.keep, r.Events), "retention."+p.key,
			"is %s, and retention.events %s: events may not be kept longer than the deliveries that say who has got them. Lengthen it, or shorten retention.events", keptFor(p.keep), keptFor(r.Events))
	}
}

// keptAsLong compares periods of which 0 is the longest.
func keptAsLong(keep, other time.Duration) bool { return keep == 0 || other != 0 && keep >= other }

func keptFor(keep time.Duration) string {
	if keep == 0 {
		return "0 (for ever)"
	}
	return shortDuration(keep)
}
