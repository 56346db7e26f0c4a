package workload

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// However many audiences there are, a bounded number of tokens is kept.
func TestShelfIsBounded(t *testing.T) {
	s := newShelf()
	for n := range 10 * maxKept {
		_, err := s.get(t.Context(), fmt.Sprint(n), func() (token, error) {
			return token{"x", time.Now().Add(time.Hour)}, nil
		})
		assert.NoError(t, err)
		assert.LessOrEqual(t, len(s.kept), maxKept)
	}
	assert.NotEmpty(t, s.kept)
}
