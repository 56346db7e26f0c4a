package certtokengrpc_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/ext/certtokengrpc"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

var calls = map[string]func(context.Context, grpc_health_v1.HealthClient) error{"unary": check, "streaming": watch}

func TestRefusedTokenIsReplaced(t *testing.T) {
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			api := w.dial(grpc.WithStatsHandler(w.creds.StatsHandler()))
			require.NoError(t, call(t.Context(), api))
			w.endpoint.RevokeAll()
			assert.Equal(t, codes.Unauthenticated, status.Code(call(t.Context(), api)), "the call that finds out")
			succeeds(t, name, func() error { return call(t.Context(), api) })
			assert.Len(t, w.tokensSeen(), 2)
			assert.Equal(t, 2, w.endpoint.Count())
		})
	}
}

// succeeds wants a call to succeed: a unary one at once, a stream as soon as its refusal
// hasn't overtaken its first message.
func succeeds(t *testing.T, kind string, call func() error) {
	t.Helper()
	tries, err := 1, call()
	for end := time.Now().Add(5 * time.Minute); err != nil && kind != "unary" && time.Now().Before(end); tries++ {
		require.Equal(t, codes.Unauthenticated, status.Code(err))
		err = call()
	}
	require.NoError(t, err, "after %d tries", tries)
}

func TestRefusedCallIsMadeAgainByPolicy(t *testing.T) {
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			api := w.dial(
				grpc.WithStatsHandler(w.creds.StatsHandler()),
				grpc.WithDefaultServiceConfig(certtokengrpc.RetryRefused),
			)
			require.NoError(t, call(t.Context(), api))
			w.endpoint.RevokeAll()
			succeeds(t, name, func() error { return call(t.Context(), api) }) // the caller doesn't notice
			assert.Equal(t, 2, w.endpoint.Count())
		})
	}
}

func TestManyRefusedCallsMakeOneTokenRequest(t *testing.T) {
	w := newWorld(t)
	api := w.dial(
		grpc.WithStatsHandler(w.creds.StatsHandler()),
		grpc.WithDefaultServiceConfig(certtokengrpc.RetryRefused),
	)
	require.NoError(t, check(t.Context(), api))
	w.endpoint.RevokeAll()
	w.endpoint.FailAlways(certtokentest.Fault{Delay: 100 * time.Millisecond})
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { assert.NoError(t, check(t.Context(), api)) })
	}
	wg.Wait()
	assert.Equal(t, 2, w.endpoint.Count())
}

// A server that refuses every token doesn't have the endpoint asked in a loop.
func TestServerThatAlwaysRefuses(t *testing.T) {
	w := newWorld(t)
	api := w.dial(
		grpc.WithStatsHandler(w.creds.StatsHandler()),
		grpc.WithDefaultServiceConfig(certtokengrpc.RetryRefused),
	)
	w.api.Refuse(-1)
	started := time.Now()
	for range 20 {
		assert.Equal(t, codes.Unauthenticated, status.Code(check(t.Context(), api)))
	}
	assert.GreaterOrEqual(t, w.endpoint.Count(), 2)
	assert.LessOrEqual(t, w.endpoint.Count(), 2+int(time.Since(started)/time.Minute), "once a minute")
}

func TestWithoutHandlerNothingIsForced(t *testing.T) {
	w := newWorld(t)
	api := w.dial()
	require.NoError(t, check(t.Context(), api))
	w.endpoint.RevokeAll()
	for range 3 {
		require.Error(t, check(t.Context(), api))
	}
	assert.Equal(t, 1, w.endpoint.Count())
}

// alone are credentials with a handler and no server, for tests in a bubble.
type alone struct {
	*certtokengrpc.Credentials
	endpoint *certtokentest.Server
	tokens   *certtoken.Client
}

func newAlone(t *testing.T) alone {
	t.Helper()
	endpoint, cert := certtokentest.New(), certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	endpoint.Register(clientID, cert.Leaf)
	tokens, err := certtoken.NewClient(
		endpoint.Authority(),
		clientID,
		cert,
		certtoken.WithHTTPClient(endpoint.Client()),
	)
	require.NoError(t, err)
	return alone{certtokengrpc.New(tokens, scope), endpoint, tokens}
}

// call is a call that ends with the given status, and returns what it sent.
func (a alone) call(ctx context.Context, ends codes.Code) (string, error) {
	handler := a.StatsHandler()
	ctx = handler.TagRPC(ctx, &stats.RPCTagInfo{})
	md, err := a.GetRequestMetadata(secure(ctx))
	if err != nil {
		handler.HandleRPC(ctx, &stats.End{Client: true, Error: status.Convert(err).Err()})
		return "", err
	}
	handler.HandleRPC(ctx, &stats.End{Client: true, Error: status.Error(ends, "")})
	return md["authorization"], nil
}

func TestOneForcedRenewalAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAlone(t)
		defer a.tokens.Close()
		for range 10 * 60 { // ten minutes of a server that always refuses
			_, err := a.call(t.Context(), codes.Unauthenticated)
			require.NoError(t, err)
			time.Sleep(time.Second)
		}
		assert.Equal(t, 11, a.endpoint.Count())
	})
}

func TestOtherFailuresForceNothing(t *testing.T) {
	a := newAlone(t)
	defer a.tokens.Close()
	for code := codes.OK; code < codes.Unauthenticated; code++ {
		_, err := a.call(t.Context(), code)
		require.NoError(t, err)
	}
	assert.Equal(t, 1, a.endpoint.Count())
}

// While the endpoint is down, the refused token is better than none: perhaps
// the server was wrong.
func TestRefusedTokenIsKeptIfThereIsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAlone(t)
		defer a.tokens.Close()
		first, err := a.call(t.Context(), codes.Unauthenticated)
		require.NoError(t, err)
		a.endpoint.FailAlways(certtokentest.Fault{Code: 90033})
		again, err := a.call(t.Context(), codes.OK)
		require.NoError(t, err)
		assert.Equal(t, first, again)
	})
}

func TestContextEndsWhileOthersRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAlone(t)
		defer a.tokens.Close()
		_, err := a.call(t.Context(), codes.Unauthenticated)
		require.NoError(t, err)
		a.endpoint.Fail(certtokentest.Fault{Delay: 5 * time.Second})
		go func() { _, _ = a.call(t.Context(), codes.OK) }()
		synctest.Wait()
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err = a.call(ctx, codes.OK)
			assert.Equal(t, codes.DeadlineExceeded, status.Code(err))
			cancel()
		}
		time.Sleep(5 * time.Second)
		_, err = a.call(t.Context(), codes.OK)
		require.NoError(t, err)
		assert.Equal(t, 2, a.endpoint.Count())
	})
}

// The call that renews a token may end: the token comes all the same.
func TestContextOfTheRenewingCallEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAlone(t)
		defer a.tokens.Close()
		first, err := a.call(t.Context(), codes.Unauthenticated)
		require.NoError(t, err)
		a.endpoint.Fail(certtokentest.Fault{Delay: 5 * time.Second})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = a.call(ctx, codes.OK)
		assert.Equal(t, codes.DeadlineExceeded, status.Code(err))
		time.Sleep(5 * time.Second)
		second, err := a.call(t.Context(), codes.OK)
		require.NoError(t, err)
		assert.NotEqual(t, first, second)
		assert.Equal(t, 2, a.endpoint.Count())
	})
}

// A call that never had a token says nothing about one.
func TestFailureOfTheCredentialsIsNoRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAlone(t)
		defer a.tokens.Close()
		a.endpoint.Fail(certtokentest.Fault{Code: 700027}, certtokentest.Fault{Code: 700027})
		_, err := a.call(t.Context(), codes.OK)
		require.Equal(t, codes.Unauthenticated, status.Code(err))
		time.Sleep(2 * time.Second)
		a.endpoint.ClearFaults()
		before := a.endpoint.Count()
		for range 3 {
			_, err = a.call(t.Context(), codes.OK)
			require.NoError(t, err)
		}
		assert.Equal(t, before+1, a.endpoint.Count())
	})
}
