package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ringback/ringback/store"
)

const exportHelp = `Write all that belongs to a project into FILE: its files, and the rows of each
table as lines of JSON, from whatever database and file store the configuration
names. ` + "`ringback import`" + ` puts it into another: so a project moves from one machine
to many, or back.

It works beside running servers, and is of the moment at which it began. Stop the
servers before an export that is to be the last one: what they do afterwards is
not in it, and jobs that go on here would also go on there.

FILE is packed as its name says: .zst, .gz, or not at all. - is standard output.
Secrets stay sealed, so the importing side needs the same secrets.key.`

// exportCommand is one export, as the flags say it.
type exportCommand struct {
	archiveCommand
	project string
}

func newExportCommand() *cobra.Command {
	e := &exportCommand{}
	cmd := &cobra.Command{
		Use:     "export FILE",
		Short:   "Write a project's facts and files into a file, to move it",
		Long:    exportHelp,
		Example: "  ringback export project.tar.zst\n  ringback export project.tar.zst --config fleet.yaml --json",
		Args:    cobra.ExactArgs(1),
	}
	e.addFlags(cmd)
	cmd.Flags().StringVar(&e.project, "project", "default", "the project's `ID`")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return e.run(cmd, args[0]) }
	return cmd
}

func (e *exportCommand) run(cmd *cobra.Command, name string) error {
	cfg, err := e.load(cmd)
	if err != nil {
		return err
	}
	options := store.ExportOptions{
		Options: cfg.storeOptions(), Project: e.project, Compression: compressionOf(name), Version: version(),
	}
	if options.Files, err = filesBeside(cmd.Context(), cfg); err != nil {
		return err
	}
	defer options.Files.Close()
	progress := newArchiveProgress(cmd)
	defer progress.end()
	options.Told = progress.told
	var done store.Contents
	err = writeArchive(cmd, name, func(w io.Writer) (err error) {
		done, err = store.Export(cmd.Context(), options, w)
		return err
	})
	if err != nil {
		return err
	}
	progress.end()
	done.Tables = nil // what the archive says of them is for import
	return e.report(cmd, name, done, contents("exported", done)+fmt.Sprintf(", %d rows", done.Rows))
}
