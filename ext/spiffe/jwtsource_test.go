package spiffe_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/certtoken/certtoken/ext/spiffe"
	"github.com/certtoken/certtoken/ext/spiffe/spiffetest"
)

const audience = "https://issuer.example"

func newJWTSource(t *testing.T, agent *spiffetest.Agent, opts ...spiffe.Option) *spiffe.JWTSource {
	t.Helper()
	source, err := spiffe.NewJWTSource(append(patiently(agent), opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, source.Close()) })
	return source
}

func assertionOf(t *testing.T, source *spiffe.JWTSource, audience string) string {
	t.Helper()
	assertion, err := source.Assertion(t.Context(), audience)
	require.NoError(t, err)
	return assertion
}

// claims reads a token without verifying it.
func claims(t *testing.T, token string) jwt.MapClaims {
	t.Helper()
	read, _, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims{})
	require.NoError(t, err)
	return read.Claims.(jwt.MapClaims)
}

// One SVID for each audience, for all callers.
func TestJWTSourceAsksOnceForAnAudience(t *testing.T) {
	agent := spiffetest.New(t, app)
	source := newJWTSource(t, agent)
	var callers sync.WaitGroup
	for range 50 {
		callers.Go(func() {
			_, err := source.Assertion(t.Context(), audience)
			assert.NoError(t, err)
		})
	}
	callers.Wait()
	assert.Equal(t, 1, agent.JWTRequests())
	got := claims(t, assertionOf(t, source, audience))
	assert.Equal(t, []any{audience}, got["aud"])
	assert.Equal(t, appID, got["sub"])

	assert.Equal(t, []any{"another"}, claims(t, assertionOf(t, source, "another"))["aud"])
	assert.Equal(t, 2, agent.JWTRequests())
	assert.NoError(t, source.Health())

	_, err := source.Assertion(t.Context(), "")
	assert.ErrorContains(t, err, "no audience")
}

// A caller who leaves takes nobody along.
func TestJWTSourceOfAnAgentThatHangs(t *testing.T) {
	agent := spiffetest.New(t, app)
	agent.Hang(true)
	source := newJWTSource(t, agent)
	left := errors.New("the caller has left")
	ctx, cancel := context.WithCancelCause(t.Context())
	errs := make(chan error)
	go func() { _, err := source.Assertion(ctx, audience); errs <- err }()
	require.Eventually(t, func() bool { return agent.JWTRequests() == 1 }, soon, tick)
	patient := make(chan error)
	go func() { _, err := source.Assertion(t.Context(), audience); patient <- err }()
	cancel(left)
	assert.ErrorIs(t, <-errs, left)
	agent.Hang(false)
	assert.NoError(t, <-patient)
	assert.Equal(t, 1, agent.JWTRequests())

	agent.Hang(true)
	hurried := newJWTSource(t, agent, spiffe.WithTimeout(20*time.Millisecond))
	_, err := hurried.Assertion(t.Context(), audience)
	assert.ErrorIs(t, err, spiffe.ErrUnavailable)
	assert.ErrorContains(t, err, "hasn't answered within 20ms")
}

func TestJWTSourceWithoutAgent(t *testing.T) {
	agent := spiffetest.New(t, app)
	agent.Stop()
	source := newJWTSource(t, agent)
	_, err := source.Assertion(t.Context(), audience)
	require.ErrorIs(t, err, spiffe.ErrUnavailable)
	assert.Equal(t, codes.Unavailable, status.Code(err))
	agent.Start()
	require.Eventually(t, func() bool {
		_, err := source.Assertion(t.Context(), audience)
		return err == nil
	}, soon, tick)
	assert.NoError(t, source.Health())
}

// A program that starts before its registration has spread waits for that.
func TestJWTSourceWaits(t *testing.T) {
	agent := spiffetest.New(t)
	source := newJWTSource(t, agent)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorContains(t, source.Wait(ctx, ""), "no audience")
	err := source.Wait(ctx, audience)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	waiting := make(chan error)
	go func() { waiting <- source.Wait(t.Context(), audience) }()
	agent.SetIdentities(app)
	require.NoError(t, <-waiting)
	require.NoError(t, source.Close())
	assert.ErrorIs(t, source.Wait(t.Context(), audience), spiffe.ErrClosed)
}

func TestJWTSourceWithoutIdentity(t *testing.T) {
	agent := spiffetest.New(t, app)
	source := newJWTSource(t, agent, spiffe.WithID(otherID))
	_, err := source.Assertion(t.Context(), audience)
	require.ErrorIs(t, err, spiffe.ErrNoIdentity)
	assert.ErrorContains(t, err, "with the ID "+otherID)
}

func TestJWTSourceWhenClosed(t *testing.T) {
	agent := spiffetest.New(t, app)
	agent.Hang(true)
	source := newJWTSource(t, agent)
	waiting := make(chan error)
	go func() { _, err := source.Assertion(context.Background(), audience); waiting <- err }()
	require.Eventually(t, func() bool { return agent.JWTRequests() == 1 }, soon, tick)
	require.NoError(t, source.Close())
	assert.ErrorIs(t, <-waiting, spiffe.ErrClosed)
	_, err := source.Assertion(t.Context(), audience)
	assert.ErrorIs(t, err, spiffe.ErrClosed)
	assert.NoError(t, source.Close())
	assert.NoError(t, newJWTSource(t, agent).Close(), "unused")
}
