// Command example gets a token twice and shows on its standard output what
// OpenTelemetry heard of it. A real program has exporters of its own, such as
// OTLP's, in place of the two here.
//
//	go run github.com/certtoken/certtoken/ext/certtokenotel/example@latest \
//		-tenant contoso.onmicrosoft.com -client-id … -cert private.pfx
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/ext/certtokenotel"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/stdout/stdoutmetric"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

func main() {
	tenant := flag.String("tenant", "", "Entra tenant, GUID or domain")
	clientID := flag.String("client-id", "", "application (client) id")
	cert := flag.String("cert", "", "PFX or PEM file; its password, if any, is in AZURE_CLIENT_CERTIFICATE_PASSWORD")
	scope := flag.String("scope", "https://graph.microsoft.com/.default", "scope to ask for")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	source := certtoken.CertFile(*cert, certtoken.WithPassword(os.Getenv("AZURE_CLIENT_CERTIFICATE_PASSWORD")))
	if err := run(ctx, os.Stdout, certtoken.Entra(*tenant), *clientID, source, *scope); err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, authority certtoken.Authority, clientID string, source certtoken.CertSource, scope string, opts ...certtoken.Option) (err error) {
	shutdown, err := setUp(out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shutdown(context.WithoutCancel(ctx))) }() // writes what is left

	hooks, err := certtokenotel.Hooks(
		certtokenotel.WithAttributes(semconv.ServerAddress("login.microsoftonline.com")), // what the client talks to
	)
	if err != nil {
		return err
	}
	client, err := certtoken.NewClient(authority, clientID, source, append(opts, certtoken.WithHooks(hooks))...)
	if err != nil {
		return err
	}
	defer client.Close()

	ctx, span := otel.Tracer("example").Start(ctx, "nightly report")
	defer span.End()
	for range 2 { // the second one comes from the cache
		if _, err := client.Token(ctx, scope); err != nil {
			return err
		}
	}
	return nil
}

// setUp makes the providers that the whole program uses.
func setUp(out io.Writer) (shutdown func(context.Context) error, err error) {
	spans, err := stdouttrace.New(stdouttrace.WithWriter(out))
	if err != nil {
		return nil, err
	}
	metrics, err := stdoutmetric.New(stdoutmetric.WithWriter(out))
	if err != nil {
		return nil, err
	}
	tracers := trace.NewTracerProvider(trace.WithBatcher(spans))
	meters := metric.NewMeterProvider(metric.WithReader(metric.NewPeriodicReader(metrics)))
	otel.SetTracerProvider(tracers)
	otel.SetMeterProvider(meters)
	return func(ctx context.Context) error {
		return errors.Join(tracers.Shutdown(ctx), meters.Shutdown(ctx))
	}, nil
}
