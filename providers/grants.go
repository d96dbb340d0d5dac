package providers

// The functions in this file need the limiter's lock.

// giveBack undoes a grant that was not used.
func (l *Limiter) giveBack(s *Slot) {
	s.released = true
	l.inFlight--
	l.pace.unused(s)
	l.requests.take(-1)
	l.tokens.take(-s.expected)
	l.dispatch()
}

func (l *Limiter) admit(s *Slot) {
	s.limiter, s.era, s.expected = l, l.pace.era, l.expected
	l.inFlight++
	l.pace.began(s)
	l.requests.take(1)
	l.tokens.take(s.expected)
	if l.link != nil {
		l.link.began()
	}
}

// settle charges what the call used in place of what it was expected to use.
func (l *Limiter) settle(s *Slot, usage Usage) {
	if l.tokens == nil {
		return
	}
	used := float64(usage.TotalTokens)
	l.tokens.take(used - s.expected)
	if used > 0 {
		l.settled++
		l.expected += (used - l.expected) / min(l.settled, 16)
	}
}

// dispatch hands free slots to those who wait, and sets the alarm for the rest.
func (l *Limiter) dispatch() {
	for l.line.waiting > 0 {
		if free, _ := l.free(); !free {
			break
		}
		w := l.line.next()
		l.line.moved.add(l.now())
		l.admit(&w.slot)
		close(w.granted)
	}
	if l.absent.n > 0 && l.line.waiting == 0 {
		l.absent.forget(l.now())
	}
	l.setAlarm()
}

// setAlarm wakes the limiter when time alone frees a slot and somebody waits.
func (l *Limiter) setAlarm() {
	if l.line.waiting == 0 {
		l.alarm.stop()
		return
	}
	if l.link != nil && l.link.binds() {
		l.setShare()
		return
	}
	if full, _ := l.full(); full {
		l.setRipe()
		return
	}
	l.alarm.set(l.opening(), l.now(), l.ring)
}

// setShare looks again at the answer of the others, who are asked as soon as the
// provider would take a call.
func (l *Limiter) setShare() {
	l.link.lacks()
	if at, now := l.opening(), l.now(); at.After(now) {
		l.alarm.set(at, now, l.ring)
		return
	}
	l.alarm.stop()
}

// setRipe looks again at the next Release, and at the start sooner than that. Calls
// that wait for this process's share ripen nothing.
func (l *Limiter) setRipe() {
	if !l.pace.ripens() || l.inFlight < l.pace.slots() {
		l.alarm.stop()
		return
	}
	now := l.now()
	l.alarm.set(l.pace.ripe(now), now, l.ring)
}

// ring takes the lock itself: the alarm calls it.
func (l *Limiter) ring() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.alarm.stop()
	l.pace.ripen(l.now())
	l.dispatch()
}
