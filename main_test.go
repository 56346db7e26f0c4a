package certtoken_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"go.uber.org/goleak"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/internal/leaktest"
)

// patience is how long tests wait for what other goroutines, the kernel or the garbage
// collector do in a moment. It is long, as it only guards against waiting for ever.
const patience = 3 * time.Minute

// patiently lets a request over a socket take its time. By default an attempt has 10 s, and
// one more that a machine which stands still has made would be counted.
func patiently() certtoken.Option { return certtoken.WithRequestTimeouts(patience, 2*patience) }

// Every test cleans up after itself: no goroutine, timer or connection of a
// client outlives it.
func TestMain(m *testing.M) { goleak.VerifyTestMain(leaktest.Patient(m, goleak.Find)) }

// noLeak fails when goroutines are left.
func noLeak(t *testing.T, opts ...goleak.Option) {
	t.Helper()
	assert.NoError(t, leaktest.Find(goleak.Find, opts...))
}
