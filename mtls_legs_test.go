package certtoken_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

const (
	secondApp = "22222222-0000-4000-8000-000000000002"
	mtlsHost  = "mtlsauth.microsoft.com"
	jwtPoP    = "urn:ietf:params:oauth:client-assertion-type:jwt-pop"
)

// legsRig is Entra ID with a socket, at which one app's tokens prove another app, and
// certificates that rotate.
type legsRig struct {
	server *certtokentest.Server
	source *rotating
	home   *certtoken.Client // whose certificate it is
}

func newLegsRig(t *testing.T, home certtoken.AuthorityOption, opts ...certtoken.Option) *legsRig {
	t.Helper()
	r := &legsRig{server: certtokentest.NewServer(t), source: new(rotating)}
	r.renew(t, "first")
	f := r.server.Federation(appID)
	f.Issuer = strings.Replace(f.Issuer, r.server.URL(), "https://login.microsoftonline.com", 1)
	r.server.Federate(secondApp, f)
	r.server.RegisterAgent(certtokentest.Agent{
		ID: agentID, Blueprint: appID, Tenant: certtokentest.DefaultTenant, Users: []string{agentUser},
	})
	client, err := certtoken.NewClient(certtoken.Entra(certtokentest.DefaultTenant, home), appID, r.source,
		append([]certtoken.Option{certtoken.WithHTTPClient(r.server.Client()), patiently()}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	r.home = client
	return r
}

// renew registers another certificate, which is used from then on.
func (r *legsRig) renew(t *testing.T, subject string) *certtoken.Certificate {
	t.Helper()
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey(), certtokentest.WithSubject(subject))
	r.server.Register(appID, cert.Leaf)
	r.source.current.Store(cert)
	return cert
}

// tokenOf is a token that must be granted.
func tokenOf(t *testing.T, client *certtoken.Client, req certtoken.Request) *certtoken.Token {
	t.Helper()
	tok, err := client.Acquire(t.Context(), req)
	require.NoError(t, err)
	return tok
}

// second is the other app, which has no certificate of its own.
func (r *legsRig) second(
	t *testing.T, option certtoken.AuthorityOption, opts ...certtoken.Option,
) *certtoken.Client {
	t.Helper()
	client, err := certtoken.NewFederatedClient(certtoken.Entra(certtokentest.DefaultTenant, option), secondApp,
		r.home.AssertionSource(),
		append([]certtoken.Option{certtoken.WithHTTPClient(r.server.Client()), patiently()}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return client
}

// Plain tokens for a certificate that is in TLS and in the assertion.
func TestMTLSBearer(t *testing.T) {
	r := newLegsRig(t, certtoken.WithMTLSBearer())
	first := r.source.current.Load()
	api := r.server.Resource("https://graph.microsoft.com", nil)
	r.server.Handle("graph.microsoft.com/", api)
	tok, err := r.home.Token(t.Context(), graph)
	require.NoError(t, err)
	assert.Equal(t, "Bearer", tok.Type())
	assert.Nil(t, confirmed(t, tok))
	_, thumbprint := tok.Confirmation()
	assert.Empty(t, thumbprint)
	sent := r.server.LastRequest()
	assert.Equal(t, mtlsHost, sent.Host)
	assert.True(t, first.Leaf.Equal(sent.TLSCertificate))
	assert.True(t, first.Leaf.Equal(sent.Certificate), "and it signed the assertion")
	assert.Contains(t, sent.AssertionHeader, "x5c")
	golden(t, "mtls-bearer", wireOf(t, sent))

	hc := &http.Client{Transport: r.home.Transport(r.server.Transport(), graph)}
	defer hc.CloseIdleConnections()
	resp, err := hc.Get("https://graph.microsoft.com/v1.0/me")
	require.NoError(t, err)
	resp.Body.Close()
	assert.Equal(t, 200, resp.StatusCode)

	// The token stays when the certificate is renewed: it is bound to nothing.
	renewed := r.renew(t, "renewed")
	_, err = r.home.Token(t.Context(), vault)
	require.NoError(t, err)
	assert.True(t, renewed.Leaf.Equal(r.server.LastRequest().TLSCertificate))
	again, err := r.home.Token(t.Context(), graph)
	require.NoError(t, err)
	assert.Same(t, tok, again)
}

// Users' grants go the same way.
func TestMTLSBearerForAUser(t *testing.T) {
	r := newLegsRig(t, certtoken.WithMTLSBearer())
	_, err := r.home.Acquire(t.Context(), certtoken.Request{
		Scopes: []string{userRead}, Grant: certtoken.OnBehalfOf(r.server.UserToken(user, appID)),
	})
	require.NoError(t, err)
	assert.NotNil(t, r.server.LastRequest().TLSCertificate)
}

// An app for which the preview isn't enabled.
func TestMTLSBearerThatIsNotEnabled(t *testing.T) {
	r := newLegsRig(t, certtoken.WithMTLSBearer())
	r.server.Fail(certtokentest.Fault{Code: 51000, Description: "MtlsClientAuth is/are disabled"})
	_, err := r.home.Token(t.Context(), graph)
	require.ErrorContains(t, err, "AADSTS51000")
	assert.ErrorContains(t, err, "leave WithMTLSBearer out")
	assert.Equal(t, 1, r.server.Count(), "nothing is tried again")
}

func TestMTLSBearerThatCannotBe(t *testing.T) {
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	bearer := certtoken.WithMTLSBearer()
	for says, authority := range map[string]certtoken.Authority{
		"WithMTLSBearer is for Entra ID; elsewhere": certtoken.Issuer("https://i.example", "https://i.example/t",
			bearer),
		"bound to nothing": certtoken.Entra("contoso.com", bearer, certtoken.WithMTLSPoP()),
		"or the option that binds": certtoken.Entra("contoso.com", bearer,
			certtoken.WithCertificateBoundTokens()),
		"US Government's": certtoken.EntraChina("contoso.com", bearer),
	} {
		_, err := certtoken.NewClient(authority, appID, cert)
		assert.ErrorContains(t, err, says)
	}
	client, err := certtoken.NewClient(
		certtoken.Entra("contoso.com", bearer, certtoken.WithRegion("westeurope")), appID, cert)
	require.NoError(t, err)
	assert.Contains(t, client.String(), "westeurope."+mtlsHost)
	require.NoError(t, client.Close())
}

// An app's token, bound to its certificate, proves another app over TLS with that
// certificate.
func TestBoundAssertion(t *testing.T) {
	for name, c := range map[string]struct {
		option certtoken.AuthorityOption
		typ    string
	}{
		"for a bound token": {certtoken.WithMTLSPoP(), "mtls_pop"},
		"for a plain token": {certtoken.WithMTLSBearer(), "Bearer"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newLegsRig(t, certtoken.WithMTLSPoP())
			cert := r.source.current.Load()
			client := r.second(t, c.option)
			require.NoError(t, client.Check(t.Context(), graph))
			tok, err := client.Token(t.Context(), graph)
			require.NoError(t, err)
			assert.Equal(t, c.typ, tok.Type())
			if c.typ == "mtls_pop" {
				assert.Equal(t, confirmationOf(cert), confirmed(t, tok))
			} else {
				assert.Nil(t, confirmed(t, tok))
			}
			sent := r.server.Requests()
			require.Equal(t, 2, len(sent))
			for _, leg := range sent {
				assert.Equal(t, mtlsHost, leg.Host)
				assert.True(t, cert.Leaf.Equal(leg.TLSCertificate))
			}
			assert.Empty(t, sent[0].Assertion)
			assert.Equal(t, jwtPoP, sent[1].Form.Get("client_assertion_type"))
			assert.Equal(t, secondApp, sent[1].ClientID)
		})
	}
}

// A bound token of the second leg goes to a resource over TLS with the same certificate.
func TestBoundAssertionAtAResource(t *testing.T) {
	r := newLegsRig(t, certtoken.WithMTLSPoP())
	api := r.server.Resource("https://graph.microsoft.com", nil)
	r.server.Handle("graph.microsoft.com/", api)
	client := r.second(t, certtoken.WithMTLSPoP())
	hc := &http.Client{Transport: client.Transport(r.server.Transport(), graph)}
	defer hc.CloseIdleConnections()
	resp, err := hc.Get("https://graph.microsoft.com/v1.0/me")
	require.NoError(t, err)
	resp.Body.Close()
	assert.Equal(t, 200, resp.StatusCode)
}

// A renewed certificate comes with the first leg that is bound to it, and never with an
// older one.
func TestRenewalOfABoundAssertion(t *testing.T) {
	r := newLegsRig(t, certtoken.WithMTLSPoP())
	client := r.second(t, certtoken.WithMTLSPoP())
	first := r.source.current.Load()
	tok, err := client.Token(t.Context(), graph)
	require.NoError(t, err)
	renewed := r.renew(t, "renewed")
	_, err = client.Token(t.Context(), vault)
	require.NoError(t, err)
	assert.True(t, first.Leaf.Equal(r.server.LastRequest().TLSCertificate), "the leg is bound to the first one still")

	_, err = r.home.Acquire(t.Context(), certtoken.Request{Scopes: []string{exchangeAll}, Fresh: true})
	require.NoError(t, err)
	next, err := client.Acquire(t.Context(), certtoken.Request{Scopes: []string{graph}, Fresh: true})
	require.NoError(t, err)
	assert.True(t, renewed.Leaf.Equal(r.server.LastRequest().TLSCertificate))
	assert.Equal(t, confirmationOf(renewed), confirmed(t, next))
	assert.NotSame(t, tok, next)
	assert.Equal(t, confirmationOf(renewed),
		confirmed(t, tokenOf(t, client, certtoken.Request{Scopes: []string{vault}})))
}

// A leg that the server no longer takes with its certificate is fetched anew, once.
func TestMismatchOfABoundAssertion(t *testing.T) {
	mismatch := certtokentest.Fault{Code: 500181, Error: "invalid_request", Status: 400}
	for name, c := range map[string]struct {
		faults []certtokentest.Fault
		legs   int
		says   string
	}{
		"once": {faults: []certtokentest.Fault{{}, mismatch}, legs: 4},
		"again": {
			faults: []certtokentest.Fault{
				{}, mismatch, {}, mismatch,
			},
			legs: 4, says: "was the certificate renewed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newLegsRig(t, certtoken.WithMTLSPoP())
			client := r.second(t, certtoken.WithMTLSBearer())
			r.server.Fail(c.faults...)
			_, err := client.Token(t.Context(), graph)
			if c.says == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.says)
				assert.ErrorContains(t, err, "AADSTS500181")
			}
			assert.Equal(t, c.legs, r.server.Count())
		})
	}
}

// Agents' tokens are bound to the blueprint's certificate, or cost it a bound leg.
func TestAgentsWithCertificatesInTLS(t *testing.T) {
	for name, option := range map[string]certtoken.AuthorityOption{
		"mtls_pop": certtoken.WithMTLSPoP(), "Bearer": certtoken.WithMTLSBearer(),
	} {
		t.Run(name, func(t *testing.T) {
			r := newLegsRig(t, option)
			cert := r.source.current.Load()
			for n, req := range []certtoken.Request{
				{Agent: agentID, Scopes: []string{graph}},
				{Agent: agentID, Scopes: []string{userRead},
					Grant: certtoken.OnBehalfOf(r.server.UserToken(user, appID))},
				{Agent: agentID, Scopes: []string{userRead}, Grant: certtoken.AgentUser(agentUser)},
			} {
				tok, err := r.home.Acquire(t.Context(), req)
				require.NoError(t, err, n)
				assert.Equal(t, name, tok.Type(), n)
				assert.Same(t, tok, tokenOf(t, r.home, req), n)
			}
			sent := r.server.Requests()
			require.Equal(t, 5, len(sent),
				"the first leg, the agent's token, the user's, the second leg, and its own user's")
			assert.Equal(t, "mtls_pop", sent[0].Form.Get("token_type"))
			assert.Empty(t, sent[0].Assertion)
			for n, leg := range sent {
				assert.True(t, cert.Leaf.Equal(leg.TLSCertificate), n)
				if n > 0 {
					assert.Equal(t, jwtPoP, leg.Form.Get("client_assertion_type"), n)
				}
			}
			_, err := r.home.Acquire(t.Context(), certtoken.Request{
				Scopes: []string{exchangeAll}, Parameters: url.Values{"fmi_path": {agentID},
					"token_type": {"mtls_pop"}},
			})
			require.ErrorContains(t, err, "token_type", "nobody finds the slot of a leg")
			plain, err := r.home.Token(t.Context(), graph)
			require.NoError(t, err)
			assert.Equal(t, name, plain.Type(), "the blueprint's own token")

			// The legs of an old certificate aren't used with a new one.
			renewed := r.renew(t, "renewed")
			_, err = r.home.Acquire(t.Context(), certtoken.Request{Scopes: []string{vault}})
			require.NoError(t, err)
			_, err = r.home.Acquire(t.Context(), certtoken.Request{
				Agent: agentID, Scopes: []string{userRead}, Grant: certtoken.AgentUser(agentUser), Fresh: true,
			})
			require.NoError(t, err)
			assert.True(t, renewed.Leaf.Equal(r.server.LastRequest().TLSCertificate))
		})
	}
}

// Tokens of the second leg go into a store by the certificate that they are bound to.
func TestBoundAssertionWithAStore(t *testing.T) {
	for _, option := range []certtoken.AuthorityOption{certtoken.WithMTLSPoP(), certtoken.WithMTLSBearer()} {
		store := certtoken.NewMemoryStore()
		r := newLegsRig(t, certtoken.WithMTLSPoP())
		first := r.second(t, option, certtoken.WithStore(store, storeSecret))
		tok, err := first.Token(t.Context(), graph)
		require.NoError(t, err)
		require.NoError(t, first.Close()) // now it is stored
		got, err := r.second(t, option, certtoken.WithStore(store, storeSecret)).Token(t.Context(), graph)
		require.NoError(t, err)
		assert.Equal(t, tok.AccessToken(), got.AccessToken())
	}
}

func TestBoundAssertionThatCannotBe(t *testing.T) {
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	source := func(opts ...certtoken.AuthorityOption) certtoken.AssertionSource {
		home, err := certtoken.NewClient(certtoken.Entra("contoso.com", opts...), appID, cert)
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, home.Close()) })
		return home.AssertionSource()
	}
	pop, bearer := certtoken.WithMTLSPoP(), certtoken.WithMTLSBearer()
	other := certtoken.AssertionSourceFunc(func(context.Context, string) (string, error) { return "", nil })
	for name, c := range map[string]struct {
		authority certtoken.Authority
		source    certtoken.AssertionSource
		says      string
	}{
		"a bound assertion alone": {certtoken.Entra("contoso.com"), source(pop),
			"give Entra ID's authority WithMTLSPoP too"},
		"elsewhere": {certtoken.Issuer("https://i.example", "https://i.example/t"), source(pop),
			"WithMTLSPoP"},
		"a plain assertion": {certtoken.Entra("contoso.com", pop), source(), "no certificate to present"},
		"the same, plain token": {certtoken.Entra("contoso.com", bearer), source(bearer),
			"no certificate to present"},
		"somebody's assertion": {certtoken.Entra("contoso.com", pop), other, "no certificate to present"},
	} {
		_, err := certtoken.NewFederatedClient(c.authority, secondApp, c.source)
		assert.ErrorContains(t, err, c.says, name)
	}
}

// The certificate is replaced while an agent's first leg is under way, so that its second leg
// is bound to the new one: both are got again.
func TestLegsOfTwoCertificates(t *testing.T) {
	r := newLegsRig(t, certtoken.WithMTLSPoP())
	var renewed atomic.Bool
	r.server.FailFunc(func(*certtokentest.Request) *certtokentest.Fault {
		if renewed.CompareAndSwap(false, true) { // the request for the token is seen here, too
			r.renew(t, "renewed")
			_, err := r.home.Token(t.Context(), vault)
			assert.NoError(t, err)
		}
		return nil
	})
	tok := tokenOf(t, r.home, certtoken.Request{
		Agent: agentID, Scopes: []string{userRead}, Grant: certtoken.AgentUser(agentUser),
	})
	assert.Equal(t, confirmationOf(r.source.current.Load()), confirmed(t, tok))
	assert.Equal(t, 5, r.server.Count(), "a token, both first legs, the second leg, and the user's token")
}
