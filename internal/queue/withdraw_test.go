package queue

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A caller that leaves the queue just as it is given a place passes the place on.
func TestAPlaceThatNobodyTakes(t *testing.T) {
	q := New(1)
	leave, err := q.Enter(t.Context())
	require.NoError(t, err)
	turn := make(chan struct{})
	at := q.waiting.PushBack(turn)
	leave()
	q.withdraw(at, turn)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, err = q.Enter(ctx)
	assert.NoError(t, err)
	assert.True(t, q.mu.TryLock(), "the queue is locked for good")
	q.mu.Unlock()
}

// A caller that has no time left takes no place, even where one is free.
func TestWhoHasNoTimeLeftTakesNoPlace(t *testing.T) {
	q := New(1)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(assert.AnError)
	leave, err := q.Enter(ctx)
	require.ErrorIs(t, err, assert.AnError)
	assert.Nil(t, leave)
	leave, err = q.Enter(t.Context())
	require.NoError(t, err, "the place is still free")
	leave()
}
