package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ringback/ringback/store"
)

func newMigrateCommand() *cobra.Command {
	var source configSource
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database's schema up to date, and do nothing else",
		Example: `  ringback migrate
  ringback migrate --config fleet.yaml`,
		Long: `Bring the database's schema up to date, and do nothing else.

serve does it too, at its start. On PostgreSQL several may run at once: one migrates, the
others wait. On SQLite no serve may be running. A migration is never taken back: make a
backup first.`,
		Args: cobra.NoArgs,
	}
	source.addFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, _, err := source.load()
		if err != nil {
			return err
		}
		from, to, err := store.Migrate(cmd.Context(), cfg.storeOptions())
		if err != nil {
			return err
		}
		text := fmt.Sprintf("The database is up to date: version %d.", to)
		if from != to {
			text = fmt.Sprintf("The database went from version %d to %d.", from, to)
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
		return err
	}
	return cmd
}
