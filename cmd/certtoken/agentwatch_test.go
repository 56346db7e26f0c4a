package main

import (
	"context"
	"os"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/agentfile"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
)

// A file of the configuration on a mount that doesn't answer keeps the agent neither from ending nor
// from noticing that a listener has failed.
func TestWatchWhileAFileHangs(t *testing.T) {
	for name, end := range map[string]func(cancel func(), ended chan<- error){
		"ended":           func(cancel func(), _ chan<- error) { cancel() },
		"listener failed": func(_ func(), ended chan<- error) { ended <- os.ErrClosed },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hangs, reached := make(chan struct{}), make(chan struct{})
				r := &agentRun{
					cfg: &agentConfig{path: "agent.yaml", file: &agentfile.File{}},
					log: newAgentLog(console.With(os.Stdin, t.Output(), t.Output())),
					reload: func(context.Context) (*agentConfig, error) {
						close(reached)
						<-hangs
						return &agentConfig{file: &agentfile.File{}}, os.ErrNotExist
					},
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				hangUp, ended := make(chan os.Signal, 1), make(chan error, 1)
				result := make(chan error, 1)
				go func() { result <- r.watch(ctx, hangUp, ended) }()
				hangUp <- syscall.SIGHUP
				<-reached
				end(cancel, ended)
				synctest.Wait()
				require.NotEmpty(t, result, "it waits for the file")
				assert.Equal(t, name == "ended", <-result == nil)
				close(hangs)
			})
		})
	}
}
