package callbacks

import "context"

// slots bound the deliveries that a process has in hand: whoever claims a delivery has a slot for it first.
type slots struct {
	taken chan struct{}
	turn  chan struct{} // one taker at a time, so that slots which come free together go to one claim, not to many
}

func newSlots(n int) *slots {
	return &slots{taken: make(chan struct{}, n), turn: make(chan struct{}, 1)}
}

// take waits for a slot, then takes as many more as are free right now, up to most in all. It gives their number: zero
// when ctx ended first.
func (s *slots) take(ctx context.Context, most int) int {
	if !enter(ctx, s.turn) {
		return 0
	}
	defer func() { <-s.turn }()
	if !enter(ctx, s.taken) {
		return 0
	}
	for n := 1; n < most; n++ {
		select {
		case s.taken <- struct{}{}:
		default:
			return n
		}
	}
	return most
}

// free gives n slots back.
func (s *slots) free(n int) {
	for range n {
		<-s.taken
	}
}

// enter waits for room in c. It says no when ctx has ended, also where there is room.
func enter(ctx context.Context, c chan struct{}) bool {
	select {
	case c <- struct{}{}:
		if ctx.Err() == nil {
			return true
		}
		<-c
	case <-ctx.Done():
	}
	return false
}
