package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version, the commit and the Go release it was built with",
		Example: `  ringback version
  ringback version | cut -d' ' -f2`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			info, ok := debug.ReadBuildInfo()
			if !ok {
				return fmt.Errorf("this binary carries no build information: build it with go build from a module")
			}
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "ringback", versionOf(info))
			return err
		},
	}
}

// versionOf is "v1.2.3, go1.26.0", with the commit and its state where the
// build knew them.
func versionOf(info *debug.BuildInfo) string {
	release := info.Main.Version
	if release == "" {
		release = "(devel)"
	}
	commit, modified := "", ""
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision":
			commit = ", commit " + setting.Value
		case setting.Key == "vcs.modified" && setting.Value == "true":
			modified = " with changes"
		}
	}
	return release + commit + modified + ", " + info.GoVersion
}

// version is what the API says of itself.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(devel)"
	}
	return versionOf(info)
}
