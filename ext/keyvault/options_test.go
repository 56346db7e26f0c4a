package keyvault

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestDurations(t *testing.T) {
	for _, test := range []struct {
		name   string
		option Option
		good   bool
	}{
		{"the shortest interval", WithRefreshInterval(time.Second), true},
		{"a shorter one", WithRefreshInterval(time.Second - 1), false},
		{"the longest timeout", WithTimeout(5 * time.Minute), true},
		{"a longer one", WithTimeout(5*time.Minute + 1), false},
		{"the shortest timeout", WithTimeout(1), true},
		{"no timeout", WithTimeout(0), false},
		{"a negative one", WithTimeout(-1), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := newConfig([]Option{test.option})
			assert.Equal(t, test.good, len(cfg.errs) == 0)
		})
	}
}
