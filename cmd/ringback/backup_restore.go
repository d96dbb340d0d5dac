package main

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringback/ringback/store"
)

const restoreHelp = `Put a backup into an empty data_dir, and check all of it: the checksums, the
database, and that each file is there that the database names. Only then
` + "`ringback serve`" + ` starts on it. - is standard input.

What was in flight when the backup was made goes on: jobs that have run since
then run again, and callbacks that were sent since then are sent again, with the
same webhook-id.`

// restoreCommand is one restore, as the flags say it.
type restoreCommand struct {
	archiveCommand
	force bool
}

func newRestoreCommand() *cobra.Command {
	r := &restoreCommand{}
	cmd := &cobra.Command{
		Use:     "restore FILE",
		Short:   "Put a backup into an empty data_dir",
		Long:    restoreHelp,
		Example: "  ringback restore backup.tar.zst --set data_dir=/var/lib/ringback\n  ssh elsewhere cat backup.tar.zst | ringback restore -",
		Args:    cobra.ExactArgs(1),
	}
	r.addFlags(cmd)
	cmd.Flags().BoolVar(&r.force, "force", false, "move what is in data_dir aside, into a folder in it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return r.run(cmd, args[0]) }
	return cmd
}

func (r *restoreCommand) run(cmd *cobra.Command, name string) error {
	cfg, err := r.load(cmd)
	if err != nil {
		return err
	}
	if err := embeddedOnly(cfg); err != nil {
		return err
	}
	from, err := readArchive(cmd, name)
	if err != nil {
		return err
	}
	defer from.Close()
	progress := newArchiveProgress(cmd)
	defer progress.end()
	done, err := store.Restore(cmd.Context(), store.RestoreOptions{
		Dir: cfg.DataDir, Key: cfg.storeOptions().Key, Force: r.force, Now: time.Now, Told: progress.told,
	}, from)
	if err != nil {
		return err
	}
	progress.end()
	if !done.KeyIsThere {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: the key is not there: before `ringback serve` put the old master.key to %s, or set secrets.key to the one that was in use\n",
			filepath.Join(cfg.DataDir, store.KeyFile))
	}
	aside := ""
	if done.Aside != "" {
		aside = "what was there is now in " + done.Aside
	}
	return r.report(cmd, name, done, contents("restored", done.Contents), "as of "+madeAt(done.Archive)+": what ran since then runs again", aside)
}
