// Package certtokentest is a token endpoint, certificates and a conformance
// test for the tests of programs that use certtoken, as net/http/httptest is
// for HTTP.
//
// A [Server] is a tenant of Entra ID, or with [WithIssuer] any authorization
// server by RFC 6749 and RFC 7523. It checks a client assertion for real:
// signature, algorithm, thumbprint, audience, times, replay. What it refuses, it
// refuses with the codes and bodies that the real thing answers with, so that a
// test that passes here means something. It knows nothing of the library's inside:
// any client of any language can be tested with it.
//
//	srv := certtokentest.New()
//	cert := certtokentest.NewCertificate(t)
//	srv.Register("client-id", cert.Leaf)
//	client, err := certtoken.NewClient(certtoken.Entra("contoso.com"), "client-id", cert,
//		certtoken.WithHTTPClient(srv.Client()))
//
// # Two forms
//
// [New] makes a server without a socket: its Client answers in the goroutine of
// the caller, whatever host is asked for, so it works inside a testing/synctest
// bubble, where time is free. [NewServer] and [Start] listen on loopback with
// TLS, for programs that are told an address, and for everything that depends on
// a real connection. Both are the same [Server].
//
// # Keys
//
// [Server.Register] knows a client by its certificate, whose key is RSA, EC or Ed25519;
// [NewCertificate] makes one of each [KeyKind]. With [WithIssuer], [Server.RegisterJWKS]
// and [Server.RegisterJWKSURI] know it by a JWK Set. Entra ID and ADFS take RSA only and
// refuse the rest, as the real ones do. [LikeFAPI2], [LikeSMART], [LikeOkta] and
// [LikeAuth0] have rules of their own for keys and assertions.
//
// # Users, federated credentials, TLS
//
// [Server.UserToken] is what a user brings for a client to act on their behalf;
// [Server.AuthorizationCode] is a sign-in whose code the client redeems, with
// PKCE. [Server.Federate] lets a client prove itself by an [IdentityProvider]'s
// assertions, or by another client's tokens, and [Server.TrustSPIFFE] by its SVIDs. A server with a socket takes a
// certificate in the TLS handshake as proof too (RFC 8705): one that is
// registered, or has a trusted subject. Tokens are then bound to it, for Entra ID if the
// request asks for mtls_pop, and a [Resource] refuses them over other connections. Such a
// token of Entra ID's is another client's assertion (jwt-pop) only over TLS with the same
// certificate, and a certificate beside an assertion must be the one that signed it. With
// [WithDPoP] tokens are bound to the key of a proof in each request (RFC 9449), in both
// forms of the server.
//
// # Rolling keys
//
// [WithGraph] adds what Microsoft Graph has for clients that replace their own
// certificates, addKey and removeKey, with its proofs and the time that a new key needs
// until the token endpoint knows it.
//
// # Misbehaving
//
// [Server.Fail] makes the next requests fail: throttled, slow, reset, cut off,
// answered with a web page and so on; see [Fault]. [Server.FailFor] makes them
// fail now and then, [Resource.Fail] does it to an API, [Server.FailDiscovery] to the
// metadata, and a [Proxy] to connections. [WithRefusalForm] and [LikeKeycloak]
// write and decide as other servers do. docs/testing.md lists what real servers do,
// and how to have it.
//
// The package is for tests and for trying things out. Its keys protect nothing.
package certtokentest
