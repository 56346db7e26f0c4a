//go:build unix

package regularfile

import (
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWhatWouldWaitForEverIsRefusedAtOnce(t *testing.T) {
	dir, err := os.MkdirTemp("", "") // t.TempDir's name can be too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	pipe, link, socket := filepath.Join(dir, "pipe"), filepath.Join(dir, "link"), filepath.Join(dir, "s")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	require.NoError(t, os.Symlink(pipe, link))
	listener, err := net.Listen("unix", socket)
	require.NoError(t, err)
	defer listener.Close()
	for path, kind := range map[string]string{
		pipe: "a named pipe", link: "a named pipe", socket: "a socket", "/dev/zero": "a device",
		"/dev/null": "a device",
	} {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var r Reader
				began := time.Now()
				_, err := r.Read(t.Context(), path, 100)
				require.ErrorIs(t, err, ErrNotRegular)
				assert.ErrorContains(t, err, kind)
				assert.Zero(t, time.Since(began))
			})
		})
	}
}

// A path can come to name a pipe between the first look and the open.
func TestOpeningAPipeDoesNotWait(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	opened := make(chan error, 1)
	go func() {
		_, err := open(pipe, 100)
		opened <- err
	}()
	select {
	case err := <-opened:
		assert.ErrorIs(t, err, ErrNotRegular)
	case <-time.After(time.Minute):
		t.Fatal("the open waits for a writer")
	}
}
