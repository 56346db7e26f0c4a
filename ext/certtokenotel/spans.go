package certtokenotel

import (
	"context"
	"slices"

	"github.com/certtoken/certtoken"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

const (
	scopesKey      = attribute.Key("certtoken.scopes")
	tenantKey      = attribute.Key("certtoken.tenant")
	agentKey       = attribute.Key("certtoken.agent")
	parametersKey  = attribute.Key("certtoken.parameters")
	correlationKey = attribute.Key("certtoken.correlation_id")
)

// spans makes a span of each token request.
type spans struct {
	tracer trace.Tracer
	attrs  []attribute.KeyValue
}

// spanKey finds the span of these hooks in a context. trace.SpanFromContext
// would find that of others which were joined with them.
type spanKey struct{ of *spans }

func (s *spans) start(ctx context.Context, e certtoken.Event) context.Context {
	attrs := append(slices.Clone(s.attrs),
		semconv.HTTPRequestMethodPost,
		scopesKey.StringSlice(e.Scopes),
		correlationKey.String(e.CorrelationID),
		certificateKey.String(e.Thumbprint),
	)
	if e.Tenant != "" {
		attrs = append(attrs, tenantKey.String(e.Tenant))
	}
	if e.Agent != "" {
		attrs = append(attrs, agentKey.String(e.Agent))
	}
	if len(e.Parameters) > 0 {
		attrs = append(attrs, parametersKey.StringSlice(e.Parameters)) // names: values may be anything, and many
	}
	if e.Attempt > 1 {
		attrs = append(attrs, semconv.HTTPRequestResendCount(e.Attempt-1))
	}
	ctx, span := s.tracer.Start(
		ctx,
		"acquire token",
		trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attrs...),
	)
	return context.WithValue(ctx, spanKey{s}, span)
}

func (s *spans) end(ctx context.Context, e certtoken.Event) {
	span, ok := ctx.Value(spanKey{s}).(trace.Span)
	if !ok {
		return
	}
	defer span.End()
	span.SetAttributes(outcome{status: status(e.Err), errorType: errorType(e.Err)}.attributes()...)
	if e.Err != nil {
		span.SetStatus(codes.Error, e.Err.Error())
	}
}
