// Command example asks a gRPC server for its health, with a token.
//
//	go run github.com/certtoken/certtoken/ext/certtokengrpc/example@latest \
//		-addr billing.example.com:443 -scope api://billing/.default \
//		-tenant contoso.onmicrosoft.com -client-id … -cert private.pfx
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/ext/certtokengrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
)

func main() {
	addr := flag.String("addr", "", "gRPC server, host:port")
	tenant := flag.String("tenant", "", "Entra tenant, GUID or domain")
	clientID := flag.String("client-id", "", "application (client) id")
	cert := flag.String("cert", "", "PFX or PEM file; its password, if any, is in AZURE_CLIENT_CERTIFICATE_PASSWORD")
	scope := flag.String("scope", "", "scope of the server, {resource}/.default")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	client, err := certtoken.NewClient(certtoken.Entra(*tenant), *clientID,
		certtoken.CertFile(*cert, certtoken.WithPassword(os.Getenv("AZURE_CLIENT_CERTIFICATE_PASSWORD"))))
	if err == nil {
		defer client.Close()
		err = run(ctx, os.Stdout, client, *scope, *addr, nil)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		os.Exit(1)
	}
}

// run calls the server; a nil config trusts what the system trusts.
func run(ctx context.Context, out io.Writer, client *certtoken.Client, scope, addr string, config *tls.Config) error {
	creds := certtokengrpc.New(client, scope)
	conn, err := grpc.NewClient(addr,
		grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithPerRPCCredentials(creds),
		grpc.WithStatsHandler(creds.StatsHandler()),               // a refused token is replaced
		grpc.WithDefaultServiceConfig(certtokengrpc.RetryRefused), // and the call made again
	)
	if err != nil {
		return err
	}
	defer conn.Close()

	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	health, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		return err
	}
	fmt.Fprintln(out, addr, "is", health.GetStatus())
	return nil
}
