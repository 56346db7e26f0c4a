// Package azcred lets every client of the Azure SDK for Go run on a
// [certtoken.Client]: a [Credential] is an azcore.TokenCredential.
//
//	client, err := certtoken.NewClient(certtoken.Entra(tenantID), clientID,
//		certtoken.CertFile("private.pfx"), certtoken.WithCapabilities("cp1"))
//	credential, err := azcred.New(client)
//	secrets, err := azsecrets.NewClient(vaultURL, credential, nil)
//
// The SDK's clients keep a token each; the certtoken.Client behind them all is
// what they share. It renews behind them, so that none waits for a valid token,
// reloads a renewed certificate, and shares tokens with other processes if it has
// a store.
//
// Entra ID takes certificates with RSA keys. An EC or Ed25519 key
// ([certtoken.ErrNotRSA]) or a key without a certificate ([certtoken.ErrNoCertificate]) is
// refused with what to do, before anything is sent: by [certtoken.NewClient] where the
// certificate is at hand, else by the first GetToken.
//
// # Continuous access evaluation
//
// A client with the capability cp1 gets tokens that live for a day and that a
// resource can refuse before their end by a claims challenge. The Azure SDK
// answers those, so one certtoken.Client with
// [certtoken.WithCapabilities]("cp1") is right for a program whose tokens all go
// to the SDK's clients. Without cp1 tokens live for about an hour and are not
// challenged in this way; if one is, it is answered all the same.
//
// Where the same certtoken.Client also serves code that can't answer a
// challenge, make two, and give the one with cp1 to [WithCAEClient]: it gets the
// requests that say EnableCAE, and only those.
package azcred
