package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Usage is who had the machine's cores while a fleet worked, and how near its database came to what it can do.
type Usage struct {
	Shares  map[string]float64 `json:"shares"`             // of all cores, 0 to 1, by program
	Commits float64            `json:"commits_per_second"` // of PostgreSQL
	Alone   float64            `json:"commits_per_second_alone"`
}

const (
	mostlyBusy    = 0.85 // of the cores: there is no room for more
	mostlyCommits = 0.7  // of what PostgreSQL commits with the machine to itself
)

// cap says what a fleet's row is bounded by.
func (u Usage) cap() string {
	busy := 0.0
	for _, share := range u.Shares {
		busy += share
	}
	switch {
	case u.Alone > 0 && u.Commits > mostlyCommits*u.Alone:
		return "PostgreSQL's commits"
	case busy > mostlyBusy:
		return fmt.Sprintf("the cores, of which %s has most", u.byShare()[0])
	}
	return fmt.Sprintf("waiting: %.0f %% of the cores busy", 100*busy)
}

func (u Usage) byShare() []string {
	names := make([]string, 0, len(u.Shares))
	for name := range u.Shares {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if u.Shares[a] > u.Shares[b] {
			return -1
		}
		return 1
	})
	return names
}

func (u Usage) String() string {
	parts := make([]string, 0, len(u.Shares))
	for _, name := range u.byShare() {
		parts = append(parts, fmt.Sprintf("%s %.0f %%", name, 100*u.Shares[name]))
	}
	return strings.Join(parts, ", ")
}

// usageWatch is what everybody had used before a run.
type usageWatch struct {
	lab     *lab
	server  *serveProcess
	began   time.Time
	busy    time.Duration // all cores together
	used    map[string]time.Duration
	commits int64
}

// watchUsage begins to watch a fleet; nil for one process alone, of which the other rows tell.
func (l *lab) watchUsage(ctx context.Context, server *serveProcess) (w *usageWatch, err error) {
	if l.fleet == nil {
		return nil, nil //nolint:nilnil // nobody to watch
	}
	w = &usageWatch{lab: l, server: server}
	if w.commits, err = l.fleet.postgres.Writes(ctx); err != nil {
		return nil, err
	}
	if w.used, err = w.now(); err != nil {
		return nil, err
	}
	w.began = time.Now()
	w.busy, err = busyCores()
	return w, err
}

func (w *usageWatch) end(ctx context.Context) (u Usage, err error) {
	if w == nil {
		return u, nil
	}
	span := time.Since(w.began).Seconds()
	used, err := w.now()
	if err != nil {
		return u, err
	}
	busy, err := busyCores()
	if err != nil {
		return u, err
	}
	all := span * float64(runtime.NumCPU())
	others := (busy - w.busy).Seconds() / all
	u.Shares = map[string]float64{}
	for name, total := range used {
		u.Shares[name] = (total - w.used[name]).Seconds() / all
		others -= u.Shares[name]
	}
	u.Shares["the rest of the machine"] = max(0, others)
	commits, err := w.lab.fleet.postgres.Writes(ctx)
	u.Commits, u.Alone = float64(commits-w.commits)/span, w.lab.fleet.commits
	return u, err
}

// now is the CPU time of all programs of the run so far.
func (w *usageWatch) now() (map[string]time.Duration, error) {
	used, err := descendants(os.Getpid())
	if err != nil {
		return nil, err
	}
	for name, all := range map[string][]*process{"the API": {w.server.process}, "the workers": w.server.workers, "the simulator": {w.lab.simulator.process}} {
		for _, p := range all {
			one, err := p.cpu()
			if err != nil {
				return nil, err
			}
			used[name] += one
		}
	}
	return used, nil
}

// busyCores is the time that all cores together were not idle, see proc_stat(5).
func busyCores() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line)
	total := 0
	for i, field := range fields[min(1, len(fields)):] {
		if i == 3 || i == 4 || i > 7 { // idle, waiting for a disk; guests are in user's
			continue
		}
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return time.Duration(total) * clockTick, nil
}

// servers are the programs that a fleet shares, by their commands' names.
var servers = map[string]string{"postgres": "PostgreSQL", "redis-server": "Redis", "versitygw": "the S3 server"}

// descendants adds up the CPU time of this process and of the servers under it. A backend of PostgreSQL's that has ended is
// in its parent's time.
func descendants(self int) (map[string]time.Duration, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	used, rows := map[string]time.Duration{}, map[int]procStat{}
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil { // it may have ended meanwhile
			if s, ok := parseProc(string(text)); ok {
				rows[s.pid] = s
			}
		}
	}
	for _, s := range rows {
		name, known := servers[s.name]
		switch {
		case s.pid == self:
			used["the bench"] += s.own
		case known && under(rows, s.parent, self):
			used[name] += s.own + s.children
		}
	}
	return used, nil
}

func under(rows map[int]procStat, pid, self int) bool {
	for ; pid > 1; pid = rows[pid].parent {
		if pid == self {
			return true
		}
	}
	return false
}

// procStat is what the bench reads of /proc/PID/stat, see proc_pid_stat(5).
type procStat struct {
	pid, parent   int
	name          string
	own, children time.Duration
}

func parseProc(stat string) (s procStat, ok bool) {
	open, end := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	if open < 1 || end < open {
		return s, false
	}
	fields := strings.Fields(stat[end+1:])
	if len(fields) < 15 {
		return s, false
	}
	number := func(text string) int {
		n, _ := strconv.Atoi(text) // the kernel writes numbers
		return n
	}
	s.pid, s.name, s.parent = number(strings.TrimSpace(stat[:open])), stat[open+1:end], number(fields[1])
	s.own = time.Duration(number(fields[11])+number(fields[12])) * clockTick
	s.children = time.Duration(number(fields[13])+number(fields[14])) * clockTick
	return s, true
}
