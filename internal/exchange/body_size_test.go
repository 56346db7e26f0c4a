package exchange

import (
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a server says of its answer's length is only a hint: the whole text is read, and
// none that is longer than allowed.
func TestTheToldSizeIsAHint(t *testing.T) {
	for _, length := range []int{0, 1, 511, 512, 513, 4000, usualBody + 1, 40_000} {
		text := strings.Repeat("x", length)
		for _, size := range []int64{-1, 0, 1, int64(length), int64(length) + 1, 1 << 60} {
			data, err := readSized(iotest.HalfReader(strings.NewReader(text)), size, int64(length))
			require.NoError(t, err, "%d, said to be %d", length, size)
			assert.True(t, text == string(data), "%d, said to be %d", length, size)
			if length > 0 {
				_, err = readSized(strings.NewReader(text), size, int64(length)-1)
				assert.ErrorIs(t, err, ErrTooLong)
			}
		}
	}
}
