package e2e

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ringback runs a command of the program and gives what it printed.
func ringback(t *testing.T, settings []string, args ...string) (string, error) {
	t.Helper()
	for _, setting := range settings {
		args = append(args, "--set", setting)
	}
	cmd := exec.Command(binary, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "RINGBACK_") })
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// halfDone starts a server whose batch has got to some hundreds of its lines.
func halfDone(t *testing.T, lines int, hook *receiver) (s *server, up *upstream, batch string) {
	t.Helper()
	up = startUpstream(t, func(string) reply { return reply{wait: 20 * time.Millisecond, body: completion("yes")} })
	s = startServer(t, append(openCallbacks(), up.provider(""))...)
	batch = s.batch(s.input(numbered(lines, 0)), hook.field())
	s.eventually("some lines have their answer", func() bool {
		return s.read("/v1/batches/"+batch).get("request_counts.completed").Int() >= 200
	})
	return s, up, batch
}

// TestBackupInTheMiddleOfABatch: the machine is lost, the backup is restored on another, and the batch ends there.
func TestBackupInTheMiddleOfABatch(t *testing.T) {
	const lines = 3000
	hook := startReceiver(t)
	s, up, batch := halfDone(t, lines, hook)
	secret := s.secret()
	file := filepath.Join(t.TempDir(), "backup.tar.zst")
	out, err := ringback(t, []string{"data_dir=" + s.dir}, "backup", file, "--with-key")
	require.NoError(t, err, out)
	require.Contains(t, out, "the key is in it")
	require.NotEqual(t, "completed", s.read("/v1/batches/"+batch).get("status").String(), "it came in the middle")
	called := up.count()
	s.kill9()
	require.NoError(t, os.RemoveAll(s.dir))

	out, err = ringback(t, nil, "backup", "--check", file)
	require.NoError(t, err, out)
	s.dir = filepath.Join(t.TempDir(), "elsewhere")
	out, err = ringback(t, []string{"data_dir=" + s.dir}, "restore", file)
	require.NoError(t, err, out)
	s.restart()
	done := s.ended(batch)
	require.Equal(t, "completed", done.get("status").String())
	s.whole(done, lines)
	require.Less(t, up.count(), called+lines-150, "what the backup had was not asked for again")
	hook.wait(batch, "batch.completed")
	hook.onlyOnce(batch, secret)
	s.oneEnd(batch, "batch.completed")
	out, err = ringback(t, []string{"data_dir=" + s.dir}, "restore", file)
	require.Error(t, err, out)
}

// TestMovesToPostgresAndBack in the middle of a batch, each time under other parts of the same program.
func TestMovesToPostgresAndBack(t *testing.T) {
	const lines = 4000
	hook := startReceiver(t)
	s, up, batch := halfDone(t, lines, hook)
	secret := s.secret()
	s.stop()
	key, err := os.ReadFile(filepath.Join(s.dir, "master.key"))
	require.NoError(t, err)
	embedded := []string{"data_dir=" + s.dir}
	shared := slices.Concat(bucket(t), []string{"store.dsn=" + newDatabase(t, nil), "data_dir=" + t.TempDir()})
	sealing := func(key []byte) []string {
		return slices.Concat(shared, []string{"secrets.key=" + base64.StdEncoding.EncodeToString(key)})
	}
	withKey := sealing(key)

	move := func(from, to []string) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "project.tar.zst")
		out, err := ringback(t, from, "export", file)
		require.NoError(t, err, out)
		out, err = ringback(t, to, "import", file)
		require.NoError(t, err, out)
		require.NotContains(t, out, "�")
	}
	file := filepath.Join(t.TempDir(), "project.tar")
	_, err = ringback(t, embedded, "export", file)
	require.NoError(t, err)
	out, err := ringback(t, sealing(make([]byte, 32)), "import", file)
	require.Error(t, err)
	require.Contains(t, out, "base64 <")

	move(embedded, withKey)
	s.settings = slices.Concat(openCallbacks(), []string{up.provider("")}, withKey)
	home := s.dir
	s.dir = t.TempDir()
	s.restart()
	s.eventually("it goes on there", func() bool {
		return s.read("/v1/batches/"+batch).get("request_counts.completed").Int() >= 1500
	})
	s.stop()

	s.dir = filepath.Join(filepath.Dir(home), "back")
	back := []string{"data_dir=" + s.dir, "secrets.key=" + base64.StdEncoding.EncodeToString(key)}
	move(withKey, back)
	s.settings = slices.Concat(openCallbacks(), []string{up.provider("")}, back)
	s.restart()
	done := s.ended(batch)
	require.Equal(t, "completed", done.get("status").String())
	s.whole(done, lines)
	require.Zero(t, repeats(up.bodies()), "each move came after a stop in order")
	hook.wait(batch, "batch.completed")
	hook.onlyOnce(batch, secret)
	s.oneEnd(batch, "batch.completed")
}
