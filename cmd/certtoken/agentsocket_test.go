//go:build unix

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/agentfile"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
)

// A full disk takes the decisions away, and the agent's own log says so, once.
func TestAuditOnAFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("there is no /dev/full")
	}
	var own bytes.Buffer
	log := newAgentLog(console.With(os.Stdin, t.Output(), &own))
	require.NoError(t, log.openAudit("/dev/full", false))
	defer log.close()
	for range 3 {
		log.audit.Info("token granted")
	}
	assert.Equal(t, 1, strings.Count(own.String(), "decisions aren't written down"), own.String())
	assert.NotContains(t, own.String(), "token granted")
}

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
