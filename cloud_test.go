package certtoken

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/certtoken/certtoken/internal/syntax"
)

// A cloud is found by its host's name, so it must be among the names too.
func TestCloudsHaveNames(t *testing.T) {
	for _, c := range clouds {
		assert.Equal(t, c.host, syntax.EntraHost(c.host))
		assert.Same(t, c, cloudOf(c.host))
	}
}
