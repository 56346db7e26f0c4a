//go:build unix

package rotate_test

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/rotate"
)

// lifeline is a pipe that a program holds open. What it has started holds it too, so that the
// pipe ends when the last of them does, however long that takes.
type lifeline struct {
	path   string
	reader *os.File
}

func newLifeline(t *testing.T) *lifeline {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lifeline")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	reader, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, reader.Close()) })
	return &lifeline{path, reader}
}

// held is a part of a script that holds the pipe from then on.
func (l *lifeline) held() string { return "exec 3>'" + l.path + "'; echo held >&3\n" }

// last is what was written before everybody had ended.
func (l *lifeline) last(t *testing.T) string {
	t.Helper()
	said, err := io.ReadAll(l.reader)
	require.NoError(t, err)
	return string(said)
}

// A program that succeeded has done its work, though it left something behind that holds its
// output. That ends too. If it weren't ended, it would say so after five minutes.
func TestAProgramLeavesAnotherBehind(t *testing.T) {
	const late = "sleep 300; echo late >&3"
	line := newLifeline(t)
	registrar := rotate.Exec(script(t, line.held()+`echo '{"key_id": "x"}'; (`+late+`) & exit 0`))
	id, err := registrar.Add(t.Context(), newEC(t), rotate.Identity{})
	require.NoError(t, err)
	assert.Equal(t, "x", id)
	assert.Equal(t, "held\n", line.last(t))

	line = newLifeline(t)
	quiet := rotate.Exec(script(t, line.held()+`(exec >/dev/null 2>&1 </dev/null; `+late+`) & exit 2`))
	_, err = quiet.Add(t.Context(), newEC(t), rotate.Identity{})
	require.ErrorIs(t, err, rotate.ErrRefused)
	assert.Equal(t, "held\n", line.last(t))
}
