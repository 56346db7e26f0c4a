// Package certtoken turns a certificate into an access token.
//
// A service proves who it is to an OAuth 2.0 token endpoint with a certificate
// instead of a secret: its private key signs a short-lived JWT, the client
// assertion (RFC 7523). The key stays where it is: in memory, in an HSM, in a vault.
//
//	client, err := certtoken.NewClient(
//		certtoken.Entra("contoso.onmicrosoft.com"),
//		clientID,
//		certtoken.CertFile("private.pfx", certtoken.WithPassword(password)),
//	)
//	token, err := client.Token(ctx, "https://graph.microsoft.com/.default")
//	…
//	err = token.SetAuthHeader(req)
//
// The steps:
//
//	CertSource ──Certificate──▶ Assertion ──JWT──▶ token endpoint ──Token──▶ cache ──▶ caller
//
// A [CertSource] supplies the certificate with its signer: [CertFile] follows a
// file, and a [Certificate] is its own source. Package certsource makes one of your own
// function, and the modules below ext have those of HSMs, TPMs and vaults. For servers that
// know a client by its key alone there are [KeyFile] and [ParseKey]. An [Authority] is the token endpoint and
// its dialect of assertions: [Entra], [ADFS], or any other [Issuer]. The [Client] joins
// the two, keeps the tokens, and renews them before they end: make one and keep it. A
// [Grant], such as [OnBehalfOf], [TokenExchange] or [JWTBearer], asks for a user's token,
// and a [Session] keeps a user signed in. An [AssertionSource] or [WithTLSClientAuth] takes
// the place of the assertion. [WithDPoP] binds tokens to a key. A [Transport] puts tokens
// on HTTP requests.
//
// While the cache has a valid token, no caller waits. Otherwise all callers who ask for
// the same token wait for one request, each until its own context ends. When the
// endpoint refuses, the error is a [*TokenError] that says what to do. Errors about a
// certificate wrap a sentinel such as [ErrWrongPassword]. No error, log or print holds
// a key, a password, an assertion or a token.
package certtoken
