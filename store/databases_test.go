package store

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/ringback/ringback/jobs"
)

func TestMain(m *testing.M) {
	// GORM's cache of prepared statements has a goroutine that it never ends, one for each handle.
	goleak.VerifyTestMain(tests{m}, goleak.IgnoreTopFunction("gorm.io/gorm/internal/lru.NewLRU[...].func1"))
}

// tests are all of them; after the last one the server that they share is stopped.
type tests struct{ *testing.M }

func (t tests) Run() int {
	code := t.M.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// onEach runs a test of what the store promises over both databases.
func onEach(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, worldOver(t, openSQLiteStore(t)))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, worldOver(t, openPostgresStore(t)))
	})
}

// openSQLiteStore copies a database that was made once for all tests.
func openSQLiteStore(t *testing.T) *Store {
	t.Helper()
	dir := t.TempDir()
	for name, content := range must(madeHere())(t) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	return openStore(t, dir)
}

func openStore(t *testing.T, dir string) *Store {
	t.Helper()
	return openWith(t, func(o *Options) { o.Dir = dir })
}

// openPostgresStore has a new database of the server that all tests share.
func openPostgresStore(t *testing.T) *Store {
	t.Helper()
	return openWith(t, func(o *Options) { o.DSN = newDatabase(t) })
}

// newDatabase is one as madeThere has it. A copy takes a tenth of a second of this machine's time, so tests that have passed
// leave theirs, emptied, to others.
func newDatabase(t *testing.T) string {
	t.Helper()
	dsn := must(shared.take())(t)
	t.Cleanup(func() { require.NoError(t, shared.giveBack(dsn, t.Failed())) })
	return dsn
}

// testKey seals in all databases on servers.
var testKey = bytes.Repeat([]byte{7}, keyBytes)

func openWith(t *testing.T, change func(*Options)) *Store {
	t.Helper()
	o := Options{ShardsAwake: 2, Events: jobs.EventLimits{Bytes: 256 << 10, PublicURL: "http://127.0.0.1:8787"}, Connections: 10, Now: time.Now}
	if change(&o); o.DSN != "" {
		o.Key = testKey
	}
	s, err := Open(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// madeHere are the files of a new SQLite database.
var madeHere = sync.OnceValues(func() (files map[string][]byte, err error) {
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := openOnce(Options{Dir: dir}); err != nil {
		return nil, err
	}
	files = map[string][]byte{}
	for _, name := range []string{DatabaseFile, KeyFile} {
		if files[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	return files, nil
})

// madeThere is a new database on the shared server, for copies.
var madeThere = sync.OnceValues(func() (dsn string, err error) {
	server, err := shared.start()
	if err != nil {
		return "", err
	}
	if dsn, err = server.NewDatabase(); err != nil {
		return "", err
	}
	return dsn, openOnce(Options{DSN: dsn, Key: testKey})
})

func openOnce(o Options) error {
	o.Now = time.Now
	s, err := Open(context.Background(), o)
	if err != nil {
		return err
	}
	return s.Close()
}
