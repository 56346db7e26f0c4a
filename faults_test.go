package certtoken_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// Every way in which getting a token can go wrong: what the caller gets, how
// often the endpoint is asked, and that nothing stays behind.
func TestFaultMatrix(t *testing.T) {
	const attempts, once = 3, 1
	badResponse := []error{certtoken.ErrBadResponse}
	deadline := []error{context.DeadlineExceeded}
	broken := func(err error) http.RoundTripper {
		return roundTripFunc(func(*http.Request) (*http.Response, error) { return nil, err })
	}
	type row struct {
		fault     certtokentest.Fault
		transport http.RoundTripper // in place of the server's
		source    func(context.Context) (*certtoken.Certificate, error)
		status    int      // of a TokenError; 0: it is none
		is        []error  // errors.Is
		words     []string // in the text
		requests  int
		within    time.Duration
	}
	for name, c := range map[string]row{
		// no answer
		"connection reset": {
			fault: certtokentest.Fault{Shape: certtokentest.ResetConnection}, is: []error{syscall.ECONNRESET},
			words: []string{"login.microsoftonline.com", "reset"}, requests: attempts, within: 3 * time.Second,
		},
		"connection refused": {
			transport: broken(&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}),
			is:        []error{syscall.ECONNREFUSED}, words: []string{"dial", "refused"}, requests: 0,
			within: 3 * time.Second,
		},
		"DNS failure": {
			transport: broken(&net.OpError{Op: "dial", Net: "tcp",
				Err: &net.DNSError{Err: "no such host", Name: "login.microsoftonline.com", IsNotFound: true}}),
			words: []string{"no such host"}, requests: 0, within: 3 * time.Second,
		},
		"slow headers": {
			fault: certtokentest.Fault{Delay: time.Hour}, is: deadline, words: []string{"s: context deadline"},
			requests: attempts, within: 30 * time.Second,
		},
		"slow body": {
			fault: certtokentest.Fault{BodyDelay: time.Hour}, is: deadline, words: []string{"s: context deadline"},
			requests: attempts, within: 30 * time.Second,
		},
		"truncated body": {
			fault: certtokentest.Fault{Shape: certtokentest.TruncatedBody}, is: []error{io.ErrUnexpectedEOF},
			words: []string{"unexpected EOF"}, requests: attempts, within: 3 * time.Second,
		},
		"truncated error": {
			fault: certtokentest.Fault{Code: 700027, Shape: certtokentest.TruncatedBody},
			is:    []error{io.ErrUnexpectedEOF}, words: []string{"unexpected EOF"}, requests: attempts,
			within: 3 * time.Second,
		},
		"a transport's panic": {
			transport: roundTripFunc(func(*http.Request) (*http.Response, error) { panic("oops") }),
			words:     []string{"panicked"},
		},
		"a transport's Goexit": {
			transport: roundTripFunc(func(*http.Request) (*http.Response, error) { runtime.Goexit(); return nil, nil }),
			words:     []string{"ended its goroutine"},
		},

		// an answer that is an error
		"408": {
			fault: certtokentest.Fault{Status: 408}, status: 408, words: []string{"answered 408"}, requests: attempts,
			within: 3 * time.Second,
		},
		"500": {
			fault: certtokentest.Fault{Status: 500}, status: 500, words: []string{"answered 500"}, requests: attempts,
			within: 3 * time.Second,
		},
		"502 of a proxy": {
			fault: certtokentest.Fault{Status: 502, Shape: certtokentest.HTML}, status: 502,
			words: []string{"answered 502", "text/html", "proxy"}, requests: attempts, within: 3 * time.Second,
		},
		"503": {
			fault: certtokentest.Fault{Status: 503}, status: 503, words: []string{"answered 503"}, requests: attempts,
			within: 3 * time.Second,
		},
		"503 in 2 MiB": {
			fault: certtokentest.Fault{Status: 503, Shape: certtokentest.EndlessBody}, status: 503,
			words: []string{"answered 503"}, requests: attempts, within: 3 * time.Second,
		},
		"504": {
			fault: certtokentest.Fault{Status: 504}, status: 504, words: []string{"answered 504"}, requests: attempts,
			within: 3 * time.Second,
		},
		"429": {
			fault: certtokentest.Fault{Code: 90055}, status: 429, words: []string{"AADSTS90055", "throttling"},
			requests: attempts, within: 3 * time.Second,
		},
		"429, Retry-After: 120": {
			fault: certtokentest.Throttle(2 * time.Minute), status: 429, words: []string{"asked again in 2m0s"},
			requests: once,
		},
		"429, Retry-After: a date": {
			fault: certtokentest.Fault{Code: 90055, RetryAfter: 2 * time.Minute, RetryDate: true}, status: 429,
			words: []string{"asked again in 2m0s"}, requests: once,
		},
		"429, Retry-After: an hour": {
			fault: certtokentest.Throttle(time.Hour), status: 429, words: []string{"asked again in 5m0s"},
			requests: once,
		},
		"429, Retry-After: nonsense": {
			fault: certtokentest.Fault{Status: 429, Header: http.Header{"Retry-After": {"soon"}}}, status: 429,
			words: []string{"429"}, requests: attempts, within: 3 * time.Second,
		},
		"429, Retry-After: negative": {
			fault: certtokentest.Fault{Status: 429, Header: http.Header{"Retry-After": {"-5"}}}, status: 429,
			words: []string{"429"}, requests: attempts, within: 3 * time.Second,
		},
		"429, Retry-After: overflow": {
			fault:  certtokentest.Fault{Status: 429, Header: http.Header{"Retry-After": {"99999999999999999999"}}},
			status: 429, words: []string{"asked again in 5m0s"}, requests: once,
		},
		"temporarily_unavailable": {
			fault: certtokentest.Fault{Status: 400, Error: "temporarily_unavailable"}, status: 400,
			words: []string{"temporarily_unavailable"}, requests: attempts, within: 3 * time.Second,
		},
		"certificate unknown": {
			fault: certtokentest.Fault{Code: 700027}, status: 401,
			words: []string{"invalid_client", "AADSTS700027", "upload", "SHA-1"}, requests: once,
		},
		"tenant not found": {
			fault: certtokentest.Fault{Code: 90002}, status: 400, words: []string{"AADSTS90002", "cloud"},
			requests: once,
		},
		"scope not found": {
			fault: certtokentest.Fault{Code: 500011}, status: 400, words: []string{"AADSTS500011", "/.default"},
			requests: once,
		},
		"invalid_request": {
			fault: certtokentest.Fault{Error: "invalid_request", Description: "no reason"}, status: 400,
			words: []string{"invalid_request", "no reason"}, requests: once,
		},
		"403 without a word": {
			fault: certtokentest.Fault{Status: 403}, status: 403, words: []string{"answered 403", "proxy"},
			requests: once,
		},
		"404 page": {
			fault: certtokentest.Fault{Status: 404, Shape: certtokentest.HTML}, status: 404,
			words: []string{"answered 404", "text/html", "token endpoint"}, requests: once,
		},
		"an error that isn't JSON": {
			fault: certtokentest.Fault{Status: 400, Shape: certtokentest.NotJSON}, status: 400,
			words: []string{"answered 400", "no OAuth error"}, requests: once,
		},

		// an answer that makes no sense
		"HTML": {
			fault: certtokentest.Fault{Shape: certtokentest.HTML}, is: badResponse,
			words: []string{"status 200", "text/html", "not a JSON object", "proxy"}, requests: once,
		},
		"not JSON": {
			fault: certtokentest.Fault{Shape: certtokentest.NotJSON}, is: badResponse,
			words: []string{"not a JSON object"}, requests: once,
		},
		"nothing": {
			fault: certtokentest.Fault{Shape: certtokentest.EmptyBody}, is: badResponse,
			words: []string{"not a JSON object"}, requests: once,
		},
		"no content": {
			fault: certtokentest.Fault{Status: 204}, is: badResponse, words: []string{"204", "not a JSON object"},
			requests: once,
		},
		"a gzip bomb": {
			fault: certtokentest.Fault{Shape: certtokentest.GzipBomb}, is: badResponse,
			words: []string{"larger than 1048576"}, requests: once,
		},
		"a body without end": {
			fault: certtokentest.Fault{Shape: certtokentest.EndlessBody}, is: badResponse,
			words: []string{"larger than 1048576"}, requests: once,
		},
		"5 MiB": {
			fault: certtokentest.Fault{Shape: certtokentest.OversizedBody}, is: badResponse,
			words: []string{"larger than 1048576"}, requests: once,
		},
		"a redirect": {
			fault: certtokentest.Fault{Shape: certtokentest.Redirect, Location: "https://evil.example.com/token?x=y"},
			is:    badResponse, words: []string{"307", "redirects to evil.example.com"}, requests: once,
		},
		"a redirect to itself": {
			fault: certtokentest.Fault{Shape: certtokentest.Redirect, Status: 302, Location: "/again"},
			is:    badResponse, words: []string{"302", "redirects"}, requests: once,
		},
		"200 without a token": {
			fault: certtokentest.Fault{Shape: certtokentest.NoToken}, is: badResponse,
			words: []string{"no access_token"}, requests: once,
		},

		// no request
		"a source's error": {
			source: func(context.Context) (*certtoken.Certificate, error) { return nil, io.ErrNoProgress },
			is:     []error{io.ErrNoProgress}, words: []string{"certificate source"},
		},
		"a source's panic": {
			source: func(context.Context) (*certtoken.Certificate, error) { panic("oops") },
			words:  []string{"panicked", "TestFaultMatrix"},
		},

		// what does no harm
		"another content type":  {fault: certtokentest.Fault{Shape: certtokentest.WrongContentType}, requests: once},
		"no expires_in":         {fault: certtokentest.Fault{Shape: certtokentest.NoExpiry}, requests: once},
		"a negative expires_in": {fault: certtokentest.Fault{Shape: certtokentest.NegativeExpiry}, requests: once},
		"an absurd expires_in":  {fault: certtokentest.Fault{Shape: certtokentest.AbsurdExpiry}, requests: once},
		"a slow answer": {
			fault: certtokentest.Fault{Delay: 5 * time.Second, BodyDelay: 4 * time.Second}, requests: once,
			within: 9 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var source certtoken.CertSource
				if c.source != nil {
					source = certtoken.CertSourceFunc(c.source)
				}
				var opts []certtoken.Option
				if c.transport != nil {
					opts = append(opts, certtoken.WithHTTPClient(&http.Client{Transport: c.transport}))
				}
				r := newRigOf(t, nil, source, opts...)
				r.server.FailAlways(c.fault)
				start := time.Now()
				tokens, errs := crowd(t.Context(), r.client, 20, graph)
				took := time.Since(start)
				assert.LessOrEqual(t, took, c.within)
				assert.Equal(t, c.requests, r.server.Count())
				for i, err := range errs {
					if c.words == nil {
						require.NoError(t, err)
						require.NotNil(t, tokens[i])
						continue
					}
					require.Error(t, err)
					require.Nil(t, tokens[i])
					require.True(t, strings.HasPrefix(err.Error(), "certtoken: "), "%v", err)
					require.Equal(t, 1, strings.Count(err.Error(), "certtoken: "), "%v", err)
					for _, word := range c.words {
						require.ErrorContains(t, err, word)
					}
					for _, is := range c.is {
						require.ErrorIs(t, err, is)
					}
					var te *certtoken.TokenError
					require.Equal(t, c.status != 0, errors.As(err, &te), "%v", err)
					if te != nil {
						require.Equal(t, c.status, te.StatusCode)
						require.NotEmpty(t, te.CorrelationID)
						require.Equal(t, thumbprint(r.cert), te.Thumbprint)
					}
				}
			})
		})
	}
}

// roundTripFunc makes a RoundTripper of a function.
type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	return f(req)
}

func thumbprint(cert *certtoken.Certificate) string {
	var hex string
	_, _ = fmt.Sscanf(afterWord(cert.String(), "SHA-256 "), "%64s", &hex)
	return strings.TrimSuffix(hex, ",")
}

func afterWord(s, word string) string {
	_, rest, _ := strings.Cut(s, word)
	return rest
}

// dialing makes clients of a server that dial another address.
func dialing(address string) func(*certtokentest.Server) *http.Client {
	return func(s *certtokentest.Server) *http.Client {
		tr := s.Transport().(*http.Transport).Clone()
		tr.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		}
		return &http.Client{Transport: tr}
	}
}

// nobodysAddress is an address at which nobody listens, and where nobody else can begin to:
// it is that of a connection to a server.
func nobodysAddress(t *testing.T, server string) string {
	t.Helper()
	conn, err := net.Dial("tcp", server)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn.LocalAddr().String()
}

// What only real connections do.
func TestFaultsOverTheWire(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	cases := map[string]struct {
		fault    certtokentest.Fault
		client   func(*certtokentest.Server) *http.Client
		is       error
		words    []string
		requests int
	}{
		"reset once":     {fault: certtokentest.Fault{Shape: certtokentest.ResetConnection}, requests: 2},
		"truncated once": {fault: certtokentest.Fault{Shape: certtokentest.TruncatedBody}, requests: 2},
		"503 once":       {fault: certtokentest.Fault{Status: 503}, requests: 2},
		"refused": {
			client: dialing(nobodysAddress(t, plain.Listener.Addr().String())),
			is:     syscall.ECONNREFUSED, words: []string{"connection refused"},
		},
		"a CA that isn't trusted": {
			client: func(*certtokentest.Server) *http.Client { return &http.Client{Transport: new(http.Transport)} },
			words:  []string{"certificate signed by unknown authority"},
		},
		"a server without TLS": {
			client: dialing(plain.Listener.Addr().String()),
			words:  []string{"HTTP response to HTTPS client"},
		},
		"a gzip bomb": {
			fault: certtokentest.Fault{Shape: certtokentest.GzipBomb}, is: certtoken.ErrBadResponse,
			words: []string{"larger"}, requests: 1,
		},
		"a body without end": {
			fault: certtokentest.Fault{Shape: certtokentest.EndlessBody}, is: certtoken.ErrBadResponse,
			words: []string{"larger"}, requests: 1,
		},
		"a redirect": {
			fault: certtokentest.Fault{Shape: certtokentest.Redirect, Location: "https://127.0.0.1:1/"},
			is:    certtoken.ErrBadResponse, words: []string{"redirects"}, requests: 1,
		},
	}
	t.Run("cases", func(t *testing.T) {
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				t.Parallel() // they wait between their attempts
				server := certtokentest.NewServer(t, certtokentest.WithOpaqueTokens())
				hc := server.Client()
				if c.client != nil {
					hc = c.client(server)
				}
				r := newRigOf(t, server, nil, certtoken.WithHTTPClient(hc), patiently())
				t.Cleanup(hc.CloseIdleConnections)
				server.Fail(c.fault)
				_, err := r.client.Token(t.Context(), graph)
				if c.words == nil {
					require.NoError(t, err)
				} else {
					require.Error(t, err)
					for _, word := range c.words {
						require.ErrorContains(t, err, word)
					}
				}
				if c.is != nil {
					require.ErrorIs(t, err, c.is)
				}
				assert.Equal(t, c.requests, server.Count())
			})
		}
	})
	plain.Close()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	noLeak(t, ignore)
}

// Without a client of the user's, Close leaves no connection.
func TestCloseEndsConnections(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	server := certtokentest.NewServer(t)
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	client, err := certtoken.NewClient(server.Authority(), appID, cert)
	require.NoError(t, err)
	_, err = client.Token(t.Context(), graph)
	require.ErrorContains(t, err, "unknown authority")
	require.NoError(t, client.Close())
	server.Close()
	noLeak(t, ignore)
}

func TestPlainHTTPIsRefused(t *testing.T) {
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	_, err := certtoken.NewClient(
		certtoken.Issuer("https://as.example.com", "http://as.example.com/token"),
		appID,
		cert,
	)
	require.ErrorContains(t, err, "plain http")
}

// Attempts are signed anew, each with its own jti, and are one request by their
// correlation id.
func TestRetries(t *testing.T) {
	status := func(codes ...int) (faults []certtokentest.Fault) {
		for _, code := range codes {
			faults = append(faults, certtokentest.Fault{Status: code})
		}
		return faults
	}
	aadsts := func(codes ...int) (faults []certtokentest.Fault) {
		for _, code := range codes {
			faults = append(faults, certtokentest.Fault{Code: code, Status: 400, Error: "invalid_request"})
		}
		return faults
	}
	for name, c := range map[string]struct {
		faults   []certtokentest.Fault
		requests int
		ok       bool
	}{
		"none":              {nil, 1, true},
		"408":               {status(408), 2, true},
		"429":               {status(429), 2, true},
		"500":               {status(500), 2, true},
		"502, 503":          {status(502, 503), 3, true},
		"504, 429, 500":     {status(504, 429, 500), 3, false},
		"503, then refused": {append(status(503), certtokentest.Fault{Code: 700016}), 2, false},
		"reset":             {[]certtokentest.Fault{{Shape: certtokentest.ResetConnection}}, 2, true},
		"reset, truncated": {
			[]certtokentest.Fault{{Shape: certtokentest.ResetConnection}, {Shape: certtokentest.TruncatedBody}}, 3,
			true,
		},
		"slow, then well":         {[]certtokentest.Fault{{Delay: time.Minute}}, 2, true},
		"temporarily_unavailable": {[]certtokentest.Fault{{Error: "temporarily_unavailable"}}, 2, true},
		"90033":                   {aadsts(90033), 2, true},
		"90006, 90024":            {aadsts(90006, 90024), 3, true},
		"90055":                   {aadsts(90055), 2, true},
		"400":                     {status(400), 1, false},
		"401":                     {status(401), 1, false},
		"403":                     {status(403), 1, false},
		"404":                     {status(404), 1, false},
		"409":                     {status(409), 1, false},
		"418":                     {status(418), 1, false},
		"50196, asked in a loop":  {[]certtokentest.Fault{{Code: 50196}}, 1, false},
		"700016":                  {[]certtokentest.Fault{{Code: 700016}}, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var attempts []int
				r := newRig(
					t,
					certtoken.WithHooks(certtoken.Hooks{RequestEnd: func(_ context.Context, e certtoken.Event) {
						attempts = append(attempts, e.Attempt)
					}}),
				)
				r.server.Fail(c.faults...)
				start := time.Now()
				_, err := r.client.Token(t.Context(), graph)
				assert.Equal(t, c.ok, err == nil, "%v", err)
				requests := r.server.Requests()
				require.Len(t, requests, c.requests)
				jtis, ids := map[any]bool{}, map[string]bool{}
				for i, req := range requests {
					jtis[req.AssertionClaims["jti"]] = true
					ids[req.Header.Get("client-request-id")] = true
					assert.Equal(t, i+1, attempts[i])
				}
				assert.Len(t, jtis, c.requests, "an assertion was sent twice")
				assert.Len(t, ids, 1, "all attempts are one request")
				assert.LessOrEqual(t, time.Since(start), 13*time.Second)
			})
		})
	}
}

// Pauses grow and are spread out, so that a fleet doesn't come back in step.
func TestBackoffHasJitter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const pauses = 120 // by luck, the test fails once in 10 to the 11 times
		var first, second []time.Duration
		for i := range pauses {
			r := newRig(t)
			r.server.Fail(certtokentest.Fault{Status: 503}, certtokentest.Fault{Status: 503})
			r.token(t, scopeOf(i))
			requests := r.server.Requests()
			first = append(first, requests[1].Time.Sub(requests[0].Time))
			second = append(second, requests[2].Time.Sub(requests[1].Time))
		}
		check := func(list []time.Duration, limit time.Duration) {
			var low, high, sum time.Duration = limit, 0, 0
			for _, p := range list {
				low, high, sum = min(low, p), max(high, p), sum+p
			}
			assert.LessOrEqual(t, high, limit)
			assert.Less(t, low, limit/5)
			assert.Greater(t, high, limit*4/5)
			assert.InDelta(t, (limit / 2).Seconds(), (sum / pauses).Seconds(), limit.Seconds()/5)
		}
		check(first, time.Second)
		check(second, 2*time.Second)
	})
}

func TestRetryAfterIsObeyed(t *testing.T) {
	for name, c := range map[string]struct {
		faults []certtokentest.Fault
		took   time.Duration
		ok     bool
	}{
		"seconds": {
			[]certtokentest.Fault{certtokentest.Throttle(5 * time.Second)}, 5 * time.Second, true,
		},
		"a date": {
			[]certtokentest.Fault{{Status: 503, RetryAfter: 7 * time.Second, RetryDate: true}}, 7 * time.Second, true,
		},
		"twice": {
			[]certtokentest.Fault{certtokentest.Throttle(5 * time.Second), certtokentest.Throttle(6 * time.Second)},
			11 * time.Second, true,
		},
		"beyond the flight": {
			[]certtokentest.Fault{certtokentest.Throttle(20 * time.Second), certtokentest.Throttle(20 * time.Second)},
			20 * time.Second, false,
		},
		"as long as a flight": {[]certtokentest.Fault{certtokentest.Throttle(30 * time.Second)}, 0, false},
		"on a server that's off": {
			[]certtokentest.Fault{{Status: 429, Header: http.Header{"Date": {"Mon, 01 Jan 2035 00:00:00 GMT"},
				"Retry-After": {"Mon, 01 Jan 2035 00:00:04 GMT"}}}},
			4 * time.Second, true,
		},
		"until the limit's end": {
			[]certtokentest.Fault{{Status: 429, Header: http.Header{"Date": {"Mon, 01 Jan 2035 00:00:00 GMT"},
				"X-Rate-Limit-Reset": {"2051222404"}}}},
			4 * time.Second, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t)
				r.server.Fail(c.faults...)
				start := time.Now()
				_, err := r.client.Token(t.Context(), graph)
				assert.Equal(t, c.ok, err == nil, "%v", err)
				assert.Equal(t, c.took, time.Since(start))
			})
		})
	}
}

// What the server said about one key is remembered for as long as it asked, and
// is nothing to the others.
func TestThrottledKeyIsRemembered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, certtoken.WithTenants("fabrikam.com"))
		r.server.Fail(certtokentest.Throttle(2 * time.Minute))
		_, first := r.client.Token(t.Context(), graph)
		var te *certtoken.TokenError
		require.ErrorAs(t, first, &te)
		assert.Equal(t, 2*time.Minute, te.RetryAfter)
		id := te.CorrelationID

		for elapsed := 10 * time.Second; elapsed < 2*time.Minute; elapsed += 10 * time.Second {
			time.Sleep(10 * time.Second)
			start := time.Now()
			_, errs := crowd(t.Context(), r.client, 10, graph)
			assert.Zero(t, time.Since(start), "they fail at once")
			for _, err := range errs {
				require.ErrorAs(t, err, &te)
				require.Equal(t, 429, te.StatusCode)
				require.Equal(t, []int{90055}, te.AADSTS)
				require.Equal(t, id, te.CorrelationID)
				require.Equal(t, 2*time.Minute-elapsed, te.RetryAfter, "the remaining time")
				require.True(t, te.Temporary())
			}
		}
		_, err := r.client.Acquire(t.Context(), certtoken.Request{Scopes: []string{graph}, Fresh: true})
		require.Error(t, err, "no way around it")
		assert.Equal(t, 1, r.server.Count())
		r.token(t, vault)
		_, err = r.client.Acquire(t.Context(), certtoken.Request{Scopes: []string{graph}, Tenant: "fabrikam.com"})
		require.NoError(t, err)
		assert.Equal(t, 3, r.server.Count())
		time.Sleep(10 * time.Second)
		r.token(t, graph)
		assert.Equal(t, 4, r.server.Count())
	})
}

// A final refusal is remembered for a second.
func TestRefusalIsRememberedForASecond(t *testing.T) {
	for _, fault := range []certtokentest.Fault{{Code: 700016}, {Code: 700027}, {Status: 403}} {
		t.Run(fmt.Sprint(fault.Code, fault.Status), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t)
				r.server.FailAlways(fault)
				_, err := r.client.Token(t.Context(), graph)
				var first, later *certtoken.TokenError
				require.ErrorAs(t, err, &first)
				for range 9 {
					time.Sleep(100 * time.Millisecond)
					_, errs := crowd(t.Context(), r.client, 10, graph)
					for _, err := range errs {
						require.ErrorAs(t, err, &later)
						require.Equal(t, first.Code, later.Code)
						require.Equal(t, first.AADSTS, later.AADSTS)
						require.Equal(t, first.CorrelationID, later.CorrelationID)
						require.Positive(t, later.RetryAfter)
						require.LessOrEqual(t, later.RetryAfter, time.Second)
					}
				}
				assert.Zero(t, first.RetryAfter, "what was handed out stays as it was")
				assert.Equal(t, 1, r.server.Count())
				time.Sleep(100 * time.Millisecond)
				r.server.ClearFaults()
				r.token(t, graph)
				assert.Equal(t, 2, r.server.Count())
			})
		})
	}
}

// rotating is a source whose certificate can be changed, and that can be told
// to reload.
type rotating struct {
	current  atomic.Pointer[certtoken.Certificate]
	next     *certtoken.Certificate // what Reload brings; nil: nothing new
	err      error                  // what Reload returns
	reloads  atomic.Int32
	refused  atomic.Pointer[certtoken.Certificate]
	onReload func()
}

func (s *rotating) Certificate(context.Context) (*certtoken.Certificate, error) {
	return s.current.Load(), nil
}

func (s *rotating) Reload(_ context.Context, refused *certtoken.Certificate) error {
	s.reloads.Add(1)
	s.refused.Store(refused)
	if s.onReload != nil {
		s.onReload()
	}
	if s.next != nil {
		s.current.Store(s.next)
	}
	return s.err
}

var _ certtoken.Reloader = (*rotating)(nil)

func TestRefusalIsVoidWithAnotherCertificate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		old := certtokentest.NewCertificate(t, certtokentest.WithSharedKey(), certtokentest.WithSubject("old"))
		source := new(rotating)
		source.current.Store(old)
		r := newRigOf(t, nil, source) // which registers another
		_, err := r.client.Token(t.Context(), graph)
		require.ErrorContains(t, err, "700027")
		source.current.Store(r.cert)
		r.token(t, vault) // signs with the new one
		r.token(t, graph) // within the second
		assert.Equal(t, 3, r.server.Count())
	})
}

// A refusal that another certificate may mend has the source reload, once, and
// the request is repeated once, only if the thumbprint changed.
func TestSelfHealing(t *testing.T) {
	heals := map[int]bool{700027: true, 7000214: true, 1000502: true, 7000274: true, 7000277: true}
	for _, code := range []int{
		700027, 700024, 7000214, 1000502, 7000274, 7000277,
		50027, 700021, 700023, 700025, 700030, 5002723, 5002727, 5002738, 7000215, 7000218, 7000222, 700016, 7000112,
		90002,
		90014, 500011, 53003, 50196,
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				source := new(rotating)
				source.current.Store(
					certtokentest.NewCertificate(t, certtokentest.WithSharedKey(), certtokentest.WithSubject("old")),
				)
				var told atomic.Int32
				r := newRigOf(
					t,
					nil,
					source,
					certtoken.WithHooks(certtoken.Hooks{CertificateRefused: func(e certtoken.Event) {
						told.Add(1)
						assert.Error(t, e.Err)
						assert.Equal(t, thumbprint(source.current.Load()), e.Thumbprint)
					}}),
				)
				refused := source.current.Load()
				source.next = r.cert
				r.server.Fail(certtokentest.Fault{Code: code})
				_, err := r.client.Token(t.Context(), graph)
				if heals[code] {
					require.NoError(t, err)
					assert.EqualValues(t, 1, source.reloads.Load())
					assert.EqualValues(t, 1, told.Load())
					assert.Same(t, refused, source.refused.Load())
					assert.Equal(t, 2, r.server.Count())
					assert.True(t, r.cert.Leaf.Equal(r.server.LastRequest().Certificate))
					return
				}
				require.Error(t, err)
				assert.Zero(t, source.reloads.Load())
				assert.Equal(t, 1, r.server.Count())
			})
		})
	}
}

func TestSelfHealingHasItsLimits(t *testing.T) {
	newCert := func(t *testing.T, name string) *certtoken.Certificate {
		return certtokentest.NewCertificate(t, certtokentest.WithSharedKey(), certtokentest.WithSubject(name))
	}
	for name, c := range map[string]struct {
		setUp    func(*testing.T, *rotating)
		fault    certtokentest.Fault
		reloads  int32
		requests int
	}{
		"nothing new": {
			func(*testing.T, *rotating) {}, certtokentest.Fault{Code: 700027}, 1, 1,
		},
		"the same again": {
			func(_ *testing.T, s *rotating) { s.next = s.current.Load() }, certtokentest.Fault{Code: 700027}, 1, 1,
		},
		"Reload fails": {
			func(_ *testing.T, s *rotating) { s.err = errors.New("gone") }, certtokentest.Fault{Code: 700027}, 1, 1,
		},
		"Reload panics": {
			func(_ *testing.T, s *rotating) { s.onReload = func() { panic("oops") } },
			certtokentest.Fault{Code: 700027}, 1, 1,
		},
		"the new one is refused": {
			func(t *testing.T, s *rotating) { s.next = newCert(t, "next") }, certtokentest.Fault{Code: 700027}, 1, 2,
		},
		"another error": {
			func(t *testing.T, s *rotating) { s.next = newCert(t, "next") },
			certtokentest.Fault{Code: 700027, Error: "invalid_request", Status: 400}, 0, 1,
		},
		"invalid_client, no code": {
			func(t *testing.T, s *rotating) { s.next = newCert(t, "next") },
			certtokentest.Fault{Error: "invalid_client", Status: 400}, 1, 2,
		},
		"401, another code": {
			func(t *testing.T, s *rotating) { s.next = newCert(t, "next") },
			certtokentest.Fault{Error: "nope", Status: 401}, 1, 2,
		},
		"403": {
			func(t *testing.T, s *rotating) { s.next = newCert(t, "next") },
			certtokentest.Fault{Error: "unauthorized_client", Status: 403}, 0, 1,
		},
		"a reason that no certificate changes": {
			func(t *testing.T, s *rotating) { s.next = newCert(t, "next") },
			certtokentest.Fault{Code: 7000112, Error: "invalid_client", Status: 401}, 0, 1,
		},
		"without end, new each time": {func(t *testing.T, s *rotating) {
			n := 0
			s.onReload = func() { n++; s.next = newCert(t, fmt.Sprint(n)) }
		}, certtokentest.Fault{Code: 700027}, 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				source := new(rotating)
				source.current.Store(newCert(t, "old"))
				r := newRigOf(t, nil, source)
				c.setUp(t, source)
				r.server.FailAlways(c.fault)
				_, err := r.client.Token(t.Context(), graph)
				require.Error(t, err)
				assert.Equal(t, c.reloads, source.reloads.Load())
				assert.Equal(t, c.requests, r.server.Count())
			})
		})
	}
}

// Several flights refused at once each get their retry.
func TestSelfHealingOfManyKeys(t *testing.T) {
	bubble(t, func(t *testing.T) {
		source := new(rotating)
		source.current.Store(
			certtokentest.NewCertificate(t, certtokentest.WithSharedKey(), certtokentest.WithSubject("old")),
		)
		r := newRigOf(t, nil, source)
		source.next = r.cert
		done := make(chan error, 10)
		for i := range 10 {
			go func() {
				_, err := r.client.Token(t.Context(), scopeOf(i))
				done <- err
			}()
		}
		for range 10 {
			assert.NoError(t, <-done)
		}
		synctest.Wait()
	})
}

// A source that follows its certificate by itself is taken at its word without
// a Reload.
func TestRotationBehindTheClient(t *testing.T) {
	bubble(t, func(t *testing.T) {
		source := new(rotating)
		r := newRigOf(t, nil, source)
		source.current.Store(r.cert)
		first := r.token(t, graph)
		next := certtokentest.NewCertificate(t, certtokentest.WithSubject("next"))
		r.server.Replace(appID, next.Leaf)
		source.current.Store(next)
		time.Sleep(50 * time.Minute)
		assert.Same(t, first, r.hit(t, graph))
		synctest.Wait()
		assert.NotSame(t, first, r.hit(t, graph))
		assert.True(t, next.Leaf.Equal(r.server.LastRequest().Certificate))
	})
}

// The error of a caller that gave up waiting says what the endpoint has answered so far.
func TestGivingUpSaysWhy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := certtokentest.New()
		cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
		srv.Register(clientID, cert.Leaf)
		srv.FailAlways(certtokentest.Fault{Status: 503, RetryAfter: 10 * time.Second})
		client, err := certtoken.NewClient(
			certtoken.Entra(tenantID),
			clientID,
			cert,
			certtoken.WithHTTPClient(srv.Client()),
		)
		require.NoError(t, err)
		defer client.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = client.Token(ctx, scope)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "answered 503")
	})
}
