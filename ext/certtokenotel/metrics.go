package certtokenotel

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync/atomic"
	"time"
	"weak"

	"github.com/certtoken/certtoken"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const (
	resultKey      = attribute.Key("certtoken.cache.result")
	partKey        = attribute.Key("certtoken.part")
	certificateKey = attribute.Key("certtoken.certificate.sha256")
)

// seconds are the bounds that OpenTelemetry advises for HTTP client requests.
var seconds = []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}

// metrics are the instruments. The options of the frequent ones are made once:
// a hit costs an addition.
type metrics struct {
	attrs []attribute.KeyValue

	lookups   metric.Int64Counter
	hits      []metric.AddOption
	misses    []metric.AddOption
	durations metric.Float64Histogram
	renewals  metric.Int64Counter
	abandoned metric.Int64Counter
	hanging   metric.Int64UpDownCounter
	stores    metric.Int64Counter
	unsaved   metric.Int64Counter

	outcomes    outcomes
	cert        atomic.Pointer[certificate] // the one that signed last
	uncollected *atomic.Pointer[metrics]    // these metrics, while no collection has read cert; else nil
}

// certificate is what the gauge reports.
type certificate struct {
	notAfter time.Time
	options  []metric.ObserveOption
}

func newMetrics(meter metric.Meter, attrs []attribute.KeyValue) (*metrics, error) {
	m := &metrics{attrs: attrs, outcomes: outcomes{attrs: attrs}, uncollected: new(atomic.Pointer[metrics])}
	m.hits = []metric.AddOption{m.with(resultKey.String("hit"))}
	m.misses = []metric.AddOption{m.with(resultKey.String("miss"))}
	var errs [8]error
	m.lookups, errs[0] = meter.Int64Counter("certtoken.cache.lookups",
		metric.WithUnit("{lookup}"), metric.WithDescription("Tokens that callers asked for."))
	m.durations, errs[1] = meter.Float64Histogram("certtoken.request.duration",
		metric.WithUnit("s"), metric.WithDescription("Duration of HTTP requests to the token endpoint."),
		metric.WithExplicitBucketBoundaries(seconds...))
	m.renewals, errs[2] = meter.Int64Counter("certtoken.renewal.failures", metric.WithUnit("{failure}"),
		metric.WithDescription("Renewals that failed behind callers who have a valid token."))
	m.abandoned, errs[5] = meter.Int64Counter("certtoken.request.abandoned", metric.WithUnit("{request}"),
		metric.WithDescription("Token requests that were given up because a part of the program hung."))
	m.hanging, errs[6] = meter.Int64UpDownCounter("certtoken.request.hanging", metric.WithUnit("{request}"),
		metric.WithDescription("Token requests that were given up and whose part of the program hangs still."))
	m.stores, errs[3] = meter.Int64Counter("certtoken.store.failures",
		metric.WithUnit("{failure}"), metric.WithDescription("Failures of the store that processes share."))
	m.unsaved, errs[7] = meter.Int64Counter("certtoken.session.save.failures", metric.WithUnit("{failure}"),
		metric.WithDescription("Refresh tokens of sessions that the program could not save."))
	errs[4] = m.observeCertificate(meter)
	return m, errors.Join(errs[:]...)
}

// with is an option of the attributes that everything has and further ones.
func (m *metrics) with(attrs ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(slices.Concat(m.attrs, attrs)...))
}

// observeCertificate registers the gauge, whose callback runs whenever metrics are
// collected. Hooks have no Close, so the callback must not keep the metrics alive for
// good: it refers to them weakly, and is unregistered when they have been collected
// as garbage.
//
// Between the loading of a certificate and the first collection after it, the
// callback does keep them alive. Otherwise it would depend on the garbage collector
// whether a job that closes its client, and then shuts its meter provider down,
// exports the gauge.
func (m *metrics) observeCertificate(meter metric.Meter) error {
	gauge, err := meter.Float64ObservableGauge("certtoken.certificate.time_to_expiry",
		metric.WithUnit("s"), metric.WithDescription("Time until the certificate that signs is over."))
	if err != nil {
		return err
	}
	live, uncollected := weak.Make(m), m.uncollected
	registration, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		if m := live.Value(); m != nil {
			uncollected.Store(nil) // before the reading: a certificate that comes now waits for the next collection
			if c := m.cert.Load(); c != nil {
				o.ObserveFloat64(gauge, time.Until(c.notAfter).Seconds(), c.options...)
			}
		}
		return nil
	}, gauge)
	if err != nil {
		return err
	}
	runtime.AddCleanup(m, func(r metric.Registration) { _ = r.Unregister() }, registration)
	return nil
}

func (m *metrics) hit(certtoken.Event) {
	m.lookups.Add(context.Background(), 1, m.hits...)
}

func (m *metrics) miss(certtoken.Event) {
	m.lookups.Add(context.Background(), 1, m.misses...)
}

func (m *metrics) requestAbandoned(e certtoken.Event) {
	m.abandoned.Add(context.Background(), 1, m.with(partKey.String(e.Part)))
	m.hanging.Add(context.Background(), 1, m.with())
}

func (m *metrics) requestReturned(certtoken.Event) {
	m.hanging.Add(context.Background(), -1, m.with())
}

func (m *metrics) requestEnd(ctx context.Context, e certtoken.Event) {
	m.durations.Record(ctx, e.Elapsed.Seconds(), m.outcomes.of(e.Err, true))
}

func (m *metrics) renewalFailed(e certtoken.Event) {
	m.renewals.Add(context.Background(), 1, m.outcomes.of(e.Err, false))
}

func (m *metrics) storeFailed(e certtoken.Event) {
	m.stores.Add(context.Background(), 1, m.outcomes.of(e.Err, false))
}

func (m *metrics) sessionUnsaved(e certtoken.Event) {
	m.unsaved.Add(context.Background(), 1, m.outcomes.of(e.Err, false))
}

func (m *metrics) certificateLoaded(e certtoken.Event) {
	m.cert.Store(&certificate{
		notAfter: e.NotAfter,
		options:  []metric.ObserveOption{m.with(certificateKey.String(e.Thumbprint))},
	})
	// While metrics are not collected, which is so until the program sets the global
	// provider, no collection would let go of them again.
	if m.lookups.Enabled(context.Background()) {
		m.uncollected.Store(m)
	}
}
