package main

import (
	"context"
	"crypto/x509"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	"golang.org/x/oauth2"

	"github.com/certtoken/certtoken"
)

// acquire gets a token for a scope by one of the libraries, from its cache if
// it is there.
type acquire func(ctx context.Context, scope string) error

func newOurs(e *endpoint, cert *certtoken.Certificate, opts ...certtoken.Option) (*certtoken.Client, error) {
	return certtoken.NewClient(certtoken.Entra(tenant), clientID, cert,
		append([]certtoken.Option{certtoken.WithHTTPClient(e.client())}, opts...)...)
}

func acquireOurs(client *certtoken.Client) acquire {
	return func(ctx context.Context, scope string) error {
		_, err := client.Token(ctx, scope)
		return err
	}
}

// freeAssertion is for MSAL and azidentity what freeSigner is for us.
const freeAssertion = "header.payload.signature"

// newMSAL signs with the certificate, or not at all if that is nil.
func newMSAL(e *endpoint, cert *certtoken.Certificate) (acquire, error) {
	credential := confidential.NewCredFromAssertionCallback(
		func(context.Context, confidential.AssertionRequestOptions) (string, error) {
			return freeAssertion, nil
		},
	)
	if cert != nil {
		var err error
		if credential, err = confidential.NewCredFromCert([]*x509.Certificate{cert.Leaf}, cert.Signer); err != nil {
			return nil, err
		}
	}
	return msalWith("https://login.microsoftonline.com/"+tenant, credential, confidential.WithHTTPClient(e.client()))
}

// msalAt signs with the certificate for an authority.
func msalAt(authority string, cert *certtoken.Certificate, opts ...confidential.Option) (acquire, error) {
	credential, err := confidential.NewCredFromCert([]*x509.Certificate{cert.Leaf}, cert.Signer)
	if err != nil {
		return nil, err
	}
	return msalWith(authority, credential, opts...)
}

func msalWith(authority string, credential confidential.Credential, opts ...confidential.Option) (acquire, error) {
	client, err := confidential.New(authority, clientID, credential, opts...)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, scope string) error {
		_, err := client.AcquireTokenByCredential(ctx, []string{scope}) // looks into its cache first
		return err
	}, nil
}

// newAzidentity signs with the certificate, or not at all if that is nil.
func newAzidentity(e *endpoint, cert *certtoken.Certificate) (acquire, error) {
	options := azcore.ClientOptions{Transport: e.client()}
	var credential azcore.TokenCredential
	var err error
	if cert != nil {
		credential, err = azidentity.NewClientCertificateCredential(
			tenant,
			clientID,
			[]*x509.Certificate{cert.Leaf},
			cert.Signer,
			&azidentity.ClientCertificateCredentialOptions{ClientOptions: options},
		)
	} else {
		credential, err = azidentity.NewClientAssertionCredential(tenant, clientID,
			func(context.Context) (string, error) { return freeAssertion, nil },
			&azidentity.ClientAssertionCredentialOptions{ClientOptions: options})
	}
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, scope string) error {
		_, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{scope}})
		return err
	}, nil
}

// maker makes one library's client of an endpoint, for callers of a scope, and
// what ends it.
type maker struct {
	library string
	make    func(e *endpoint, id identity) (get acquire, done func(), err error)
}

func makers() []maker {
	return []maker{
		{nameOurs, func(e *endpoint, id identity) (acquire, func(), error) {
			client, err := newOurs(e, id.cert)
			if err != nil {
				return nil, nil, err
			}
			return acquireOurs(client), func() { client.Close() }, nil
		}},
		{nameMSAL, func(e *endpoint, id identity) (acquire, func(), error) {
			get, err := newMSAL(e, id.signing())
			return get, func() {}, err
		}},
		{nameAzidentity, func(e *endpoint, id identity) (acquire, func(), error) {
			get, err := newAzidentity(e, id.signing())
			return get, func() {}, err
		}},
		{nameOAuth2, func(e *endpoint, id identity) (acquire, func(), error) {
			source := oauth2.ReuseTokenSource(nil, newByHand(e, id, "scope"))
			return func(context.Context, string) error { _, err := source.Token(); return err }, func() {}, nil
		}},
	}
}
