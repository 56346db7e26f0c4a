package main

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/promtext"
	"github.com/certtoken/certtoken/ext/certtokenotel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// metricsPath is what a scraper asks for.
const metricsPath = "/metrics"

// agentMetrics counts what the clients of an agent do. They have no token and no scope.
type agentMetrics struct {
	reader   *metric.ManualReader
	provider *metric.MeterProvider
}

func newAgentMetrics() *agentMetrics {
	reader := metric.NewManualReader()
	return &agentMetrics{reader, metric.NewMeterProvider(metric.WithReader(reader))}
}

// option makes a client count, under the name of its identity.
func (m *agentMetrics) option(identity string) (certtoken.Option, error) {
	hooks, err := certtokenotel.Hooks(
		certtokenotel.WithMeterProvider(m.provider),
		certtokenotel.WithAttributes(attribute.String("identity", identity)),
	)
	if err != nil {
		return nil, failure.Errorf("metrics: %w", err)
	}
	return certtoken.WithHooks(hooks), nil
}

// ServeHTTP answers a scraper.
func (m *agentMetrics) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != metricsPath || r.Method != http.MethodGet {
		http.Error(w, "ask by GET "+metricsPath, http.StatusNotFound)
		return
	}
	var data metricdata.ResourceMetrics
	if err := m.reader.Collect(r.Context(), &data); err != nil {
		http.Error(w, "the metrics can't be collected", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_ = promtext.Write(w, &data) // the scraper may have left
}

// serve answers at an address until the context ends. It may be one that other machines
// reach, because scrapers run elsewhere.
func (m *agentMetrics) serve(ctx context.Context, address string) (func(), error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, failure.Errorf("metrics: %w", err)
	}
	server := &http.Server{
		Handler: m, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}
	go func() { _ = server.Serve(listener) }() // until the function below
	return func() { _ = server.Close() }, nil
}
