package single_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/internal/single"
)

func TestDoReturnsWhatTheFunctionReturns(t *testing.T) {
	var c single.Caller[string]
	got, err := c.Do(t.Context(), time.Minute, func() (string, error) { return "a", nil })
	require.NoError(t, err)
	assert.Equal(t, "a", got)
	boom := errors.New("boom")
	_, err = c.Do(t.Context(), time.Minute, func() (string, error) { return "", boom })
	assert.ErrorIs(t, err, boom)
}

func TestAHangingCallIsGivenUpAndIsTheOnlyOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c single.Caller[int]
		release := make(chan struct{})
		var started atomic.Int32
		hang := func() (int, error) { started.Add(1); <-release; return 1, nil }

		began := time.Now()
		_, err := c.Do(t.Context(), 5*time.Second, hang)
		require.ErrorIs(t, err, single.ErrNoAnswer)
		assert.ErrorContains(t, err, "5s")
		assert.Equal(t, 5*time.Second, time.Since(began))

		for range 3 { // no caller waits again for what is overdue, and nothing else is started
			began = time.Now()
			_, err = c.Do(t.Context(), 5*time.Second, hang)
			require.ErrorIs(t, err, single.ErrNoAnswer)
			assert.Zero(t, time.Since(began))
		}
		assert.EqualValues(t, 1, started.Load())

		close(release)
		synctest.Wait()
		got, err := c.Do(t.Context(), 5*time.Second, func() (int, error) { return 2, nil })
		require.NoError(t, err)
		assert.Equal(t, 2, got, "the late result went nowhere")
	})
}

func TestDoWaitsForTheOneUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c single.Caller[int]
		first, mine := c.Start(func() (int, error) { time.Sleep(3 * time.Second); return 1, nil })
		require.True(t, mine)
		same, mine := c.Start(func() (int, error) { return 9, nil })
		assert.False(t, mine)
		assert.Same(t, first, same)
		got, err := c.Do(t.Context(), 4*time.Second, func() (int, error) { time.Sleep(3 * time.Second); return 2, nil })
		require.NoError(t, err)
		assert.Equal(t, 2, got)
		got, err = first.Wait(t.Context(), 4*time.Second)
		require.NoError(t, err)
		assert.Equal(t, 1, got)
	})
}

func TestAWaiterLeavesWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c single.Caller[int]
		why := errors.New("why")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, why)
		defer cancel()
		_, err := c.Do(ctx, time.Minute, func() (int, error) { time.Sleep(10 * time.Second); return 1, nil })
		assert.ErrorIs(t, err, why)
		time.Sleep(10 * time.Second)
	})
}

func TestAPanicIsAnErrorWithoutItsText(t *testing.T) {
	var c single.Caller[int]
	_, err := c.Do(t.Context(), time.Minute, func() (int, error) { panic("secret") })
	require.ErrorContains(t, err, "panicked")
	assert.NotContains(t, err.Error(), "secret")
	_, err = c.Do(t.Context(), time.Minute, func() (int, error) { runtime.Goexit(); return 1, nil })
	require.ErrorContains(t, err, "ended its goroutine")
	_, err = c.Do(t.Context(), time.Minute, func() (int, error) { return 1, nil })
	assert.NoError(t, err)
}
