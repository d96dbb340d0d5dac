package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// binary is the program under test: what RINGBACK_E2E_BINARY names (a release, or one built with -race), else built
// once by TestMain.
var binary = os.Getenv("RINGBACK_E2E_BINARY")

func TestMain(m *testing.M) {
	code := buildAndRun(m)
	if err := stopShared(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) int {
	if binary != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "ringback-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "ringback")
	build := exec.Command("go", "build", "-o", binary, "../cmd/ringback")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "cannot build the program under test:", err)
		return 1
	}
	return m.Run()
}

// dice is a random source whose seed is printed; RINGBACK_E2E_SEED repeats a run.
func dice(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("RINGBACK_E2E_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("RINGBACK_E2E_SEED is not a number: %v", err)
		}
	}
	t.Logf("RINGBACK_E2E_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}
