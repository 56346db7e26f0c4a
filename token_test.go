package certtoken

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// A renewal is due while there is time for it, and never at once.
func TestRenewAfter(t *testing.T) {
	for _, c := range []struct{ life, refreshIn, least, most time.Duration }{
		{life: time.Hour, least: 40 * time.Minute, most: 50 * time.Minute},
		{life: time.Hour, refreshIn: 30 * time.Minute, least: 27 * time.Minute, most: 33 * time.Minute},
		{life: time.Hour, refreshIn: 3590 * time.Second, least: 53 * time.Minute, most: 54 * time.Minute},
		{life: time.Hour, refreshIn: 2 * time.Hour, least: 40 * time.Minute, most: 50 * time.Minute}, // nonsense
		{life: time.Hour, refreshIn: time.Millisecond, least: time.Second, most: time.Second},
		{life: time.Second, least: 675 * time.Millisecond, most: 825 * time.Millisecond},
		{life: time.Second, refreshIn: 1, least: 500 * time.Millisecond, most: 500 * time.Millisecond},
	} {
		for range 100 {
			after := renewAfter(c.life, c.refreshIn)
			assert.GreaterOrEqual(t, after, c.least, c)
			assert.LessOrEqual(t, after, c.most, c)
			assert.Less(t, after, handOutTime(c.life), c)
		}
	}
}
