package store

import (
	run "os/exec"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestALockIsLetGoWhileProgramsStart: each of them has it for a moment.
func TestALockIsLetGoWhileProgramsStart(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	defer wg.Wait()
	for range 4 {
		wg.Go(func() {
			for range 50 {
				_ = run.CommandContext(t.Context(), "true").Run()
			}
		})
	}
	for range 5000 {
		f, err := lockDir(dir)
		require.NoError(t, err)
		require.NoError(t, unlock(f))
	}
}
