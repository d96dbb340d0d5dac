package history

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ringback/ringback/jobs"
)

// Keeper is what a Recorder asks of the store.
type Keeper interface {
	// KeepHistory writes slots as they are now, each in the place of what its source wrote before. It can be told the same
	// again.
	KeepHistory(ctx context.Context, rows []Row) error
}

const (
	flushEvery = 2 * time.Second
	// flushRows are written at once, so that no write holds others up.
	flushRows = 1000
	// mostSlots are open at most, some megabytes: what would need another one is not counted, but in its project's sum.
	mostSlots = 20_000
	// sayLost is how often it is said that something was left out.
	sayLost = time.Minute
)

// Recorder counts what a process does. Its methods may be called from many goroutines, and cost some hundred nanoseconds at
// most; a nil Recorder counts nothing.
type Recorder struct {
	source string
	now    func() time.Time

	mu    sync.Mutex
	slots map[slotKey]*slot
	// forgotten is how far slots that had ended have been let go of, and setBack how often the clock was set back before that:
	// what is opened again then gets a source of its own, and takes nothing away from the row that stands.
	forgotten jobs.Time
	setBack   int
	lost      int64     // counts that found no room
	told      time.Time // when that was said last
}

type slotKey struct {
	project, series, about string
	at                     jobs.Time
	span                   time.Duration
}

type slot struct {
	source string
	n      int64
	spread Spread
	kept   int64 // n as it was last written: counts only grow
}

// NewRecorder makes one. Its source is this process, as it runs: another start is another one.
func NewRecorder(source string, now func() time.Time) *Recorder {
	return &Recorder{source: source, now: now, slots: map[slotKey]*slot{}}
}

// count adds to the slot of a series that an instant lies in, to each of its spans.
func (r *Recorder) count(project, series, about string, n int64, took Spread) {
	if n == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := jobs.At(r.now())
	for _, span := range spansOf[series] {
		r.add(slotKey{project, series, about, slotAt(now, span), span}, n, took)
	}
}

// countBatch adds to a batch's own slots.
func (r *Recorder) countBatch(batch *jobs.Job, series string, n int64, took Spread) {
	if n == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := jobs.At(r.now())
	span := BatchSpan(now.Time().Sub(cmp.Or(batch.StartedAt, batch.CreatedAt).Time()))
	r.add(slotKey{batch.ProjectID, series, batch.ID, slotAt(now, span), span}, n, took)
}

func (r *Recorder) add(key slotKey, n int64, took Spread) {
	s := r.slots[key]
	if s == nil {
		if s = r.open(key); s == nil {
			r.lost += n
			return
		}
	}
	s.n += n
	s.spread.Merge(took)
}

func (r *Recorder) open(key slotKey) *slot {
	if len(r.slots) >= mostSlots && key.about != "" {
		return nil
	}
	if key.end() <= r.forgotten {
		r.setBack++
		r.forgotten = key.at
	}
	s := &slot{source: r.source}
	if r.setBack > 0 {
		s.source += "." + strconv.Itoa(r.setBack)
	}
	r.slots[key] = s
	return s
}

func (k *slotKey) end() jobs.Time { return k.at.Add(k.span) }

// Run writes what has changed every two seconds, until ctx ends. What is counted after its last write waits for Flush.
func (r *Recorder) Run(ctx context.Context, to Keeper, log *slog.Logger) {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if _, err := r.Flush(ctx, to); err != nil && ctx.Err() == nil {
			log.Warn("the history cannot be written; trying again", "err", err)
		}
		if n := r.takeLost(); n > 0 {
			log.Warn("the history is incomplete: more was counted than could be kept in memory until it was written", "left_out", n)
		}
	}
}

// Flush writes the slots that have changed, and tells how many: nothing is written where none has.
func (r *Recorder) Flush(ctx context.Context, to Keeper) (n int, err error) {
	for rows := range slices.Chunk(r.changed(), flushRows) {
		if err := to.KeepHistory(ctx, rows); err != nil {
			return n, err
		}
		r.kept(rows)
		n += len(rows)
	}
	r.forget()
	return n, nil
}

// changed are the slots to write, in the order of their keys: two that write the same ones never wait for each other.
func (r *Recorder) changed() (rows []Row) {
	r.mu.Lock()
	for key, s := range r.slots {
		if s.n != s.kept {
			rows = append(rows, key.row(s))
		}
	}
	r.mu.Unlock()
	Sort(rows)
	return rows
}

func (k *slotKey) row(s *slot) Row {
	return Row{
		ProjectID: k.project, Series: k.series, About: k.about, At: k.at, Span: k.span, Source: s.source,
		N: s.n, Spread: s.spread.Clone(),
	}
}

// Sort puts rows in the order of their keys.
func Sort(rows []Row) {
	slices.SortFunc(rows, func(a, b Row) int {
		return cmp.Or(strings.Compare(a.ProjectID, b.ProjectID), strings.Compare(a.Series, b.Series), strings.Compare(a.About, b.About),
			cmp.Compare(a.At, b.At), cmp.Compare(a.Span, b.Span))
	})
}

// kept notes what has been written.
func (r *Recorder) kept(rows []Row) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range rows {
		if s := r.slots[rows[i].key()]; s != nil {
			s.kept = rows[i].N
		}
	}
}

// forget lets go of slots that have ended and stand as they are.
func (r *Recorder) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := jobs.At(r.now())
	for key, s := range r.slots {
		if s.n == s.kept && key.end() <= now {
			delete(r.slots, key)
		}
	}
	r.forgotten = max(r.forgotten, now)
}

func (r *Row) key() slotKey { return slotKey{r.ProjectID, r.Series, r.About, r.At, r.Span} }

// takeLost is how much was left out that is to be said now.
func (r *Recorder) takeLost() (n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if r.lost == 0 || now.Sub(r.told).Abs() < sayLost {
		return 0
	}
	n, r.lost, r.told = r.lost, 0, now
	return n
}
