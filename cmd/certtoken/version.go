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

// checkout is the version of a package that release/packages builds from a checkout. The
// linker sets it, because the go command records no version there.
var checkout string

// version is the version of the module that the go command has recorded.
func version() string {
	if checkout != "" {
		return checkout
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
