package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ringback/ringback/jobs"
)

func backedUp(t *testing.T, dir string, c Compression) []byte {
	t.Helper()
	var out bytes.Buffer
	_, err := Backup(t.Context(), BackupOptions{Dir: dir, Spool: t.TempDir(), Compression: c, Now: time.Now}, &out)
	require.NoError(t, err)
	return out.Bytes()
}

// TestBackupUnderLoad: each backup that is made while files and jobs come and go has all that its database names, and what
// was accepted before it began.
func TestBackupUnderLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, files := openAt(t, dir, "", nil)
	ctx, stop := context.WithCancel(t.Context())
	var busy sync.WaitGroup
	defer busy.Wait()
	defer stop()
	for n := range 4 {
		busy.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				comeAndGo(t, s, files, fmt.Sprintf("%d-%06d", n, i))
			}
		})
	}
	for i := range 4 {
		var accepted int64
		require.Eventually(t, func() bool {
			return s.reads.Raw("SELECT count(*) FROM jobs").Scan(&accepted).Error == nil && accepted > int64(i)*20
		}, time.Minute, time.Millisecond)
		var out bytes.Buffer
		made, err := Backup(t.Context(), BackupOptions{Dir: dir, Spool: t.TempDir(), WithKey: true, Compression: Zstd, Now: time.Now}, &out)
		require.NoError(t, err)
		require.GreaterOrEqual(t, made.Jobs, accepted)
		checked, err := CheckBackup(t.Context(), bytes.NewReader(out.Bytes()), t.TempDir(), nil)
		require.NoError(t, err)
		require.Equal(t, made.Files, checked.Files)
		to := filepath.Join(t.TempDir(), fmt.Sprint(i))
		done, err := Restore(t.Context(), RestoreOptions{Dir: to, Now: time.Now}, bytes.NewReader(out.Bytes()))
		require.NoError(t, err)
		require.True(t, done.KeyIsThere)
		require.Equal(t, made.Jobs, done.Jobs)
		allFilesRead(t, to, nil, made.Files)
	}
}

// comeAndGo makes a file and a job that reads it, and deletes every other file at once.
func comeAndGo(t *testing.T, s *Store, files *Folder, name string) {
	f := jobs.File{ProjectID: "default", ID: "file-" + name, Blob: "in/" + name, CreatedAt: s.now()}
	var err error
	if f.Bytes, err = files.Put(t.Context(), f.Blob, strings.NewReader("content of "+f.ID)); err != nil {
		t.Error(err)
		return
	}
	err = s.CreateFile(t.Context(), f, nil)
	if name[len(name)-1]%2 == 0 {
		_, gone := s.DeleteFile(t.Context(), host(f.ID), s.now())
		err = errors.Join(err, gone, files.Remove(t.Context(), f.Blob))
	} else {
		job := jobs.NewJob{Job: newBatch(s.now())}
		job.Job.InputFileID = f.ID
		_, failed := s.CreateJob(t.Context(), job)
		err = errors.Join(err, failed)
	}
	if err != nil {
		t.Error(err)
	}
}

func allFilesRead(t *testing.T, dir string, key []byte, most int64) {
	t.Helper()
	s, files := openAt(t, dir, "", key)
	var all []jobs.File
	require.NoError(t, s.reads.Where("deleted_at = 0").Find(&all).Error)
	require.NotEmpty(t, all)
	require.LessOrEqual(t, int64(len(all)), most)
	for _, f := range all {
		r := must(files.Open(t.Context(), f.Blob, 0))(t)
		require.Equal(t, "content of "+f.ID, string(must(io.ReadAll(r))(t)))
		require.NoError(t, r.Close())
	}
	require.NoError(t, s.Close())
}

// small is a data_dir with a file and a job that nobody serves on, and its backup.
func small(t *testing.T, key []byte, c Compression) (dir string, archive []byte) {
	t.Helper()
	dir = t.TempDir()
	s, files := openAt(t, dir, "", key)
	comeAndGo(t, s, files, "1")
	require.NoError(t, s.Close())
	return dir, backedUp(t, dir, c)
}

// TestBackupOfAStoppedServer leaves data_dir as it was, and holds nothing afterwards.
func TestBackupOfAStoppedServer(t *testing.T) {
	t.Parallel()
	dir, archive := small(t, nil, Gzip)
	require.NoDirExists(t, filepath.Join(dir, "backup"))
	to := t.TempDir()
	done, err := Restore(t.Context(), RestoreOptions{Dir: to, Now: time.Now}, bytes.NewReader(archive))
	require.NoError(t, err)
	require.False(t, done.KeyIsThere, "master.key was not asked for")
	_, err = Open(t.Context(), Options{Dir: to, Now: time.Now})
	require.ErrorContains(t, err, "master.key is missing")
	require.NoError(t, os.WriteFile(filepath.Join(to, KeyFile), must(os.ReadFile(filepath.Join(dir, KeyFile)))(t), 0o600))
	allFilesRead(t, to, nil, 1)
	_, err = Backup(t.Context(), BackupOptions{Dir: t.TempDir(), Now: time.Now}, io.Discard)
	require.ErrorContains(t, err, "there is no database")
}

// TestRestoredPositionsGoOn beyond those that a client may have seen after the backup.
func TestRestoredPositionsGoOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _ := openAt(t, dir, "", moveKey)
	at := must(next(t, s))(t)
	archive := backedUp(t, dir, Zstd)
	seen := must(next(t, s))(t)
	to := t.TempDir()
	_, err := Restore(t.Context(), RestoreOptions{Dir: to, Key: moveKey, Now: time.Now}, bytes.NewReader(archive))
	require.NoError(t, err)
	again, _ := openAt(t, to, "", moveKey)
	require.Equal(t, at, must(again.LastEvent(t.Context(), "default"))(t))
	require.Greater(t, must(next(t, again))(t), seen)
}

func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	_, archive := small(t, moveKey, Uncompressed)
	other := bytes.Repeat([]byte{8}, 32)
	for _, test := range []struct {
		name    string
		key     []byte
		force   bool
		prepare func(t *testing.T, dir string)
		want    string
	}{
		{name: "another secrets.key", key: other, want: "base64 < data/master.key"},
		{name: "another master.key", prepare: func(t *testing.T, dir string) {
			t.Helper()
			require.NoError(t, os.WriteFile(filepath.Join(dir, KeyFile), other, 0o600))
		}, want: "base64 < data/master.key"},
		{name: "a folder that is not empty", key: moveKey, prepare: func(t *testing.T, dir string) {
			t.Helper()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "precious"), nil, 0o600))
		}, want: "not empty (it holds precious)"},
		{name: "a folder in use", key: moveKey, force: true, prepare: func(t *testing.T, dir string) {
			t.Helper()
			openAt(t, dir, "", moveKey)
		}, want: "in use"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if test.prepare != nil {
				test.prepare(t, dir)
			}
			_, err := Restore(t.Context(), RestoreOptions{Dir: dir, Key: test.key, Force: test.force, Now: time.Now}, bytes.NewReader(archive))
			require.ErrorContains(t, err, test.want)
		})
	}
}

// TestForceMovesTheOldAside, whole.
func TestForceMovesTheOldAside(t *testing.T) {
	t.Parallel()
	_, archive := small(t, moveKey, Zstd)
	old, _ := small(t, nil, Zstd)
	done, err := Restore(t.Context(), RestoreOptions{Dir: old, Key: moveKey, Force: true, Now: time.Now}, bytes.NewReader(archive))
	require.NoError(t, err)
	require.True(t, done.KeyIsThere)
	require.NotEmpty(t, done.Aside)
	allFilesRead(t, done.Aside, nil, 1)
	s, _ := openAt(t, old, "", moveKey)
	require.NotNil(t, s)
}

// TestForceLeavesTheKeyThatIsNeeded: a backup does not hold it, and without it nothing opens.
func TestForceLeavesTheKeyThatIsNeeded(t *testing.T) {
	t.Parallel()
	dir, archive := small(t, nil, Zstd)
	done, err := Restore(t.Context(), RestoreOptions{Dir: dir, Force: true, Now: time.Now}, bytes.NewReader(archive))
	require.NoError(t, err)
	require.True(t, done.KeyIsThere)
	require.FileExists(t, filepath.Join(dir, KeyFile))
	s, _ := openAt(t, dir, "", nil)
	require.NotNil(t, s)
}

// TestDamagedBackups: an archive that was cut off anywhere is not complete; one with a wrong bit is refused, or the bit is
// no part of what it holds. No server starts on what is left, and the next restore takes its place.
func TestDamagedBackups(t *testing.T) {
	t.Parallel()
	for _, c := range []Compression{Uncompressed, Gzip, Zstd} {
		t.Run("packed as "+string(c), func(t *testing.T) {
			t.Parallel()
			_, archive := small(t, moveKey, c)
			dir := t.TempDir()
			restore := func(from []byte) error {
				_, err := Restore(t.Context(), RestoreOptions{Dir: dir, Key: moveKey, Now: time.Now}, bytes.NewReader(from))
				return err
			}
			for i := range 40 {
				cut := archive[:len(archive)*i/40]
				_, err := CheckBackup(t.Context(), bytes.NewReader(cut), "", nil)
				require.Error(t, err, "%d of %d bytes", len(cut), len(archive))
				require.Error(t, restore(cut))
			}
			require.ErrorIs(t, restore(archive[:len(archive)*2/3]), ErrIncomplete)
			_, err := Open(t.Context(), Options{Dir: dir, Key: moveKey, Now: time.Now})
			require.ErrorContains(t, err, "not a database")
			refused := 0
			for i := range 100 {
				wrong := bytes.Clone(archive)
				wrong[len(archive)*i/100] ^= 4
				if _, err := CheckBackup(t.Context(), bytes.NewReader(wrong), "", nil); err != nil {
					refused++
				}
			}
			require.Greater(t, refused, 50)
			require.NoError(t, restore(archive), "what the last one has left is not in the way")
			allFilesRead(t, dir, moveKey, 1)
		})
	}
}

// TestMissingFiles: a backup that lacks bytes which its database names is refused, however it came to be.
func TestMissingFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, files := openAt(t, dir, "", moveKey)
	comeAndGo(t, s, files, "1")
	require.NoError(t, files.Remove(t.Context(), "in/1"))
	_, err := Backup(t.Context(), BackupOptions{Dir: dir, Now: time.Now}, io.Discard)
	require.ErrorContains(t, err, "no moment has all of them")
}

// TestOneBackupAtATime, and what a killed one has left goes.
func TestOneBackupAtATime(t *testing.T) {
	t.Parallel()
	dir, _ := small(t, moveKey, Zstd)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "backup", "in"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "backup", "in", "1"), []byte("of a killed one"), 0o600))
	second := errors.New("not tried")
	var out bytes.Buffer
	_, err := Backup(t.Context(), BackupOptions{Dir: dir, Now: time.Now, Told: func(Progress) {
		if second != nil && second.Error() == "not tried" {
			_, second = Backup(t.Context(), BackupOptions{Dir: dir, Now: time.Now}, io.Discard)
		}
	}}, &out)
	require.NoError(t, err)
	require.ErrorContains(t, second, "another backup")
	require.NotContains(t, out.String(), "of a killed one")
}

// TestWithKeyOnlyWhereItIsTheKey: a master.key that sealed nothing would be no help.
func TestWithKeyOnlyWhereItIsTheKey(t *testing.T) {
	t.Parallel()
	dir, _ := small(t, moveKey, Zstd)
	_, err := Backup(t.Context(), BackupOptions{Dir: dir, WithKey: true, Now: time.Now}, io.Discard)
	require.ErrorContains(t, err, "leave out --with-key")
	require.NoError(t, os.WriteFile(filepath.Join(dir, KeyFile), bytes.Repeat([]byte{3}, 32), 0o600))
	_, err = Backup(t.Context(), BackupOptions{Dir: dir, WithKey: true, Now: time.Now}, io.Discard)
	require.ErrorContains(t, err, "leave out --with-key")
}

// rewritten makes another archive of one, whose checksums are right again.
func rewritten(t *testing.T, from []byte, kind string, change func(name string, content []byte) []byte) []byte {
	t.Helper()
	told := func(Progress) {}
	a, err := openArchive(bytes.NewReader(from), kind, told)
	require.NoError(t, err)
	defer a.end()
	var out bytes.Buffer
	w, err := newArchiver(&out, Zstd, a.Archive, told)
	require.NoError(t, err)
	defer w.discard()
	for {
		entry, err := a.next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if content := change(entry.Name, must(a.whole(entry))(t)); content != nil {
			require.NoError(t, w.addBytes(entry.Name, content))
		}
	}
	must(w.finish())(t)
	return out.Bytes()
}

// TestSoundButWrong: what matches its checksums and yet is not a whole backup is refused too.
func TestSoundButWrong(t *testing.T) {
	t.Parallel()
	_, archive := small(t, moveKey, Uncompressed)
	for _, test := range []struct {
		name   string
		change func(name string, content []byte) []byte
		want   string
	}{
		{"a file less", func(name string, content []byte) []byte {
			if strings.HasPrefix(name, filesEntry) {
				return nil
			}
			return content
		}, "the file in/1 is missing"},
		{"no database", func(name string, content []byte) []byte {
			if name == DatabaseFile {
				return nil
			}
			return content
		}, "damaged"},
		{"a database with a hole", func(name string, content []byte) []byte {
			if name == DatabaseFile {
				clear(content[8192:40960])
			}
			return content
		}, "its database says"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := CheckBackup(t.Context(), bytes.NewReader(rewritten(t, archive, kindBackup, test.change)), "", nil)
			require.ErrorContains(t, err, test.want)
		})
	}
}
