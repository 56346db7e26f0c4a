package promtext

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

func TestWrite(t *testing.T) {
	reader := sdk.NewManualReader()
	meter := sdk.NewMeterProvider(sdk.WithReader(reader)).Meter("test")
	lookups, err := meter.Int64Counter("certtoken.cache.lookups", metric.WithUnit("{lookup}"),
		metric.WithDescription("A\nB"))
	require.NoError(t, err)
	lookups.Add(t.Context(), 3, metric.WithAttributes(attribute.String("result", "hit"),
		attribute.String("identity", `a"\`)))
	lookups.Add(t.Context(), 1, metric.WithAttributes(attribute.String("result", "miss"),
		attribute.String("identity", "a\nb")))
	durations, err := meter.Float64Histogram("request.duration", metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(0.5, 1))
	require.NoError(t, err)
	for _, v := range []float64{0.25, 0.75, 2} {
		durations.Record(t.Context(), v)
	}
	expiry, err := meter.Float64Gauge("time-to-expiry", metric.WithUnit("s"))
	require.NoError(t, err)
	expiry.Record(t.Context(), -1.5)
	var data metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &data))
	var b strings.Builder
	require.NoError(t, Write(&b, &data))
	assert.ElementsMatch(t, strings.Split(`# HELP certtoken_cache_lookups_total A\nB
# TYPE certtoken_cache_lookups_total counter
certtoken_cache_lookups_total{identity="a\"\\",result="hit"} 3
certtoken_cache_lookups_total{identity="a\nb",result="miss"} 1
# HELP request_duration_seconds 
# TYPE request_duration_seconds histogram
request_duration_seconds_bucket{le="0.5"} 1
request_duration_seconds_bucket{le="1"} 2
request_duration_seconds_bucket{le="+Inf"} 3
request_duration_seconds_sum 3
request_duration_seconds_count 3
# HELP time_to_expiry_seconds 
# TYPE time_to_expiry_seconds gauge
time_to_expiry_seconds -1.5
`, "\n"), strings.Split(b.String(), "\n"))
}
