package certtoken_test

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// crowdedStub is a stub that takes a while for each request, and counts those that
// are under way at once.
type crowdedStub struct {
	stub
	takes time.Duration

	mu           sync.Mutex
	inside, most int
	order        []string // scopes
}

func (s *crowdedStub) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	req.Body = http.NoBody
	s.mu.Lock()
	s.inside++
	s.most = max(s.most, s.inside)
	_, scope, _ := strings.Cut(string(body), "scope=api%3A%2F%2Fapp-")
	s.order = append(s.order, scope[:min(len(scope), 6)])
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.inside--
		s.mu.Unlock()
	}()
	select {
	case <-time.After(s.takes):
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	return s.stub.RoundTrip(req)
}

// rush has callers ask for n cold keys, in the order of their numbers, and returns
// how many of them failed.
func rush(ctx context.Context, client *certtoken.Client, n int) (failed []error) {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { _, errs[i] = client.Token(ctx, scopeOf(i)) })
		if i%100 == 99 { // so that no caller overtakes by more than that
			synctest.Wait()
		}
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			failed = append(failed, err)
		}
	}
	return failed
}

// Requests for many cold keys at once wait in a queue: none fails, a limited number is
// under way, and they are served in the order in which they came.
func TestARushIsAQueue(t *testing.T) {
	for name, c := range map[string]struct {
		opts []certtoken.Option
		keys int
		most int
	}{
		"by default":    {nil, 4_000, 32}, // 125 times as many as are under way at once
		"by the option": {[]certtoken.Option{certtoken.WithMaxConcurrentExchanges(100)}, 2_000, 100},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				endpoint := &crowdedStub{stub: stub{life: 3600}, takes: time.Second}
				client := newStubClient(t, endpoint, c.opts...)
				start := time.Now()
				failed := rush(t.Context(), client, c.keys)
				require.Empty(t, failed)
				assert.Equal(t, c.most, endpoint.most)
				rounds := (c.keys + c.most - 1) / c.most
				assert.Equal(t, time.Duration(rounds)*time.Second, time.Since(start), "a place stood empty")
				require.Len(t, endpoint.order, c.keys)
				for i, scope := range endpoint.order {
					came, err := strconv.Atoi(scope)
					require.NoError(t, err)
					require.InDelta(t, i, came, 100+float64(c.most), "key %d was served as number %d", came, i)
				}
			})
		})
	}
}

// Keys whose requests hang don't stop the others for longer than their time.
func TestHungKeysDontStopTheOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		endpoint := &stub{life: 3600}
		hangs := roundTripFunc(func(req *http.Request) (*http.Response, error) {
			body, _ := io.ReadAll(req.Body)
			if strings.Contains(string(body), "hang") {
				<-release
			}
			return endpoint.RoundTrip(req)
		})
		client := newStubClient(t, hangs, certtoken.WithMaxConcurrentExchanges(4))
		for i := range 4 {
			go func() { _, _ = client.Token(context.Background(), scopeOf(i)+"hang") }()
		}
		synctest.Wait()
		start := time.Now()
		failed := rush(t.Context(), client, 100)
		require.Empty(t, failed)
		assert.Equal(t, 30*time.Second, time.Since(start))
		close(release)
	})
}

// A request gives its place back during the pause before its next attempt.
func TestThePauseBetweenAttemptsHoldsNoPlace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, certtoken.WithMaxConcurrentExchanges(1))
		r.server.Fail(certtokentest.Fault{Status: 503, RetryAfter: 20 * time.Second})
		waits := make(chan error)
		go func() {
			_, err := r.client.Token(t.Context(), graph)
			waits <- err
		}()
		synctest.Wait()
		start := time.Now()
		r.token(t, vault)
		assert.Zero(t, time.Since(start))
		require.NoError(t, <-waits)
		assert.Equal(t, 20*time.Second, time.Since(start))
	})
}

// Clients of which one is the other's leg have a queue each, so that none waits for
// itself: also where there is room for one request only.
func TestLegsDontWaitForThemselves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		one := certtoken.WithMaxConcurrentExchanges(1)
		leg := newStubClient(t, &jwtStub{}, one)
		second := &crowdedStub{stub: stub{life: 3600}, takes: time.Second}
		client, err := certtoken.NewFederatedClient(certtoken.Entra("contoso.com"), appID, leg.AssertionSource(graph),
			certtoken.WithHTTPClient(&http.Client{Transport: second}), one)
		require.NoError(t, err)
		defer client.Close()
		start := time.Now()
		require.Empty(t, rush(t.Context(), client, 20))
		assert.Equal(t, 20*time.Second, time.Since(start))
	})
}

// jwtStub grants something that is shaped like a JWT.
type jwtStub struct{}

func (jwtStub) RoundTrip(req *http.Request) (*http.Response, error) {
	body := `{"access_token":"eyJhbGciOiJSUzI1NiJ9.e30.c2ln","token_type":"Bearer","expires_in":3600}`
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(body)), Request: req,
	}, nil
}

func TestRequestTimeouts(t *testing.T) {
	for name, c := range map[string]struct {
		attempt, whole, want time.Duration
		requests             int
		says                 string
	}{
		"one slow attempt":   {2 * time.Minute, 2 * time.Minute, 2 * time.Minute, 1, "within 2m0s"},
		"three attempts":     {time.Second, 30 * time.Second, 6 * time.Second, 3, "no answer within 1s"},
		"shorter as a whole": {time.Second, 1500 * time.Millisecond, 1500 * time.Millisecond, 2, "within 1"},
		"as long as it may":  {10 * time.Minute, 10 * time.Minute, 10 * time.Minute, 1, "within 10m0s"},
		"longer than default": {
			40 * time.Second, 5 * time.Minute, 2*time.Minute + 3*time.Second, 3, "no answer within 40s",
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t, certtoken.WithRequestTimeouts(c.attempt, c.whole))
				r.server.FailAlways(certtokentest.Fault{Delay: time.Hour})
				start := time.Now()
				_, err := r.client.Token(context.Background(), graph)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				assert.ErrorContains(t, err, c.says)
				assert.LessOrEqual(t, time.Since(start), c.want)
				assert.GreaterOrEqual(t, time.Since(start), c.want-3*time.Second, "less than was given")
				assert.LessOrEqual(t, r.server.Count(), c.requests)
			})
		})
	}
}

// A rush opens no more connections than it has requests at once, over sockets too, where
// net/http goes on with dials that are no longer needed. On a busy machine net/http may close
// a connection instead of keeping it, and then one more is opened: one rush of ten suffices.
func TestARushOpensFewConnections(t *testing.T) {
	var opened, peak int
	for range 10 {
		if opened, peak = connectionsOfARush(t); opened <= 32 && peak <= 32 {
			break
		}
	}
	assert.LessOrEqual(t, peak, 32)
	assert.LessOrEqual(t, opened, 32)
}

// connectionsOfARush counts the connections that a new client opens, and has at once. No dial
// takes so long that another is begun instead.
func connectionsOfARush(t *testing.T) (opened, peak int) {
	t.Helper()
	server := certtokentest.NewServer(t, certtokentest.WithOpaqueTokens())
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	server.Register(appID, cert.Leaf)
	std := http.DefaultTransport
	trusting := server.Transport().(*http.Transport).Clone()
	trusting.ForceAttemptHTTP2, trusting.TLSClientConfig.NextProtos = false, nil // HTTP/1.1
	trusting.Protocols = new(http.Protocols)
	trusting.Protocols.SetHTTP1(true)
	http.DefaultTransport = trusting
	defer func() { http.DefaultTransport = std }()
	client, err := certtoken.NewClient(certtoken.Entra("contoso.com"), appID, cert,
		certtoken.WithRequestTimeouts(10*time.Minute, 10*time.Minute))
	require.NoError(t, err)
	defer client.Close()
	var all sync.WaitGroup
	for i := range 400 {
		all.Go(func() {
			_, err := client.Token(t.Context(), scopeOf(i))
			assert.NoError(t, err)
		})
	}
	all.Wait()
	return server.Connections()
}
