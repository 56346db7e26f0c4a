package certtoken_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
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

// diary records events by the name of their hook.
type diary struct {
	mu     sync.Mutex
	names  []string
	events map[string][]certtoken.Event
}

func (d *diary) note(name string) func(certtoken.Event) {
	return func(e certtoken.Event) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.events == nil {
			d.events = make(map[string][]certtoken.Event)
		}
		d.names = append(d.names, name)
		d.events[name] = append(d.events[name], e)
	}
}

func (d *diary) of(name string) []certtoken.Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.events[name]
}

// hooks are all of them.
func (d *diary) hooks() certtoken.Hooks {
	start, end := d.note("RequestStart"), d.note("RequestEnd")
	return certtoken.Hooks{
		Hit: d.note("Hit"), Miss: d.note("Miss"),
		RequestStart:        func(ctx context.Context, e certtoken.Event) context.Context { start(e); return ctx },
		RequestEnd:          func(_ context.Context, e certtoken.Event) { end(e) },
		RenewalFailed:       d.note("RenewalFailed"),
		RequestAbandoned:    d.note("RequestAbandoned"),
		RequestReturned:     d.note("RequestReturned"),
		CertificateLoaded:   d.note("CertificateLoaded"),
		CertificateExpiring: d.note("CertificateExpiring"),
		CertificateRefused:  d.note("CertificateRefused"),
		ClockCorrected:      d.note("ClockCorrected"),
		AlgorithmFallback:   d.note("AlgorithmFallback"),
		StoreFailed:         d.note("StoreFailed"),
		ChallengeUnanswered: d.note("ChallengeUnanswered"),
	}
}

func TestHooksTellTheStory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var d diary
		r := newRig(t, certtoken.WithHooks(d.hooks()), certtoken.WithTenants("fabrikam.com"))
		r.server.Fail(certtokentest.Fault{Status: 503})
		tok := r.token(t, graph)
		r.hit(t, graph)
		_, err := r.client.Acquire(t.Context(), certtoken.Request{Scopes: []string{graph}, Tenant: "fabrikam.com"})
		require.NoError(t, err)
		assert.Equal(t, []string{
			"Miss", "CertificateLoaded", "RequestStart", "RequestEnd", "RequestStart", "RequestEnd",
			"Hit",
			"Miss", "RequestStart", "RequestEnd",
		}, d.names)

		ends := d.of("RequestEnd")
		assert.Error(t, ends[0].Err)
		assert.Equal(t, 1, ends[0].Attempt)
		assert.Zero(t, ends[0].ExpiresAt)
		assert.NoError(t, ends[1].Err)
		assert.Equal(t, 2, ends[1].Attempt)
		assert.Equal(t, ends[0].CorrelationID, ends[1].CorrelationID)
		assert.True(t, ends[1].ExpiresAt.Equal(tok.ExpiresAt()))
		assert.Equal(t, []string{graph}, ends[1].Scopes)
		assert.Equal(t, thumbprint(r.cert), ends[1].Thumbprint)
		assert.Equal(t, r.cert.Leaf.NotAfter, ends[1].NotAfter)
		assert.Equal(t, "fabrikam.com", ends[2].Tenant)
		assert.Equal(t, r.server.LastRequest().Header.Get("client-request-id"), ends[2].CorrelationID)
		assert.True(t, d.of("Hit")[0].ExpiresAt.Equal(tok.ExpiresAt()))
	})
}

func TestHookSeesHowLongARequestTook(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var d diary
		r := newRig(t, certtoken.WithHooks(d.hooks()))
		r.server.Fail(certtokentest.Fault{Delay: 3 * time.Second})
		r.token(t, graph)
		assert.Equal(t, 3*time.Second, d.of("RequestEnd")[0].Elapsed)
	})
}

// The context of RequestStart reaches the HTTP request and RequestEnd, through
// several sets of hooks, whose ends nest.
func TestHooksCarryAContext(t *testing.T) {
	type first struct{}
	type second struct{}
	var order []string
	hooks := func(name string, key any) certtoken.Hooks {
		return certtoken.Hooks{
			RequestStart: func(ctx context.Context, _ certtoken.Event) context.Context {
				order = append(order, "start "+name)
				return context.WithValue(ctx, key, name)
			},
			RequestEnd: func(ctx context.Context, _ certtoken.Event) {
				order = append(order, fmt.Sprint("end ", name, " ", ctx.Value(key)))
			},
		}
	}
	server := certtokentest.New()
	var sent []any
	hc := &http.Client{Transport: roundTripFunc(func(req *http.Request) (*http.Response, error) {
		sent = append(sent, req.Context().Value(first{}), req.Context().Value(second{}))
		return server.Transport().RoundTrip(req)
	})}
	r := newRigOf(
		t,
		server,
		nil,
		certtoken.WithHTTPClient(hc),
		certtoken.WithHooks(hooks("a", first{})),
		certtoken.WithHooks(
			certtoken.Hooks{RequestStart: func(context.Context, certtoken.Event) context.Context { return nil }},
		),
		certtoken.WithHooks(hooks("b", second{})),
	)
	r.token(t, graph)
	assert.Equal(t, []any{"a", "b"}, sent)
	assert.Equal(t, []string{"start a", "start b", "end b b", "end a a"}, order)
}

func TestHooksAreAllJoined(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var one, two diary
		r := newRig(
			t,
			certtoken.WithHooks(certtoken.Hooks{}),
			certtoken.WithHooks(one.hooks()),
			certtoken.WithHooks(certtoken.Hooks{}),
			certtoken.WithHooks(two.hooks()),
		)
		r.token(t, graph)
		r.hit(t, graph)
		r.server.FailAlways(certtokentest.Fault{Code: 53003})
		time.Sleep(55 * time.Minute)
		r.hit(t, graph)
		synctest.Wait()
		// The renewal runs beside the caller: between the two hooks of one event, another
		// event can come.
		assert.ElementsMatch(t, one.names, two.names)
		assert.Contains(t, one.names, "RenewalFailed")
	})
}

// Several flights that start at once load one certificate.
func TestCertificateIsAnnouncedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var d diary
		source := new(rotating)
		slow := certtoken.Hooks{CertificateLoaded: func(certtoken.Event) { time.Sleep(time.Second) }}
		r := newRigOf(t, nil, source, certtoken.WithHooks(d.hooks()), certtoken.WithHooks(slow))
		source.current.Store(r.cert)
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				_, err := r.client.Token(t.Context(), scopeOf(i))
				assert.NoError(t, err)
			})
		}
		wg.Wait()
		require.Len(t, d.of("CertificateLoaded"), 1)
		assert.Equal(t, thumbprint(r.cert), d.of("CertificateLoaded")[0].Thumbprint)

		next := certtokentest.NewCertificate(t, certtokentest.WithSharedKey(), certtokentest.WithSubject("next"))
		r.server.Register(appID, next.Leaf)
		source.current.Store(next)
		r.token(t, graph)
		r.token(t, vault)
		require.Len(t, d.of("CertificateLoaded"), 2)
		assert.Equal(t, thumbprint(next), d.of("CertificateLoaded")[1].Thumbprint)
	})
}

func TestCertificateNearItsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		left time.Duration
		opts []certtoken.Option
		want int // announcements in three days
	}{
		"far away": {60 * 24 * time.Hour, nil, 0},
		"near":     {20 * 24 * time.Hour, nil, 3},
		"a longer warning": {
			60 * 24 * time.Hour, []certtoken.Option{certtoken.WithExpiryWarning(90 * 24 * time.Hour)}, 3,
		},
		"turned off":           {20 * 24 * time.Hour, []certtoken.Option{certtoken.WithExpiryWarning(0)}, 0},
		"turned off, and over": {time.Hour, []certtoken.Option{certtoken.WithExpiryWarning(0)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var d diary
				start := time.Now()
				cert := certtokentest.NewCertificate(
					t,
					certtokentest.WithSharedKey(),
					certtokentest.WithValidity(start.Add(-time.Hour), start.Add(c.left)),
				)
				server := certtokentest.New(
					certtokentest.WithOpaqueTokens(),
					certtokentest.WithTokenLifetime(time.Hour),
				)
				server.Register(appID, cert.Leaf)
				r := newRigOf(t, server, cert, append(c.opts, certtoken.WithHooks(d.hooks()))...)
				for time.Since(start) < 71*time.Hour {
					_, _ = r.client.Token(t.Context(), graph)
					_, _ = r.client.Token(t.Context(), vault)
					time.Sleep(20 * time.Minute)
				}
				assert.Len(t, d.of("CertificateExpiring"), c.want)
				for _, e := range d.of("CertificateExpiring") {
					assert.Equal(t, cert.Leaf.NotAfter, e.NotAfter)
				}
			})
		})
	}
}

// noPSS is a signer that lacks PSS, and says so or something else.
type noPSS struct {
	crypto.Signer
	err error
}

func (s noPSS) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if _, ok := opts.(*rsa.PSSOptions); ok {
		return nil, s.err
	}
	return s.Signer.Sign(r, digest, opts)
}

func TestAlgorithmFallback(t *testing.T) {
	unsupported := fmt.Errorf("token: mechanism invalid: %w", errors.ErrUnsupported)
	for name, c := range map[string]struct {
		opts []certtoken.AuthorityOption
		err  error
		ok   bool
	}{
		"asked for":     {[]certtoken.AuthorityOption{certtoken.WithPSSFallback()}, unsupported, true},
		"not asked for": {nil, unsupported, false},
		"another error": {[]certtoken.AuthorityOption{certtoken.WithPSSFallback()}, errors.New("unsupported"), false},
		"a file's":      {[]certtoken.AuthorityOption{certtoken.WithPSSFallback()}, certtoken.ErrUnsupported, false},
		"a deadline":    {[]certtoken.AuthorityOption{certtoken.WithPSSFallback()}, context.DeadlineExceeded, false},
	} {
		t.Run(name, func(t *testing.T) {
			var d diary
			good := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
			cert, err := certtoken.NewCertificate(noPSS{good.Signer, c.err}, good.Leaf, nil)
			require.NoError(t, err)
			server := certtokentest.New()
			server.Register(appID, cert.Leaf)
			client, err := certtoken.NewClient(certtoken.Entra("contoso.com", c.opts...), appID, cert,
				certtoken.WithHTTPClient(server.Client()), certtoken.WithHooks(d.hooks()))
			require.NoError(t, err)
			defer client.Close()
			_, err = client.Token(t.Context(), graph)
			if !c.ok {
				require.ErrorIs(t, err, c.err)
				assert.Empty(t, d.of("AlgorithmFallback"))
				return
			}
			require.NoError(t, err)
			assert.Equal(t, "RS256", server.LastRequest().AssertionHeader["alg"])
			_, err = client.Token(t.Context(), vault)
			require.NoError(t, err)
			require.Len(t, d.of("AlgorithmFallback"), 1, "told once")
			assert.Equal(t, certtoken.RS256, d.of("AlgorithmFallback")[0].Algorithm)
			assert.ErrorIs(t, d.of("AlgorithmFallback")[0].Err, errors.ErrUnsupported)
		})
	}
}

// A renewal that Close interrupts hasn't failed.
func TestCloseIsNoFailedRenewal(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var d diary
		r := newRig(t, certtoken.WithHooks(d.hooks()))
		r.token(t, graph)
		time.Sleep(50 * time.Minute)
		r.server.FailAlways(certtokentest.Fault{Delay: time.Hour})
		r.hit(t, graph)
		synctest.Wait()
		require.NoError(t, r.client.Close())
		assert.Empty(t, d.of("RenewalFailed"))
	})
}

func TestLogger(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var out bytes.Buffer
		log := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
		source := new(rotating)
		r := newRigOf(t, nil, source, certtoken.WithLogger(log), certtoken.WithExpiryWarning(200*365*24*time.Hour))
		source.current.Store(r.cert)
		r.server.SetClockOffset(time.Hour)
		r.token(t, graph)
		r.server.SetClockOffset(0)
		r.server.Fail(certtokentest.Fault{Code: 700027})
		_, err := r.client.Token(t.Context(), vault)
		require.Error(t, err)
		r.server.FailAlways(certtokentest.Fault{Code: 53003})
		time.Sleep(55 * time.Minute)
		for range 100 {
			r.hit(t, graph)
		}
		synctest.Wait()

		seen := map[string]string{}
		for line := range strings.Lines(out.String()) {
			var entry map[string]any
			require.NoError(t, json.Unmarshal([]byte(line), &entry), line)
			msg, _ := entry["msg"].(string)
			level, _ := entry["level"].(string)
			seen[msg] = level
			if msg == "certtoken: token request failed" {
				assert.NotEmpty(t, entry["error"])
				assert.NotEmpty(t, entry["correlation_id"])
				assert.NotEmpty(t, entry["scopes"])
			}
		}
		assert.Equal(t, map[string]string{
			"certtoken: token acquired":                                        "INFO",
			"certtoken: token request failed":                                  "WARN",
			"certtoken: renewal failed, the token is still valid":              "WARN",
			"certtoken: certificate in use":                                    "INFO",
			"certtoken: certificate ends soon":                                 "WARN",
			"certtoken: certificate refused, source asked for another":         "WARN",
			"certtoken: this machine's clock is off, following the endpoint's": "WARN",
		}, seen)
		assert.Less(t, strings.Count(out.String(), "\n"), 20, "hits are not logged")
	})
}

// The error about PS256 says what to do, but not where the server wants PS256.
func TestAdviceWithoutPSS(t *testing.T) {
	const issuer, endpoint, advice = "https://as.example.com", "https://as.example.com/token",
		"; try RS256, by WithPSSFallback"
	unsupported := fmt.Errorf("my vault: PS256: %w", errors.ErrUnsupported)
	for name, c := range map[string]struct {
		authority certtoken.Authority
		err       error
		advised   bool
	}{
		"Entra ID": {certtoken.Entra("contoso.com"), unsupported, true},
		"Entra ID, named": {certtoken.Entra("contoso.com", certtoken.WithAlgorithm(certtoken.PS256)), unsupported,
			true},
		"another hash": {certtoken.Entra("contoso.com", certtoken.WithAlgorithm(certtoken.PS384)), unsupported,
			false},
		"a list without": {discovered(t, `["PS256","PS384"]`), unsupported, false},
		"named": {certtoken.Issuer(issuer, endpoint, certtoken.WithAlgorithm(certtoken.PS256)), unsupported,
			false},
		"FAPI":             {certtoken.Issuer(issuer, endpoint, certtoken.WithFAPI()), unsupported, false},
		"another error":    {certtoken.Entra("contoso.com"), errors.New("unsupported"), false},
		"a file that is":   {certtoken.Entra("contoso.com"), certtoken.ErrUnsupported, false},
		"option was given": {certtoken.Entra("contoso.com", certtoken.WithPSSFallback()), unsupported, false},
	} {
		t.Run(name, func(t *testing.T) {
			good := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
			cert, err := certtoken.NewCertificate(neverSigns{good.Signer, c.err}, good.Leaf, nil)
			require.NoError(t, err)
			client, err := certtoken.NewClient(c.authority, appID, cert,
				certtoken.WithHTTPClient(certtokentest.New().Client()))
			require.NoError(t, err)
			defer client.Close()
			_, err = client.Token(t.Context(), graph)
			require.ErrorIs(t, err, c.err)
			assert.Equal(t, c.advised, strings.Contains(err.Error(), advice), "%v", err)
		})
	}
}

// neverSigns is a signer that fails in the same way with every algorithm.
type neverSigns struct {
	crypto.Signer
	err error
}

func (s neverSigns) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, s.err }
