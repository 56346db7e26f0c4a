package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/spf13/cobra"
)

func newVersion(c *console.Console) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  certtoken version",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			c.Printf("%s\n", versionText())
			return nil
		},
	}
}

func versionText() string {
	return fmt.Sprintf("certtoken %s (%s, %s/%s)", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// version is the version of the module that the go command has recorded.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
