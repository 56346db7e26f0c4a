// Package certtoken turns a certificate into an access token.
//
// A service proves who it is to an OAuth 2.0 token endpoint with a certificate
// instead of a secret: its private key signs a short-lived JWT, the client
// assertion (RFC 7523), and never leaves its owner: a file, an HSM, a vault.
//
//	client, err := certtoken.NewClient(
//		certtoken.Entra("contoso.onmicrosoft.com"),
//		clientID,
//		certtoken.CertFile("private.pfx", certtoken.WithPassword(password)),
//	)
//	token, err := client.Token(ctx, "https://graph.microsoft.com/.default")
//	…
//	req.Header.Set("Authorization", token.Type()+" "+token.AccessToken())
//
// The steps, each a file of this package:
//
//	CertSource ──Certificate──▶ Assertion ──JWT──▶ token endpoint ──Token──▶ cache ──▶ caller
//
// A [CertSource] supplies the certificate with its signer: [CertFile] follows a
// file, a [Certificate] is its own source. An [Authority] is the token endpoint and
// its dialect: [Entra] and its kin, [ADFS], any [Issuer]. The [Client] joins them,
// keeps the tokens, and renews them behind its callers: make one and keep it. A
// [Grant] asks for a user's token; an [AssertionSource] or [WithTLSClientAuth] takes
// the assertion's place. [Client.Transport] puts tokens on HTTP requests.
//
// While a valid token is there, nobody waits; otherwise everybody who asks for
// the same waits for one request, each until its own context ends. A refusal by
// the endpoint is a [*TokenError] that says what to do; trouble with a
// certificate wraps a sentinel such as [ErrWrongPassword]. No error, log or print
// holds a key, a password, an assertion or a token.
package certtoken
