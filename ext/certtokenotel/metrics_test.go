package certtokenotel_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/ext/certtokenotel"
	"github.com/certtoken/certtoken/internal/secrettest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	apimetric "go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

const (
	hits     = "certtoken.cache.lookups{certtoken.cache.result=hit}"
	misses   = "certtoken.cache.lookups{certtoken.cache.result=miss}"
	requests = "certtoken.request.duration"
)

func TestMetrics(t *testing.T) {
	w := watch(t, nil)
	assert.Empty(t, w.series(), "nothing has happened")
	for range 3 {
		_, err := w.Token(t.Context(), scope)
		require.NoError(t, err)
	}
	all := w.series()
	gauge := "certtoken.certificate.time_to_expiry{certtoken.certificate.sha256=" + thumbprint(w.cert.Leaf) + "}"
	assert.InDelta(t, time.Until(w.cert.Leaf.NotAfter).Seconds(), all[gauge], 60)
	delete(all, gauge)
	assert.Equal(t, map[string]float64{
		hits:   2,
		misses: 1,
		requests + "{http.response.status_code=200}": 1,
	}, all)
}

// Instruments are found by name and unit in other people's dashboards.
func TestInstruments(t *testing.T) {
	w := watch(t, nil, certtoken.WithStore(brokenStore{}, bytes.Repeat([]byte("s"), 32)))
	_, err := w.Token(t.Context(), scope)
	require.NoError(t, err)
	units := make(map[string]string)
	rm := w.collect()
	require.Len(t, rm.ScopeMetrics, 1)
	assert.Equal(t, "github.com/certtoken/certtoken/ext/certtokenotel", rm.ScopeMetrics[0].Scope.Name)
	assert.Equal(t, semconv.SchemaURL, rm.ScopeMetrics[0].Scope.SchemaURL)
	for _, m := range rm.ScopeMetrics[0].Metrics {
		assert.NotEmpty(t, m.Description)
		units[m.Name] = m.Unit
		if h, ok := m.Data.(metricdata.Histogram[float64]); ok {
			assert.Equal(t, 0.005, h.DataPoints[0].Bounds[0], "seconds")
		}
	}
	assert.Equal(t, map[string]string{
		"certtoken.cache.lookups":              "{lookup}",
		"certtoken.request.duration":           "s",
		"certtoken.store.failures":             "{failure}",
		"certtoken.certificate.time_to_expiry": "s",
	}, units)
	assert.Equal(t, 1., w.series()["certtoken.store.failures{error.type=_OTHER}"])
}

func TestDurationIsInSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, nil)
		w.endpoint.Fail(certtokentest.Fault{Delay: 3 * time.Second})
		_, err := w.Token(t.Context(), scope)
		require.NoError(t, err)
		for _, m := range w.collect().ScopeMetrics[0].Metrics {
			if h, ok := m.Data.(metricdata.Histogram[float64]); ok {
				assert.InDelta(t, 3, h.DataPoints[0].Sum, 0.001)
			}
		}
		require.NoError(t, w.Close())
	})
}

// Every kind of failure has a name of its own.
func TestErrorTypes(t *testing.T) {
	for _, c := range []struct {
		name   string
		fault  certtokentest.Fault
		opts   []certtokentest.Option
		series string
	}{
		{"Entra ID", certtokentest.Fault{Code: 700027}, nil, "{error.type=AADSTS700027,http.response.status_code=401}"},
		{
			"RFC 6749", certtokentest.Fault{Error: "invalid_scope", Status: 400},
			[]certtokentest.Option{certtokentest.WithIssuer("")},
			"{error.type=invalid_scope,http.response.status_code=400}",
		},
		{"status", certtokentest.Fault{Status: 418}, nil, "{error.type=418,http.response.status_code=418}"},
		{"web page", certtokentest.Fault{Shape: certtokentest.HTML}, nil, "{error.type=bad_response}"},
		{"reset", certtokentest.Fault{Shape: certtokentest.ResetConnection}, nil, "{error.type=connection}"},
		{"truncated", certtokentest.Fault{Shape: certtokentest.TruncatedBody}, nil, "{error.type=connection}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := watch(t, certtokentest.NewServer(t, c.opts...))
			w.endpoint.FailAlways(c.fault)
			_, err := w.Token(t.Context(), scope)
			require.Error(t, err)
			all := w.series()
			assert.Contains(t, all, requests+c.series)
			assert.InDelta(t, w.endpoint.Count(), all[requests+c.series], 0, "%v", all)
		})
	}
}

func TestErrorTypesWithoutAnswer(t *testing.T) {
	for _, c := range []struct {
		want string
		err  error
	}{
		{"dns", &net.DNSError{Err: "no such host", Name: "x", IsTimeout: true}},
		{"tls", x509.UnknownAuthorityError{}},
		{"timeout", context.DeadlineExceeded},
		{"canceled", context.Canceled},
		{"connection", &net.OpError{Op: "dial", Err: errors.New("refused")}},
		{"_OTHER", errors.New("something else")},
	} {
		t.Run(c.want, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := watch(
					t,
					nil,
					certtoken.WithHTTPClient(
						&http.Client{Transport: roundTripFunc(func(*http.Request) (*http.Response, error) {
							return nil, c.err
						})},
					),
				)
				_, err := w.Token(t.Context(), scope)
				require.Error(t, err)
				assert.Positive(t, w.series()[requests+"{error.type="+c.want+"}"], "%v", w.series())
				require.NoError(t, w.Close())
			})
		})
	}
}

// A server that makes up words doesn't make time series without end.
func TestSeriesAreBounded(t *testing.T) {
	w := watch(t, nil)
	var n atomic.Int64
	w.endpoint.FailFunc(func(*certtokentest.Request) *certtokentest.Fault {
		return &certtokentest.Fault{Error: fmt.Sprint("made_up_", n.Add(1)), Status: 400}
	})
	for i := range 300 {
		_, err := w.Token(t.Context(), fmt.Sprintf("https://api-%d.example.com/.default", i))
		require.Error(t, err)
	}
	all := w.series()
	series := 0
	for name := range all {
		if strings.HasPrefix(name, requests) {
			series++
		}
	}
	assert.LessOrEqual(t, series, 65)
	assert.Greater(t, all[requests+"{error.type=_OTHER}"], 200.)
}

func TestRenewalFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, nil)
		token, err := w.Token(t.Context(), scope)
		require.NoError(t, err)
		time.Sleep(time.Until(token.RenewAt()))
		w.endpoint.FailAlways(certtokentest.Fault{Code: 90033})
		again, err := w.Token(t.Context(), scope)
		require.NoError(t, err)
		assert.Same(t, token, again)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		assert.Equal(t, 1., w.series()["certtoken.renewal.failures{error.type=AADSTS90033}"])
		require.NoError(t, w.Close())
	})
}

// The gauge is as of now, not as of the last request.
func TestCertificateGauge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, nil)
		soon := certtokentest.NewCertificate(t, certtokentest.WithSharedKey(),
			certtokentest.WithValidity(time.Now(), time.Now().Add(time.Hour)))
		w.endpoint.Register(clientID, soon.Leaf)
		*w.cert = *soon
		_, err := w.Token(t.Context(), scope)
		require.NoError(t, err)
		time.Sleep(10 * time.Minute)
		for name, value := range w.series() {
			if strings.HasPrefix(name, "certtoken.certificate.time_to_expiry") {
				assert.InDelta(t, 50*60, value, 0.001)
				require.NoError(t, w.Close())
				return
			}
		}
		t.Fatal("no gauge")
	})
}

// Hooks have no Close: what they registered goes with their client.
func TestForgottenClientLeavesNothing(t *testing.T) {
	w := watch(t, nil)
	func() {
		hooks, err := certtokenotel.Hooks(
			certtokenotel.WithMeterProvider(w.meters),
			certtokenotel.WithAttributes(semconv.ServerAddress("other")),
		)
		require.NoError(t, err)
		client, err := certtoken.NewClient(
			w.endpoint.Authority(),
			clientID,
			w.cert,
			certtoken.WithHTTPClient(w.endpoint.Client()),
			certtoken.WithHooks(hooks),
		)
		require.NoError(t, err)
		_, err = client.Token(t.Context(), scope)
		require.NoError(t, err)
		assert.Equal(t, 1, w.gauges())
		require.NoError(t, client.Close())
	}()
	require.Eventually(t, func() bool { runtime.GC(); return w.gauges() == 0 }, 5*time.Minute, 10*time.Millisecond)
}

// A job closes its client before it shuts its meter provider down, which collects
// for the last time. The garbage collector may run in between.
func TestClosedClientIsCollectedOnce(t *testing.T) {
	w := watch(t, nil)
	func() {
		hooks, err := certtokenotel.Hooks(certtokenotel.WithMeterProvider(w.meters))
		require.NoError(t, err)
		client, err := certtoken.NewClient(w.endpoint.Authority(), clientID, w.cert,
			certtoken.WithHTTPClient(w.endpoint.Client()), certtoken.WithHooks(hooks))
		require.NoError(t, err)
		_, err = client.Token(t.Context(), scope)
		require.NoError(t, err)
		require.NoError(t, client.Close())
	}()
	for range 3 {
		runtime.GC()
	}
	assert.Equal(t, 1, w.gauges())
	require.Eventually(t, func() bool { runtime.GC(); return w.gauges() == 0 }, 5*time.Minute, 10*time.Millisecond)
}

// gauges is the number of certificates that are watched.
func (w *watched) gauges() int {
	n := 0
	for name := range w.series() {
		if strings.HasPrefix(name, "certtoken.certificate.time_to_expiry") {
			n++
		}
	}
	return n
}

// keepingMeters keeps every callback until it is unregistered, and never calls
// one: so does the global provider before the program sets one.
type keepingMeters struct {
	noop.MeterProvider
	registry *registry
}

type keepingMeter struct {
	noop.Meter
	registry *registry
}

type registry struct {
	mu        sync.Mutex
	callbacks map[*registration]apimetric.Callback
}

type registration struct {
	noop.Registration
	registry *registry
}

func newKeepingMeters() keepingMeters {
	return keepingMeters{registry: &registry{callbacks: make(map[*registration]apimetric.Callback)}}
}

func (p keepingMeters) Meter(string, ...apimetric.MeterOption) apimetric.Meter {
	return keepingMeter{registry: p.registry}
}

func (m keepingMeter) RegisterCallback(
	f apimetric.Callback,
	_ ...apimetric.Observable,
) (apimetric.Registration, error) {
	m.registry.mu.Lock()
	defer m.registry.mu.Unlock()
	r := &registration{registry: m.registry}
	m.registry.callbacks[r] = f
	return r, nil
}

func (r *registration) Unregister() error {
	r.registry.mu.Lock()
	defer r.registry.mu.Unlock()
	delete(r.registry.callbacks, r)
	return nil
}

func (p keepingMeters) registered() int {
	p.registry.mu.Lock()
	defer p.registry.mu.Unlock()
	return len(p.registry.callbacks)
}

// Without anybody who collects, hooks that are forgotten are not kept for a
// collection, even if a certificate was loaded.
func TestForgottenHooksUnregister(t *testing.T) {
	meters := newKeepingMeters()
	func() {
		hooks, err := certtokenotel.Hooks(certtokenotel.WithMeterProvider(meters))
		require.NoError(t, err)
		hooks.CertificateLoaded(certtoken.Event{Thumbprint: "00", NotAfter: time.Now()})
		runtime.GC()
		assert.Equal(t, 1, meters.registered())
		runtime.KeepAlive(hooks)
	}()
	require.Eventually(
		t,
		func() bool { runtime.GC(); return meters.registered() == 0 },
		5*time.Minute,
		10*time.Millisecond,
	)
}

func TestAttributesTellClientsApart(t *testing.T) {
	w := watch(t, nil)
	for _, name := range []string{"graph", "billing"} {
		hooks, err := certtokenotel.Hooks(
			certtokenotel.WithMeterProvider(w.meters),
			certtokenotel.WithTracerProvider(w.tracers),
			certtokenotel.WithAttributes(semconv.ServerAddress(name)),
		)
		require.NoError(t, err)
		_, err = w.newClient(certtoken.WithHooks(hooks)).Token(t.Context(), scope)
		require.NoError(t, err)
	}
	all := w.series()
	for _, name := range []string{"graph", "billing"} {
		assert.Equal(
			t,
			1.,
			all["certtoken.cache.lookups{certtoken.cache.result=miss,server.address="+name+"}"],
			"%v",
			all,
		)
		assert.Equal(t, 1., all[requests+"{http.response.status_code=200,server.address="+name+"}"])
	}
	assert.Equal(t, "graph", attrs(w.spans.Ended()[0])["server.address"])
}

// Nothing that is exported holds a secret, nor the client id.
func TestNothingSecretIsExported(t *testing.T) {
	w := watch(t, nil)
	token, err := w.Token(t.Context(), scope)
	require.NoError(t, err)
	w.endpoint.Fail(
		certtokentest.Fault{Code: 700027, Description: "the assertion was " + w.endpoint.LastRequest().Assertion},
	)
	_, err = w.Acquire(t.Context(), certtoken.Request{Scopes: []string{scope}, Fresh: true})
	require.Error(t, err)
	var all strings.Builder
	data, err := json.Marshal(withoutIDs(w.collect()))
	require.NoError(t, err)
	all.Write(data)
	for _, s := range w.spans.Ended() {
		fmt.Fprintf(&all, "%s %v %v %v", s.Name(), s.Attributes(), s.Status(), s.Events())
	}
	require.Contains(t, all.String(), "AADSTS700027")
	for _, hidden := range []string{token.AccessToken(), w.endpoint.LastRequest().Assertion, clientID} {
		assert.NotContains(t, all.String(), hidden)
	}
	assert.False(t, secrettest.BeginsJWT(all.String()), "the beginning of a JWT")
}

// withoutIDs removes the random ids of exemplars, which JSON has in base64: in there any few
// letters may stand, and so may the beginning of a JWT.
func withoutIDs(rm metricdata.ResourceMetrics) metricdata.ResourceMetrics {
	for _, sm := range rm.ScopeMetrics {
		for _, m := range sm.Metrics {
			histogram, ok := m.Data.(metricdata.Histogram[float64])
			if !ok {
				continue
			}
			for _, p := range histogram.DataPoints {
				for i := range p.Exemplars {
					p.Exemplars[i].SpanID, p.Exemplars[i].TraceID = nil, nil
				}
			}
		}
	}
	return rm
}

// failingMeters refuses every instrument.
type failingMeters struct{ noop.MeterProvider }

type failingMeter struct{ noop.Meter }

func (failingMeters) Meter(string, ...apimetric.MeterOption) apimetric.Meter { return failingMeter{} }

func (failingMeter) Int64Counter(name string, _ ...apimetric.Int64CounterOption) (apimetric.Int64Counter, error) {
	return noop.Int64Counter{}, errors.New("no " + name)
}

// A session whose refresh token isn't saved is counted.
func TestUnsavedSessions(t *testing.T) {
	const callback = "https://app.example/callback"
	w := watch(t, nil)
	scopes := []string{"https://graph.microsoft.com/User.Read", "offline_access"}
	code := w.endpoint.AuthorizationCode(certtokentest.CodeRequest{
		ClientID: clientID, User: "ada@contoso.com", RedirectURI: callback, Scopes: scopes,
	})
	token, err := w.Acquire(t.Context(), certtoken.Request{
		Scopes: scopes, Grant: certtoken.AuthorizationCode(code, callback, ""),
	})
	require.NoError(t, err)
	session := w.Session(token.RefreshToken(), func(context.Context, string) error { return errors.New("disk full") })
	_, err = session.Token(t.Context(), scopes[0])
	require.NoError(t, err)
	// It is tried again, so there may be more by now.
	assert.GreaterOrEqual(t, w.series()["certtoken.session.save.failures{error.type=_OTHER}"], 1.)
}

func TestProviderErrorsAreReported(t *testing.T) {
	_, err := certtokenotel.Hooks(certtokenotel.WithMeterProvider(failingMeters{}))
	require.Error(t, err)
	for _, name := range []string{"certtoken.cache.lookups", "certtoken.renewal.failures", "certtoken.store.failures"} {
		assert.ErrorContains(t, err, "no "+name)
	}
}

func TestGlobalProviders(t *testing.T) {
	w := watch(t, nil)
	meters, tracers := otel.GetMeterProvider(), otel.GetTracerProvider()
	otel.SetMeterProvider(w.meters)
	otel.SetTracerProvider(w.tracers)
	t.Cleanup(func() { otel.SetMeterProvider(meters); otel.SetTracerProvider(tracers) })
	hooks, err := certtokenotel.Hooks()
	require.NoError(t, err)
	_, err = w.newClient(certtoken.WithHooks(hooks)).Token(t.Context(), scope)
	require.NoError(t, err)
	assert.Equal(t, 1., w.series()[misses])
	assert.Len(t, w.spans.Ended(), 1)
}

// A request that was given up is counted by the part of the program that hangs, and hangs
// until that part returns.
func TestAbandonedRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		endpoint := certtokentest.New()
		hangs := roundTripFunc(func(r *http.Request) (*http.Response, error) {
			<-release
			return endpoint.RoundTripper().RoundTrip(r)
		})
		w := watch(t, endpoint, certtoken.WithHTTPClient(&http.Client{Transport: hangs}))
		_, err := w.Token(t.Context(), scope)
		require.Error(t, err)
		synctest.Wait() // the hook may be called after the caller was answered
		const abandoned = "certtoken.request.abandoned{certtoken.part=the HTTP transport}"
		all := w.series()
		assert.EqualValues(t, 1, all[abandoned])
		assert.EqualValues(t, 1, all["certtoken.request.hanging{}"])
		close(release)
		synctest.Wait()
		all = w.series()
		assert.EqualValues(t, 1, all[abandoned])
		assert.EqualValues(t, 0, all["certtoken.request.hanging{}"])
		require.NoError(t, w.Close())
	})
}
