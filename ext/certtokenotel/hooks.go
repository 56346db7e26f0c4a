package certtokenotel

import (
	"context"
	"fmt"
	"slices"

	"github.com/certtoken/certtoken"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

const scopeName = "github.com/certtoken/certtoken/ext/certtokenotel"

// Option changes what [Hooks] does.
type Option func(*config)

type config struct {
	meters  metric.MeterProvider
	tracers trace.TracerProvider
	attrs   []attribute.KeyValue
}

// WithMeterProvider records metrics with a provider instead of the global one.
func WithMeterProvider(provider metric.MeterProvider) Option {
	return func(c *config) { c.meters = provider }
}

// WithTracerProvider records spans with a provider instead of the global one.
func WithTracerProvider(provider trace.TracerProvider) Option {
	return func(c *config) { c.tracers = provider }
}

// WithAttributes adds attributes to every measurement and span, to tell the
// clients of a program apart: server.address, a name, or the client id where that
// may be seen. Their values must not change, as each combination is a time
// series.
func WithAttributes(attrs ...attribute.KeyValue) Option {
	return func(c *config) { c.attrs = append(c.attrs, attrs...) }
}

// Hooks returns hooks that record metrics and spans. Call it once for each
// client, which takes them by [certtoken.WithHooks]. What they register at the meter
// provider goes when the client is garbage, but not before the last certificate was
// collected once. The error is the meter provider's. The hooks may be called from
// many goroutines.
func Hooks(opts ...Option) (certtoken.Hooks, error) {
	var cfg config
	for _, opt := range opts {
		if opt != nil {
			opt(&cfg)
		}
	}
	if cfg.meters == nil {
		cfg.meters = otel.GetMeterProvider()
	}
	if cfg.tracers == nil {
		cfg.tracers = otel.GetTracerProvider()
	}
	cfg.attrs = slices.Clone(cfg.attrs)

	meter := cfg.meters.Meter(scopeName, metric.WithSchemaURL(semconv.SchemaURL))
	m, err := newMetrics(meter, cfg.attrs)
	if err != nil {
		return certtoken.Hooks{}, fmt.Errorf("certtokenotel: %w", err)
	}
	s := &spans{
		tracer: cfg.tracers.Tracer(scopeName, trace.WithSchemaURL(semconv.SchemaURL)),
		attrs:  cfg.attrs,
	}
	return certtoken.Hooks{
		Hit:          m.hit,
		Miss:         m.miss,
		RequestStart: s.start,
		RequestEnd: func(ctx context.Context, e certtoken.Event) {
			m.requestEnd(ctx, e) // while the span is open, for exemplars
			s.end(ctx, e)
		},
		RenewalFailed:     m.renewalFailed,
		RequestAbandoned:  m.requestAbandoned,
		RequestReturned:   m.requestReturned,
		CertificateLoaded: m.certificateLoaded,
		StoreFailed:       m.storeFailed,
		SessionUnsaved:    m.sessionUnsaved,
	}, nil
}
