package providers

import (
	"math"
	"time"
)

const (
	// purseFor is the time for which a process takes units of a shared rate in advance:
	// what it loses if it dies, and what another waits for at most.
	purseFor = 200 * time.Millisecond
	// purseLate is when a purse looks again whose next units did not come in time.
	purseLate = 20 * time.Millisecond
)

// purse is what this process has of a rate that all share. Its bucket is filled by the
// exchanges alone, and by time only while the process is on its own. What was given and
// what was used are told as totals, so that no lost answer loses or doubles units.
type purse struct {
	bucket  *bucket // nil: no limit
	rate    float64 // units a second, of all processes
	granted float64 // in all
	used    float64 // in all, until the process was left on its own
}

// newPurse takes over a limiter's bucket.
func newPurse(b *bucket) purse {
	if b == nil {
		return purse{}
	}
	b.drawn, b.level, b.size = true, 0, math.Inf(1)
	return purse{bucket: b, rate: b.rate}
}

// spent is the units used in all. Those that were used without the others' knowledge
// are not among them: they came from this process's part of the rate.
func (p *purse) spent() float64 {
	if p.bucket == nil || !p.bucket.drawn {
		return p.used
	}
	return p.granted - p.bucket.level
}

// need is the units for so many calls of that size: for a moment, and for one call
// at least.
func (p *purse) need(calls, each float64) float64 {
	if p.bucket == nil {
		return 0
	}
	return min(calls*each, max(math.Floor(p.rate*purseFor.Seconds()), each))
}

// fill takes in the total that was given, and when more may come.
func (p *purse) fill(granted float64, next time.Time) {
	b := p.bucket
	if b == nil {
		return
	}
	used := p.spent()
	if !b.drawn {
		used -= min(b.level, 0) // what it still owes
	}
	p.granted = granted
	b.drawn, b.rate, b.size, b.level, b.next = true, p.rate, math.Inf(1), granted-used, next
}

// alone leaves the process with its part of the rate.
func (p *purse) alone(processes int, now time.Time) {
	b := p.bucket
	if b == nil || !b.drawn {
		return
	}
	p.used = p.spent()
	rate := p.rate / float64(processes)
	size := max(rate, 1)
	b.drawn, b.rate, b.size, b.level, b.filled = false, rate, size, min(b.level, size), now
}

// empty reports that a call waits for units.
func (p *purse) empty() bool { return p.bucket != nil && p.bucket.level < 1 }
