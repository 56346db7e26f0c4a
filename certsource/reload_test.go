package certsource_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certsource"
)

// slowPlace answers after a time with what it kept when it was asked.
type slowPlace struct {
	kept  atomic.Pointer[certtoken.Certificate]
	asked atomic.Int32
	takes time.Duration
}

func (p *slowPlace) source(t *testing.T, opts ...certsource.Option) *certsource.Source {
	t.Helper()
	source, err := certsource.New("the safe",
		func(context.Context, *certtoken.Certificate) (*certtoken.Certificate, error) {
			p.asked.Add(1)
			cert := p.kept.Load()
			time.Sleep(p.takes)
			return cert, nil
		}, opts...)
	require.NoError(t, err)
	return source
}

// A call that began before the rotation brings the old certificate, so Reload waits for one
// that began later. All who reload share that.
func TestReloadDoesNotTakeTheAnswerOfAnEarlierCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, renewed := newCert(t), newCert(t)
		p := &slowPlace{takes: 5 * time.Second}
		p.kept.Store(old)
		source := p.source(t)
		get(t, source)
		time.Sleep(15 * time.Minute)
		get(t, source) // begins a call behind the callers
		time.Sleep(time.Second)
		p.kept.Store(renewed)

		began := time.Now()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				assert.NoError(t, source.Reload(t.Context(), old))
				assert.Same(t, renewed, get(t, source))
			})
		}
		wg.Wait()
		assert.Equal(t, 9*time.Second, time.Since(began), "the rest of the one, and the other")
		assert.EqualValues(t, 3, p.asked.Load())
	})
}

// It doesn't matter when the answer came, only when the place was asked.
func TestReloadAfterALateAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, renewed := newCert(t), newCert(t)
		p := &slowPlace{takes: 10 * time.Second}
		p.kept.Store(old)
		source := p.source(t)
		get(t, source)
		p.kept.Store(renewed)
		require.NoError(t, source.Reload(t.Context(), old))
		assert.Same(t, renewed, get(t, source))
	})
}

// What never changes is loaded once, also if somebody reloads meanwhile.
func TestReloadWhileTheOnlyCallIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &slowPlace{takes: 5 * time.Second}
		p.kept.Store(newCert(t))
		source := p.source(t, certsource.WithoutRefresh())
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { get(t, source) })
			wg.Go(func() { assert.NoError(t, source.Reload(t.Context(), nil)) })
		}
		wg.Wait()
		assert.EqualValues(t, 1, p.asked.Load())
	})
}
