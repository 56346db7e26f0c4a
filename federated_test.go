package certtoken_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

const (
	cluster = "https://cluster.example"
	pod     = "system:serviceaccount:billing:worker"
)

// federation is a client without a certificate, and who vouches for it.
type federation struct {
	server *certtokentest.Server
	idp    *certtokentest.IdentityProvider
}

func newFederation() *federation {
	f := &federation{
		certtokentest.New(certtokentest.WithOpaqueTokens(), certtokentest.WithTokenLifetime(time.Hour)),
		certtokentest.NewIdentityProvider(cluster),
	}
	f.server.Federate(appID, f.idp.Federation(pod, certtokentest.ExchangeAudience))
	return f
}

func (f *federation) client(
	t testing.TB,
	source certtoken.AssertionSource,
	opts ...certtoken.Option,
) *certtoken.Client {
	t.Helper()
	opts = append([]certtoken.Option{certtoken.WithHTTPClient(f.server.Client())}, opts...)
	client, err := certtoken.NewFederatedClient(f.server.Authority(), appID, source, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return client
}

func (f *federation) source(subject, audience string, validity time.Duration) certtoken.AssertionSource {
	return certtoken.AssertionSourceFunc(func(context.Context, string) (string, error) {
		return f.idp.Assertion(subject, audience, validity), nil
	})
}

func TestFederatedClient(t *testing.T) {
	const audience = certtokentest.ExchangeAudience
	gone := errors.New("no such workload")
	cases := map[string]struct {
		source func(*federation) certtoken.AssertionSource
		code   int // AADSTS; 0 is a token, below 0 an error before anything is sent
		says   string
	}{
		"good": {
			source: func(f *federation) certtoken.AssertionSource { return f.source(pod, audience, time.Hour) },
		},
		"another subject": {
			source: func(f *federation) certtoken.AssertionSource { return f.source("system:x", audience, time.Hour) },
			code:   700213, says: "letter by letter",
		},
		"another audience": {
			source: func(f *federation) certtoken.AssertionSource { return f.source(pod, "api://other", time.Hour) },
			code:   700212, says: "audience",
		},
		"another issuer": {source: func(f *federation) certtoken.AssertionSource {
			f.idp = certtokentest.NewIdentityProvider("https://other.example")
			return f.source(pod, audience, time.Hour)
		}, code: 700211, says: "issuer"},
		"another key": {source: func(f *federation) certtoken.AssertionSource {
			f.idp = certtokentest.NewIdentityProvider(cluster)
			return f.source(pod, audience, time.Hour)
		}, code: 700027, says: "signature"},
		"expired": {
			source: func(f *federation) certtoken.AssertionSource { return f.source(pod, audience, -time.Hour) },
			code:   700024, says: "time range",
		},
		"an error": {source: func(*federation) certtoken.AssertionSource {
			return certtoken.AssertionSourceFunc(func(context.Context, string) (string, error) { return "", gone })
		}, code: -1, says: "assertion source: no such workload"},
		"empty":     {source: fixed(""), code: -1, says: "empty"},
		"no JWT":    {source: fixed("not-a-jwt"), code: -1, says: "not a JWT"},
		"a newline": {source: fixed("eyJh.eyJh.c2ln\n"), code: -1, says: "not a JWT"},
		"huge":      {source: fixed("ey" + strings.Repeat("x", 100_000)), code: -1, says: "bytes"},
		"a panic": {source: func(*federation) certtoken.AssertionSource {
			return certtoken.AssertionSourceFunc(func(context.Context, string) (string, error) { panic("secret") })
		}, code: -1, says: "panicked"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFederation()
				client := f.client(t, c.source(f))
				tok, err := client.Token(t.Context(), graph)
				var te *certtoken.TokenError
				switch {
				case c.code == 0:
					require.NoError(t, err)
					assert.Equal(t, f.server.LastRequest().AccessToken, tok.AccessToken())
					assert.NoError(t, client.Check(t.Context()))
				case c.code < 0:
					require.ErrorContains(t, err, c.says)
					assert.NotErrorAs(t, err, &te)
					assert.Zero(t, f.server.Count())
					assert.ErrorContains(t, client.Check(t.Context()), c.says)
				default:
					require.ErrorAs(t, err, &te)
					assert.Equal(t, []int{c.code}, te.AADSTS)
					assert.Contains(t, te.Error(), c.says)
					assert.Empty(t, te.Thumbprint)
				}
			})
		})
	}
}

func fixed(assertion string) func(*federation) certtoken.AssertionSource {
	return func(*federation) certtoken.AssertionSource {
		return certtoken.AssertionSourceFunc(func(context.Context, string) (string, error) { return assertion, nil })
	}
}

func TestFederatedClientNeedsASource(t *testing.T) {
	_, err := certtoken.NewFederatedClient(certtoken.Entra("common"), "", nil)
	require.Error(t, err)
	for _, want := range []string{"assertion source", "client id", "common"} {
		assert.ErrorContains(t, err, want)
	}
}

func TestFederatedWire(t *testing.T) {
	f := newFederation()
	client := f.client(t, f.source(pod, certtokentest.ExchangeAudience, time.Hour))
	_, err := client.Token(t.Context(), graph)
	require.NoError(t, err)
	golden(t, "federated", wireOf(t, f.server.LastRequest()))

	// With the other grants too.
	_, err = client.Acquire(
		t.Context(),
		certtoken.Request{Scopes: []string{userRead}, Grant: certtoken.OnBehalfOf(f.server.UserToken(user, appID))},
	)
	require.NoError(t, err)
}

// The source hears whom the assertion must be for.
func TestFederatedAudience(t *testing.T) {
	issuer := certtoken.Issuer("https://as.example.com", "https://as.example.com/token")
	host := func(host string) certtoken.Authority { return certtoken.Entra("contoso.com", certtoken.WithHost(host)) }
	const (
		public = "api://AzureADTokenExchange"
		usGov  = "api://AzureADTokenExchangeUSGov"
		china  = "api://AzureADTokenExchangeChina"
	)
	for name, c := range map[string]struct {
		authority certtoken.Authority
		want      string // "": the source isn't asked, because it isn't known
	}{
		"public":                   {certtoken.Entra("contoso.com"), public},
		"US Government":            {certtoken.EntraUSGov("contoso.com"), usGov},
		"China":                    {certtoken.EntraChina("contoso.com"), china},
		"login.windows.net":        {host("login.windows.net"), public},
		"Login.UsGovCloudApi.net":  {host("Login.UsGovCloudApi.net"), usGov},
		"login.microsoftonline.us": {host("login.microsoftonline.us"), usGov},
		"login.chinacloudapi.cn":   {host("login.chinacloudapi.cn"), china},
		"public, from elsewhere": {
			certtoken.EntraChina("contoso.com", certtoken.WithHost("login.microsoftonline.com")), public,
		},
		"a host of its own": {host("login.private.example"), public},
		"a region":          {certtoken.Entra("contoso.com", certtoken.WithRegion("westeurope")), public},
		"B2C":               {certtoken.EntraB2C("contoso", "b2c_1"), public},
		"Bleu":              {host("login.sovcloud-identity.fr"), ""},
		"Delos":             {host("login.sovcloud-identity.de"), ""},
		"GovSG":             {host("login.sovcloud-identity.sg"), ""},
		"Bleu, given": {
			certtoken.Entra("contoso.com", certtoken.WithHost("login.sovcloud-identity.fr"),
				certtoken.WithAudience("mine")),
			"mine",
		},
		"elsewhere": {issuer, "https://as.example.com"},
		"ADFS":      {certtoken.ADFS("adfs.example.com"), "https://adfs.example.com/adfs/oauth2/token"},
		"given":     {certtoken.Entra("contoso.com", certtoken.WithAudience("mine")), "mine"},
	} {
		t.Run(name, func(t *testing.T) {
			var got string
			client, err := certtoken.NewFederatedClient(
				c.authority,
				appID,
				certtoken.AssertionSourceFunc(func(_ context.Context, audience string) (string, error) {
					got = audience
					return "", errors.New("enough")
				}),
			)
			require.NoError(t, err)
			defer client.Close()
			_, err = client.Token(t.Context(), graph)
			require.Error(t, err)
			assert.Equal(t, c.want, got)
			if c.want == "" {
				assert.ErrorContains(t, err, "WithAudience")
			}
		})
	}
}

// An assertion that is refused is fetched anew, once, and sent only if it is
// another.
func TestFederatedAssertionIsFetchedAnew(t *testing.T) {
	for name, c := range map[string]struct {
		fresh    bool // the source has a good one the second time
		requests int
	}{
		"renewed":  {fresh: true, requests: 2},
		"the same": {requests: 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				f := newFederation()
				old, asked := f.idp.Assertion(pod, certtokentest.ExchangeAudience, time.Minute), 0
				time.Sleep(time.Hour)
				client := f.client(t, certtoken.AssertionSourceFunc(func(context.Context, string) (string, error) {
					if asked++; asked > 1 && c.fresh {
						return f.idp.Assertion(pod, certtokentest.ExchangeAudience, time.Hour), nil
					}
					return old, nil
				}))
				_, err := client.Token(t.Context(), graph)
				assert.Equal(t, c.fresh, err == nil, "%v", err)
				assert.Equal(t, 2, asked)
				var te *certtoken.TokenError
				if errors.As(err, &te) {
					assert.Contains(t, te.Advice(), "is its source still renewed?")
				}
				assert.Equal(t, c.requests, f.server.Count())
			})
		})
	}
}

func TestAssertionFile(t *testing.T) {
	f := newFederation()
	path := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		require.NoError(t, os.WriteFile(path+".new", []byte(text), 0o600))
		require.NoError(t, os.Rename(path+".new", path))
	}
	source := certtoken.AssertionFile(path)
	_, err := source.Assertion(t.Context(), "")
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.ErrorContains(t, err, path)

	client := f.client(t, source)
	for range 3 { // rotated each time
		write("\n " + f.idp.Assertion(pod, certtokentest.ExchangeAudience, time.Hour) + "\r\n")
		_, err = client.Acquire(t.Context(), certtoken.Request{Scopes: []string{graph}, Fresh: true})
		require.NoError(t, err)
	}
	for content, want := range map[string]string{
		"": "empty", " \n": "empty", "secret words": "not a JWT", "eyJzZWNyZXQ": "not a JWT",
		"eyJzZWNyZXQ.eyJzZWNyZXQ.": "not a JWT", "secret.secret.secret": "not a JWT",
		"eyJzZWNyZXQ.eyJzZWNyZXQ.eyJz":      "not a JWT",
		"eyJzZWNyZXQiOjB9.eyJzZWNyZXQ.eyJz": "not a JWT", // {"secret":0}
		strings.Repeat("secret", 20_000):    "bytes",
	} {
		write(content)
		_, err := source.Assertion(t.Context(), "")
		require.ErrorContains(t, err, want)
		assert.ErrorContains(t, err, path)
		assert.NotContains(t, err.Error(), "secret")
		assert.NotContains(t, err.Error(), "eyJ")
	}
	_, err = certtoken.AssertionFile(t.TempDir()).Assertion(t.Context(), "")
	assert.Error(t, err, "a folder")
}

// Two legs: one client's token is the other's assertion.
func TestClientAsAssertionSource(t *testing.T) {
	bubble(t, func(t *testing.T) {
		server := certtokentest.New(certtokentest.WithTokenLifetime(time.Hour))
		first := newRigOf(t, server, nil)
		const second = "7c0b0000-0000-4000-8000-000000000002"
		server.Federate(second, server.Federation(appID))
		var d diary
		client, err := certtoken.NewFederatedClient(
			server.Authority(),
			second,
			first.client.AssertionSource(),
			certtoken.WithHTTPClient(server.Client()),
			certtoken.WithHooks(d.hooks()),
		)
		require.NoError(t, err)
		defer client.Close()
		_, err = client.Token(t.Context(), graph)
		require.NoError(t, err)
		assert.Equal(t, 2, server.Count())
		assert.Equal(t, certtokentest.ExchangeAudience+"/.default", server.Requests()[0].Scope)
		_, err = client.Token(t.Context(), vault)
		require.NoError(t, err)
		assert.Equal(t, 3, server.Count(), "the first leg is cached")

		// One that is refused is renewed at its own server.
		server.Fail(certtokentest.Fault{Code: 700024})
		_, err = client.Token(t.Context(), "api://third/.default")
		require.NoError(t, err)
		synctest.Wait()
		requests := server.Requests()[3:]
		require.Len(t, requests, 3)
		assert.Equal(
			t,
			[]string{second, appID, second},
			[]string{requests[0].ClientID, requests[1].ClientID, requests[2].ClientID},
		)
		assert.NotEqual(t, requests[0].Assertion, requests[2].Assertion)
		assert.Empty(t, d.of("CertificateRefused"))

		// Its own errors arrive whole.
		require.NoError(t, first.client.Close())
		_, err = client.Token(t.Context(), "api://fourth/.default")
		assert.ErrorIs(t, err, certtoken.ErrClosed)
	})
}

func TestAssertionSourcesShowNoSecret(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := new(watch)
		f := newFederation()
		source := f.source(pod, certtokentest.ExchangeAudience, time.Hour)
		client := f.client(t, source)
		f.server.FailFunc(func(req *certtokentest.Request) *certtokentest.Fault {
			return &certtokentest.Fault{Code: 700024, Description: "you said " + req.Assertion}
		})
		_, err := client.Token(t.Context(), graph)
		s := &secretive{rig: &rig{server: f.server}, watch: w}
		s.printError(t, err)

		leak := f.idp.Assertion(pod, certtokentest.ExchangeAudience, time.Hour)
		w.assertion(leak)
		client = f.client(t, certtoken.AssertionSourceFunc(func(context.Context, string) (string, error) {
			return "", fmt.Errorf("could not refresh %s", leak)
		}))
		_, err = client.Token(t.Context(), vault)
		s.printError(t, err)
		print(w, client)
		print(w, client.AssertionSource())
		s.check(t)
	})
}
