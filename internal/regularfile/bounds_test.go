package regularfile

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The limit is documented at the sources that read by it.
func TestLimit(t *testing.T) { assert.Equal(t, 5*time.Second, Limit) }

// endless is a file that grows faster than it is read.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) {
	if e.read += int64(len(p)); e.read > 1<<20 {
		return 0, errors.New("read too far")
	}
	return len(p), nil
}

func TestAFileWithoutEndIsReadToTheBound(t *testing.T) {
	var file endless
	_, err := content("file", &file, 1000)
	require.ErrorIs(t, err, ErrTooLarge)
	assert.Less(t, file.read, int64(2000))
}

func TestAFileThatBreaksOffIsNotReturned(t *testing.T) {
	broken := errors.New("input/output error")
	half := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken))
	data, err := content("file", half, 100)
	require.ErrorIs(t, err, broken)
	assert.Nil(t, data)
}
