//go:build unix

package agent

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// folder is one that only this user can write into, with a short name: the path of a
// socket may have about 100 bytes.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ct")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func dialer(path string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
}

func TestSocket(t *testing.T) {
	h := newHouse(t)
	id := h.identity()
	id.Callers = []Caller{AnyoneOnSocket("socket")}
	require.NoError(t, h.Update([]Identity{id}))
	path := filepath.Join(folder(t), "agent.sock")
	require.Equal(t, path, h.serve(t, "unix:"+path))
	info, err := os.Lstat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	answer, body := get(t, fresh(t, dialer(path)), "http://localhost", "")
	assert.Equal(t, http.StatusOK, answer.StatusCode, body)
	answer, _ = get(t, fresh(t, dialer(path)), "http://evil.example", "")
	assert.Equal(t, http.StatusForbidden, answer.StatusCode)

	require.NoError(t, h.Close())
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Empty(t, entries, "nothing is left behind")
}

// The place of a killed agent is taken over, and that of a running one isn't.
func TestSocketThatIsThere(t *testing.T) {
	path := filepath.Join(folder(t), "agent.sock")
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	require.NoError(t, err)
	_, err = ListenUnix(t.Context(), path, 0o600)
	require.ErrorContains(t, err, "another program answers there")
	left.SetUnlinkOnClose(false)
	require.NoError(t, left.Close())

	first, err := ListenUnix(t.Context(), path, 0o660)
	require.NoError(t, err)
	info, err := os.Lstat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o660), info.Mode().Perm())
	require.NoError(t, os.Remove(path))
	second, err := ListenUnix(t.Context(), path, 0o600)
	require.NoError(t, err)
	require.NoError(t, first.Close())
	_, err = os.Lstat(path)
	require.NoError(t, err, "the socket of another agent stays")
	require.NoError(t, second.Close())
	require.Error(t, second.Close())

	require.NoError(t, os.WriteFile(path, []byte("precious"), 0o600))
	_, err = ListenUnix(t.Context(), path, 0o600)
	require.ErrorContains(t, err, "no socket")
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.Symlink("/etc/hostname", path))
	_, err = ListenUnix(t.Context(), path, 0o600)
	require.ErrorContains(t, err, "no socket")
}

// A folder in which others could put a socket is refused.
func TestSocketFolders(t *testing.T) {
	_, err := ListenUnix(t.Context(), "/tmp/agent.sock", 0o600)
	require.Error(t, err)
	dir := folder(t)
	for _, mode := range []os.FileMode{0o777, 0o775, 0o777 | os.ModeSticky} {
		require.NoError(t, os.Chmod(dir, mode))
		_, err := ListenUnix(t.Context(), filepath.Join(dir, "agent.sock"), 0o600)
		require.ErrorContains(t, err, "others may write into its folder")
	}
	inner := filepath.Join(dir, "inner")
	require.NoError(t, os.Mkdir(inner, 0o755))
	require.NoError(t, os.Chmod(dir, 0o777))
	_, err = ListenUnix(t.Context(), filepath.Join(inner, "agent.sock"), 0o600)
	require.ErrorContains(t, err, "others may write", "they could move the inner folder away")
	require.NoError(t, os.Chmod(dir, 0o755))
	listener, err := ListenUnix(t.Context(), filepath.Join(inner, "agent.sock"), 0o600)
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	_, err = ListenUnix(t.Context(), filepath.Join(dir, "missing", "agent.sock"), 0o600)
	require.ErrorIs(t, err, os.ErrNotExist)
	if os.Getuid() != 0 {
		t.Skip("only root can give a folder away")
	}
	require.NoError(t, os.Chown(inner, 4321, 4321))
	_, err = ListenUnix(t.Context(), filepath.Join(inner, "agent.sock"), 0o600)
	require.ErrorContains(t, err, "belongs to neither root nor this user")
}

// A socket can be moved to a path that is too long to connect to: nobody would reach the agent.
func TestSocketWithALongPath(t *testing.T) {
	dir := folder(t)
	// With so short a name for the socket, the one that it is made as is too long whatever number
	// its folder is given. That may have one digit only.
	inner := filepath.Join(dir, strings.Repeat("d", longest-len(dir)-len("//s")))
	require.NoError(t, os.Mkdir(inner, 0o700))
	for _, path := range []string{
		filepath.Join(dir, strings.Repeat("x", longest)), // of the socket itself
		filepath.Join(inner, "s"),                        // of the one that it is made as
	} {
		_, err := ListenUnix(t.Context(), path, 0o600)
		require.ErrorIs(t, err, errLong)
		require.ErrorContains(t, err, strconv.Itoa(longest))
		entries, err := os.ReadDir(filepath.Dir(path))
		require.NoError(t, err)
		assert.LessOrEqual(t, len(entries), 1, "nothing is left behind")
	}
	path := filepath.Join(dir, strings.Repeat("x", longest-len(dir)-1))
	listener, err := ListenUnix(t.Context(), path, 0o600)
	require.NoError(t, err)
	conn, err := dialer(path)(t.Context())
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	require.NoError(t, listener.Close())
}

// The kernel says who connects, whatever they say themselves.
func TestOtherUserOnTheSocket(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("this system doesn't say who connects")
	}
	curl, err := exec.LookPath("curl")
	if err != nil || os.Getuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("CI must be root and have curl")
		}
		t.Skip("only root can become other users, by curl")
	}
	h := newHouse(t)
	id := h.identity()
	id.Callers = []Caller{User("alice", 4001), Group("team", 4100), Group("operators", 4200)}
	require.NoError(t, h.Update([]Identity{id}))
	dir := folder(t)
	require.NoError(t, os.Chmod(dir, 0o755))
	path := filepath.Join(dir, "agent.sock")
	listener, err := ListenUnix(t.Context(), path, 0o666)
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(listener) }()
	defer func() { require.NoError(t, h.Close()); <-ended }()

	as := func(uid, gid uint32, groups ...uint32) string {
		cmd := exec.Command(curl, "-s", "--unix-socket", path,
			"http://localhost/msi/token?api-version=2019-08-01&resource="+graph)
		cmd.Dir, cmd.Env = "/", []string{}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid, Groups: groups}}
		out, err := cmd.Output()
		require.NoError(t, err)
		return string(out)
	}
	assert.Contains(t, as(4001, 4001), "access_token")
	assert.Contains(t, as(4002, 4100), "access_token")
	assert.Contains(t, as(4002, 4002, 7, 4200), "access_token", "a supplementary group")
	many := make([]uint32, 300)
	for i := range many {
		many[i] = uint32(5000 + i)
	}
	assert.Contains(t, as(4002, 4002, append(many, 4200)...), "access_token", "one of many")
	for _, answer := range []string{
		as(4002, 4002), as(4002, 4001), as(4100, 4002), as(0, 0), as(65534, 65534), as(4003, 4003, many...),
	} {
		assert.NotContains(t, answer, "access_token")
		assert.Contains(t, answer, notListed)
	}
	records := h.log.records(t)
	assert.InDelta(t, 4001, records[0]["uid"], 0)
	assert.Equal(t, "socket", records[0]["from"])
	assert.NotZero(t, records[0]["pid"])
}

func TestPeerOf(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("this system doesn't say who connects")
	}
	path := filepath.Join(folder(t), "s")
	listener, err := net.Listen("unix", path)
	require.NoError(t, err)
	defer listener.Close()
	conn, err := net.Dial("unix", path)
	require.NoError(t, err)
	defer conn.Close()
	peer, ok := PeerOf(conn)
	require.True(t, ok)
	assert.Equal(t, strconv.Itoa(os.Getpid())+" "+strconv.Itoa(os.Getuid()),
		strings.Join([]string{strconv.Itoa(int(peer.PID)), strconv.Itoa(int(peer.UID))}, " "))
	_, ok = PeerOf(&net.TCPConn{})
	assert.False(t, ok)
}
