package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// A client of Issuer and one of Discover, with nothing set, get a token from Keycloak
// as it comes, in each way that it takes a client's key.
func TestKeycloakWithNothingSet(t *testing.T) {
	k := startedKeycloak(t)
	cert := newCertificate(t, "client")
	set, err := json.Marshal(registration{keys: []key{keyOf(cert)}}.jwks())
	require.NoError(t, err)
	ways := map[string]map[string]string{
		"certificate": {"jwt.credential.certificate": derBase64(cert)},
		"JWK set":     {"use.jwks.string": "true", "jwks.string": string(set)},
		"JWKS URL":    {"use.jwks.url": "true", "jwks.url": k.servedJSON(t, func() []byte { return set })},
	}
	for name, attributes := range ways {
		t.Run(name, func(t *testing.T) {
			hc := k.tls.client(t)
			k.register(t, "default-"+name, "client-jwt", attributes)
			discovered, err := discover(t.Context(), k.issuer(), certtoken.WithDiscoveryClient(hc))
			require.NoError(t, err)
			for how, authority := range map[string]certtoken.Authority{
				"Issuer": certtoken.Issuer(k.issuer(), k.tokenURL()), "Discover": discovered,
			} {
				client, err := certtoken.NewClient(authority, "default-"+name, cert,
					certtoken.WithHTTPClient(hc), patient)
				require.NoError(t, err)
				defer client.Close()
				asked := time.Now()
				token, err := client.Token(t.Context(), scope)
				require.NoError(t, err, how)
				assert.Equal(t, []string{scope}, token.Scopes())
				requireAnHour(t, asked, token)
			}
		})
	}
}

// A key that is added at the JWKS URL is found by its kid, at once or after the
// 10 s for which Keycloak doesn't fetch the keys again.
func TestKeycloakFetchesANewKey(t *testing.T) {
	k := startedKeycloak(t)
	old, renewed := newCertificate(t, "old"), newCertificate(t, "renewed")
	var served atomic.Value
	publish := func(certs ...*certtoken.Certificate) {
		var r registration
		for _, c := range certs {
			r.keys = append(r.keys, keyOf(c))
		}
		set, err := json.Marshal(r.jwks())
		require.NoError(t, err)
		served.Store(set)
	}
	publish(old)
	k.register(t, "follows", "client-jwt", map[string]string{
		"use.jwks.url": "true", "jwks.url": k.servedJSON(t, func() []byte { return served.Load().([]byte) }),
	})
	var current atomic.Pointer[certtoken.Certificate]
	current.Store(old)
	authority := certtoken.Issuer(k.issuer(), k.tokenURL(), certtoken.WithKeyIDFunc(keyID))
	client, err := certtoken.NewClient(
		authority,
		"follows",
		sourceOf(&current),
		certtoken.WithHTTPClient(k.tls.client(t)), patient,
	)
	require.NoError(t, err)
	defer client.Close()
	fresh := func() error {
		_, err := client.Acquire(t.Context(), certtoken.Request{Scopes: []string{scope}, Fresh: true})
		return err
	}
	require.NoError(t, fresh())

	publish(old, renewed)
	current.Store(renewed)
	for end := time.Now().Add(5 * time.Minute); ; {
		time.Sleep(pause)
		err := fresh()
		if err == nil {
			break
		}
		require.True(t, time.Now().Before(end), "%v", err)
	}
}

// A clock that is off: Keycloak says why it refuses but not what time it has, so the
// client can't correct its own, and its error names the clock. Behind a web server,
// which adds a Date to each answer, it can.
func TestKeycloakAndAClockThatIsOff(t *testing.T) {
	k := startedKeycloak(t)
	cert := newCertificate(t, "client")
	k.register(t, "clock", "client-jwt", map[string]string{"jwt.credential.certificate": derBase64(cert)})
	direct := certtoken.Issuer(k.issuer(), k.tokenURL())
	askOnce := func(t *testing.T, ahead time.Duration, authority certtoken.Authority) (first, next int, err error) {
		withClock(t, ahead, k.tls.client(t).Transport, func(t *testing.T, transport http.RoundTripper) {
			wire := &wire{next: transport}
			hc := &http.Client{Transport: wire}
			client, failed := certtoken.NewClient(authority, "clock", cert, certtoken.WithHTTPClient(hc), patient)
			require.NoError(t, failed)
			defer client.Close()
			_, err = client.Token(t.Context(), scope)
			first = len(wire.assertions())
			if err == nil {
				_, err = client.Token(t.Context(), otherScope)
				next = len(wire.assertions()) - first
			}
		})
		return first, next, err
	}
	ask := func(t *testing.T, ahead time.Duration, authority certtoken.Authority) (requests int, err error) {
		var next int
		for range 10 { // what Keycloak says depends on how soon it is asked
			began := time.Now()
			if requests, next, err = askOnce(t, ahead, authority); time.Since(began) < prompt {
				break
			}
		}
		if err == nil {
			assert.Equal(t, 1, next, "the next token needs no correction")
		}
		return requests, err
	}
	for _, c := range []struct {
		ahead time.Duration
		says  string // the refusal; "" where there is none
	}{
		{-5 * time.Minute, "Token is not active"},
		{-45 * time.Second, "Token was issued too far in the past to be used now"},
		{-15 * time.Second, ""},
		{40 * time.Second, ""},
		{60 * time.Second, "Token is not active"},
		{5 * time.Minute, "Token is not active"},
	} {
		t.Run("direct, "+c.ahead.String(), func(t *testing.T) {
			requests, err := ask(t, c.ahead, direct)
			assert.Equal(t, 1, requests)
			if c.says == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.says)
			assert.ErrorContains(t, err, "this machine's clock")
		})
	}
	front := k.behindApache(t)
	for _, ahead := range []time.Duration{-270 * time.Second, -45 * time.Second, time.Minute, 270 * time.Second} {
		t.Run("behind Apache, "+ahead.String(), func(t *testing.T) {
			requests, err := ask(t, ahead, certtoken.Issuer(k.issuer(), front+k.tokenPath()))
			require.NoError(t, err)
			assert.Equal(t, 2, requests)
		})
	}
}

// The client is proved by its certificate in the handshake (RFC 8705), and Keycloak
// binds tokens to it.
func TestKeycloakTLSClientAuth(t *testing.T) {
	k := startedKeycloak(t)
	cert, err := certtokentest.MakeCertificate(certtokentest.WithSubject("service"), certtokentest.SignedBy(k.ca))
	require.NoError(t, err)
	subject := func(cn string) map[string]string { return map[string]string{"x509.subjectdn": "CN=" + cn} }
	overTLS := []certtoken.AuthorityOption{certtoken.WithTLSClientAuth()}
	beside := []certtoken.AuthorityOption{certtoken.WithCertificateBoundTokens()}
	assertion := map[string]string{"jwt.credential.certificate": derBase64(cert)}
	cases := []struct {
		name, authenticator string
		attributes          map[string]string
		cert                *certtoken.Certificate
		opts                []certtoken.AuthorityOption
		says                string // the refusal; "" where there is none
	}{
		{"the subject", "client-x509", subject("service"), cert, overTLS, ""},
		{"another subject", "client-x509", subject("other"), cert, overTLS, "register the certificate's subject (DN)"},
		{
			"an issuer that isn't trusted",
			"client-x509",
			subject("client"),
			newCertificate(t, "client"),
			overTLS,
			"register the certificate there or have the server trust its issuer",
		},
		{"an assertion, bound", "client-jwt", assertion, cert, beside, ""},
		{"an assertion, not presented", "client-jwt", assertion, cert, nil, "Client Certification missing"},
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			id := fmt.Sprint("mtls-", i)
			attributes := maps.Clone(c.attributes)
			attributes["tls.client.certificate.bound.access.tokens"] = "true"
			k.register(t, id, c.authenticator, attributes)
			hc := k.tls.client(t)
			authority, err := discover(t.Context(), k.issuer(),
				append(c.opts, certtoken.WithDiscoveryClient(hc))...)
			require.NoError(t, err)
			client, err := certtoken.NewClient(authority, id, c.cert, certtoken.WithHTTPClient(hc), patient)
			require.NoError(t, err)
			defer client.Close()
			token, err := client.Token(t.Context(), scope)
			if c.says != "" {
				require.ErrorContains(t, err, c.says)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, thumbprintS256(c.cert.Leaf), boundTo(t, token))
		})
	}
}

// Keycloak takes each refresh token once: the client gets the next one, and the one
// before is refused in words.
func TestKeycloakRotatesRefreshTokens(t *testing.T) {
	k := startedKeycloak(t)
	cert := newCertificate(t, "client")
	k.register(t, "refreshes", "client-jwt", map[string]string{"jwt.credential.certificate": derBase64(cert)})
	first := k.signIn(t, "refreshes", cert)

	client, err := certtoken.NewClient(certtoken.Issuer(k.issuer(), k.tokenURL()), "refreshes", cert,
		certtoken.WithHTTPClient(k.tls.client(t)), patient)
	require.NoError(t, err)
	defer client.Close()
	refresh := func(token string) (*certtoken.Token, error) {
		return client.Acquire(
			t.Context(),
			certtoken.Request{Scopes: []string{scope}, Grant: certtoken.RefreshToken(token)},
		)
	}
	time.Sleep(pause) // Keycloak tells tokens of the same second not apart
	second, err := refresh(first)
	require.NoError(t, err)
	require.NotEmpty(t, second.RefreshToken())
	require.NotEqual(t, first, second.RefreshToken())
	third, err := refresh(second.RefreshToken())
	require.NoError(t, err)
	require.NotEqual(t, second.RefreshToken(), third.RefreshToken())

	_, err = refresh(first)
	var te *certtoken.TokenError
	require.ErrorAs(t, err, &te)
	assert.Equal(t, "invalid_grant", te.Code)
	assert.NotEmpty(t, te.Description)
	assert.NotContains(t, err.Error(), first)
}

// A Session follows that rotation: each token of it comes by the refresh token before, and
// what it hands over to be kept is the next one.
func TestKeycloakSession(t *testing.T) {
	k := startedKeycloak(t)
	cert := newCertificate(t, "client")
	k.register(t, "session", "client-jwt", map[string]string{"jwt.credential.certificate": derBase64(cert)})
	first := k.signIn(t, "session", cert)
	hc := k.tls.client(t)
	authority, err := discover(t.Context(), k.issuer(), certtoken.WithDiscoveryClient(hc))
	require.NoError(t, err)
	client, err := certtoken.NewClient(authority, "session", cert, certtoken.WithHTTPClient(hc), patient)
	require.NoError(t, err)
	defer client.Close()

	kept := []string{first}
	session := client.Session(first, func(_ context.Context, token string) error {
		kept = append(kept, token)
		return nil
	})
	for range 3 {
		time.Sleep(pause) // Keycloak tells tokens of the same second not apart
		token, err := session.Acquire(t.Context(), certtoken.Request{Scopes: []string{scope}, Fresh: true})
		require.NoError(t, err)
		assert.Equal(t, []string{scope}, token.Scopes())
		assert.Equal(t, session.RefreshToken(), kept[len(kept)-1])
	}
	require.Len(t, kept, 4)
	assert.Len(t, slices.Compact(slices.Sorted(slices.Values(kept))), 4, "each is another one")

	keep := func(context.Context, string) error { return nil }
	restarted := client.Session(kept[3], keep)
	_, err = restarted.Acquire(t.Context(), certtoken.Request{Scopes: []string{otherScope}, Fresh: true})
	require.NoError(t, err)
	_, err = client.Session(kept[1], keep).Acquire(t.Context(), certtoken.Request{Scopes: []string{scope}, Fresh: true})
	var te *certtoken.TokenError
	require.ErrorAs(t, err, &te)
	assert.Equal(t, "invalid_grant", te.Code)
	assert.NotContains(t, err.Error(), kept[1])
}

// Discover finds what it needs at both well-known addresses: that of RFC 8414, which has the
// realm's path behind it, and that of OpenID Connect.
func TestKeycloakMetadata(t *testing.T) {
	k := startedKeycloak(t)
	hc := k.tls.client(t)
	asked := &askedPaths{next: hc.Transport}
	_, err := discover(t.Context(), k.issuer(), certtoken.WithDiscoveryClient(&http.Client{Transport: asked}))
	require.NoError(t, err)
	assert.Equal(t, []string{"/.well-known/oauth-authorization-server/realms/" + keycloakRealm}, asked.paths)
}

// askedPaths notes the paths of requests.
type askedPaths struct {
	next  http.RoundTripper
	paths []string
}

func (a *askedPaths) RoundTrip(req *http.Request) (*http.Response, error) {
	a.paths = append(a.paths, req.URL.Path)
	return a.next.RoundTrip(req)
}

// signIn gives a refresh token of the user. Where Keycloak was so slow that the assertion was over,
// it is done again.
func (k *keycloak) signIn(t *testing.T, id string, cert *certtoken.Certificate) (refreshToken string) {
	t.Helper()
	require.NoError(t, promptly(t, func() (err error) {
		refreshToken, err = k.signInOnce(t, id, cert)
		return err
	}))
	return refreshToken
}

func (k *keycloak) signInOnce(t *testing.T, id string, cert *certtoken.Certificate) (string, error) {
	t.Helper()
	assertion, err := certtoken.Assertion{
		ClientID: id, Audience: k.issuer(), Algorithm: certtoken.RS256, Lifetime: time.Minute,
		Backdate: 30 * time.Second,
	}.Sign(t.Context(), cert)
	require.NoError(t, err)
	resp, err := k.http.PostForm(k.tokenURL(), url.Values{
		"grant_type": {"password"}, "username": {keycloakUser}, "password": {keycloakPassword}, "scope": {scope},
		"client_assertion":      {assertion},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
	})
	require.NoError(t, err)
	defer resp.Body.Close()
	var answer struct {
		RefreshToken string `json:"refresh_token"`
		Description  string `json:"error_description"`
	}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
	if answer.RefreshToken == "" {
		return "", fmt.Errorf("no refresh token: %s", answer.Description)
	}
	return answer.RefreshToken, nil
}

// servedJSON is the address of a document, on a server that Keycloak trusts.
func (k *keycloak) servedJSON(t *testing.T, document func() []byte) string {
	t.Helper()
	return k.tls.serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(document())
	}))
}
