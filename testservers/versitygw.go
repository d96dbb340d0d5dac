package testservers

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

// versitygwVersion is the S3 server that tests run against, a Go program under the Apache License 2.0.
const versitygwVersion = "v1.8.0"

// versitygw gives the path of the program. It is built once for each version and platform (about a minute on two cores)
// and kept in the user's cache folder; it is no dependency of this module.
func versitygw() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("testservers: no folder to keep versitygw in: %w", err)
	}
	name := strings.Join([]string{"versitygw", versitygwVersion, runtime.GOOS, runtime.GOARCH}, "-")
	dir := filepath.Join(cache, "ringback", name)
	program := filepath.Join(dir, "versitygw")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("testservers: folder for versitygw: %w", err)
	}
	return program, whileLocked(filepath.Join(dir, "lock"), func() error {
		if _, err := os.Stat(program); !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return buildVersitygw(dir, program)
	})
}

// buildVersitygw builds beside and renames: what stands under the program's name is whole.
func buildVersitygw(dir, program string) error {
	beside, err := os.MkdirTemp(dir, "build")
	if err != nil {
		return fmt.Errorf("testservers: folder to build versitygw in: %w", err)
	}
	defer os.RemoveAll(beside)
	cmd := exec.Command("go", "install", "-ldflags=-s -w", "github.com/versity/versitygw/cmd/versitygw@"+versitygwVersion)
	cmd.Dir = beside
	cmd.Env = append(slices.Clone(os.Environ()), "GOBIN="+beside, "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("testservers: cannot build versitygw %s (this needs Go and its module proxy, once): %w: %s", versitygwVersion, err, out)
	}
	return os.Rename(filepath.Join(beside, "versitygw"), program)
}

// whileLocked runs do while no other process does: the tests of several packages start at the same time.
func whileLocked(name string, do func() error) error {
	lock, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("testservers: lock: %w", err)
	}
	defer lock.Close() // lets go of the lock too
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("testservers: lock %s: %w", name, err)
	}
	return do()
}
