package workers_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/internal/workers"
)

func TestCloseEndsAndWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := workers.New()
		ctx, task := g.Begin(t.Context())
		require.NotNil(t, task)
		require.NoError(t, ctx.Err())
		g.Go("the store", func() {
			<-g.Context().Done()
			time.Sleep(3 * time.Second)
		})
		go func() {
			<-g.Context().Done()
			time.Sleep(2 * time.Second)
			task.End()
		}()
		start := time.Now()
		assert.False(t, g.Closed())
		assert.True(t, g.Close())
		assert.True(t, g.Closed())
		assert.False(t, g.Close(), "the second time")
		require.NoError(t, g.Wait())
		assert.Equal(t, 3*time.Second, time.Since(start))
		_, task = g.Begin(t.Context())
		assert.Nil(t, task, "nothing begins after Close")
	})
}

func TestWaitNamesWhatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := workers.New()
		release := make(chan struct{})
		for _, part := range []string{"the store", "the signer", "the signer"} {
			g.Go(part, func() { <-release })
		}
		g.Close()
		start := time.Now()
		err := g.Wait()
		assert.EqualError(t, err, "the signer and the store did not return within 10s")
		assert.Equal(t, 10*time.Second, time.Since(start))
		close(release)
		assert.NoError(t, g.Wait())
	})
}

func TestTasksKnowTheirPart(t *testing.T) {
	g := workers.New()
	ctx, task := g.Begin(t.Context())
	defer task.End()
	assert.Equal(t, "the client", task.Part())
	leave := workers.Enter(ctx, "the signer")
	leaveInner := workers.Enter(ctx, "a hook")
	assert.Equal(t, "a hook", task.Part())
	leaveInner()
	assert.Equal(t, "the signer", task.Part())
	leave()
	assert.Equal(t, "the client", task.Part())
	workers.Enter(context.Background(), "nowhere")() // a context without a task
}

func TestAbandonedTasksAreCounted(t *testing.T) {
	g := workers.New()
	ctx, task := g.Begin(t.Context())
	_, other := g.Begin(t.Context())
	workers.Enter(ctx, "the signer")
	n, parts := g.Abandoned()
	assert.Zero(t, n)
	assert.Empty(t, parts)
	task.Abandon()
	task.Abandon()
	n, parts = g.Abandoned()
	assert.Equal(t, 1, n)
	assert.Equal(t, "the signer", parts)
	other.End()
	n, _ = g.Abandoned()
	assert.Equal(t, 1, n, "the end of another task is none of this one")
	task.End()
	n, _ = g.Abandoned()
	assert.Zero(t, n)
}

func TestWithinFollowsTheContext(t *testing.T) {
	outer, leg := workers.New(), workers.New()
	ctx, flight := outer.Begin(t.Context())
	legCtx, legFlight := leg.Begin(context.WithoutCancel(ctx))
	defer flight.End()
	defer legFlight.End()
	assert.True(t, flight.Within(ctx))
	assert.True(t, flight.Within(legCtx), "a task that it has begun, of another group too")
	assert.False(t, legFlight.Within(ctx))
	assert.False(t, flight.Within(t.Context()))
}

func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		assert.True(t, workers.Sleep(t.Context(), time.Minute))
		assert.Equal(t, time.Minute, time.Since(start))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.False(t, workers.Sleep(ctx, time.Minute))
		assert.False(t, workers.Sleep(ctx, 0), "not even for no time once the context has ended")
		assert.Equal(t, time.Minute+time.Second, time.Since(start))
	})
}

func TestATaskThatHasEndedIsNotAbandoned(t *testing.T) {
	g := workers.New()
	_, task := g.Begin(t.Context())
	task.End()
	task.Abandon()
	n, _ := g.Abandoned()
	assert.Zero(t, n)
}
