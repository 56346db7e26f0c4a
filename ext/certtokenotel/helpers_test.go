package certtokenotel_test

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/ext/certtokenotel"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

const (
	clientID = "6731de76-14a6-49ae-97bc-6eba6914391e"
	scope    = "https://graph.microsoft.com/.default"
)

// watched is a client whose metrics and spans a test can look at.
type watched struct {
	*certtoken.Client
	t        testing.TB
	endpoint *certtokentest.Server
	cert     *certtoken.Certificate
	reader   *metric.ManualReader
	meters   *metric.MeterProvider
	spans    *tracetest.SpanRecorder
	tracers  *trace.TracerProvider
}

// watch makes a client of the endpoint, or of a new one.
func watch(t testing.TB, endpoint *certtokentest.Server, opts ...certtoken.Option) *watched {
	t.Helper()
	if endpoint == nil {
		endpoint = certtokentest.New()
	}
	w := &watched{
		t: t, endpoint: endpoint,
		cert:   certtokentest.NewCertificate(t, certtokentest.WithSharedKey()),
		reader: metric.NewManualReader(),
		spans:  tracetest.NewSpanRecorder(),
	}
	endpoint.Register(clientID, w.cert.Leaf)
	w.meters = metric.NewMeterProvider(metric.WithReader(w.reader))
	w.tracers = trace.NewTracerProvider(trace.WithSpanProcessor(w.spans))
	hooks, err := certtokenotel.Hooks(
		certtokenotel.WithMeterProvider(w.meters),
		certtokenotel.WithTracerProvider(w.tracers),
	)
	require.NoError(t, err)
	w.Client = w.newClient(append(opts, certtoken.WithHooks(hooks))...)
	return w
}

func (w *watched) newClient(opts ...certtoken.Option) *certtoken.Client {
	w.t.Helper()
	client, err := certtoken.NewClient(w.endpoint.Authority(), clientID, w.cert,
		append([]certtoken.Option{certtoken.WithHTTPClient(w.endpoint.Client())}, opts...)...)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = client.Close() })
	return client
}

func (w *watched) collect() metricdata.ResourceMetrics {
	w.t.Helper()
	var rm metricdata.ResourceMetrics
	require.NoError(w.t, w.reader.Collect(context.Background(), &rm))
	return rm
}

// series are the values of all time series, by the name and attributes of each;
// of a histogram it is the count.
func (w *watched) series() map[string]float64 {
	w.t.Helper()
	all := make(map[string]float64)
	for _, sm := range w.collect().ScopeMetrics {
		for _, m := range sm.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					all[name(m, p.Attributes)] = float64(p.Value)
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					all[name(m, p.Attributes)] = float64(p.Count)
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					all[name(m, p.Attributes)] = p.Value
				}
			default:
				w.t.Fatalf("%s is a %T", m.Name, m.Data)
			}
		}
	}
	return all
}

func name(m metricdata.Metrics, attrs attribute.Set) string {
	return fmt.Sprintf("%s{%s}", m.Name, attrs.Encoded(attribute.DefaultEncoder()))
}

// attrs are a span's attributes as text.
func attrs(s trace.ReadOnlySpan) map[string]string {
	all := make(map[string]string)
	for _, kv := range s.Attributes() {
		all[string(kv.Key)] = kv.Value.String()
	}
	return all
}

func thumbprint(cert *x509.Certificate) string { return fmt.Sprintf("%x", sha256.Sum256(cert.Raw)) }

// brokenStore is a store that fails.
type brokenStore struct{ certtoken.Store }

func (brokenStore) Get(context.Context, string) ([]byte, error) { return nil, errors.New("broken") }

// roundTripFunc is a RoundTripper.
type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
