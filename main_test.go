package certtoken_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"go.uber.org/goleak"

	"github.com/certtoken/certtoken"
)

// patience is how long tests wait for what other goroutines, the kernel or the garbage
// collector do in a moment. It is long, as it only guards against waiting for ever.
const patience = 3 * time.Minute

// patiently lets a request over a socket take its time. By default an attempt has 10 s, and
// one more that a machine which stands still has made would be counted.
func patiently() certtoken.Option { return certtoken.WithRequestTimeouts(patience, 2*patience) }

// Every test cleans up after itself: no goroutine, timer or connection of a
// client outlives it.
func TestMain(m *testing.M) { goleak.VerifyTestMain(patient{m}) }

// patient gives goroutines time to end, of which goleak has half a second.
type patient struct{ *testing.M }

func (p patient) Run() int {
	code := p.M.Run()
	if code == 0 {
		_ = findLeak()
	}
	return code
}

// noLeak fails when goroutines are left.
func noLeak(t *testing.T, opts ...goleak.Option) {
	t.Helper()
	assert.NoError(t, findLeak(opts...))
}

// findLeak gives goroutines time to end.
func findLeak(opts ...goleak.Option) error {
	end := time.Now().Add(patience)
	for {
		if err := goleak.Find(opts...); err == nil || time.Now().After(end) {
			return err
		}
	}
}
