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
//	…
//	token, err := client.Token(ctx, "https://graph.microsoft.com/.default")
//	…
//	req.Header.Set("Authorization", token.Type()+" "+token.AccessToken())
//
// The steps, each a file of this package:
//
//	CertSource ──Certificate──▶ Assertion ──JWT──▶ token endpoint ──Token──▶ cache ──▶ caller
//
// A [CertSource] supplies the certificate with its signer: [CertFile] follows a
// file, a [Certificate] is its own source, a [CertSourceFunc] is anything else. An
// [Authority] is the token endpoint and its dialect: [Entra] and its kin, [ADFS],
// any [Issuer]. The [Client] joins them, keeps the tokens, and renews them behind
// its callers; [Client.Transport] and [Client.TokenSource] fit it to other
// packages. A [Grant] asks for a user's token, an [AssertionSource] takes the
// certificate's place, and [WithTLSClientAuth] takes it into the TLS handshake.
//
// # Waiting
//
// While a valid token is there, nobody waits. Otherwise everybody who asks for
// the same waits for one request, each until its own context ends.
//
// # Errors
//
// A refusal by the endpoint is a [*TokenError] that says what to do; trouble with
// a certificate wraps a sentinel such as [ErrWrongPassword]. No error, log or
// print holds a key, a password, an assertion or a token.
package certtoken
