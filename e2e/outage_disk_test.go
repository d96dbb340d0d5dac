package e2e

import (
	"bytes"
	"database/sql"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/ringback/ringback/testservers"
)

// disk is a small file system that a test fills.
type disk struct {
	t   *testing.T
	dir string
}

// smallDisk mounts one of so many bytes; nil where this user may not mount.
func smallDisk(t *testing.T, size string) *disk {
	t.Helper()
	dir := t.TempDir()
	err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		t.Log("this user may not mount a small disk: the database is made to refuse writes instead")
		return nil
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	return &disk{t, dir}
}

// fill leaves no more room than this until the end is called.
func (d *disk) fill(room int64) (end func()) {
	d.t.Helper()
	path := filepath.Join(d.dir, "filler")
	f, err := os.Create(path)
	require.NoError(d.t, err)
	defer f.Close()
	for _, size := range []int{1 << 20, 4096, 1} {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		require.ErrorIs(d.t, err, unix.ENOSPC)
	}
	size, err := f.Seek(0, io.SeekCurrent)
	require.NoError(d.t, err)
	require.NoError(d.t, f.Truncate(size-room))
	return func() { require.NoError(d.t, os.Remove(path)) }
}

// R10, J8: PostgreSQL's disk is full, and then it is a standby for a while. Submissions are refused and leave nothing, or they
// are accepted; what was answered is kept when there is room again.
func databaseFull(t *testing.T) {
	postgres := startPostgres(t)
	admin := openPostgres(t, newDatabase(t, postgres))
	refusals := []func() func(){func() func() { return readOnly(t, admin) }}
	options := fleetOptions{apis: 1, workers: 2, postgres: postgres}
	if d := smallDisk(t, "64m"); d != nil {
		place := filepath.Join(d.dir, "tables")
		require.NoError(t, os.Mkdir(place, 0o700))
		require.NoError(t, os.Chmod(d.dir, 0o755)) //nolint:gosec // PostgreSQL runs as another user
		own(t, postgres, place)
		command(t, admin, "CREATE TABLESPACE small LOCATION '"+place+"'")
		command(t, admin, "ALTER SYSTEM SET default_tablespace = 'small'")
		command(t, admin, "SELECT pg_reload_conf()")
		refusals = append(refusals, func() func() { return d.fill(0) })
	}
	o := startOutage(t, options, 2500, 50*time.Millisecond)
	o.begins(40 * time.Millisecond)
	for i, refuse := range refusals {
		o.reaches(300 + 700*i)
		from := time.Now()
		end := refuse()
		eventually(t, "a submission is refused", func() bool { return statuses(o.heard(from, time.Now()))[http.StatusServiceUnavailable] > 0 })
		eventually(t, "results cannot be kept", func() bool { return len(o.f.says("cannot keep results")) > 0 })
		time.Sleep(3 * time.Second) // refusals on all ways
		require.NotEqual(t, "completed", o.f.read("/v1/batches/"+o.batch).get("status").String())
		end()
		back, before := time.Now(), o.called()
		eventually(t, "new lines are called", func() bool { return o.called() > before })
		t.Logf("R10: the database took no writes for %s: submissions were answered %v; new calls came %s after",
			back.Sub(from).Round(time.Millisecond), statuses(o.heard(from, back)), time.Since(back).Round(time.Millisecond))
	}
	l := o.end(0)
	l.print(t)
	require.Zero(t, l.callRepeats)
	require.Zero(t, l.repeated)
}

func openPostgres(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func command(t *testing.T, db *sql.DB, text string) {
	t.Helper()
	_, err := db.Exec(text)
	require.NoError(t, err, text)
}

// readOnly makes a server refuse writes, as a standby does after a failover.
func readOnly(t *testing.T, admin *sql.DB) (end func()) {
	t.Helper()
	set := func(to string) {
		command(t, admin, "SET default_transaction_read_only = off")
		command(t, admin, "ALTER SYSTEM SET default_transaction_read_only = "+to)
		command(t, admin, "SELECT pg_reload_conf()")
	}
	admin.SetMaxOpenConns(1)
	set("on")
	return func() { set("off") }
}

// own gives a folder to the user as whom a server runs.
func own(t *testing.T, p *testservers.Postgres, place string) {
	t.Helper()
	db := openPostgres(t, newDatabase(t, p))
	var dir string
	require.NoError(t, db.QueryRow("SHOW data_directory").Scan(&dir))
	var s unix.Stat_t
	require.NoError(t, unix.Stat(dir, &s))
	require.NoError(t, os.Chown(place, int(s.Uid), int(s.Gid)))
	for up := filepath.Dir(filepath.Dir(place)); up != os.TempDir() && up != "/"; up = filepath.Dir(up) {
		require.NoError(t, os.Chmod(up, 0o755)) //nolint:gosec // it holds nothing but this
	}
}

// J8, R10, the embedded mode: the disk is full while results are written and an upload runs, and has too little room when a
// batch's files are to be written. What cannot be kept is answered 503; work waits, and goes on by itself when there is room.
func diskFull(t *testing.T) {
	const lines, last = 2500, 20
	release := make(chan struct{})
	up := startUpstream(t, func(body string) reply {
		if number(body) >= question(lines-last) && number(body) < question(lines) {
			<-release
		}
		return reply{wait: 50 * time.Millisecond, body: completion("answer to " + prompt(body) + strings.Repeat(" and more", 500))}
	})
	answerLast := sync.OnceFunc(func() { close(release) })
	t.Cleanup(answerLast) // also where the test ends early
	hook := startReceiver(t)
	d := smallDisk(t, "160m")
	if d == nil {
		return // databaseFull and the tests of package store show the rest
	}
	s := newServer(t, "server", append(openCallbacks(), up.provider(""), chaosSchedule)...)
	s.dir = filepath.Join(d.dir, "data")
	s.start()
	batch := s.batch(s.input(numbered(lines, 0)), hook.field())

	completed := func() int64 { return s.read("/v1/batches/" + batch).get("request_counts.completed").Int() }
	eventually(t, "some lines are done", func() bool { return completed() >= 200 })
	end := d.fill(0)
	accepted := s.keepsNothing(t)
	steady(t, up)
	require.Equal(t, "in_progress", s.read("/v1/batches/"+batch).get("status").String())
	before, room := completed(), time.Now()
	require.Less(t, before, int64(lines-last))
	end()
	eventually(t, "it goes on", func() bool { return completed() > before })
	t.Logf("J8: the disk was full while results were written; %s after there was room it went on", time.Since(room).Round(time.Millisecond))

	eventually(t, "all but the last are done", func() bool { return completed() == lines-last })
	end = d.fill(6 << 20)
	answerLast()
	s.reaches(batch, "finalizing")
	eventually(t, "its files do not fit", func() bool { return strings.Contains(string(s.log()), "status=finalizing err=") })
	require.Equal(t, "finalizing", s.read("/v1/batches/"+batch).get("status").String())
	room = time.Now()
	end()
	done := s.ended(batch)
	t.Logf("J8: the disk was full while the files were written; %s after there was room it had ended", time.Since(room).Round(time.Millisecond))
	require.Equal(t, "completed", done.get("status").String(), "%s", done.body)
	output, _ := s.whole(done, lines)
	require.Equal(t, lines, output)
	answersFit(t, s.lines(done.get("output_file_id")))
	hook.wait(batch, "batch.completed")
	hook.onlyOnce(batch, s.secret())
	eventually(t, "what was accepted has been called", func() bool { return up.count() >= lines+accepted })
	require.Equal(t, lines+accepted, up.count(), "nothing was called twice, and nothing that was refused")
	s.stop()
	integrity(t, s.dir)
}

// keepsNothing wants what clients bring to be refused for now. What still fits into the room that the database had before is
// accepted, and counted.
func (s *server) keepsNothing(t *testing.T) (accepted int) {
	t.Helper()
	var a answer
	eventually(t, "a generation is refused", func() (refused bool) {
		var err error
		a, err = s.do("POST", "/v1/generate", strings.NewReader(`{"model":"m","input":"small"}`), "Content-Type", "application/json")
		require.NoError(t, err)
		if a.status == http.StatusAccepted {
			accepted++
		}
		return a.status != http.StatusAccepted
	})
	refusedNow(t, a)
	body, contentType := form(part{"purpose", "", "user_data"}, part{"file", "big.bin", string(make([]byte, 1<<20))})
	a, err := s.do("POST", "/v1/files", bytes.NewReader(body), "Content-Type", contentType)
	require.NoError(t, err)
	refusedNow(t, a)
	return accepted
}
