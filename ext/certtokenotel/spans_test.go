package certtokenotel_test

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/ext/certtokenotel"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

func TestSpan(t *testing.T) {
	w := watch(t, nil)
	ctx, parent := w.tracers.Tracer("test").Start(t.Context(), "the caller")
	_, err := w.Token(ctx, scope)
	require.NoError(t, err)
	parent.End()

	require.Len(t, w.spans.Ended(), 2)
	span := w.spans.Ended()[0]
	assert.Equal(t, "acquire token", span.Name())
	assert.Equal(t, trace.SpanKindClient, span.SpanKind())
	assert.Equal(t, parent.SpanContext().SpanID(), span.Parent().SpanID())
	assert.Equal(t, codes.Unset, span.Status().Code)
	sent := w.endpoint.LastRequest()
	assert.Equal(t, map[string]string{
		"http.request.method":          "POST",
		"http.response.status_code":    "200",
		"certtoken.scopes":             `["` + scope + `"]`,
		"certtoken.correlation_id":     sent.Header.Get("client-request-id"),
		"certtoken.certificate.sha256": thumbprint(sent.Certificate),
	}, attrs(span))
}

// Agents and the names of parameters are on spans, and in no metric.
func TestSpanOfAnAgent(t *testing.T) {
	const agent, value = "aaaaaaaa-0000-4000-8000-000000000001", "the value of a parameter"
	w := watch(t, nil)
	w.endpoint.RegisterAgent(certtokentest.Agent{
		ID: agent, Blueprint: clientID, Tenant: certtokentest.DefaultTenant,
	})
	_, err := w.Acquire(t.Context(), certtoken.Request{
		Scopes: []string{scope}, Agent: agent, Parameters: url.Values{"purpose": {value}, "audit": {value}},
	})
	require.NoError(t, err)
	require.Len(t, w.spans.Ended(), 2, "the leg's and the token's")
	assert.Equal(t, `["fmi_path"]`, attrs(w.spans.Ended()[0])["certtoken.parameters"])
	of := attrs(w.spans.Ended()[1])
	assert.Equal(t, agent, of["certtoken.agent"])
	assert.Equal(t, `["audit","purpose"]`, of["certtoken.parameters"])
	assert.NotContains(t, fmt.Sprint(of), value)
	for name := range w.series() {
		assert.NotContains(t, name, "agent")
		assert.NotContains(t, name, "purpose")
	}
}

func TestSpanOfEachAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, nil, certtoken.WithTenants("fabrikam.com"))
		w.endpoint.Fail(certtokentest.Fault{Code: 90033})
		_, err := w.Acquire(t.Context(), certtoken.Request{Scopes: []string{scope}, Tenant: "fabrikam.com"})
		require.NoError(t, err)
		require.Len(t, w.spans.Ended(), 2)
		first, second := w.spans.Ended()[0], w.spans.Ended()[1]
		assert.Equal(t, codes.Error, first.Status().Code)
		assert.Contains(t, first.Status().Description, "AADSTS90033")
		assert.Equal(t, "AADSTS90033", attrs(first)["error.type"])
		assert.Equal(t, "503", attrs(first)["http.response.status_code"])
		assert.NotContains(t, attrs(first), "http.request.resend_count")
		assert.Equal(t, codes.Unset, second.Status().Code)
		assert.Equal(t, "1", attrs(second)["http.request.resend_count"])
		assert.Equal(t, "fabrikam.com", attrs(second)["certtoken.tenant"])
		assert.Equal(t, attrs(first)["certtoken.correlation_id"], attrs(second)["certtoken.correlation_id"])
		require.NoError(t, w.Close())
	})
}

// A renewal behind the callers belongs to none of them.
func TestSpanOfRenewalIsARoot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, nil)
		token, err := w.Token(t.Context(), scope)
		require.NoError(t, err)
		time.Sleep(time.Until(token.RenewAt()))
		ctx, caller := w.tracers.Tracer("test").Start(t.Context(), "a caller")
		_, err = w.Token(ctx, scope)
		require.NoError(t, err)
		caller.End()
		synctest.Wait()
		requests := w.requestSpans()
		require.Len(t, requests, 2, "the first token's and the renewal's")
		assert.False(t, requests[1].Parent().IsValid())
		require.NoError(t, w.Close())
	})
}

// requestSpans are the ended spans of token requests. A renewal's span and the span
// of a caller who doesn't wait for it end in either order.
func (w *watched) requestSpans() []sdktrace.ReadOnlySpan {
	return slices.DeleteFunc(w.spans.Ended(), func(s sdktrace.ReadOnlySpan) bool { return s.Name() != "acquire token" })
}

// Other hooks may put spans of their own on top: each ends its own.
func TestSpansOfSeveralHooks(t *testing.T) {
	w := watch(t, nil)
	tracer := w.tracers.Tracer("somebody else")
	type key struct{}
	somebodyElse := certtoken.Hooks{
		RequestStart: func(ctx context.Context, _ certtoken.Event) context.Context {
			ctx, span := tracer.Start(ctx, "somebody else's")
			return context.WithValue(ctx, key{}, span)
		},
		RequestEnd: func(ctx context.Context, _ certtoken.Event) { ctx.Value(key{}).(trace.Span).End() },
	}
	ours := func() certtoken.Hooks {
		hooks, err := certtokenotel.Hooks(
			certtokenotel.WithMeterProvider(w.meters),
			certtokenotel.WithTracerProvider(w.tracers),
		)
		require.NoError(t, err)
		return hooks
	}
	client := w.newClient(certtoken.WithHooks(ours()), certtoken.WithHooks(somebodyElse), certtoken.WithHooks(ours()))
	_, err := client.Token(t.Context(), scope)
	require.NoError(t, err)
	var names []string
	for _, s := range w.spans.Ended() {
		names = append(names, s.Name())
		assert.Equal(t, s.Name() == "acquire token", attrs(s)["http.response.status_code"] == "200")
	}
	assert.Equal(t, []string{"acquire token", "somebody else's", "acquire token"}, names, "inner ones first")
	assert.Len(t, w.spans.Started(), 3)
}
