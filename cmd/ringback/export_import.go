package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/ringback/ringback/store"
)

// envOldKey holds the key that sealed an export's secrets, as secrets.key is written.
const envOldKey = "RINGBACK_OLD_KEY"

const importHelp = `Put an exported project into the database and the file store that the
configuration names. The project must be empty there. All of it is taken in, or
nothing: after a crash run it again. - is standard input.

SQLite must not be in use; beside a running fleet on PostgreSQL it works. What was
in flight goes on: workers take it over at once.

The secrets in it open only with the key that sealed them. Either both sides have
the same secrets.key, which is the text of an embedded ringback's master.key:

    export RINGBACK_SECRETS__KEY="$(base64 < data/master.key)"

or this side has its own, and --reseal opens them with the old one, taken from
` + envOldKey + `, and seals them anew.`

// importCommand is one import, as the flags say it.
type importCommand struct {
	archiveCommand
	reseal bool
}

func newImportCommand() *cobra.Command {
	i := &importCommand{}
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Put an exported project into another database and file store",
		Long:  importHelp,
		Example: "  ringback import project.tar.zst --config fleet.yaml\n" +
			"  " + envOldKey + `="$(base64 < data/master.key)" ringback import project.tar.zst --config fleet.yaml --reseal`,
		Args: cobra.ExactArgs(1),
	}
	i.addFlags(cmd)
	cmd.Flags().BoolVar(&i.reseal, "reseal", false, "open secrets with the key in "+envOldKey+" and seal them with this side's")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return i.run(cmd, args[0]) }
	return cmd
}

func (i *importCommand) run(cmd *cobra.Command, name string) error {
	cfg, err := i.load(cmd)
	if err != nil {
		return err
	}
	options := store.ImportOptions{}
	if options.OldKey, err = i.oldKey(os.Getenv(envOldKey)); err != nil {
		return err
	}
	from, err := readArchive(cmd, name)
	if err != nil {
		return err
	}
	defer from.Close()
	progress := newArchiveProgress(cmd)
	defer progress.end()
	options.Told = progress.told
	done, err := i.into(cmd, cfg, options, from)
	if err != nil {
		return err
	}
	progress.end()
	done.Tables = nil
	mended := ""
	if done.Mended > 0 {
		mended = fmt.Sprintf("%d texts held NUL or bytes that are no UTF-8, which PostgreSQL does not keep: � stands in their place", done.Mended)
	}
	return i.report(cmd, name, done, contents("imported", done.Contents)+fmt.Sprintf(", %d rows", done.Rows), mended)
}

func (i *importCommand) oldKey(text string) ([]byte, error) {
	if !i.reseal {
		return nil, nil
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) == 0 {
		return nil, errors.New(envOldKey + " must be the base64 of the old key: base64 < data/master.key")
	}
	return key, nil
}

// into opens the file store and takes the project in.
func (i *importCommand) into(cmd *cobra.Command, cfg Config, options store.ImportOptions, from io.Reader) (done store.Imported, err error) {
	options.Options = cfg.storeOptions()
	if options.Files, err = filesBeside(cmd.Context(), cfg); err != nil {
		return done, err
	}
	defer options.Files.Close()
	return store.Import(cmd.Context(), options, from)
}
