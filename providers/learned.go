package providers

import "time"

const (
	// guessLeast is the least first guess, in calls a second. A guess that is too
	// high costs a few refusals, and the next one measures; one that is too low
	// costs minutes.
	guessLeast = 10
	// rateLeast bounds what refusals can do: a call in two minutes goes out, whatever
	// was measured. An upstream that wants fewer says so by its Retry-After.
	rateLeast = 1.0 / 120
	// keepUnder is the share of the measured rate at which calls go on.
	keepUnder = 0.95
	// A long run of calls without a refusal is evidence for the rate at which they
	// went out, whatever was measured over it: that rate falls by 15 % at most. A
	// short one measures badly: it may have begun with a wait that gave nothing.
	longRun    = 20
	longShare  = 0.85
	shortShare = 0.3
	// tooEarly is how many refusals at a rate that was measured to be fine, more
	// than there were others, show that they do not depend on the rate. Those after
	// one or two calls count little: a limit that fell far gives many of them. After
	// each time that learning was given up fewer are enough, but no fewer than two.
	tooEarly  = 4
	stillTwo  = 2
	fewEarly  = 0.25
	onTime    = 0.25 // what a refusal at a rate above the one measured makes up for
	trusted   = -1   // from here on earlier doubts are forgotten
	someCalls = 3
	distrust  = 30 * time.Second
	// How the rate grows: see growth.
	calm        = 30 // seconds
	calmCalls   = 12
	provenShare = 0.97
	growLeast   = 0.003
	growMore    = 0.001
	growMost    = 0.1
	growCalm    = 0.004
	growCall    = 0.25
	// learnedFor is how long a learned rate that holds nobody back is kept.
	learnedFor = time.Minute
)

// learned is the rate of calls that the upstream takes, as its refusals tell it.
// When it refuses a call for its rate, its allowance is used up: what it took
// between two such moments, over the time between them, is the rate that it
// sustains, whatever its own rule is. From the first refusal on calls are paced
// at that rate, which grows while nothing is refused.
type learned struct {
	paced   *bucket // lets calls out at the rate; nil: no rate is learned
	guessed bool    // the rate is a guess: one refusal does not measure
	recent  tally   // calls let out, as long as no rate is learned
	// taken is the calls let out, less those refused, since the last moment at
	// which the allowance was used up.
	taken float64
	since time.Time
	// emptied is when the allowance was used up again. The rest of the refused
	// flight may still come in: it is counted when the limiter opens. Zero: no.
	emptied time.Time

	base    float64   // the rate that the last refusal led to; 0 after a guess
	early   float64   // refusals at a rate below the last one measured, less the others
	doubts  int       // times in a row that learning was given up
	off     time.Time // nothing is learned before
	peace   float64   // seconds of growth since the last refusal
	proven  float64   // the rate up to which they were calm
	quiet   int       // calls that grew the rate since then
	last    time.Time // when a call was last let out
	holding bool      // that call would have gone out sooner without the rate
	held    time.Time // when the rate last held a call back
}

func (l *learned) on() bool { return l.paced != nil }

// opens is the time from which on a call may start: now, or later.
func (l *learned) opens(now time.Time) time.Time {
	if l.paced == nil {
		return now
	}
	if idle := now.Sub(l.held); idle > learnedFor+l.paced.lasts(5) {
		l.forget()
		return now
	}
	return l.paced.opens(now)
}

// forget ends the pacing.
func (l *learned) forget() {
	*l = learned{off: l.off, doubts: l.doubts}
}

// began counts a call that starts. Without a rate the clock is read for one
// call in eight only.
func (l *learned) began(clock func() time.Time) {
	if l.paced != nil {
		l.taken++
		l.grow(clock())
		l.paced.take(1)
		return
	}
	if int(l.recent.n)&7 == 0 {
		l.recent.add(clock())
		return
	}
	l.recent.n++
}

// unused takes back a call that began and was not made.
func (l *learned) unused() {
	l.recent.n--
	l.taken--
	l.paced.take(-1)
}

// troubledFor is how long refusals teach no rate after a call that found nobody there:
// something else than their rate held the calls back, and a rate measured in between
// would be far too low.
const troubledFor = 30 * time.Second

// rest has refusals teach no new rate for a while.
func (l *learned) rest(now time.Time) {
	if until := now.Add(troubledFor); l.paced == nil && until.After(l.off) {
		l.off = until
	}
}

// refused takes in the first refusal of a flight.
func (l *learned) refused(now time.Time) {
	if now.Before(l.off) {
		return
	}
	if l.paced == nil {
		l.taken, l.since = l.recent.rate(now), now.Add(-time.Second)
	}
	l.taken--
	l.emptied = now
}

// refusedToo takes in the refusal of another call of the same flight.
func (l *learned) refusedToo() {
	if !l.emptied.IsZero() {
		l.taken--
	}
}

// settle makes a rate of the refusals, once the limiter opens after them. Where
// nothing was taken since the last ones the allowance is still used up, and
// there is nothing to measure yet.
func (l *learned) settle(now time.Time) {
	if l.emptied.IsZero() {
		return
	}
	if l.paced == nil {
		l.pace(max(guessLeast, l.taken), now)
		l.guessed = true
	} else if l.taken >= 1 {
		l.measure(now)
	}
	l.emptied, l.peace, l.quiet, l.last, l.held = time.Time{}, 0, 0, now, now
	if l.paced != nil {
		l.paced.fill(now)
		l.paced.level = min(l.paced.level, 1) // after a wait there may be no more than one
	}
}

// apart is the time from one call to the next at the measured rate; 0 if there is
// none.
func (l *learned) apart() time.Duration {
	if l.paced == nil || l.guessed {
		return 0
	}
	return l.paced.lasts(1)
}

func (l *learned) pace(rate float64, now time.Time) {
	l.paced = &bucket{level: 1, filled: now}
	l.paced.limit(rate)
	l.since, l.taken = l.emptied, 0
}

func (l *learned) measure(now time.Time) {
	was, calls := l.paced.rate, l.taken
	rate := keepUnder * (l.taken + l.half()) / l.emptied.Sub(l.since).Seconds()
	switch {
	case l.guessed:
	case l.taken >= longRun:
		rate = max(rate, longShare*was)
	case !l.calm():
		rate = max(rate, provenShare*l.proven)
	default:
		rate = max(rate, shortShare*was)
	}
	rate = max(rateLeast, min(rate, keepUnder*was))
	l.pace(rate, now)
	early, first := was < 0.99*l.base/keepUnder, l.guessed
	l.guessed, l.base = false, rate
	if !first {
		l.judge(early, calls, now)
	}
}

// half is the mean of what was there of the refused call's allowance. After a run at
// an even rate the last refusal left as much.
func (l *learned) half() float64 {
	if l.calm() {
		return 0.5
	}
	return 0
}

// judge notices that refusals go on however slow the calls: they may come by
// chance, for too many calls at once, or for another's calls. A rate would then
// fall without end and mend nothing, so learning rests for a while, and for longer
// each time until refusals have come at the rate measured before.
func (l *learned) judge(early bool, calls float64, now time.Time) {
	switch {
	case early && calls >= someCalls:
		l.early++
	case early:
		l.early += fewEarly
	default:
		l.early = max(l.early-onTime, trusted)
	}
	if l.early <= trusted {
		l.doubts = 0
	}
	if l.early >= float64(max(tooEarly-l.doubts, stillTwo)) {
		l.off = now.Add(distrust << min(l.doubts, 4))
		l.doubts++
		l.forget()
	}
}

// grow raises the rate if it held this call back.
func (l *learned) grow(now time.Time) {
	l.paced.fill(now)
	since := now.Sub(l.last)
	l.last, l.holding = now, l.paced.level < l.paced.size
	if !l.holding {
		return
	}
	l.held = now
	past := min(since, l.paced.lasts(2)).Seconds()
	l.peace += past
	l.quiet++
	l.paced.limit(l.paced.rate * (1 + l.growth(past)))
}

// calm reports whether the rate still grows slowly.
func (l *learned) calm() bool { return l.peace < calm || l.quiet <= calmCalls }

// growth is the share by which the rate rises for a call, so long after the last
// one. Near the rate that was refused, for 30 s and 12 calls, it is 0.3 % a second
// and 0.4 % a call at most: one refusal in so many calls is what looking for more
// costs. Where nothing is refused there, the limit has risen, and it is more with
// each second, up to 10 % a second, and 25 % a call where calls are seconds apart:
// ten times as much takes less than two minutes from a call a second, and from a
// call a minute twelve minutes for those calls, and five more for any multiple.
func (l *learned) growth(past float64) float64 {
	switch {
	case l.guessed:
		return min(growMost*past, growCall)
	case l.calm():
		l.proven = l.paced.rate
		return min(growLeast*past, growCalm)
	}
	return min(min(growLeast+growMore*(l.peace-calm), growMost)*past, growCall)
}
