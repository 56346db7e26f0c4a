// Command dependencies writes docs/dependencies.md: every module that ours
// depend on, with its version, its licence and its last release.
//
//	go run ./release/dependencies
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const document = "docs/dependencies.md"

func main() {
	if err := write(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func write() error {
	out, err := run(".", nil, "go", "env", "GOWORK")
	if err != nil {
		return err
	}
	root := filepath.Dir(strings.TrimSpace(string(out)))
	inv, err := take(root)
	if err != nil {
		return err
	}
	if inv.newest, err = latest(inv.modules); err != nil {
		return err
	}
	inv.asked = time.Now().UTC().Format(time.DateOnly)
	if wrong := inv.mistakes(); len(wrong) > 0 {
		return fmt.Errorf("not allowed:\n%s", strings.Join(wrong, "\n"))
	}
	return os.WriteFile(filepath.Join(root, document), []byte(inv.render()), 0o644)
}

// take makes the inventory, but for the newest releases.
func take(root string) (inv inventory, err error) {
	if inv.modules, err = workspace(root); err != nil {
		return inv, err
	}
	if inv.deps, err = dependencies(inv.modules); err != nil {
		return inv, err
	}
	inv.npm, err = npmLicences(root)
	return inv, err
}
