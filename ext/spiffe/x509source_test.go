package spiffe_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/ext/spiffe"
	"github.com/certtoken/certtoken/ext/spiffe/spiffetest"
)

const (
	appID   = "spiffe://example.org/my-app"
	otherID = "spiffe://example.org/other"

	soon = 5 * time.Minute // for what takes milliseconds when the machine isn't busy
	tick = 5 * time.Millisecond
)

// app is the identity that most tests have.
var app = spiffetest.Identity{ID: appID, Kind: certtokentest.P256}

// patiently is how sources ask an agent that may be slow, because the machine is busy.
func patiently(agent *spiffetest.Agent) []spiffe.Option {
	return []spiffe.Option{spiffe.WithAddress(agent.Address()), spiffe.WithTimeout(5 * time.Minute)}
}

func newX509Source(t *testing.T, agent *spiffetest.Agent, opts ...spiffe.Option) *spiffe.X509Source {
	t.Helper()
	source, err := spiffe.NewX509Source(append(patiently(agent), opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, source.Close()) })
	return source
}

func certificate(t *testing.T, source *spiffe.X509Source) *certtoken.Certificate {
	t.Helper()
	cert, err := source.Certificate(t.Context())
	require.NoError(t, err)
	return cert
}

func TestX509SourceConforms(t *testing.T) {
	for _, kind := range []certtokentest.KeyKind{certtokentest.RSA, certtokentest.P256, certtokentest.P384} {
		t.Run(kind.String(), func(t *testing.T) {
			agent := spiffetest.New(t, spiffetest.Identity{ID: appID, Kind: kind})
			certtokentest.TestCertSource(t, func(t *testing.T) certtoken.CertSource { return newX509Source(t, agent) })
		})
	}
}

// A new SVID is taken as soon as the agent sends it, and no caller is without one meanwhile.
func TestX509SourceFollowsRotations(t *testing.T) {
	agent := spiffetest.New(t, app)
	source := newX509Source(t, agent)
	first := certificate(t, source)
	var callers sync.WaitGroup
	done := make(chan struct{})
	for range 8 {
		callers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				_, err := source.Certificate(t.Context())
				assert.NoError(t, err)
			}
		})
	}
	last := first
	for range 5 {
		agent.Rotate()
		require.Eventually(t, func() bool { return certificate(t, source) != last }, soon, tick)
		last = certificate(t, source)
	}
	close(done)
	callers.Wait()
	assert.NotEqual(t, first.Leaf.SerialNumber, last.Leaf.SerialNumber)
	assert.Equal(t, appID, last.Leaf.URIs[0].String())
	assert.Equal(t, 1, agent.Streams(), "the agent was asked once")
	assert.NoError(t, source.Health())
}

// The same SVID again, as when something else has changed, stays the same value.
func TestX509SourceKnowsTheSameSVID(t *testing.T) {
	agent := spiffetest.New(t, app)
	source := newX509Source(t, agent)
	first := certificate(t, source)
	agent.SetIdentities(app, spiffetest.Identity{ID: otherID, Kind: certtokentest.P256})
	agent.SetIdentities(spiffetest.Identity{ID: otherID, Kind: certtokentest.P256}, app)
	require.Eventually(t, func() bool { return certificate(t, source).Leaf.URIs[0].String() == otherID }, soon, tick)
	agent.SetIdentities(app)
	require.Eventually(t, func() bool { return certificate(t, source).Leaf.Equal(first.Leaf) }, soon, tick)
}

func TestChoice(t *testing.T) {
	const inner = "internal"
	agent := spiffetest.New(t,
		spiffetest.Identity{ID: appID, Kind: certtokentest.P256},
		spiffetest.Identity{ID: otherID, Kind: certtokentest.P256, Hint: inner},
		spiffetest.Identity{ID: appID, Kind: certtokentest.P256, Hint: "external"})
	for name, c := range map[string]struct {
		opts []spiffe.Option
		id   string
		err  string
	}{
		"the first":       {nil, appID, ""},
		"by ID":           {[]spiffe.Option{spiffe.WithID(otherID)}, otherID, ""},
		"by hint":         {[]spiffe.Option{spiffe.WithHint(inner)}, otherID, ""},
		"by both":         {[]spiffe.Option{spiffe.WithHint("external"), spiffe.WithID(appID)}, appID, ""},
		"no such hint":    {[]spiffe.Option{spiffe.WithHint("nobody's")}, "", `the hint "nobody's"`},
		"of two that fit": {[]spiffe.Option{spiffe.WithID(appID)}, appID, ""},
		"ID and hint of 2": {[]spiffe.Option{spiffe.WithHint(inner), spiffe.WithID(appID)}, "",
			"the ID " + appID + " and"},
	} {
		t.Run(name, func(t *testing.T) {
			x509, jwt := newX509Source(t, agent, c.opts...), newJWTSource(t, agent, c.opts...)
			cert, err := x509.Certificate(t.Context())
			assertion, jwtErr := jwt.Assertion(t.Context(), audience)
			if c.err != "" {
				for _, err := range []error{err, jwtErr, x509.Health(), jwt.Health()} {
					assert.ErrorIs(t, err, certtoken.ErrNoCertificate)
					assert.ErrorContains(t, err, c.err)
					assert.ErrorContains(t, err, appID, "what there is")
				}
				return
			}
			require.NoError(t, errors.Join(err, jwtErr))
			assert.Equal(t, c.id, cert.Leaf.URIs[0].String())
			assert.Equal(t, c.id, claims(t, assertion)["sub"])
		})
	}
}

// Whoever isn't registered is told so at once, and gets an SVID as soon as that changes.
func TestX509SourceWithoutIdentity(t *testing.T) {
	agent := spiffetest.New(t)
	source := newX509Source(t, agent)
	_, err := source.Certificate(t.Context())
	require.ErrorIs(t, err, spiffe.ErrNoIdentity)
	assert.ErrorContains(t, err, "register the process")
	assert.Equal(t, codes.PermissionDenied, status.Code(err))
	assert.ErrorIs(t, source.Health(), spiffe.ErrNoIdentity)

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err = source.Wait(ctx)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorIs(t, err, spiffe.ErrNoIdentity)

	agent.SetIdentities(app)
	require.NoError(t, source.Wait(t.Context()))
	certificate(t, source)
	assert.NoError(t, source.Health())
}

// An identity that was taken back isn't used any more, though its certificate is valid.
func TestX509SourceWhoseIdentityIsTakenBack(t *testing.T) {
	other := spiffetest.Identity{ID: otherID, Kind: certtokentest.P256}
	for name, left := range map[string][]spiffetest.Identity{"all": nil, "this one": {other}} {
		t.Run(name, func(t *testing.T) {
			agent := spiffetest.New(t, app, other)
			source := newX509Source(t, agent, spiffe.WithID(appID))
			certificate(t, source)
			agent.SetIdentities(left...)
			require.Eventually(t, func() bool {
				_, err := source.Certificate(t.Context())
				return errors.Is(err, spiffe.ErrNoIdentity) || errors.Is(err, certtoken.ErrNoCertificate)
			}, soon, tick)
		})
	}
}

// The last good SVID is used while the agent is away, and its next one is taken when it is
// back.
func TestX509SourceOutlivesTheAgent(t *testing.T) {
	agent := spiffetest.New(t, app)
	source := newX509Source(t, agent)
	first := certificate(t, source)
	for range 2 {
		agent.Stop()
		require.Eventually(t, func() bool { return source.Health() != nil }, soon, tick)
		assert.ErrorIs(t, source.Health(), spiffe.ErrUnavailable)
		assert.Same(t, first, certificate(t, source))
		agent.Start()
		require.Eventually(t, func() bool { return source.Health() == nil }, soon, tick)
		assert.Same(t, first, certificate(t, source))
	}
	agent.Stop()
	agent.Rotate()
	agent.Start()
	require.Eventually(t, func() bool { return !certificate(t, source).Leaf.Equal(first.Leaf) }, soon, tick)
}

func TestX509SourceWithoutAgent(t *testing.T) {
	agent := spiffetest.New(t, app)
	agent.Stop()
	source := newX509Source(t, agent)
	_, err := source.Certificate(t.Context())
	require.ErrorIs(t, err, spiffe.ErrUnavailable)
	assert.ErrorContains(t, err, agent.Address())
	assert.Equal(t, codes.Unavailable, status.Code(err))
	agent.Start()
	require.NoError(t, source.Wait(t.Context()))
}

// An agent that hangs costs each caller a bounded time, until it goes on.
func TestX509SourceOfAnAgentThatHangs(t *testing.T) {
	agent := spiffetest.New(t, app)
	agent.Hang(true)
	source := newX509Source(t, agent, spiffe.WithTimeout(200*time.Millisecond))
	_, err := source.Certificate(t.Context())
	require.ErrorIs(t, err, spiffe.ErrUnavailable)

	ctx, cancel := context.WithCancelCause(t.Context())
	left := errors.New("the caller has left")
	cancel(left)
	patient := newX509Source(t, agent)
	_, err = patient.Certificate(ctx)
	assert.ErrorIs(t, err, left)

	agent.Hang(false)
	require.NoError(t, source.Wait(t.Context()))
	require.NoError(t, patient.Wait(t.Context()))
}

func TestX509SourceWhenClosed(t *testing.T) {
	agent := spiffetest.New(t, app)
	agent.Hang(true)
	source := newX509Source(t, agent)
	waiting := make(chan error, 2)
	go func() { _, err := source.Certificate(context.Background()); waiting <- err }()
	go func() { waiting <- source.Wait(context.Background()) }()
	require.Eventually(t, func() bool { return agent.Streams() > 0 }, soon, tick)
	require.NoError(t, source.Close())
	for range 2 {
		assert.ErrorIs(t, <-waiting, spiffe.ErrClosed)
	}
	_, err := source.Certificate(t.Context())
	assert.ErrorIs(t, err, spiffe.ErrClosed)
	assert.NoError(t, source.Close())

	unused := newX509Source(t, agent)
	assert.NoError(t, unused.Close())
	assert.ErrorIs(t, unused.Wait(t.Context()), spiffe.ErrClosed)
}

// What an agent of another maker may answer.
func TestAnswersOfTheAgent(t *testing.T) {
	const jwt = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln"
	for name, c := range map[string]struct {
		answer  error
		is      error
		says    string
		saysNot string
	}{
		"lacks the profile": {answer: status.Error(codes.Unimplemented, "off"), is: certtoken.ErrUnsupported,
			says: "lacks"},
		"an invalid request": {answer: status.Error(codes.InvalidArgument, "bad"), says: "refused the request"},
		"ends the stream":    {answer: status.Error(codes.Canceled, "bye"), is: spiffe.ErrUnavailable, says: "bye"},
		"shows a token": {answer: status.Error(codes.Internal, "failed: "+jwt), is: spiffe.ErrUnavailable,
			says: "failed: [removed]", saysNot: "eyJ"},
		"a long story": {answer: status.Error(codes.Internal, strings.Repeat("long ", 2000)), says: "…",
			saysNot: strings.Repeat("long ", 200)},
		"control characters": {answer: status.Error(codes.Unavailable, "a\nb\x1b[0m"), says: `a\nb\x1b[0m`, saysNot: "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			agent := spiffetest.New(t, app)
			agent.Fail(c.answer)
			source, jwts := newX509Source(t, agent), newJWTSource(t, agent)
			_, err := source.Certificate(t.Context())
			_, jwtErr := jwts.Assertion(t.Context(), audience)
			for _, err := range []error{err, jwtErr} {
				require.ErrorContains(t, err, c.says)
				if c.is != nil {
					assert.ErrorIs(t, err, c.is)
				}
				if c.saysNot != "" {
					assert.NotContains(t, err.Error(), c.saysNot)
				}
			}
			agent.Fail(nil)
			assert.NoError(t, source.Wait(t.Context()), "it is asked again")
		})
	}
}

// An agent can be stopped and started at once: its address is free by then.
func TestAgentThatIsStoppedAtOnce(t *testing.T) {
	for range 100 {
		agent := spiffetest.New(t, app)
		agent.Stop()
		agent.Start()
	}
	agent := spiffetest.New(t, app)
	agent.Stop()
	agent.Start()
	certificate(t, newX509Source(t, agent))
}
