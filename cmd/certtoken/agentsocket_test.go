//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/agentfile"
)

func TestSocketOfAGroup(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "agent.sock")
	gid := os.Getgid()
	if os.Geteuid() == 0 {
		gid = 12345
	}
	file := &agentfile.File{
		SocketMode:  agentfile.Value{Text: "0660", Line: 1},
		SocketGroup: agentfile.Value{Text: strconv.Itoa(gid), Line: 2},
	}
	r := &agentRun{cfg: &agentConfig{file: file}}
	listener, err := r.listenSocket(t.Context(), path)
	require.NoError(t, err)
	info, err := os.Lstat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o660), info.Mode().Perm())
	assert.EqualValues(t, gid, info.Sys().(*syscall.Stat_t).Gid)
	require.NoError(t, listener.Close())

	file.SocketGroup.Text = "no-such-group-here"
	_, err = r.listenSocket(t.Context(), path)
	require.ErrorContains(t, err, "socket_group: ")
	assert.NoFileExists(t, path)
}
