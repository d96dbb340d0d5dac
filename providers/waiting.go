package providers

// Waiting is how many wait for a slot: while some do, more work for this model does not begin any sooner.
func (l *Limiter) Waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.line.waiting
}
