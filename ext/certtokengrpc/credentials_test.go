package certtokengrpc_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/ext/certtokengrpc"
	"github.com/certtoken/certtoken/internal/secrettest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/credentials/local"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

func TestCallsCarryTheToken(t *testing.T) {
	w := newWorld(t)
	api := w.dial()
	require.NoError(t, check(t.Context(), api))
	require.NoError(t, watch(t.Context(), api))
	token, err := w.tokens.Token(t.Context(), scope)
	require.NoError(t, err)
	assert.Equal(t, map[string]int{"Bearer " + token.AccessToken(): 2}, w.tokensSeen())
	assert.Equal(t, 1, w.endpoint.Count())
}

func TestManyCallsMakeOneTokenRequest(t *testing.T) {
	w := newWorld(t)
	api := w.dial()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { assert.NoError(t, check(t.Context(), api)) })
	}
	wg.Wait()
	assert.Len(t, w.tokensSeen(), 1)
	assert.Equal(t, 1, w.endpoint.Count())
}

// The server does refuse who brings no token, or one of another resource.
func TestServerChecksTokens(t *testing.T) {
	w := newWorld(t)
	w.creds = certtokengrpc.New(w.tokens, "api://payroll/.default")
	err := check(t.Context(), w.dial())
	assert.Equal(t, codes.Unauthenticated, status.Code(err))
	assert.ErrorContains(t, err, "another audience")
}

func TestRenewalIsSeenByCalls(t *testing.T) {
	w := newWorld(t)
	w.endpoint.SetRefreshIn(time.Second)
	api := w.dial()
	for end := time.Now().Add(5 * time.Minute); len(w.tokensSeen()) < 2; time.Sleep(20 * time.Millisecond) {
		require.NoError(t, check(t.Context(), api))
		require.True(t, time.Now().Before(end), "no call has seen another token")
	}
}

func TestInsecureConnectionsGetNoToken(t *testing.T) {
	w := newWorld(t)
	t.Run("the connection", func(t *testing.T) {
		_, err := grpc.NewClient(
			w.addr,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithPerRPCCredentials(w.creds),
		)
		assert.ErrorContains(t, err, "transport level security")
	})
	t.Run("a call", func(t *testing.T) {
		plain := w.serve(insecure.NewCredentials())
		api := grpc_health_v1.NewHealthClient(
			w.connect(plain, grpc.WithTransportCredentials(insecure.NewCredentials())),
		)
		_, err := api.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}, grpc.PerRPCCredentials(w.creds))
		assert.Equal(t, codes.Unauthenticated, status.Code(err))
	})
	t.Run("loopback without encryption", func(t *testing.T) {
		plain := w.serve(local.NewCredentials())
		api := grpc_health_v1.NewHealthClient(
			w.connect(
				plain,
				grpc.WithTransportCredentials(local.NewCredentials()),
				grpc.WithPerRPCCredentials(w.creds),
			),
		)
		assert.ErrorContains(t, check(t.Context(), api), "insecure connection")
	})
	t.Run("by the credentials themselves", func(t *testing.T) {
		for name, info := range map[string]credentials.RequestInfo{
			"nothing is known": {},
			"no security":      {AuthInfo: authInfo(credentials.NoSecurity)},
			"integrity only":   {AuthInfo: authInfo(credentials.IntegrityOnly)},
		} {
			_, err := w.creds.GetRequestMetadata(credentials.NewContextWithRequestInfo(t.Context(), info))
			assert.Equal(t, codes.Unauthenticated, status.Code(err), name)
		}
		_, err := w.creds.GetRequestMetadata(t.Context())
		assert.Equal(t, codes.Unauthenticated, status.Code(err))
	})
	assert.Zero(t, w.endpoint.Count(), "no token was even asked for")
	assert.Empty(t, w.tokensSeen())
}

type info struct{ credentials.CommonAuthInfo }

func (info) AuthType() string { return "test" }

func authInfo(level credentials.SecurityLevel) credentials.AuthInfo {
	return info{credentials.CommonAuthInfo{SecurityLevel: level}}
}

// secure is the context that gRPC gives to credentials on a connection with TLS.
func secure(ctx context.Context) context.Context {
	return credentials.NewContextWithRequestInfo(
		ctx,
		credentials.RequestInfo{AuthInfo: authInfo(credentials.PrivacyAndIntegrity)},
	)
}

// The calls end before the token request does, which takes ten minutes.
func TestTheCallsContextCounts(t *testing.T) {
	const long = 10 * time.Minute
	w := newWorld(t)
	w.endpoint.FailAlways(certtokentest.Fault{Delay: long})
	w.use(t, nil, certtoken.WithHTTPClient(w.endpoint.Client()), certtoken.WithRequestTimeouts(long, long))
	api := w.dial()
	started := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	assert.Equal(t, codes.DeadlineExceeded, status.Code(check(ctx, api)))
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	assert.Equal(t, codes.Canceled, status.Code(check(ctx, api)))
	assert.Less(t, time.Since(started), long/2)
}

func TestStatusOfFailures(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault certtokentest.Fault
		want  codes.Code
		says  string
	}{
		{"final refusal", certtokentest.Fault{Code: 700027}, codes.Unauthenticated, "AADSTS700027"},
		{"throttled", certtokentest.Throttle(time.Minute), codes.Unavailable, "AADSTS90055"},
		{
			"a proxy's page", certtokentest.Fault{Shape: certtokentest.HTML}, codes.Unavailable,
			"is it the token endpoint",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.endpoint.FailAlways(c.fault)
			err := check(t.Context(), w.dial())
			assert.Equal(t, c.want, status.Code(err), "%v", err)
			assert.ErrorContains(t, err, c.says)
			assert.False(t, secrettest.BeginsJWT(err.Error()), "the beginning of a JWT")
		})
	}
	t.Run("closed client", func(t *testing.T) {
		w := newWorld(t)
		require.NoError(t, w.tokens.Close())
		assert.Equal(t, codes.Canceled, status.Code(check(t.Context(), w.dial())))
	})
	t.Run("expired certificate", func(t *testing.T) {
		old := certtokentest.NewCertificate(
			t,
			certtokentest.WithSharedKey(),
			certtokentest.WithValidity(time.Unix(0, 0), time.Unix(1, 0)),
		)
		tokens, err := certtoken.NewClient(certtoken.Entra("contoso.com"), clientID, old)
		require.NoError(t, err)
		defer tokens.Close()
		_, err = certtokengrpc.New(tokens, scope).GetRequestMetadata(secure(t.Context()))
		assert.Equal(t, codes.Unauthenticated, status.Code(err))
		assert.ErrorIs(t, err, certtoken.ErrExpired)
	})
	t.Run("source that is down", func(t *testing.T) {
		down := errors.New("vault is down")
		tokens, err := certtoken.NewClient(certtoken.Entra("contoso.com"), clientID,
			certtoken.CertSourceFunc(func(context.Context) (*certtoken.Certificate, error) { return nil, down }))
		require.NoError(t, err)
		defer tokens.Close()
		_, err = certtokengrpc.New(tokens, scope).GetRequestMetadata(secure(t.Context()))
		assert.Equal(t, codes.Unavailable, status.Code(err))
		assert.ErrorIs(t, err, down)
	})
}

// A DPoP token would be refused without a proof, so it isn't sent.
func TestTokensThatWantAProofAreNotSent(t *testing.T) {
	endpoint := certtokentest.New(certtokentest.WithIssuer(""), certtokentest.WithDPoP(certtokentest.DPoPRules{}))
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	endpoint.Register(clientID, cert.Leaf)
	client, err := certtoken.NewClient(endpoint.Authority(certtoken.WithDPoP()), clientID, cert,
		certtoken.WithHTTPClient(endpoint.Client()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	w := newWorld(t)
	w.creds = certtokengrpc.New(client, "read")
	err = check(t.Context(), w.dial())
	assert.Equal(t, codes.Unauthenticated, status.Code(err))
	assert.ErrorContains(t, err, "without WithDPoP")
	assert.Empty(t, w.tokensSeen())
}
