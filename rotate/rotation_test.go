package rotate_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/rotate"
)

// A rotation of a certificate, from waiting to the removal of the old one, while programs
// use it.
func TestARotation(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := newWorld(t, certtokentest.GraphRules{Propagation: 3 * time.Minute, Servers: 3,
			Permitted: []string{clientID}})
		old := w.current()
		callers := w.startLoad(3, 5*time.Hour)
		status := w.advance()
		assert.Equal(t, rotate.StepWait, status.Step)
		assert.Equal(t, old.Leaf.NotAfter.Add(-30*day), status.Due)
		assert.Len(t, w.registered(), 1)

		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- w.rotation.Run(ctx) }()
		time.Sleep(time.Until(status.Due) + 2*time.Hour)
		now := w.current()
		assert.NotEqual(t, old.Leaf.Raw, now.Leaf.Raw)
		assert.Equal(t, old.Leaf.RawSubject, now.Leaf.RawSubject)
		assert.Equal(t, old.Leaf.NotAfter.Sub(old.Leaf.NotBefore), now.Leaf.NotAfter.Sub(now.Leaf.NotBefore))
		assert.Len(t, w.registered(), 2, "the old one is there for a week")
		status, err := w.rotation.Status(ctx)
		require.NoError(t, err)
		assert.Equal(t, rotate.StepRemove, status.Step)

		time.Sleep(8 * day)
		require.Len(t, w.registered(), 1)
		assert.Equal(t, now.Leaf.Raw, w.registered()[0].Certificate.Raw)
		cancel()
		assert.ErrorIs(t, <-ended, context.Canceled)
		callers.end()
		assert.Equal(t, []rotate.Step{
			rotate.StepWait, rotate.StepMake, rotate.StepRegister, rotate.StepConfirm, rotate.StepSwitch,
			rotate.StepUse,
			rotate.StepRemove,
		}, w.steps())
		assert.Empty(t, w.leftovers())
		status, err = rotate.ReadStatus(w.file)
		require.NoError(t, err)
		assert.Equal(t, rotate.StepWait, status.Step)
		assert.Empty(t, status.Orphans)
		assert.Nil(t, status.Failing)
	})
}
