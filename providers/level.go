package providers

import (
	"container/heap"
	"container/list"
)

// level is the jobs of one priority that wait.
type level struct {
	priority int
	at       int // in the heap
	byName   map[string]*jobLine
	jobs     list.List // of *jobLine; the front is next
}

func (v *level) job(name string) *jobLine {
	j := v.byName[name]
	if j == nil {
		j = &jobLine{name: name, level: v}
		j.at = v.jobs.PushBack(j)
		v.byName[name] = j
	}
	return j
}

// levels are the priorities at which somebody waits.
type levels struct {
	byPriority map[int]*level
	heap       levelHeap
}

func newLevels() levels { return levels{byPriority: make(map[int]*level)} }

func (l *levels) of(priority int) *level {
	v := l.byPriority[priority]
	if v == nil {
		v = &level{priority: priority, byName: make(map[string]*jobLine)}
		l.byPriority[priority] = v
		heap.Push(&l.heap, v)
	}
	return v
}

func (l *levels) highest() *level { return l.heap[0] }

func (l *levels) none() bool { return len(l.heap) == 0 }

func (l *levels) remove(v *level) {
	heap.Remove(&l.heap, v.at)
	delete(l.byPriority, v.priority)
}

// levelHeap is what package heap works on: the highest priority first.
type levelHeap []*level

func (h levelHeap) Len() int { return len(h) }

func (h levelHeap) Less(i, j int) bool { return h[i].priority > h[j].priority }

func (h levelHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

func (h *levelHeap) Push(x any) {
	v := x.(*level)
	v.at = len(*h)
	*h = append(*h, v)
}

func (h *levelHeap) Pop() any {
	last := len(*h) - 1
	v := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return v
}
