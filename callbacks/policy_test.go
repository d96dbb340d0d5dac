package callbacks

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// schedule is the one that the configuration ships: five attempts over ten and a half hours.
func schedule() []time.Duration {
	return []time.Duration{0, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 8 * time.Hour}
}

// steady is the default schedule without jitter.
func steady() Policy {
	return Policy{Schedule: schedule(), Rand: func() float64 { return 0 }}
}

func status(code int) Result { return Result{Attempt: Attempt{StatusCode: code}} }

func class(c Class) Result { return Result{Attempt: Attempt{ErrorClass: c}} }

func asking(code int, retryAfter string) Result {
	r := status(code)
	r.RetryAfter = retryAfter
	return r
}

func wishing(code int, wish string) Result {
	r := status(code)
	r.Wish = wish
	return r
}

func TestDecide(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC)
	redirect := status(302)
	redirect.ErrorClass = ClassRedirect
	literal := class(ClassBlocked)
	literal.Final = true
	unreadable := class(ClassUnreadable)
	unreadable.Final = true
	slow := class(ClassTimeout)
	slow.phase = phaseConnect
	retry := func(reason, rule string, d time.Duration) Decision {
		return Decision{State: Waiting, Reason: reason, Rule: rule, Delay: d}
	}
	const m, h = time.Minute, time.Hour
	for name, c := range map[string]struct {
		result Result
		tries  int
		want   Decision
	}{
		"200":                            {status(200), 1, Decision{State: Delivered, Rule: "delivered: 200"}},
		"299 on the last":                {status(299), 5, Decision{State: Delivered, Rule: "delivered: 299"}},
		"200 with a wish":                {wishing(200, "abort-message"), 1, Decision{State: Delivered, Rule: "delivered: 200"}},
		"S5 302":                         {redirect, 1, retry("redirect", "retry 2 of 5: redirect (302), in 5m by the schedule", 5*m)},
		"R6 400":                         {status(400), 1, retry("status_400", "retry 2 of 5: 400, in 5m by the schedule", 5*m)},
		"R6 401":                         {status(401), 2, retry("status_401", "retry 3 of 5: 401, in 30m by the schedule", 30*m)},
		"R6 404":                         {status(404), 3, retry("status_404", "retry 4 of 5: 404, in 2h by the schedule", 2*h)},
		"R6 409":                         {status(409), 4, retry("status_409", "retry 5 of 5: 409, in 8h by the schedule", 8*h)},
		"R6 501":                         {status(501), 1, retry("status_501", "retry 2 of 5: 501, in 5m by the schedule", 5*m)},
		"R6 410":                         {status(410), 1, Decision{State: Failed, Reason: "gone", Rule: "ended: 410, the receiver is gone", Disable: "gone"}},
		"R4 the last 500":                {status(500), 5, Decision{State: Failed, Reason: "status_500", Rule: "given up: 500, attempt 5 of 5"}},
		"R4 beyond the last":             {status(500), 9, Decision{State: Failed, Reason: "status_500", Rule: "given up: 500, attempt 9 of 5"}},
		"R7 abort-message":               {wishing(500, " Abort-Message "), 1, Decision{State: Failed, Reason: "abort-message", Rule: "ended: 500, and the receiver asks for abort-message"}},
		"R7 disable":                     {wishing(404, "disable"), 1, Decision{State: Failed, Reason: "disable", Rule: "ended: 404, and the receiver asks for disable", Disable: "disable"}},
		"R7 another wish":                {wishing(500, "later"), 1, retry("status_500", "retry 2 of 5: 500, in 5m by the schedule", 5*m)},
		"R5 429, 600 s":                  {asking(429, "600"), 1, retry("status_429", "retry 2 of 5: 429, in 10m as the receiver asks", 10*m)},
		"R5 408":                         {asking(408, "600"), 1, retry("status_408", "retry 2 of 5: 408, in 10m as the receiver asks", 10*m)},
		"R5 425":                         {asking(425, "600"), 1, retry("status_425", "retry 2 of 5: 425, in 10m as the receiver asks", 10*m)},
		"R5 503, a date":                 {asking(503, now.Add(10*m).Format(http.TimeFormat)), 1, retry("status_503", "retry 2 of 5: 503, in 10m as the receiver asks", 10*m)},
		"R5 sooner than the schedule":    {asking(503, "120"), 1, retry("status_503", "retry 2 of 5: 503, in 5m by the schedule", 5*m)},
		"R5 1e9 seconds":                 {asking(503, "1000000000"), 1, retry("status_503", "retry 2 of 5: 503, in 24h as the receiver asks", 24*h)},
		"R5 too many digits":             {asking(503, strings.Repeat("9", 40)), 1, retry("status_503", "retry 2 of 5: 503, in 24h as the receiver asks", 24*h)},
		"R5 a date of 2099":              {asking(503, "Fri, 01 Jan 2099 00:00:00 GMT"), 1, retry("status_503", "retry 2 of 5: 503, in 24h as the receiver asks", 24*h)},
		"R5 garbage":                     {asking(503, "abc"), 1, retry("status_503", "retry 2 of 5: 503, in 5m by the schedule", 5*m)},
		"R5 1e9 as text":                 {asking(503, "1e9"), 1, retry("status_503", "retry 2 of 5: 503, in 5m by the schedule", 5*m)},
		"R5 negative":                    {asking(503, "-5"), 1, retry("status_503", "retry 2 of 5: 503, in 5m by the schedule", 5*m)},
		"R5 a date in the past":          {asking(503, "Thu, 01 Jan 1970 00:00:00 GMT"), 1, retry("status_503", "retry 2 of 5: 503, in 5m by the schedule", 5*m)},
		"R5 not from a 404":              {asking(404, "600"), 1, retry("status_404", "retry 2 of 5: 404, in 5m by the schedule", 5*m)},
		"R5 not beyond the last":         {asking(429, "600"), 5, Decision{State: Failed, Reason: "status_429", Rule: "given up: 429, attempt 5 of 5"}},
		"R1 timeout":                     {slow, 1, retry("timeout", "retry 2 of 5: timeout (connect), in 5m by the schedule", 5*m)},
		"R23 dns_error":                  {class(ClassDNS), 1, retry("dns_error", "retry 2 of 5: dns_error, in 5m by the schedule", 5*m)},
		"S4 a name that leads inside":    {class(ClassBlocked), 1, retry("blocked_address", "retry 2 of 5: blocked_address, in 5m by the schedule", 5*m)},
		"S1 a literal that leads inside": {literal, 1, Decision{State: Failed, Reason: "blocked_address", Rule: "ended: blocked_address"}},
		"unreadable":                     {unreadable, 1, Decision{State: Failed, Reason: "unreadable", Rule: "ended: the receiver or the event cannot be read"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, steady().Decide(c.result, c.tries, now))
		})
	}
}

func TestJitterOnlyEverDelays(t *testing.T) {
	t.Parallel()
	p := Policy{Schedule: schedule()}
	seen := map[time.Duration]bool{}
	for range 1000 {
		d := p.Decide(status(500), 1, time.Now()).Delay
		require.GreaterOrEqual(t, d, 5*time.Minute)
		require.LessOrEqual(t, d, 330*time.Second)
		seen[d] = true
	}
	require.Greater(t, len(seen), 900)
	p.Rand = func() float64 { return 1 }
	require.Equal(t, 330*time.Second, p.Decide(status(500), 1, time.Now()).Delay)
}

// R12: whatever the clock does, no wait is negative, shorter than the schedule or longer than a day, so that no jump
// makes a storm; and a wait that the clock has no part in is not moved by it.
func TestClockJumpsNeverShortenTheWait(t *testing.T) {
	t.Parallel()
	now := time.Now()
	date := now.Add(10 * time.Minute).UTC().Format(http.TimeFormat)
	for row, jump := range map[string]time.Duration{
		"none": 0, "an hour back": -time.Hour, "an hour ahead": time.Hour, "weeks back": -1000 * time.Hour, "weeks ahead": 1000 * time.Hour,
		"to 1970": -now.Sub(time.Unix(0, 0)), "by a suspended day": 24 * time.Hour,
	} {
		t.Run("R12 "+row, func(t *testing.T) {
			t.Parallel()
			for tries := 1; tries < 5; tries++ {
				at, floor := now.Add(jump), schedule()[tries]
				d := steady().Decide(asking(503, date), tries, at).Delay
				require.GreaterOrEqual(t, d, floor)
				require.LessOrEqual(t, d, 24*time.Hour)
				require.Equal(t, floor, steady().Decide(status(500), tries, at).Delay)
				require.Equal(t, 10*time.Hour, steady().Decide(asking(503, "36000"), tries, at).Delay)
				require.GreaterOrEqual(t, retryAfter(date, at), time.Duration(0))
			}
		})
	}
}

func TestAnEmptyScheduleEndsAtOnce(t *testing.T) {
	t.Parallel()
	require.Equal(t, Failed, Policy{}.Decide(status(500), 1, time.Now()).State)
}
