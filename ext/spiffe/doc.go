// Package spiffe proves a program by the identity that SPIFFE gave it. It asks the
// agent on the machine (the SPIFFE Workload API, which SPIRE's agent serves), with
// the client of github.com/spiffe/go-spiffe, so the program needs neither a key of
// its own nor a secret.
//
// There are two forms of identity. An X.509-SVID is a certificate with its key. An
// [X509Source] follows it through its rotations, and is the source of a client that signs
// its assertions or presents the certificate in TLS:
//
//	source, err := spiffe.NewX509Source()
//	client, err := certtoken.NewClient(authority, clientID, source)
//
// A JWT-SVID is an assertion that the agent has signed for one audience. A [JWTSource]
// gets it, for a client without a certificate:
//
//	source, err := spiffe.NewJWTSource()
//	client, err := certtoken.NewFederatedClient(authority, clientID, source)
//
// Both find the agent by the environment variable SPIFFE_ENDPOINT_SOCKET, keep the last
// good SVID within its validity while the agent is away, and must be closed.
package spiffe
