package certtokenotel_test

import (
	"testing"

	"github.com/certtoken/certtoken"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A hit is what happens all the time.
func TestHitAllocatesNothing(t *testing.T) {
	w := watch(t, nil)
	ctx := t.Context()
	_, err := w.Token(ctx, scope)
	require.NoError(t, err)
	assert.Zero(t, testing.AllocsPerRun(1000, func() { _, _ = w.Token(ctx, scope) }))
}

// BenchmarkHit compares a hit that is counted with one that isn't.
func BenchmarkHit(b *testing.B) {
	w := watch(b, nil)
	for _, c := range []struct {
		name   string
		client *certtoken.Client
	}{{"without", w.newClient()}, {"with", w.Client}} {
		_, err := c.client.Token(b.Context(), scope)
		require.NoError(b, err)
		b.Run(c.name, func(b *testing.B) {
			ctx := b.Context()
			b.ReportAllocs()
			for b.Loop() {
				_, _ = c.client.Token(ctx, scope)
			}
		})
		b.Run(c.name+" in parallel", func(b *testing.B) {
			ctx := b.Context()
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					_, _ = c.client.Token(ctx, scope)
				}
			})
		})
	}
}
