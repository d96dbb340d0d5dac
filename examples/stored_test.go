package examples

import (
	"bufio"
	"bytes"
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	_ "github.com/mattn/go-sqlite3" // reads the Python receiver's database
	"github.com/stretchr/testify/require"
)

// stored is what a receiver has on its disk.
type stored struct {
	times  map[string]int    // how often each event counted
	bodies map[string]string // each event's body
	jobs   map[string]state
}

type state struct {
	sequence int
	typ      string
	result   string
}

func (k kind) stored(t *testing.T, data string) stored {
	t.Helper()
	s := stored{times: map[string]int{}, bodies: map[string]string{}, jobs: map[string]state{}}
	if k.journal {
		s.readJournal(t, filepath.Join(data, "journal.jsonl"))
	} else {
		s.readDatabase(t, filepath.Join(data, "receiver.db"))
	}
	return s
}

func (s stored) readJournal(t *testing.T, file string) {
	t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	content = content[:bytes.LastIndexByte(content, '\n')+1] // a receiver that runs may be writing the rest
	lines := bufio.NewScanner(bytes.NewReader(content))
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		var e struct {
			ID, Job, Type, Body string
			Sequence            int
			Late                bool
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &e), "%s", lines.Text())
		if e.ID == "" {
			job := s.jobs[e.Job]
			require.Equal(t, job.sequence, e.Sequence)
			job.result = e.Body
			s.jobs[e.Job] = job
			continue
		}
		s.times[e.ID]++
		s.bodies[e.ID] = e.Body
		if !e.Late {
			s.jobs[e.Job] = state{sequence: e.Sequence, typ: e.Type}
		}
	}
	require.NoError(t, lines.Err())
}

// readDatabase also holds each job's count, which a doubled event would have spoilt, against the events.
func (s stored) readDatabase(t *testing.T, file string) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+file+"?_busy_timeout=5000")
	require.NoError(t, err)
	defer db.Close()
	events, err := db.Query("SELECT id, body FROM events")
	require.NoError(t, err)
	defer events.Close()
	for events.Next() {
		var id, body string
		require.NoError(t, events.Scan(&id, &body))
		s.times[id]++
		s.bodies[id] = body
	}
	require.NoError(t, events.Err())
	jobs, err := db.Query(`SELECT id, sequence, type, coalesce(result, ''), events,
		(SELECT count(*) FROM events WHERE job = jobs.id) FROM jobs`)
	require.NoError(t, err)
	defer jobs.Close()
	for jobs.Next() {
		var id string
		var job state
		var counted, rows int
		require.NoError(t, jobs.Scan(&id, &job.sequence, &job.typ, &job.result, &counted, &rows))
		require.Equal(t, rows, counted, "the work of %s was not done once for each event", id)
		s.jobs[id] = job
	}
	require.NoError(t, jobs.Err())
}

// once tells that exactly these events counted, each once.
func (s stored) once(t *testing.T, ids ...string) {
	t.Helper()
	want := map[string]int{}
	for _, id := range ids {
		want[id] = 1
	}
	require.Equal(t, want, s.times)
}
