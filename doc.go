// Package certtoken turns a certificate into an access token.
//
// A service proves who it is to an OAuth 2.0 token endpoint with a certificate
// instead of a secret: it signs a short-lived JWT, the client assertion (RFC
// 7523), with the certificate's private key, and exchanges it for an access
// token. The key never leaves its owner: a file, an HSM, a vault.
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
// A [CertSource] supplies the certificate together with its signer: [CertFile]
// follows a file and its renewals, a [Certificate] is its own source, and a
// [CertSourceFunc] is anything else. An [Authority] is the token endpoint and the
// dialect of assertion that it takes: [Entra] and its clouds, [ADFS], or any
// [Issuer]. The [Client] joins them, keeps the tokens, and renews them behind its
// callers. [Client.Transport] and [Client.TokenSource] fit it to net/http and to
// golang.org/x/oauth2.
//
// # Waiting
//
// While a valid token is there, nobody waits, whatever the endpoint does.
// Otherwise everybody who asks for the same waits for one request, each until
// its own context ends; the request goes on without them, 30 s at the longest.
//
// # Errors
//
// A refusal by the endpoint is a [*TokenError] that says what to do about it;
// trouble with a certificate wraps one of the sentinels such as
// [ErrWrongPassword]. No error, log or print holds a key, a password, an
// assertion or a token.
package certtoken
