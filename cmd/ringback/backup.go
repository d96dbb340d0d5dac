package main

import (
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringback/ringback/store"
)

const backupHelp = `Write a consistent copy of data_dir into FILE: a tar of the database, the files
and a checksum of each. ` + "`ringback serve`" + ` may go on working on data_dir; a backup
takes no lock from it and does not slow it down noticeably.

FILE is packed as its name says: .zst, .gz, or not at all. - is standard output.
It is there whole or not at all; one that was cut off is known by its missing
end. A copy of the database is made beside FILE meanwhile (for -, in TMPDIR).

The secrets in it are sealed, and open only with the key that sealed them:
secrets.key, or data_dir/master.key. That key is not in the backup, unless
--with-key is given.`

// backupCommand is one backup, as the flags say it.
type backupCommand struct {
	archiveCommand
	withKey bool
	check   bool
}

func newBackupCommand() *cobra.Command {
	b := &backupCommand{}
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy data_dir into a file while the server runs, or check such a file",
		Long:  backupHelp,
		Example: "  ringback backup backup.tar.zst\n" +
			"  ringback backup - | ssh elsewhere 'cat > backup.tar'\n" +
			"  ringback backup --check backup.tar.zst",
		Args: cobra.ExactArgs(1),
	}
	b.addFlags(cmd)
	cmd.Flags().BoolVar(&b.withKey, "with-key", false, "take master.key along: who has FILE can then read every secret in it")
	cmd.Flags().BoolVar(&b.check, "check", false, "write nothing; read FILE, and say whether it could be restored")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if b.check {
			return b.runCheck(cmd, args[0])
		}
		return b.run(cmd, args[0])
	}
	return cmd
}

func (b *backupCommand) run(cmd *cobra.Command, name string) error {
	cfg, err := b.load(cmd)
	if err != nil {
		return err
	}
	if err := embeddedOnly(cfg); err != nil {
		return err
	}
	progress := newArchiveProgress(cmd)
	defer progress.end()
	options := store.BackupOptions{
		Dir: cfg.DataDir, WithKey: b.withKey, Compression: compressionOf(name), Version: version(), Now: time.Now, Told: progress.told,
	}
	if name != stream {
		options.Spool = filepath.Dir(name)
	}
	var done store.Contents
	err = writeArchive(cmd, name, func(w io.Writer) (err error) {
		done, err = store.Backup(cmd.Context(), options, w)
		return err
	})
	if err != nil {
		return err
	}
	progress.end()
	b.warnOfKey(cmd, cfg)
	return b.report(cmd, name, done, contents("backed up", done))
}

// warnOfKey says where the key is: without it the secrets are lost, with it they are open.
func (b *backupCommand) warnOfKey(cmd *cobra.Command, cfg Config) {
	text := "note: the key is not in it: keep a copy of " + filepath.Join(cfg.DataDir, store.KeyFile) + " apart from the backup; without it a restore is of no use"
	switch {
	case b.withKey:
		text = "warning: the key is in it: whoever has this file can read every secret of this ringback; keep it as you keep passwords"
	case cfg.Secrets.Key != "":
		text = "note: secrets.key is not in it: a restore needs the same one"
	}
	fmt.Fprintln(cmd.ErrOrStderr(), text)
}

func (b *backupCommand) runCheck(cmd *cobra.Command, name string) error {
	from, err := readArchive(cmd, name)
	if err != nil {
		return err
	}
	defer from.Close()
	progress := newArchiveProgress(cmd)
	defer progress.end()
	done, err := store.CheckBackup(cmd.Context(), from, "", progress.told)
	if err != nil {
		return err
	}
	progress.end()
	key := "the key is not in it: a restore needs the secrets.key or master.key that was in use"
	if done.WithKey {
		key = "the key is in it"
	}
	return b.report(cmd, "", done, contents("complete and sound", done), "made "+madeAt(done.Archive), key)
}

func contents(what string, c store.Contents) string {
	return fmt.Sprintf("%s: %d jobs, %d files, %s", what, c.Jobs, c.Files, megabytes(c.Bytes))
}

func madeAt(a store.Archive) string {
	return time.UnixMilli(a.CreatedAt).UTC().Format(time.RFC3339) + " by ringback " + a.Version
}
