package testservers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func startTestRedis(t *testing.T, args ...string) *Redis {
	t.Helper()
	r, err := StartRedis(args...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Stop()) })
	return r
}

func get(t *testing.T, r *Redis, args ...string) string {
	t.Helper()
	value, err := call(r.port, args...)
	require.NoError(t, err)
	return value
}

func TestRedisForgetsWhenKilledOrFlushed(t *testing.T) {
	t.Parallel()
	r := startTestRedis(t)
	get(t, r, "SET", "key", "a value\r\nof two lines")
	require.Equal(t, "a value\r\nof two lines", get(t, r, "GET", "key"))
	require.NoError(t, r.Flush())
	require.Empty(t, get(t, r, "GET", "key"))

	get(t, r, "SET", "key", "value")
	url := r.URL()
	require.NoError(t, r.Kill())
	requireNothingListens(t, r.port)
	require.Error(t, r.Flush())
	require.NoError(t, r.Start())
	require.Equal(t, url, r.URL())
	require.Empty(t, get(t, r, "GET", "key"))
}

func TestRedisKeepsWhatItsArgumentsSay(t *testing.T) {
	t.Parallel()
	r := startTestRedis(t, "--appendonly", "yes", "--appendfsync", "always", "--key-load-delay", "100") // µs for each command: it answers while it reads
	get(t, r, "EVAL", "for i = 1, 3000 do redis.call('SET', i, i) end return 1", "0")
	get(t, r, "SET", "key", "value")
	require.NoError(t, r.Kill())
	require.NoError(t, r.Start())
	require.Equal(t, "value", get(t, r, "GET", "key"))
}

func TestRedisPausesAndResumes(t *testing.T) {
	t.Parallel()
	r := startTestRedis(t)
	require.NoError(t, r.Pause())
	answered := make(chan error, 1)
	go func() { answered <- r.Flush() }()
	select {
	case err := <-answered:
		t.Fatal("a paused server answered", err)
	case <-time.After(200 * time.Millisecond):
	}
	require.NoError(t, r.Resume())
	require.NoError(t, <-answered)
	require.NoError(t, r.Pause())
	require.NoError(t, r.Stop(), "also a paused one")
	requireNothingListens(t, r.port)
	require.NoDirExists(t, r.dir)
}

func TestRedisSaysWhyItDoesNotStart(t *testing.T) {
	t.Parallel()
	_, err := StartRedis("--no-such-setting", "1")
	require.ErrorIs(t, err, errEnded)
	require.ErrorContains(t, err, "no-such-setting")
}

func TestSentinelPromotesAReplica(t *testing.T) {
	t.Parallel()
	master := startTestRedis(t)
	get(t, master, "SET", "key", "value")
	replica, err := master.Replica()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, replica.Stop()) })
	require.Equal(t, "value", get(t, replica, "GET", "key"))
	sentinel, err := StartSentinel(master)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sentinel.Stop()) })
	require.True(t, strings.HasSuffix(sentinel.URL(), "/0?master_name=ringback"))

	require.NoError(t, master.Kill())
	began := time.Now()
	promoted := func() bool { // who is promoted cuts its clients off
		text, err := call(replica.port, "INFO", "replication")
		return err == nil && strings.Contains(text, "role:master")
	}
	require.Eventually(t, promoted, patience, 20*time.Millisecond)
	t.Logf("promoted after %v", time.Since(began))
}

func TestMissingProgramsAreNamed(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := StartRedis()
	require.ErrorContains(t, err, "apt-get install redis-server")
	root := t.TempDir()
	_, err = postgresBin(root)
	require.ErrorContains(t, err, "apt-get install postgresql")

	for _, version := range []string{"9.6", "9", "16", "15"} {
		bin := filepath.Join(root, version, "bin")
		require.NoError(t, os.MkdirAll(bin, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(bin, "initdb"), nil, 0o700))
	}
	newest, err := postgresBin(root)
	require.NoError(t, err)
	require.Equal(t, filepath.Join(root, "16", "bin"), newest)
}
