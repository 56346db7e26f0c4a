package queue_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/internal/queue"
)

// crowd has n goroutines come one after another, of which each keeps its place for
// a second. It returns the order in which they were let through, and how many were
// inside at most.
func crowd(ctx context.Context, q *queue.Queue, n int) (order []int, most int) {
	var mu sync.Mutex
	var all sync.WaitGroup
	inside := 0
	for i := range n {
		all.Go(func() {
			leave, err := q.Enter(ctx)
			if err != nil {
				return
			}
			defer leave()
			mu.Lock()
			order = append(order, i)
			inside++
			most = max(most, inside)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			inside--
			mu.Unlock()
		})
		synctest.Wait()
	}
	all.Wait()
	return order, most
}

func TestFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		order, most := crowd(t.Context(), queue.New(3), 30)
		assert.Equal(t, 3, most)
		assert.Equal(t, 10*time.Second, time.Since(start), "a place stood empty")
		require.Len(t, order, 30)
		for i, who := range order {
			assert.Equal(t, i/3, who/3, "%d was let through as number %d", who, i)
		}
	})
}

func TestAPlaceIsGivenBackOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.New(1)
		leave, err := q.Enter(t.Context())
		require.NoError(t, err)
		leave()
		leave()
		_, most := crowd(t.Context(), q, 5)
		assert.Equal(t, 1, most)
	})
}

func TestWhoDoesNotWaitAnyLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue.New(1)
		leave, err := q.Enter(t.Context())
		require.NoError(t, err)
		why := errors.New("withdrawn")
		ctx, cancel := context.WithCancelCause(t.Context())
		left := make(chan error)
		go func() {
			_, err := q.Enter(ctx)
			left <- err
		}()
		synctest.Wait()
		next := make(chan struct{})
		go func() {
			_, _ = q.Enter(t.Context())
			close(next)
		}()
		synctest.Wait()
		cancel(why)
		assert.Same(t, why, <-left)
		leave()
		<-next // the place went to a caller that still waited
		_, err = q.Enter(ctx)
		assert.Same(t, why, err, "also where a place is free")
	})
}

// A caller that leaves at the moment at which it is given the place passes the place on.
func TestAPlaceIsNeverLost(t *testing.T) {
	for range 200 {
		q := queue.New(1)
		leave, err := q.Enter(t.Context())
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if leave, err := q.Enter(ctx); err == nil {
					leave()
				}
			})
		}
		all.Go(cancel)
		all.Go(leave)
		all.Wait()
		ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
		_, err = q.Enter(ctx)
		cancel()
		require.NoError(t, err, "a place was lost")
	}
}

func TestTryEnterTakesOnlyAFreePlace(t *testing.T) {
	q := queue.New(1)
	leave, ok := q.TryEnter()
	require.True(t, ok)
	_, ok = q.TryEnter()
	assert.False(t, ok)
	leave()
	leave()
	again, ok := q.TryEnter()
	require.True(t, ok)
	_, ok = q.TryEnter()
	assert.False(t, ok, "a place is given back once")
	again()
}
