package callbacks

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Policy says what follows an attempt.
type Policy struct {
	Schedule []time.Duration // the wait before each attempt, the first before the first; its length is their number
	Rand     func() float64  // from 0 to 1, spreads retries; nil for math/rand
}

// Decide says what follows an attempt, by the table "What an answer does". tries counts the delivery's recorded
// outcomes, this one included.
func (p Policy) Decide(r Result, tries int, now time.Time) Decision {
	cause := r.cause()
	if r.again > 0 {
		cause += fmt.Sprintf(", sent %d times", r.again+1)
	}
	wish := strings.ToLower(strings.TrimSpace(r.Wish))
	switch {
	case r.accepted():
		return Decision{State: Delivered, Rule: "delivered: " + cause}
	case r.Local:
		return p.again(r)
	case r.Final:
		return failed(string(r.ErrorClass), "ended: "+cause)
	case r.StatusCode == http.StatusGone:
		return disable("gone", "ended: 410, the receiver is gone")
	case r.StatusCode != 0 && wish == "disable":
		return disable(wish, fmt.Sprintf("ended: %s, and the receiver asks for %s", cause, wish))
	case r.StatusCode != 0 && wish == "abort-message":
		return failed(wish, fmt.Sprintf("ended: %s, and the receiver asks for %s", cause, wish))
	case tries >= len(p.Schedule):
		return failed(r.reason(), fmt.Sprintf("given up: %s, attempt %d of %d", cause, tries, len(p.Schedule)))
	}
	return p.retry(r, cause, tries, now)
}

func failed(reason, rule string) Decision { return Decision{State: Failed, Reason: reason, Rule: rule} }

func disable(reason, rule string) Decision {
	return Decision{State: Failed, Reason: reason, Rule: rule, Disable: reason}
}

// How long a delivery rests that could not be tried for a fault of our own side: time to mend it, and no loop. It doubles
// with each attempt on record, since each is a row.
const (
	localWait     = time.Minute
	mostLocalWait = time.Hour
)

// again puts off what was no try, whatever the schedule has left.
func (p Policy) again(r Result) Decision {
	delay := p.spread(min(localWait<<min(max(r.Number-1, 0), 6), mostLocalWait))
	rule := fmt.Sprintf("no try: %s, again in %s", r.cause(), short(delay.Round(time.Second)))
	return Decision{State: Waiting, Reason: r.reason(), Rule: rule, Delay: delay, NoTry: true}
}

// retry waits as long as the schedule says, and longer where a receiver that may ask for it does.
func (p Policy) retry(r Result, cause string, tries int, now time.Time) Decision {
	delay, by := p.spread(p.Schedule[tries]), "by the schedule"
	if wait := r.wait(now); wait > delay {
		delay, by = wait, "as the receiver asks"
	}
	rule := fmt.Sprintf("retry %d of %d: %s, in %s %s",
		tries+1, len(p.Schedule), cause, short(delay.Round(time.Second)), by)
	return Decision{State: Waiting, Reason: r.reason(), Rule: rule, Delay: delay}
}

// spread adds up to a tenth, never less than the schedule, so that what failed together does not come back together.
func (p Policy) spread(d time.Duration) time.Duration {
	random := p.Rand
	if random == nil {
		random = rand.Float64
	}
	return d + time.Duration(float64(d)*random()/10)
}

// accepted tells whether the receiver has the event.
func (a *Attempt) accepted() bool { return a.StatusCode/100 == 2 }

// reason is the class, or the status where an ordinary answer came.
func (r Result) reason() string {
	return cmp.Or(string(r.ErrorClass), "status_"+strconv.Itoa(r.StatusCode))
}

// cause says in a rule what happened: "503", "redirect (302)", "timeout (answer)".
func (r Result) cause() string {
	switch {
	case r.ErrorClass == ClassUnreadable:
		return "the receiver or the event cannot be read"
	case r.ErrorClass == "":
		return strconv.Itoa(r.StatusCode)
	case r.StatusCode != 0:
		return fmt.Sprintf("%s (%d)", r.ErrorClass, r.StatusCode)
	case r.ErrorClass == ClassTimeout:
		return fmt.Sprintf("%s (%s)", r.ErrorClass, r.phase)
	}
	return string(r.ErrorClass)
}

// wait is what the receiver asks for, from the answers that may: 408, 425, 429 and 5xx.
func (r Result) wait(now time.Time) time.Duration {
	switch r.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return retryAfter(r.RetryAfter, now)
	}
	if r.StatusCode/100 == 5 {
		return retryAfter(r.RetryAfter, now)
	}
	return 0
}

// short writes 5m where time.Duration writes 5m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
