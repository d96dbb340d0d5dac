package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

// configSource is where a command's flags say its configuration comes from.
type configSource struct {
	file string
	set  []string
}

// addFlags adds --config and --set to a command.
func (s *configSource) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.file, "config", "", "configuration `FILE` (default ./config.yaml if it exists)")
	cmd.Flags().StringArrayVar(&s.set, "set", nil, "override one setting, `KEY=VALUE`; repeatable, as in --set callbacks.allow_http=true")
}

// load reads the configuration once the flags are parsed. Its warnings are for
// the log; the error is LoadConfig's.
func (s *configSource) load() (Config, []string, error) {
	return LoadConfig(ConfigSources{File: s.file, Environ: os.Environ(), Set: s.set})
}

func newConfigCommand() *cobra.Command {
	var source configSource
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print the configuration in force, secrets as ***",
		Example: `  ringback config
  ringback config --config fleet.yaml --set log.level=debug`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, warnings, err := source.load()
			for _, warning := range warnings {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning:", warning)
			}
			if err != nil {
				return err
			}
			return cfg.Print(cmd.OutOrStdout())
		},
	}
	source.addFlags(cmd)
	return cmd
}
