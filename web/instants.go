package web

import (
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/jobs"
)

// lastInstant is the end of the year 9999, RFC 3339's last, in Unix seconds. Milliseconds of today lie beyond it, so
// that nobody sends them by mistake.
const lastInstant = 253402300799

// instant reads a moment in Unix seconds, as a number or in a string, or in RFC 3339; absent is zero. A moment that is
// there is never zero: zero would mean no bound.
func (f fields) instant(key string) (jobs.Time, error) {
	v, name := f.members[key], f.path+key
	text := v.Raw // a number as it was written: a float64 would round it
	switch v.Type {
	case gjson.Null:
		return 0, nil
	case gjson.String:
		text = v.Str
	case gjson.Number:
	default:
		return 0, typeError(name, "Unix seconds or a time in RFC 3339", v)
	}
	at, ok := parseInstant(text)
	if !ok {
		return 0, jobs.Errorf(jobs.CodeValue, name, "Invalid value for '%s': '%s'. Expected whole Unix seconds from 1, as 1706140800, or a time in RFC 3339, as '2024-01-25T00:00:00Z'.", name, text)
	}
	return at, nil
}

func parseInstant(text string) (jobs.Time, bool) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return jobs.At(time.Unix(n, 0)), n >= 1 && n <= lastInstant
	}
	// A query's "+02:00" arrives as " 02:00" where the client did not escape it.
	at, err := time.Parse(time.RFC3339, strings.ReplaceAll(text, " ", "+"))
	return jobs.At(at), err == nil && at.Unix() >= 1
}

// checkSpan refuses a span that ends before it begins. Zero is no bound.
func checkSpan(sinceName string, since jobs.Time, untilName string, until jobs.Time) error {
	if since != 0 && until != 0 && until <= since {
		return jobs.Errorf(jobs.CodeValue, untilName, "Invalid value for '%s': it must be later than '%s'.", untilName, sinceName)
	}
	return nil
}
