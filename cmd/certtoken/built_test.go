package main

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
)

// buildCommand returns the folder of the command as users have it. The tests that call it
// watch that command, which is without the race detector: -short, with which the detector
// runs, leaves them out.
func buildCommand(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("runs the command without the race detector: not with -short")
	}
	dir, err := builtCommand()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// builtCommand builds the command once for all tests. TestMain removes it.
var builtCommand = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "certtoken-command-")
	if err != nil {
		return "", err
	}
	builtCommands <- dir
	if out, err := exec.Command("go", "build", "-o", dir, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return dir, nil
})

// builtCommands has the folder that was made, if one was.
var builtCommands = make(chan string, 1)
