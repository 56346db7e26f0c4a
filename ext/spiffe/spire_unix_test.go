//go:build unix

package spiffe_test

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/ext/spiffe"
)

// An agent whose process is frozen costs nobody anything while an SVID is valid, and a
// bounded time afterwards. When it goes on, so do the sources.
func TestSPIREThatIsFrozen(t *testing.T) {
	s := startSPIRE(t, "ec-p256")
	s.register(t, appID, "-x509SVIDTTL", "20", "-jwtSVIDTTL", "20")
	const timeout = 3 * time.Second
	x509, jwts := s.x509Source(t, spiffe.WithTimeout(timeout)), s.jwtSource(t, spiffe.WithTimeout(timeout))
	require.NoError(t, x509.Wait(t.Context()))
	assertionOf(t, jwts, audience)
	require.NoError(t, s.agent.Process.Signal(syscall.SIGSTOP))
	frozen := time.Now()
	var last time.Time // that an SVID was had
	for time.Since(frozen) < 25*time.Second {
		asked := time.Now()
		_, x509Err := x509.Certificate(t.Context())
		if x509Err == nil {
			last = time.Now()
		}
		_, jwtErr := jwts.Assertion(t.Context(), audience)
		require.Less(t, time.Since(asked), 3*timeout)
		for _, err := range []error{x509Err, jwtErr} {
			assert.True(t, err == nil || errors.Is(err, spiffe.ErrUnavailable), "%v", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	assert.Greater(t, last.Sub(frozen), 5*time.Second, "the last good one is used")
	_, err := x509.Certificate(t.Context())
	assert.ErrorIs(t, err, certtoken.ErrExpired)
	assert.ErrorIs(t, x509.Health(), spiffe.ErrUnavailable)
	require.NoError(t, s.agent.Process.Signal(syscall.SIGCONT))
	require.NoError(t, x509.Wait(t.Context()))
	require.Eventually(t, func() bool {
		_, err := jwts.Assertion(t.Context(), audience)
		return err == nil
	}, soon, 100*time.Millisecond)
}
