package callbacks

import (
	"strconv"
	"time"
)

// SenderStats say how busy a Sender is.
type SenderStats struct {
	InHand int // deliveries claimed and not recorded yet
	Room   int // how many there may be
	Gates  int // receivers that are remembered
}

// Stats counts at this moment.
func (s *Sender) Stats() SenderStats {
	s.gates.mu.Lock()
	defer s.gates.mu.Unlock()
	return SenderStats{InHand: s.gates.inHand, Room: s.gates.total, Gates: len(s.gates.byRef)}
}

func (s *Sender) attempted(a *Attempt, took time.Duration) {
	if s.Attempted != nil {
		s.Attempted(a.Outcome(), took)
	}
}

// Outcome is what came of an attempt in a word, one of few: the class of what went wrong, or of the answer's status, "2xx".
func (a *Attempt) Outcome() string {
	if a.ErrorClass != "" {
		return string(a.ErrorClass)
	}
	return strconv.Itoa(a.StatusCode/100) + "xx"
}
