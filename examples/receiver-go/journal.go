package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// entry is a line of the journal: an event with what it changed, or a result that was fetched later.
type entry struct {
	ID        string `json:"id,omitempty"` // the webhook-id; none on a fetched result
	Job       string `json:"job,omitempty"`
	Sequence  int64  `json:"sequence,omitempty"`
	Type      string `json:"type,omitempty"`
	Late      bool   `json:"late,omitempty"` // it changes no job: a newer event of its job was here before, or it has none
	ResultURL string `json:"result_url,omitempty"`
	Body      string `json:"body,omitempty"` // as received
}

// journal is an append-only file, and in memory what follows from it: the events seen and each job's newest state. One
// process owns it; where several receive, a database with a unique key on the event's ID takes its place.
type journal struct {
	mu   sync.Mutex
	file *os.File
	seen map[string]bool
	jobs map[string]entry
}

// openJournal reads what is there. A last line without its end was torn by a crash before anybody was told that it is
// safe: it is cut off, and its event will come again.
func openJournal(dir string) (*journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(dir, "journal.jsonl"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	j := &journal{file: file, seen: map[string]bool{}, jobs: map[string]entry{}}
	end, err := j.load()
	// Synced once more: the lines may have been written, and not synced, by a process that was killed in between.
	if err := errors.Join(err, file.Truncate(end), file.Sync(), syncDir(dir), syncDir(filepath.Dir(dir))); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return j, nil
}

// load gives the length of the lines that are whole.
func (j *journal) load() (end int64, err error) {
	in := bufio.NewReader(j.file)
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return end, nil
		}
		if err != nil {
			return end, err
		}
		var e entry
		if err := json.Unmarshal(line, &e); err != nil {
			return end, fmt.Errorf("%s is damaged at byte %d, restore it: %w", j.file.Name(), end, err)
		}
		j.apply(e)
		end += int64(len(line))
	}
}

// receive records an event, unless it is here already. It is safe on the disk when this returns, also where another
// request brought it: that one held the lock until it was.
func (j *journal) receive(e entry) (fresh bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.seen[e.ID] {
		return false, nil
	}
	e.Late = e.Sequence <= j.jobs[e.Job].Sequence
	return true, j.write(e)
}

// write appends one entry and applies it. After an error the file's end is unknown: the caller has to end the program.
func (j *journal) write(e entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if _, err := j.file.Write(append(line, '\n')); err != nil {
		return err
	}
	if err := j.file.Sync(); err != nil {
		return err
	}
	j.apply(e)
	return nil
}

// apply is the work itself: what an entry changes. A restart applies the same entries again, so that the event and its
// effect are one write: both are there, once, or neither is.
func (j *journal) apply(e entry) {
	newest := j.jobs[e.Job]
	switch {
	case e.ID == "" && e.Sequence == newest.Sequence:
		newest.ResultURL = "" // here is the result
		j.jobs[e.Job] = newest
	case e.ID != "" && !e.Late:
		j.jobs[e.Job] = entry{Sequence: e.Sequence, Type: e.Type, ResultURL: e.ResultURL, Job: e.Job}
	}
	if e.ID != "" {
		j.seen[e.ID] = true
	}
}

// unfetched gives the jobs whose results are still to be fetched.
func (j *journal) unfetched() []entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	var found []entry
	for _, e := range j.jobs {
		if e.ResultURL != "" {
			found = append(found, e)
		}
	}
	return found
}

// fetched records a result.
func (j *journal) fetched(e entry, result []byte) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.write(entry{Job: e.Job, Sequence: e.Sequence, Body: string(result)})
}

// syncDir makes a new file's name as durable as its content.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
