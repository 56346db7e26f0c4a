package certtokengrpc_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/ext/certtokengrpc"
	"github.com/certtoken/certtoken/internal/secrettest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

// secretFree looks for what the endpoint was sent and granted, which it doesn't
// print either.
func secretFree(t *testing.T, endpoint *certtokentest.Server, text string) {
	t.Helper()
	require.NotEmpty(t, text)
	assert.False(t, secrettest.BeginsJWT(text), "the beginning of a JWT")
	for _, r := range endpoint.Requests() {
		assert.False(t, secrettest.ShowsPart(text, r.Assertion), "a part of the assertion")
		assert.False(t, secrettest.ShowsPart(text, r.AccessToken), "a part of the token")
	}
}

func TestPrintingShowsNoToken(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, check(t.Context(), w.dial(grpc.WithStatsHandler(w.creds.StatsHandler()))))
	w.endpoint.RevokeAll()
	refused := check(t.Context(), w.dial(grpc.WithStatsHandler(w.creds.StatsHandler())))
	require.Error(t, refused)
	require.NotEmpty(t, w.endpoint.LastRequest().AccessToken)
	secretFree(t, w.endpoint, secrettest.Printed(w.creds))
	secretFree(t, w.endpoint, secrettest.Printed(w.creds.StatsHandler()))
	secretFree(t, w.endpoint, secrettest.Printed(refused))

	metadata, err := w.creds.GetRequestMetadata(secure(t.Context()))
	require.NoError(t, err)
	assert.True(t, secrettest.BeginsJWT(secrettest.Printed(metadata)), "the search finds what is there")
}

// Nor do the errors, as the credentials return them and as a call does.
func TestErrorsShowNoSecret(t *testing.T) {
	const said = "what a panic said of the vault"
	for name, break_ := range map[string]func(*testing.T, *world){
		"refused": func(_ *testing.T, w *world) {
			w.endpoint.FailFunc(func(r *certtokentest.Request) *certtokentest.Fault {
				return &certtokentest.Fault{Code: 700027, Description: "you sent " + r.Assertion}
			})
		},
		"granted in vain": func(_ *testing.T, w *world) {
			w.endpoint.FailAlways(certtokentest.Fault{Fields: map[string]any{"token_type": "mac"}})
		},
		"unreachable": func(t *testing.T, w *world) {
			talkative := secrettest.Talkative{Base: w.endpoint.Transport()}
			w.use(t, nil, certtoken.WithHTTPClient(&http.Client{Transport: talkative}))
		},
		"panicking source": func(t *testing.T, w *world) {
			w.use(t, certtoken.CertSourceFunc(func(context.Context) (*certtoken.Certificate, error) { panic(said) }))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			break_(t, w)
			_, err := w.creds.GetRequestMetadata(secure(t.Context()))
			require.Error(t, err)
			called := check(t.Context(), w.dial())
			require.Error(t, called)
			text := secrettest.Printed(err, errors.Unwrap(err), called) +
				secrettest.Printed(status.Convert(err).Proto(), status.Convert(called).Proto())
			secretFree(t, w.endpoint, text)
			assert.False(t, secrettest.Shows(text, said))
		})
	}
}

// use gives the world another client, of the same application.
func (w *world) use(t *testing.T, source certtoken.CertSource, opts ...certtoken.Option) {
	t.Helper()
	if source == nil {
		cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
		w.endpoint.Register(clientID, cert.Leaf)
		source = cert
	}
	tokens, err := certtoken.NewClient(certtoken.Entra("contoso.com"), clientID, source, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, tokens.Close()) })
	w.creds = certtokengrpc.New(tokens, scope)
}
