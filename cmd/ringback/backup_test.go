package main

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tidwall/gjson"

	"github.com/ringback/ringback/store"
)

// dataDir is one that a server has used once, and no serve holds now.
func dataDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	s, err := store.Open(t.Context(), store.Options{Dir: dir, Now: time.Now})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	return dir
}

func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"b.tar", "b.tar.gz", "b.tar.zst"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := dataDir(t)
			file := filepath.Join(t.TempDir(), name)
			code, out, errs := runCommand(t, "", "backup", file, "--set", "data_dir="+dir)
			require.Equal(t, exitOK, code, errs)
			require.Contains(t, out, "backed up: 0 jobs, 0 files")
			require.Contains(t, errs, "keep a copy of "+filepath.Join(dir, "master.key"))
			requireNoParts(t, file)

			code, out, errs = runCommand(t, "", "backup", "--check", file, "--json")
			require.Equal(t, exitOK, code, errs)
			require.Equal(t, "backup", gjson.Get(out, "kind").String())

			to := t.TempDir()
			code, out, errs = runCommand(t, "", "restore", file, "--set", "data_dir="+to)
			require.Equal(t, exitOK, code, errs)
			require.Contains(t, errs, "the key is not there")
			require.Contains(t, out, "what ran since then runs again")

			code, _, errs = runCommand(t, "", "restore", file, "--set", "data_dir="+to)
			require.Equal(t, exitFailure, code)
			require.Contains(t, errs, "is not empty")
			code, out, errs = runCommand(t, "", "restore", file, "--set", "data_dir="+to, "--force")
			require.Equal(t, exitOK, code, errs)
			require.Contains(t, out, "what was there is now in "+to)
		})
	}
}

// TestBackupStreams to standard output, with nothing else on it, and from standard input.
func TestBackupStreams(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	code, archive, errs := runCommand(t, "", "backup", "-", "--with-key", "--json", "--set", "data_dir="+dir)
	require.Equal(t, exitOK, code, errs)
	require.True(t, strings.HasPrefix(archive, "ringback.json"))
	require.Contains(t, errs, "whoever has this file can read every secret")
	to := t.TempDir()
	code, out, errs := runCommand(t, archive, "restore", "-", "--json", "--set", "data_dir="+to)
	require.Equal(t, exitOK, code, errs)
	require.True(t, gjson.Get(out, "key_is_there").Bool())
	s, err := store.Open(t.Context(), store.Options{Dir: to, Now: time.Now})
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

// TestBackupLeavesNothingHalf: a backup that fails takes no older one's place.
func TestBackupLeavesNothingHalf(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "b.tar")
	require.NoError(t, os.WriteFile(file, []byte("yesterday's"), 0o600))
	code, _, errs := runCommand(t, "", "backup", file, "--set", "data_dir="+t.TempDir())
	require.Equal(t, exitFailure, code)
	require.Contains(t, errs, "there is no database in data_dir")
	kept, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "yesterday's", string(kept))
	requireNoParts(t, file)

	code, _, errs = runCommand(t, "", "backup", "--check", file)
	require.Equal(t, exitFailure, code)
	require.Contains(t, errs, "no archive of ringback's")
	code, _, _ = runCommand(t, "", "backup", t.TempDir(), "--set", "data_dir="+dataDir(t))
	require.Equal(t, exitUsage, code)
	code, _, errs = runCommand(t, "", "backup", file, "--set", "store.dsn=postgres://u@127.0.0.1:1/x", "--set", "secrets.key="+testMasterKey)
	require.Equal(t, exitFailure, code)
	require.Contains(t, errs, "are for the embedded mode")
}

func TestExportAndImport(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	key, err := os.ReadFile(filepath.Join(dir, store.KeyFile))
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "p.tar.zst")
	code, out, errs := runCommand(t, "", "export", file, "--json", "--set", "data_dir="+dir)
	require.Equal(t, exitOK, code, errs)
	require.EqualValues(t, 1, gjson.Get(out, "rows").Int(), "the project's own")
	require.False(t, gjson.Get(out, "tables").Exists())

	to := t.TempDir()
	code, _, errs = runCommand(t, "", "import", file, "--set", "data_dir="+to)
	require.Equal(t, exitFailure, code)
	require.Contains(t, errs, `export RINGBACK_SECRETS__KEY="$(base64 < data/master.key)"`)
	code, out, errs = runCommand(t, "", "import", file, "--set", "data_dir="+to, "--set", "secrets.key="+base64.StdEncoding.EncodeToString(key))
	require.Equal(t, exitOK, code, errs)
	require.Contains(t, out, "imported: 0 jobs")

	code, _, errs = runCommand(t, "", "export", file, "--project", "other", "--set", "data_dir="+dir)
	require.Equal(t, exitFailure, code)
	require.Contains(t, errs, `there is no project "other"`)
	code, _, errs = runCommand(t, "", "import", file, "--reseal", "--set", "data_dir="+t.TempDir())
	require.Equal(t, exitFailure, code)
	require.Contains(t, errs, envOldKey)
}

// TestImportSealsAnew with a key of its own, the old one coming from the environment.
func TestImportSealsAnew(t *testing.T) {
	dir := dataDir(t)
	key, err := os.ReadFile(filepath.Join(dir, store.KeyFile))
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "p.tar")
	code, _, errs := runCommand(t, "", "export", file, "--set", "data_dir="+dir)
	require.Equal(t, exitOK, code, errs)
	t.Setenv(envOldKey, base64.StdEncoding.EncodeToString(key))
	to := t.TempDir()
	code, _, errs = runCommand(t, "", "import", file, "--reseal", "--set", "data_dir="+to)
	require.Equal(t, exitOK, code, errs)
	s, err := store.Open(t.Context(), store.Options{Dir: to, Now: time.Now})
	require.NoError(t, err)
	_, err = s.Keys(t.Context(), "default", 0)
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

// requireNoParts: nothing stays beside an archive that was not made.
func requireNoParts(t *testing.T, file string) {
	t.Helper()
	parts, err := filepath.Glob(filepath.Join(filepath.Dir(file), ".*.part"))
	require.NoError(t, err)
	require.Empty(t, parts)
}
