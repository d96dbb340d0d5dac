package providers

import (
	"container/list"
	"time"
)

const (
	// maxAbsent bounds the jobs that keep a place while they are away. Those past
	// it come back as if for the first time.
	maxAbsent = 50_000
	// lateFor is how long a place is kept for a job that does not come back in time.
	lateFor = 10 * time.Second
)

// absent is the jobs that were sent away and not served since. They keep the order
// in which they came first: who comes back goes before those who come now.
type absent struct {
	n      int
	last   time.Time           // the latest time at which one is to come back
	queues map[Turn]*awayQueue // by project and priority; the jobs are in the queues
}

type awayQueue struct {
	issued uint64 // number of the last place given
	byJob  map[string]*list.Element
	places list.List // of *awayPlace, by number
}

type awayPlace struct {
	job    string
	number uint64
	until  time.Time
}

// send notes that a job is to come back then. One that was away keeps its place.
func (a *absent) send(turn Turn, until time.Time) {
	q := a.queue(turn)
	if q == nil {
		q = &awayQueue{byJob: make(map[string]*list.Element)}
	}
	at := q.byJob[turn.Job]
	if at == nil {
		if a.n >= maxAbsent {
			return
		}
		at = a.add(turn, q)
	}
	at.Value.(*awayPlace).until = until
	a.last = later(a.last, until)
}

func (a *absent) add(turn Turn, q *awayQueue) *list.Element {
	if a.queues == nil {
		a.queues = make(map[Turn]*awayQueue)
	}
	a.queues[queueOf(turn)] = q
	a.n++
	q.issued++
	at := q.places.PushBack(&awayPlace{job: turn.Job, number: q.issued})
	q.byJob[turn.Job] = at
	return at
}

// rank is about how many of the same project and priority came before, and the job
// itself. Places are not counted one by one: those in between are taken to be gone
// evenly.
func (a *absent) rank(turn Turn, now time.Time) int {
	a.expire(turn, now)
	q := a.queue(turn)
	if q == nil {
		return 1
	}
	at := q.byJob[turn.Job]
	if at == nil {
		return q.places.Len() + 1
	}
	first := q.places.Front().Value.(*awayPlace).number
	before := at.Value.(*awayPlace).number - first
	return 1 + int(before*uint64(q.places.Len())/(q.issued-first+1))
}

// jobs is how many of that project and priority are away.
func (a *absent) jobs(turn Turn) int {
	if q := a.queue(turn); q != nil {
		return q.places.Len()
	}
	return 0
}

// served takes a job out that got a slot.
func (a *absent) served(turn Turn) {
	q := a.queue(turn)
	if q == nil {
		return
	}
	if at := q.byJob[turn.Job]; at != nil {
		a.remove(turn, q, at)
	}
}

// expire takes out those in front who did not come back.
func (a *absent) expire(turn Turn, now time.Time) {
	for q := a.queue(turn); q != nil && q.places.Len() > 0; {
		first := q.places.Front()
		if now.Sub(first.Value.(*awayPlace).until) <= lateFor {
			return
		}
		a.remove(turn, q, first)
	}
}

func (a *absent) remove(turn Turn, q *awayQueue, at *list.Element) {
	q.places.Remove(at)
	delete(q.byJob, at.Value.(*awayPlace).job)
	a.n--
	if q.places.Len() == 0 {
		delete(a.queues, queueOf(turn))
	}
}

// forget drops all of them once none is to come back any more.
func (a *absent) forget(now time.Time) {
	if now.Sub(a.last) > lateFor {
		*a = absent{}
	}
}

func (a *absent) queue(turn Turn) *awayQueue { return a.queues[queueOf(turn)] }

func queueOf(turn Turn) Turn { return Turn{Project: turn.Project, Priority: turn.Priority} }
