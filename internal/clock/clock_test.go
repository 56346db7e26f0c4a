package clock_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/certtoken/certtoken/internal/clock"
)

// granted is a span that begins now.
func granted(c *clock.Clock) *clock.Span {
	now := c.Look()
	return &clock.Span{Granted: now.Mono, Ahead: now.Ahead}
}

func TestAgeFollowsTheLaterClock(t *testing.T) {
	for name, c := range map[string]struct {
		shift time.Duration // of the wall clock
		want  time.Duration // that a minute of the monotonic clock counts
	}{
		"both agree":                  {0, time.Minute},
		"the machine was suspended":   {time.Hour, time.Hour + time.Minute},
		"the wall clock was set back": {-time.Hour, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := clock.New()
				time.Sleep(time.Second)
				span := granted(k)
				k.Shift(c.shift)
				time.Sleep(time.Minute)
				assert.Equal(t, c.want, k.Age(span)-span.Granted)
			})
		})
	}
}

// A token that is granted after a jump has nothing to do with it.
func TestAJumpBeforeTheGrantDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := clock.New()
		k.Shift(time.Hour)
		span := granted(k)
		time.Sleep(time.Minute)
		assert.Equal(t, time.Minute, k.Age(span)-span.Granted)
	})
}

func TestAJumpIsNoticedWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := clock.New()
		span := granted(k)
		k.Shift(time.Hour)
		time.Sleep(time.Second - 1)
		assert.Less(t, k.Age(span), time.Second, "the wall clock is not read for every hit")
		time.Sleep(time.Nanosecond)
		assert.Equal(t, time.Hour+time.Second, k.Age(span))
	})
}

func TestLookReadsBothClocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		k := clock.New()
		time.Sleep(time.Minute)
		k.Shift(-time.Hour)
		now := k.Look()
		assert.Equal(t, time.Minute, now.Mono)
		assert.Equal(t, -time.Hour, now.Ahead)
		assert.True(t, now.Time.Equal(start.Add(time.Minute-time.Hour)), "%v", now.Time)
	})
}
