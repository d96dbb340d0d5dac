package providers

// Match reports whether name fits pattern. '*' stands for any characters, also
// none, and crosses '/', because model names hold it ("org/name"); '?' stands
// for one byte; all else for itself. On a mismatch it goes back to the last '*'
// only, so the work is bounded by len(pattern) * len(name).
func Match(pattern, name string) bool {
	p, n := 0, 0
	star, taken := -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, taken = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]):
			p++
			n++
		case star >= 0:
			taken++
			p, n = star+1, taken
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
