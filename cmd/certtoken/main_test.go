package main

import (
	"os"
	"runtime"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the test binary stand in for the program: scripts run it as a
// process of its own, by the name of certtoken.
func TestMain(m *testing.M) {
	testscript.Main(removing{m}, map[string]func(){"certtoken": main})
}

// removing removes in the end what tests have built.
type removing struct{ *testing.M }

func (m removing) Run() int {
	setUmask()
	status := m.M.Run()
	select {
	case dir := <-builtCommands:
		_ = os.RemoveAll(dir) // it is in the folder for temporary files
	default:
	}
	return status
}

// setUmask makes files as most users have them, whatever the umask of whoever runs the tests:
// some of the files that tests make mustn't be writable for others, and some must be readable.
var setUmask = func() {}

func TestScripts(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the scripts need a POSIX shell")
	}
	dir, files := "testdata/script", []string(nil)
	if testing.Short() { // the scripts that have something going on at once
		dir, files = "", []string{"testdata/script/serve.txtar", "testdata/script/roundtrip.txtar"}
	}
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		Files:               files,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("TZ", "UTC")
			env.Setenv("PASSWORD", "correct horse ü")
			env.Setenv("XDG_CACHE_HOME", env.Getenv("WORK")+"/cache") // each script has a cache of its own
			return os.Mkdir(env.Getenv("WORK")+"/tmp", 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status":     cmdStatus,
			"match":      cmdMatch,
			"mkcert":     cmdMakeCert,
			"needs":      cmdNeeds,
			"serve":      cmdServe,
			"endserve":   cmdEndServe,
			"waitserve":  cmdWaitServe,
			"json":       cmdJSON,
			"mode":       cmdMode,
			"entra":      cmdEntra(t),
			"tokenproxy": cmdTokenProxy(t),
			"asked":      cmdAsked,
			"agent":      cmdAgent,
			"endagent":   cmdEndAgent,
			"waitlog":    cmdWaitLog,
			"swtpm":      cmdSWTPM,
		},
	})
}
