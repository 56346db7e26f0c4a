package azcred_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/ext/azcred"
	"github.com/certtoken/certtoken/ext/azcred/internal/azcredtest"
	"github.com/certtoken/certtoken/internal/secrettest"
)

// secretFree looks for what the endpoint was sent and granted, which it doesn't
// print either.
func secretFree(t *testing.T, srv *certtokentest.Server, text string) {
	t.Helper()
	require.NotEmpty(t, text)
	assert.False(t, secrettest.BeginsJWT(text), "the beginning of a JWT")
	assert.False(t, strings.Contains(text, "PrivateKey"), "a private key")
	for _, r := range srv.Requests() {
		assert.False(t, secrettest.ShowsPart(text, r.Assertion), "a part of the assertion")
		assert.False(t, secrettest.ShowsPart(text, r.AccessToken), "a part of the token")
	}
}

func TestSecrecy(t *testing.T) {
	srv := certtokentest.New()
	client := azcredtest.NewClient(t, srv)
	credential := azcredtest.NewCredential(t, client, azcred.WithCAEClient(client))
	got, err := credential.GetToken(t.Context(), request(azcredtest.Scope))
	require.NoError(t, err)
	text := secrettest.Printed(credential) + secrettest.Printed(*credential) +
		secrettest.Printed[azcore.TokenCredential](credential)
	assert.Contains(t, text, "azcred.Credential(certtoken.Client(client-id at https://login.microsoftonline.com/")
	secretFree(t, srv, text)
	assert.True(t, secrettest.BeginsJWT(secrettest.Printed(got)), "the search finds what is there")
}

// Errors hold nothing of what was sent and granted, whatever went wrong.
func TestErrorsShowNoSecret(t *testing.T) {
	const said = "what a panic said of the vault"
	for name, newBroken := range map[string]func(*testing.T, *certtokentest.Server) *certtoken.Client{
		"refused": func(t *testing.T, srv *certtokentest.Server) *certtoken.Client {
			srv.FailFunc(func(r *certtokentest.Request) *certtokentest.Fault {
				return &certtokentest.Fault{Code: 700027, Description: "you sent " + r.Assertion}
			})
			return azcredtest.NewClient(t, srv)
		},
		"granted in vain": func(t *testing.T, srv *certtokentest.Server) *certtoken.Client {
			srv.FailAlways(certtokentest.Fault{Fields: map[string]any{"token_type": "mac"}})
			return azcredtest.NewClient(t, srv)
		},
		"unreachable": func(t *testing.T, srv *certtokentest.Server) *certtoken.Client {
			return azcredtest.NewClient(t, srv,
				certtoken.WithHTTPClient(&http.Client{Transport: secrettest.Talkative{Base: srv.Transport()}}))
		},
		"panicking source": func(t *testing.T, _ *certtokentest.Server) *certtoken.Client {
			client, err := certtoken.NewClient(certtoken.Entra(azcredtest.Tenant), "client-id",
				certtoken.CertSourceFunc(func(context.Context) (*certtoken.Certificate, error) { panic(said) }))
			require.NoError(t, err)
			return client
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := certtokentest.New()
				client := newBroken(t, srv)
				defer client.Close()
				_, err := azcredtest.NewCredential(t, client).GetToken(t.Context(), request(azcredtest.Scope))
				require.Error(t, err)
				var failed *azcred.AuthenticationError
				require.ErrorAs(t, err, &failed)
				text := secrettest.Printed(err, errors.Unwrap(err)) + secrettest.Printed(*failed)
				secretFree(t, srv, text)
				assert.False(t, secrettest.Shows(text, said))
			})
		})
	}
}
