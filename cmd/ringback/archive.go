package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringback/ringback/store"
)

// stream is the name that stands for standard output or input.
const stream = "-"

// filesBeside opens the file store without touching what another process on the same folder is writing.
func filesBeside(ctx context.Context, cfg Config) (store.Files, error) {
	if cfg.Files.URL == "" {
		folder, err := store.OpenFolderBeside(filepath.Join(cfg.DataDir, store.FilesDir))
		if err != nil {
			return nil, err // a nil *Folder is no nil Files
		}
		return folder, nil
	}
	return openFiles(ctx, cfg, nil)
}

// archiveCommand is what backup, restore, export and import have in common.
type archiveCommand struct {
	source configSource
	json   bool
}

func (c *archiveCommand) addFlags(cmd *cobra.Command) {
	c.source.addFlags(cmd)
	cmd.Flags().BoolVar(&c.json, "json", false, "print one JSON object at the end")
}

func (c *archiveCommand) load(cmd *cobra.Command) (Config, error) {
	cfg, warnings, err := c.source.load()
	for _, warning := range warnings {
		fmt.Fprintln(cmd.ErrOrStderr(), "warning:", warning)
	}
	return cfg, err
}

// embeddedOnly refuses what would be half a backup.
func embeddedOnly(cfg Config) error {
	if cfg.Store.DSN != "" || cfg.Files.URL != "" {
		return errors.New("backup and restore are for the embedded mode, where all is in data_dir; with store.dsn or files.url set use your database's and your file store's own backups, or `ringback export`")
	}
	return nil
}

// compressionOf reads it off a file's name.
func compressionOf(name string) store.Compression {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".zst", ".zstd", ".tzst":
		return store.Zstd
	case ".gz", ".tgz":
		return store.Gzip
	}
	return store.Uncompressed
}

// writeArchive has an archive written to standard output, or to a file that is there whole or not at all.
func writeArchive(cmd *cobra.Command, name string, write func(io.Writer) error) error {
	if name == stream {
		return write(cmd.OutOrStdout())
	}
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return usagef("%s is a folder: name the file, as in %s", name, filepath.Join(name, "ringback.tar.zst"))
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*.part") // its own, also where two run at once
	if err != nil {
		return err
	}
	part := f.Name()
	err = write(&steadily{to: f})
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(part, name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(part))
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// steadily has the disk take what is written as it comes. All of it at once, at the end, would hold up whoever else waits for
// the disk.
type steadily struct {
	to    *os.File
	ahead int
}

const aheadMost = 16 << 20

func (s *steadily) Write(p []byte) (int, error) {
	n, err := s.to.Write(p)
	if s.ahead += n; err == nil && s.ahead >= aheadMost {
		s.ahead, err = 0, s.to.Sync()
	}
	return n, err
}

// readArchive opens what is named, - being standard input.
func readArchive(cmd *cobra.Command, name string) (io.ReadCloser, error) {
	if name == stream {
		return io.NopCloser(cmd.InOrStdin()), nil
	}
	return os.Open(name)
}

// report tells what was done: on standard output, unless the archive itself went there.
func (c *archiveCommand) report(cmd *cobra.Command, name string, done any, lines ...string) error {
	out := cmd.OutOrStdout()
	if name == stream && (cmd.Name() == "backup" || cmd.Name() == "export") {
		out = cmd.ErrOrStderr()
	}
	if c.json {
		return json.NewEncoder(out).Encode(done)
	}
	for _, line := range lines {
		if line != "" {
			fmt.Fprintln(out, line)
		}
	}
	return nil
}

// archiveProgress tells how far a long work is: in place on a terminal, else in a line now and then.
type archiveProgress struct {
	out   *screen
	doing string
	next  time.Time
}

const (
	redrawStepEvery = 200 * time.Millisecond
	plainStepEvery  = 5 * time.Second
)

func newArchiveProgress(cmd *cobra.Command) *archiveProgress {
	return &archiveProgress{out: newScreen(cmd.ErrOrStderr())}
}

func (p *archiveProgress) told(now store.Progress) {
	if now.Doing == p.doing && time.Now().Before(p.next) {
		return
	}
	p.doing = now.Doing
	line := now.Doing
	if now.Bytes > 0 {
		line += "  " + megabytes(now.Bytes)
	}
	if now.Of > 0 {
		line += " of " + megabytes(now.Of)
	}
	if !p.out.live {
		p.next = time.Now().Add(plainStepEvery)
		p.out.printf("%s\n", line)
		return
	}
	p.next = time.Now().Add(redrawStepEvery)
	p.out.draw([]string{fit(line, p.out.width()-1)})
}

func (p *archiveProgress) end() { p.out.clear() }

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
