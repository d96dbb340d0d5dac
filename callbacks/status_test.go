package callbacks

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// R6: the table "What an answer does", over the wire: what each status leads to, and whether its Retry-After counts.
func TestWhatAnAnswerDoes(t *testing.T) {
	t.Parallel()
	const hour = "3600" // longer than the schedule's five minutes
	retried := func(codes ...int) map[int]string { return each(codes, "retried") }
	for row, c := range map[string]struct {
		codes map[int]string
		obeys bool
	}{
		"2xx":      {each([]int{200, 201, 202, 203, 204, 205, 206, 226, 299}, "delivered"), false},
		"3xx":      {each([]int{300, 301, 302, 303, 304, 305, 307, 308, 399}, "redirect"), false},
		"4xx":      {retried(400, 401, 402, 403, 404, 405, 406, 407, 409, 411, 412, 413, 414, 415, 417, 418, 421, 422, 423, 424, 426, 428, 431, 451, 499), false},
		"may ask":  {retried(408, 425, 429, 500, 501, 502, 503, 504, 505, 507, 508, 511, 599), true},
		"gone":     {each([]int{410}, "ended"), false},
		"no class": {retried(600, 999), false},
	} {
		for code, want := range c.codes {
			t.Run("R6 "+row+" "+strconv.Itoa(code), func(t *testing.T) {
				t.Parallel()
				r := receive(t, func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Retry-After", hour)
					w.WriteHeader(code)
				})
				got := post(t, openPoster(t), r.URL)
				d := steady().Decide(got, 1, time.Now())
				require.Equal(t, code, got.StatusCode)
				require.Equal(t, outcome(want, code), [2]string{string(d.State), d.Reason})
				switch {
				case c.obeys:
					require.Equal(t, time.Hour, d.Delay)
				case d.State == Waiting:
					require.Equal(t, 5*time.Minute, d.Delay)
				}
				require.Equal(t, want == "ended", d.Disable != "", "a registered endpoint is disabled")
				require.Len(t, r.messages(), 1)
			})
		}
	}
}

func each(codes []int, want string) map[int]string {
	m := map[int]string{}
	for _, code := range codes {
		m[code] = want
	}
	return m
}

// outcome is the state and the reason of a delivery after its first attempt.
func outcome(want string, code int) [2]string {
	switch want {
	case "delivered":
		return [2]string{"delivered", ""}
	case "redirect":
		return [2]string{"waiting", "redirect"}
	case "ended":
		return [2]string{"failed", "gone"}
	}
	return [2]string{"waiting", "status_" + strconv.Itoa(code)}
}

// R7: what a receiver wishes on a failure, over the wire, in any case of letters.
func TestWishesOverTheWire(t *testing.T) {
	t.Parallel()
	for row, c := range map[string]struct {
		wish   []string
		code   int
		state  State
		reason string
	}{
		"abort-message":    {[]string{"abort-message"}, 500, Failed, "abort-message"},
		"disable":          {[]string{"Disable"}, 500, Failed, "disable"},
		"disable on a 404": {[]string{"disable"}, 404, Failed, "disable"},
		"disable on a 302": {[]string{"disable"}, 302, Failed, "disable"},
		"abort on a 2xx":   {[]string{"abort-message"}, 204, Delivered, ""},
		"another wish":     {[]string{"later"}, 500, Waiting, "status_500"},
		"the first of two": {[]string{"abort-message", "disable"}, 500, Failed, "abort-message"},
		"empty":            {[]string{""}, 500, Waiting, "status_500"},
	} {
		t.Run("R7 "+row, func(t *testing.T) {
			t.Parallel()
			r := receive(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["webhook-delivery"] = c.wish // as others spell it
				w.WriteHeader(c.code)
			})
			d := steady().Decide(post(t, openPoster(t), r.URL), 1, time.Now())
			require.Equal(t, c.state, d.State)
			require.Equal(t, c.reason, d.Reason)
			require.Equal(t, c.reason == "disable", d.Disable != "", "a registered endpoint is disabled")
		})
	}
}

// R5: Retry-After over the wire, against a schedule that is shorter than what is asked.
func TestRetryAfterOverTheWire(t *testing.T) {
	t.Parallel()
	soon := Policy{Schedule: []time.Duration{0, time.Second}, Rand: func() float64 { return 0 }}
	now := time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC)
	for row, c := range map[string]struct {
		headers []string
		want    time.Duration
	}{
		"120":                    {[]string{"120"}, 2 * time.Minute},
		"an HTTP date":           {[]string{now.Add(time.Hour).Format(http.TimeFormat)}, time.Hour},
		"an RFC 850 date":        {[]string{now.Add(time.Hour).Format("Monday, 02-Jan-06 15:04:05 GMT")}, time.Hour},
		"a date in the past":     {[]string{now.Add(-time.Hour).Format(http.TimeFormat)}, time.Second},
		"0":                      {[]string{"0"}, time.Second},
		"-5":                     {[]string{"-5"}, time.Second},
		"1e9":                    {[]string{"1e9"}, time.Second},
		"1000000000":             {[]string{"1000000000"}, 24 * time.Hour},
		"86400":                  {[]string{"86400"}, 24 * time.Hour},
		"86401":                  {[]string{"86401"}, 24 * time.Hour},
		"abc":                    {[]string{"abc"}, time.Second},
		"empty":                  {[]string{""}, time.Second},
		"1.5":                    {[]string{"1.5"}, time.Second},
		"twice the same":         {[]string{"120", "120"}, 2 * time.Minute},
		"two: the first":         {[]string{"120", "600"}, 2 * time.Minute},
		"two: the first, longer": {[]string{"600", "120"}, 10 * time.Minute},
		"garbage, then 120":      {[]string{"abc", "120"}, time.Second},
		"120, then garbage":      {[]string{"120", "-5"}, 2 * time.Minute},
		"a thousand":             {make([]string, 1000), time.Second},
	} {
		t.Run("R5 "+row, func(t *testing.T) {
			t.Parallel()
			r := receive(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Retry-After"] = c.headers
				w.WriteHeader(503)
			})
			d := soon.Decide(post(t, openPoster(t), r.URL), 1, now)
			require.Equal(t, c.want, d.Delay)
		})
	}
}
