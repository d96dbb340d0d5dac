package store

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/ringback/ringback/jobs"
)

func TestMain(m *testing.M) {
	// GORM's cache of prepared statements has a goroutine that it never ends, one for each handle.
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("gorm.io/gorm/internal/lru.NewLRU[...].func1"))
}

func openStore(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(t.Context(), Options{
		Dir: dir, ShardsAwake: 2, Events: jobs.EventLimits{Bytes: 256 << 10, PublicURL: "http://127.0.0.1:8787"}, Now: time.Now,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// goroutinesWaiting tells whether at least n callers stand in the writer's queue.
func goroutinesWaiting(n int) bool {
	buf := make([]byte, 1<<20)
	stacks := string(buf[:runtime.Stack(buf, true)])
	waiting := 0
	for _, stack := range strings.Split(stacks, "\n\n") {
		if strings.Contains(stack, "(*writer).write(") && strings.Contains(stack, "[select") {
			waiting++
		}
	}
	return waiting >= n
}
