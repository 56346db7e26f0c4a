// Command certtoken turns a certificate into an access token, and helps with
// everything around it. See README.md and "certtoken --help".
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
)

func main() {
	postponeCollection()
	os.Exit(run(os.Args[1:]))
}

// run runs the command line and returns the exit status. The first interrupt ends
// the command in an orderly way. A second one ends it at once.
func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return execute(ctx, console.New(), args)
}
