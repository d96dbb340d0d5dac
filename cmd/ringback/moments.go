package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// rounded is 5s, 4m, 3h or 2d: as exact as an age needs to be.
func rounded(d time.Duration) string {
	switch d = max(d, 0); {
	case d < 90*time.Second:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < 90*time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 36*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
}

// unix reads a time in Unix seconds; null and absent are the zero time.
func unix(v gjson.Result) time.Time {
	if v.Type != gjson.Number || v.Int() <= 0 {
		return time.Time{}
	}
	return time.Unix(v.Int(), 0)
}

// ago is the time since a moment, or "".
func ago(v gjson.Result, now time.Time) string {
	at := unix(v)
	if at.IsZero() {
		return ""
	}
	return rounded(now.Sub(at))
}

// moment is a time with how far it is away: "2026-01-02 15:04:05 (4m ago)".
func moment(at, now time.Time) string {
	return at.Format(time.DateTime) + " (" + distance(at, now) + ")"
}

// distance is "4m ago" or "in 4m".
func distance(at, now time.Time) string {
	if at.After(now) {
		return "in " + rounded(at.Sub(now))
	}
	return rounded(now.Sub(at)) + " ago"
}

// readPast reads a moment as the API does, or as a time ago: 90m, 2d. It gives
// RFC 3339; "" for "".
func readPast(flag, text string, now time.Time) (string, error) {
	return readTime(flag, text, now, -1)
}

// readFuture is readPast where a time is one from now on.
func readFuture(flag, text string, now time.Time) (string, error) {
	return readTime(flag, text, now, +1)
}

func readTime(flag, text string, now time.Time, sign time.Duration) (string, error) {
	if text == "" {
		return "", nil
	}
	if at, err := readInstant(text); err == nil {
		return at.UTC().Format(time.RFC3339), nil
	}
	if d, err := readSpan(text); err == nil && d >= 0 {
		return now.Add(sign * d).UTC().Format(time.RFC3339), nil
	}
	return "", usagef("--%s %q is none of: a time from now or ago (90m, 2d), RFC 3339 (2027-01-25T00:00:00Z), Unix seconds", flag, text)
}

// readSpan reads a duration, in days too.
func readSpan(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err
	}
	return time.ParseDuration(text)
}
