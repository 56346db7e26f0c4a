package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// swtpm starts a TPM in software, which ends with the script, and has CERTTOKEN_TPM name it.
// The folder is a short one, because the path of a socket may have 100 characters.
func cmdSWTPM(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: swtpm")
	}
	dir, err := os.MkdirTemp("", "tpm")
	ts.Check(err)
	ts.Defer(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "tpm")
	cmd := exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+dir, "--flags", "startup-clear",
		"--server", "type=unixio,path="+socket, "--ctrl", "type=unixio,path="+socket+".ctrl")
	ts.Check(cmd.Start())
	ts.Defer(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	})
	for start := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		if conn, err := net.Dial("unix", socket); err == nil {
			_ = conn.Close()
			break
		}
		if time.Since(start) > patience {
			ts.Fatalf("swtpm doesn't listen")
		}
	}
	ts.Setenv("CERTTOKEN_TPM", socket)
}
