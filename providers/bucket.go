package providers

import (
	"math"
	"time"
)

// bucket limits to so many units a minute. It holds one second's worth, at least
// one unit, so that a minute is never spent in one burst: upstreams enforce
// their limits over shorter times than the minute they name. The level may go
// below zero; nothing is granted before it is at least one again.
//
// A nil bucket limits nothing.
type bucket struct {
	rate   float64 // units a second
	size   float64
	level  float64
	filled time.Time

	drawn bool      // a purse's: no time fills it
	next  time.Time // when drawn: when more may come
}

func newBucket(perMinute int, now time.Time) *bucket {
	if perMinute <= 0 {
		return nil
	}
	rate := float64(perMinute) / 60
	size := max(rate, 1)
	return &bucket{rate: rate, size: size, level: size, filled: now}
}

// opens is the time from which on a unit can be taken: now, or later.
func (b *bucket) opens(now time.Time) time.Time {
	if b == nil {
		return now
	}
	b.fill(now)
	missing := 1 - b.level
	if missing <= 0 {
		return now
	}
	if b.drawn {
		return later(b.next, now.Add(purseLate))
	}
	seconds := min(missing/b.rate, afterMax.Seconds())
	return now.Add(time.Duration(math.Ceil(seconds * 1e9)))
}

func (b *bucket) fill(now time.Time) {
	if since := now.Sub(b.filled); since > 0 && !b.drawn {
		b.level = min(b.size, b.level+since.Seconds()*b.rate)
		b.filled = now
	}
}

// limit changes the rate of a bucket that paces: it holds two units, so that a
// late timer loses nothing, or 20 ms worth where that is more.
func (b *bucket) limit(rate float64) {
	b.rate, b.size = rate, max(2, rate/50)
}

// lasts is how long it takes to fill that many units.
func (b *bucket) lasts(units float64) time.Duration {
	return time.Duration(units / b.rate * 1e9)
}

func (b *bucket) take(units float64) {
	if b != nil {
		b.level = min(b.size, b.level-units)
	}
}
