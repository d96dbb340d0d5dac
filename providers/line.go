package providers

import "container/list"

// line holds those who wait: a ring of projects, in each a ring of jobs, in each
// a queue. Joining, leaving and calling the next take the same time however many
// wait, and nothing is kept for a job or project that nobody waits for.
type line struct {
	waiting  int
	byName   map[string]*projectLine
	projects *list.List // of *projectLine; the front is next
}

type projectLine struct {
	name   string
	at     *list.Element
	byName map[string]*jobLine
	jobs   *list.List // of *jobLine; the front is next
}

type jobLine struct {
	name    string
	project *projectLine
	at      *list.Element
	waiters *list.List // of *waiter; the front is next
}

// waiter is one caller that waits for a slot.
type waiter struct {
	slot    Slot
	granted chan struct{} // closed when slot is given
	job     *jobLine
	at      *list.Element // nil once granted or gone
}

func (w *waiter) waits() bool { return w.at != nil }

func newLine() line {
	return line{byName: make(map[string]*projectLine), projects: list.New()}
}

// join puts a caller at the end of its job's queue.
func (l *line) join(turn Turn) *waiter {
	job := l.project(turn.Project).job(turn.Job)
	w := &waiter{granted: make(chan struct{}), job: job}
	w.at = job.waiters.PushBack(w)
	l.waiting++
	return w
}

func (l *line) project(name string) *projectLine {
	p := l.byName[name]
	if p == nil {
		p = &projectLine{name: name, byName: make(map[string]*jobLine), jobs: list.New()}
		p.at = l.projects.PushBack(p)
		l.byName[name] = p
	}
	return p
}

func (p *projectLine) job(name string) *jobLine {
	j := p.byName[name]
	if j == nil {
		j = &jobLine{name: name, project: p, waiters: list.New()}
		j.at = p.jobs.PushBack(j)
		p.byName[name] = j
	}
	return j
}

// next takes out the waiter whose turn it is, and moves its project and job to
// the end of their rings. The line must not be empty.
func (l *line) next() *waiter {
	project := l.projects.Front().Value.(*projectLine)
	job := project.jobs.Front().Value.(*jobLine)
	l.projects.MoveToBack(project.at)
	project.jobs.MoveToBack(job.at)
	w := job.waiters.Front().Value.(*waiter)
	l.leave(w)
	return w
}

// leave takes a waiter out, and its job and project when nobody else waits there.
func (l *line) leave(w *waiter) {
	job, project := w.job, w.job.project
	job.waiters.Remove(w.at)
	w.at = nil
	l.waiting--
	if job.waiters.Len() > 0 {
		return
	}
	project.jobs.Remove(job.at)
	delete(project.byName, job.name)
	if project.jobs.Len() > 0 {
		return
	}
	l.projects.Remove(project.at)
	delete(l.byName, project.name)
}
