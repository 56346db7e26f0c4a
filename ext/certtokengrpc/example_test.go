package certtokengrpc_test

import (
	"crypto/tls"
	"log"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/ext/certtokengrpc"
)

// Every call of the connection carries a token. One that the server refuses is replaced,
// and the call made again.
func Example() {
	client, err := certtoken.NewClient(certtoken.Entra("contoso.onmicrosoft.com"),
		"7f0b2c1e-6d5a-4f39-9a87-2d1c0e4b5a6f", certtoken.CertFile("private.pem"))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	tokens := certtokengrpc.New(client, "api://billing/.default")
	conn, err := grpc.NewClient("billing.example.com:443",
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{})),
		grpc.WithPerRPCCredentials(tokens),
		grpc.WithStatsHandler(tokens.StatsHandler()),
		grpc.WithDefaultServiceConfig(certtokengrpc.RetryRefused))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
}
