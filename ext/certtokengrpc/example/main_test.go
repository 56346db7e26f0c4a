package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"testing"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

func TestExample(t *testing.T) {
	endpoint, cert := certtokentest.New(), certtokentest.NewCertificate(t)
	endpoint.Register("client-id", cert.Leaf)
	client, err := certtoken.NewClient(endpoint.Authority(), "client-id", cert,
		certtoken.WithHTTPClient(endpoint.Client()))
	require.NoError(t, err)
	defer client.Close()

	// The server's first answer is a refusal: the token was revoked.
	calls := 0
	server := grpc.NewServer(
		grpc.Creds(credentials.NewServerTLSFromCert(&tls.Certificate{
			Certificate: [][]byte{cert.Leaf.Raw}, PrivateKey: cert.Signer,
		})),
		grpc.UnaryInterceptor(func(
			ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler,
		) (any, error) {
			calls++
			md, _ := metadata.FromIncomingContext(ctx)
			if calls == 1 || md.Get("authorization")[0] != "Bearer "+endpoint.LastRequest().AccessToken {
				return nil, status.Error(codes.Unauthenticated, "revoked")
			}
			return next(ctx, req)
		}))
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	defer func() { server.Stop(); <-done }()

	var out bytes.Buffer
	config := &tls.Config{InsecureSkipVerify: true} // the certificate has no name
	require.NoError(t, run(t.Context(), &out, client, "api://billing/.default", l.Addr().String(), config))
	assert.Equal(t, l.Addr().String()+" is SERVING\n", out.String())
	assert.Equal(t, 2, calls)
	assert.Equal(t, 2, endpoint.Count())
}
