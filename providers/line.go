package providers

import "container/list"

// line holds those who wait: a ring of projects, in each a heap of priorities, in
// each a ring of jobs, in each a queue. Joining, leaving and calling the next take
// the same time however many wait, but for the heap's depth, and nothing is kept
// for a job, priority or project that nobody waits for.
type line struct {
	waiting  int
	moved    tally // those whose turn came
	vain     bool  // somebody's did not within its patience
	byName   map[string]*projectLine
	projects list.List // of *projectLine; the front is next
}

type projectLine struct {
	name    string
	waiting int
	at      *list.Element
	levels  levels
}

// jobLine is a job's queue at one priority.
type jobLine struct {
	name    string
	project *projectLine
	level   *level
	at      *list.Element
	waiters list.List // of *waiter; the front is next
}

// waiter is one caller that waits for a slot.
type waiter struct {
	slot    Slot
	granted chan struct{} // closed when slot is given
	job     *jobLine
	at      *list.Element // nil once granted or gone
}

func (w *waiter) waits() bool { return w.at != nil }

func newLine() line { return line{byName: make(map[string]*projectLine)} }

// join puts a caller at the end of its job's queue.
func (l *line) join(turn Turn) *waiter {
	project := l.project(turn.Project)
	job := project.levels.of(turn.Priority).job(turn.Job)
	job.project = project
	w := &waiter{granted: make(chan struct{}), job: job}
	w.at = job.waiters.PushBack(w)
	l.waiting++
	project.waiting++
	return w
}

// place is about how many go first, and the caller itself, were it to join now.
// The other projects and jobs take turns with its own, so that it stands behind as
// many of theirs as wait in its own job.
func (l *line) place(turn Turn) int {
	project := l.byName[turn.Project]
	if project == nil {
		return len(l.byName) + 1
	}
	ahead, own, jobs := 0, 1, 1
	level := project.levels.byPriority[turn.Priority]
	if level != nil {
		jobs = level.jobs.Len()
		if job := level.byName[turn.Job]; job != nil {
			own += job.waiters.Len()
		} else {
			jobs++
		}
	}
	if project.levels.highest().priority > turn.Priority {
		ahead = project.waiting
	}
	return (ahead + own*jobs) * len(l.byName)
}

// ofJob is how many wait of the caller's job.
func (l *line) ofJob(turn Turn) int {
	project := l.byName[turn.Project]
	if project == nil {
		return 0
	}
	level := project.levels.byPriority[turn.Priority]
	if level == nil || level.byName[turn.Job] == nil {
		return 0
	}
	return level.byName[turn.Job].waiters.Len()
}

func (l *line) project(name string) *projectLine {
	p := l.byName[name]
	if p == nil {
		p = &projectLine{name: name, levels: newLevels()}
		p.at = l.projects.PushBack(p)
		l.byName[name] = p
	}
	return p
}

// next takes out the waiter whose turn it is, and moves its project to the end of
// the ring, and its job to the end of its priority's. The line must not be empty.
func (l *line) next() *waiter {
	project := l.projects.Front().Value.(*projectLine)
	level := project.levels.highest()
	job := level.jobs.Front().Value.(*jobLine)
	l.projects.MoveToBack(project.at)
	level.jobs.MoveToBack(job.at)
	w := job.waiters.Front().Value.(*waiter)
	l.leave(w)
	return w
}

// leave takes a waiter out, and its job, priority and project when nobody else
// waits there.
func (l *line) leave(w *waiter) {
	job, level, project := w.job, w.job.level, w.job.project
	job.waiters.Remove(w.at)
	w.at = nil
	l.waiting--
	project.waiting--
	if job.waiters.Len() > 0 {
		return
	}
	level.jobs.Remove(job.at)
	delete(level.byName, job.name)
	if level.jobs.Len() > 0 {
		return
	}
	project.levels.remove(level)
	if !project.levels.none() {
		return
	}
	l.projects.Remove(project.at)
	delete(l.byName, project.name)
}
