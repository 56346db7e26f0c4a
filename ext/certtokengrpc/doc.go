// Package certtokengrpc puts a certtoken client's token on gRPC calls.
//
//	creds := certtokengrpc.New(client, "api://billing/.default")
//	conn, err := grpc.NewClient(addr,
//		grpc.WithTransportCredentials(credentials.NewTLS(nil)),
//		grpc.WithPerRPCCredentials(creds),
//		grpc.WithStatsHandler(creds.StatsHandler()),
//	)
//
// The token is asked for with each call's context and comes from the client's
// cache, which renews it behind the calls. It goes over TLS only: gRPC refuses
// the credentials on a connection without, and so do they.
//
// # When the server refuses a token
//
// A token may be refused before its end: it was revoked, or the server's keys
// changed. With [Credentials.StatsHandler], a call that ends with UNAUTHENTICATED
// makes the next one carry a new token, at most one a minute. Whether a refused
// call is made again is a matter of gRPC's retry policy; this one does it once,
// for calls that the server refused without answering anything:
//
//	grpc.WithDefaultServiceConfig(certtokengrpc.RetryRefused)
package certtokengrpc
