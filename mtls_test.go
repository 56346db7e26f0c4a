package certtoken_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// mtlsRig is a server with a socket, an API on it, and certificates that rotate.
type mtlsRig struct {
	server *certtokentest.Server
	api    *certtokentest.Resource
	source *rotating
	client *certtoken.Client
}

const mtlsAPI = "https://api.example/things"

func newMTLSRig(t *testing.T, opts []certtoken.AuthorityOption, more ...certtoken.Option) *mtlsRig {
	t.Helper()
	r := &mtlsRig{server: certtokentest.NewServer(t, certtokentest.WithIssuer("")), source: new(rotating)}
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	r.source.current.Store(cert)
	r.server.Register(appID, cert.Leaf)
	r.api = r.server.Resource("read", nil)
	r.server.Handle("api.example/", r.api)
	client, err := certtoken.NewClient(
		r.server.Authority(opts...),
		appID,
		r.source,
		append([]certtoken.Option{certtoken.WithHTTPClient(r.server.Client()), patiently()}, more...)...)
	require.NoError(t, err)
	r.client = client
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	return r
}

// get calls the API.
func (r *mtlsRig) get(t *testing.T, hc *http.Client) int {
	t.Helper()
	resp, err := hc.Get(mtlsAPI)
	require.NoError(t, err)
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	return resp.StatusCode
}

func (r *mtlsRig) httpClient(t *testing.T) *http.Client {
	t.Helper()
	hc := &http.Client{Transport: r.client.Transport(r.server.Transport(), "read")}
	t.Cleanup(hc.CloseIdleConnections)
	return hc
}

// confirmed is a token's cnf.x5t#S256.
func confirmed(t *testing.T, tok *certtoken.Token) any {
	t.Helper()
	var claims jwt.MapClaims
	_, _, err := jwt.NewParser().ParseUnverified(tok.AccessToken(), &claims)
	require.NoError(t, err)
	cnf, _ := claims["cnf"].(map[string]any)
	return cnf["x5t#S256"]
}

func confirmationOf(cert *certtoken.Certificate) string {
	sum := sha256.Sum256(cert.Leaf.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Every kind of key can be presented, whatever form its signer returns.
func TestCertificateBoundTokensOfEveryKey(t *testing.T) {
	for kind, key := range kinds() {
		signers := map[string]crypto.Signer{"key": key, "context": contextSigner{opaque{key}, new(bool)}}
		if ec, ok := key.(*ecdsa.PrivateKey); ok {
			signers["raw"] = rawSigner{ec}
		}
		leaf := leafOf(t, key, time.Now().Add(-time.Minute), time.Hour)
		for form, signer := range signers {
			t.Run(kind+" "+form, func(t *testing.T) {
				r := newMTLSRig(t, []certtoken.AuthorityOption{certtoken.WithTLSClientAuth()})
				cert, err := certtoken.NewCertificate(signer, leaf, nil)
				require.NoError(t, err)
				r.source.current.Store(cert)
				r.server.Register(appID, leaf)
				tok, err := r.client.Token(t.Context(), "read")
				require.NoError(t, err)
				assert.Equal(t, confirmationOf(cert), confirmed(t, tok))
				assert.Equal(t, 200, r.get(t, r.httpClient(t)))
			})
		}
	}
}

// Tokens are bound to the certificate of the connection, and the resource is
// shown the same.
func TestCertificateBoundTokens(t *testing.T) {
	for name, c := range map[string]struct {
		opts    []certtoken.AuthorityOption
		asserts bool
	}{
		"tls_client_auth": {opts: []certtoken.AuthorityOption{certtoken.WithTLSClientAuth()}},
		"beside an assertion": {
			opts: []certtoken.AuthorityOption{certtoken.WithCertificateBoundTokens()}, asserts: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newMTLSRig(t, c.opts)
			cert := r.source.current.Load()
			tok, err := r.client.Token(t.Context(), "read")
			require.NoError(t, err)
			require.NoError(t, r.client.Check(t.Context(), "read"))
			assert.Equal(t, confirmationOf(cert), confirmed(t, tok))
			last := r.server.LastRequest()
			assert.Equal(t, c.asserts, last.Assertion != "")
			assert.True(t, cert.Leaf.Equal(last.TLSCertificate))
			assert.Equal(t, appID, last.Form.Get("client_id"))

			assert.Equal(t, 200, r.get(t, r.httpClient(t)))
			assert.Equal(t, 1, r.server.Count())
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, mtlsAPI, nil)
			require.NoError(t, err)
			req.Header.Set("Authorization", "Bearer "+tok.AccessToken())
			resp, err := r.server.Client().Do(req)
			require.NoError(t, err)
			resp.Body.Close()
			assert.Equal(t, 401, resp.StatusCode, "the token alone is of no use")

			stranger := certtokentest.NewCertificate(
				t,
				certtokentest.WithSharedKey(),
				certtokentest.WithSubject("stranger"),
			)
			r.source.current.Store(stranger)
			_, err = r.client.Acquire(t.Context(), certtoken.Request{Scopes: []string{"write"}})
			var te *certtoken.TokenError
			require.ErrorAs(t, err, &te)
			assert.Equal(t, "invalid_client", te.Code)
			assert.Equal(t, thumbprint(stranger), te.Thumbprint)
			again, err := r.client.Token(t.Context(), "read")
			require.NoError(t, err)
			assert.Same(t, tok, again, "a certificate that isn't registered yet changes nothing")
		})
	}
}

func TestMTLSWire(t *testing.T) {
	for name, opt := range map[string]certtoken.AuthorityOption{
		"tls-client-auth": certtoken.WithTLSClientAuth(), "bound": certtoken.WithCertificateBoundTokens(),
	} {
		server := certtokentest.NewServer(t, certtokentest.WithIssuer("https://as.example.com"))
		cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
		server.Register(appID, cert.Leaf)
		authority := certtoken.Issuer("https://as.example.com", "https://as.example.com/token", opt)
		client, err := certtoken.NewClient(authority, appID, cert, certtoken.WithHTTPClient(server.Client()))
		require.NoError(t, err)
		_, err = client.Token(t.Context(), "read")
		require.NoError(t, err)
		golden(t, name, wireOf(t, server.LastRequest()))
		require.NoError(t, client.Close())
	}
}

// A certificate that a CA issued for a registered subject.
func TestTLSClientAuthBySubject(t *testing.T) {
	r := newMTLSRig(t, []certtoken.AuthorityOption{certtoken.WithTLSClientAuth()})
	ca := certtokentest.NewCertificate(
		t,
		certtokentest.AsCA(),
		certtokentest.WithSharedKey(),
		certtokentest.WithSubject("ca"),
	)
	leaf := certtokentest.NewCertificate(t, certtokentest.SignedBy(ca), certtokentest.WithSubject("service"))
	r.server.TrustSubject(appID, "service", ca.Leaf)
	r.source.current.Store(leaf)
	tok, err := r.client.Token(t.Context(), "read")
	require.NoError(t, err)
	assert.Equal(t, confirmationOf(leaf), confirmed(t, tok))
}

// A renewed certificate is another one, with the same key too: tokens are
// acquired anew, and resources see the certificate that each token belongs to.
func TestRotationOfABoundCertificate(t *testing.T) {
	var dials atomic.Int32
	r := newMTLSRig(t, []certtoken.AuthorityOption{certtoken.WithTLSClientAuth()})
	base := r.server.Transport().(*http.Transport).Clone()
	dial := base.DialContext
	base.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials.Add(1)
		return dial(ctx, network, addr)
	}
	hc := &http.Client{Transport: r.client.Transport(base, "read")}
	defer hc.CloseIdleConnections()
	var arrived atomic.Bool
	release := make(chan struct{})
	r.server.Handle(
		"slow.example/",
		r.server.Resource("read", http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
			arrived.Store(true)
			select {
			case <-release:
			case <-req.Context().Done():
			}
		})),
	)

	// A connection may come back just after the next request has begun to dial. Without
	// kept connections there would be as many as requests.
	const requests = 10
	for range requests {
		require.Equal(t, 200, r.get(t, hc))
	}
	assert.LessOrEqual(t, dials.Load(), int32(requests/2), "connections are kept")
	first, err := r.client.Token(t.Context(), "read")
	require.NoError(t, err)
	other, err := r.client.Token(t.Context(), "write")
	require.NoError(t, err)

	// A request with the old certificate is under way when it is renewed.
	var wg sync.WaitGroup
	wg.Go(func() {
		resp, err := hc.Get("https://slow.example/")
		if assert.NoError(t, err) {
			resp.Body.Close()
			assert.Equal(t, 200, resp.StatusCode)
		}
	})
	renewed := certtokentest.NewCertificate(t, certtokentest.WithSharedKey(), certtokentest.WithSubject("renewed"))
	r.server.Register(appID, renewed.Leaf)
	allowed, _ := r.api.Counts()
	require.GreaterOrEqual(t, allowed, requests)
	require.Eventually(t, arrived.Load, patience, time.Millisecond, "the slow request is at the server")
	r.source.current.Store(renewed)
	_, err = r.client.Acquire(t.Context(), certtoken.Request{Scopes: []string{"read"}, Fresh: true})
	require.NoError(t, err)
	second, err := r.client.Token(t.Context(), "read")
	require.NoError(t, err)
	assert.NotSame(t, first, second)
	assert.Equal(t, confirmationOf(renewed), confirmed(t, second))
	again, err := r.client.Token(t.Context(), "write")
	require.NoError(t, err)
	assert.NotSame(t, other, again, "a token of the old certificate")
	before := dials.Load()
	for range requests {
		require.Equal(t, 200, r.get(t, hc))
	}
	assert.Greater(t, dials.Load(), before, "a new connection, with the new certificate")
	assert.LessOrEqual(t, dials.Load(), before+requests/2, "it is kept, too")
	close(release)
	wg.Wait()
}

// Many rotations leave no connections behind.
func TestManyRotationsLeaveNothing(t *testing.T) {
	r := newMTLSRig(t, []certtoken.AuthorityOption{certtoken.WithTLSClientAuth()})
	hc := r.httpClient(t)
	for i := range 10 {
		cert := certtokentest.NewCertificate(
			t,
			certtokentest.WithSharedKey(),
			certtokentest.WithSubject(fmt.Sprint("no. ", i)),
		)
		r.server.Register(appID, cert.Leaf)
		r.source.current.Store(cert)
		_, err := r.client.Acquire(t.Context(), certtoken.Request{Scopes: []string{"read"}, Fresh: true})
		require.NoError(t, err)
		require.Equal(t, 200, r.get(t, hc))
	}
} // goleak finds what is left

// The signer may be anything: one with a context, one without PSS.
func TestMTLSWithASigner(t *testing.T) {
	key := certtokentest.NewCertificate(t, certtokentest.WithSharedKey()).Signer.(*rsa.PrivateKey)
	for name, c := range map[string]struct {
		signer crypto.Signer
		opts   []certtoken.AuthorityOption
		says   string
		tls    uint16
	}{
		"an HSM": {signer: hsm{key, true}, tls: tls.VersionTLS13},
		"without PSS": {
			signer: hsm{key, false}, opts: []certtoken.AuthorityOption{certtoken.WithoutPSS()}, tls: tls.VersionTLS12,
		},
		"without PSS, not said so": {signer: hsm{key, false}, says: "no PSS here"},
		"a panic":                  {signer: panicking{hsm{key, true}}, says: "panicked"},
	} {
		for mode, opt := range map[string]certtoken.AuthorityOption{
			"the client":   certtoken.WithTLSClientAuth(),
			"bound tokens": certtoken.WithCertificateBoundTokens(),
		} {
			t.Run(name+"/"+mode, func(t *testing.T) {
				t.Parallel() // those that fail wait between their attempts
				r := newMTLSRig(t, append(slices.Clone(c.opts), opt))
				cert := certtokentest.NewCertificate(t, certtokentest.WithKey(c.signer))
				r.server.Register(appID, cert.Leaf)
				r.source.current.Store(cert)
				_, err := r.client.Token(t.Context(), "read")
				if c.says != "" {
					require.ErrorContains(t, err, c.says)
					assert.NotContains(t, err.Error(), "boom")
					return
				}
				require.NoError(t, err)
				assert.Equal(t, 200, r.get(t, r.httpClient(t)))
			})
		}
	}
}

// panicking is a signer that would end the program in net/http's goroutine.
type panicking struct{ hsm }

func (panicking) SignContext(context.Context, []byte, crypto.SignerOpts) ([]byte, error) {
	panic("boom")
}

// hsm signs with a context, maybe without PSS.
type hsm struct {
	key *rsa.PrivateKey
	pss bool
}

func (h hsm) Public() crypto.PublicKey { return h.key.Public() }

func (h hsm) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if _, isPSS := opts.(*rsa.PSSOptions); isPSS && !h.pss {
		return nil, fmt.Errorf("no PSS here: %w", errors.ErrUnsupported)
	}
	return h.key.Sign(random, digest, opts)
}

func (h hsm) SignContext(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if ctx == nil || ctx.Err() != nil {
		return nil, errors.New("no context")
	}
	return h.Sign(rand.Reader, digest, opts)
}

// Entra ID's form, at a host that stands for it.
func TestMTLSPoP(t *testing.T) {
	server := certtokentest.NewServer(t)
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	server.Register(appID, cert.Leaf)
	api := server.Resource("https://graph.microsoft.com", nil)
	server.Handle("graph.microsoft.com/", api)
	client, err := certtoken.NewClient(certtoken.Entra("contoso.com", certtoken.WithMTLSPoP()), appID, cert,
		certtoken.WithHTTPClient(server.Client()), certtoken.WithTenants("fabrikam.com"))
	require.NoError(t, err)
	defer client.Close()
	tok, err := client.Token(t.Context(), graph)
	require.NoError(t, err)
	assert.Equal(t, "mtls_pop", tok.Type())
	golden(t, "mtls-pop", wireOf(t, server.LastRequest()))
	hc := &http.Client{Transport: client.Transport(server.Transport(), graph)}
	defer hc.CloseIdleConnections()
	resp, err := hc.Get("https://graph.microsoft.com/v1.0/me")
	require.NoError(t, err)
	resp.Body.Close()
	assert.Equal(t, 200, resp.StatusCode)
	_, err = client.Acquire(t.Context(), certtoken.Request{Scopes: []string{graph}, Tenant: "fabrikam.com"})
	require.NoError(t, err)
	assert.Equal(t, "mtlsauth.microsoft.com", server.LastRequest().Host)

	server.Handle("mtlsauth.microsoft.com/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"access_token":"secret-token","token_type":"Bearer","expires_in":3600}`)
	}))
	_, err = client.Token(t.Context(), vault)
	require.ErrorIs(t, err, certtoken.ErrBadResponse)
	assert.ErrorContains(t, err, "mtls_pop")
	assert.NotContains(t, err.Error(), "secret-token")
}

// Each cloud has a host for bound tokens, and each region one before it.
func TestHostsOfMTLSPoP(t *testing.T) {
	pop := certtoken.WithMTLSPoP()
	for host, authority := range map[string]certtoken.Authority{
		"mtlsauth.microsoft.com":            certtoken.Entra("contoso.com", pop),
		"westeurope.mtlsauth.microsoft.com": certtoken.Entra("contoso.com", certtoken.WithRegion("westeurope"), pop),
		"mtlsauth.microsoftonline.us":       certtoken.EntraUSGov("contoso.com", pop),
		"usgovvirginia.mtlsauth.microsoftonline.us": certtoken.EntraUSGov("contoso.com", pop,
			certtoken.WithRegion("usgovvirginia")),
		"mtlsauth.sovereign.example": certtoken.EntraChina("contoso.com", pop,
			certtoken.WithHost("mtlsauth.sovereign.example")),
	} {
		t.Run(host, func(t *testing.T) {
			asked := make(chan string)
			base := &http.Transport{DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
				select {
				case asked <- address:
				case <-ctx.Done():
				}
				return nil, errors.New("far enough")
			}}
			cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
			client, err := certtoken.NewClient(authority, appID, cert, certtoken.WithTenants("fabrikam.com"),
				certtoken.WithHTTPClient(&http.Client{Transport: base}))
			require.NoError(t, err)
			defer client.Close()
			for _, tenant := range []string{"", "fabrikam.com"} {
				ctx, cancel := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				wg.Go(func() {
					_, err := client.Acquire(ctx, certtoken.Request{Scopes: []string{graph}, Tenant: tenant})
					assert.Error(t, err)
				})
				assert.Equal(t, host+":443", <-asked)
				cancel()
				wg.Wait()
			}
		})
	}
}

// Discovery finds the endpoint for clients with certificates, and it is asked
// only by them.
func TestMTLSAlias(t *testing.T) {
	for name, c := range map[string]struct {
		opts []certtoken.AuthorityOption
		path string
	}{
		"with":    {[]certtoken.AuthorityOption{certtoken.WithCertificateBoundTokens()}, "/mtls/token"},
		"without": {nil, "/token"},
	} {
		t.Run(name, func(t *testing.T) {
			server := certtokentest.NewServer(t, certtokentest.WithIssuer(""))
			cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
			server.Register(appID, cert.Leaf)
			authority, err := certtoken.Discover(t.Context(), server.Issuer(),
				append(c.opts, certtoken.WithDiscoveryClient(server.Client()))...)
			require.NoError(t, err)
			client, err := certtoken.NewClient(authority, appID, cert, certtoken.WithHTTPClient(server.Client()))
			require.NoError(t, err)
			defer client.Close()
			_, err = client.Token(t.Context(), "read")
			require.NoError(t, err)
			assert.Equal(t, c.path, server.LastRequest().Path)
		})
	}
}

// Each certificate has tokens of its own in the store.
func TestBoundTokensInTheStore(t *testing.T) {
	store := certtoken.NewMemoryStore()
	r := newMTLSRig(
		t,
		[]certtoken.AuthorityOption{certtoken.WithTLSClientAuth()},
		certtoken.WithStore(store, storeSecret),
	)
	tok, err := r.client.Token(t.Context(), "read")
	require.NoError(t, err)
	authority := r.server.Authority(certtoken.WithTLSClientAuth())
	second := func(cert *certtoken.Certificate) *certtoken.Token {
		client, err := certtoken.NewClient(
			authority,
			appID,
			cert,
			certtoken.WithHTTPClient(r.server.Client()),
			certtoken.WithStore(store, storeSecret),
		)
		require.NoError(t, err)
		defer client.Close()
		var got *certtoken.Token
		for range 2 {
			got, err = client.Token(t.Context(), "read")
			require.NoError(t, err)
		}
		hc := &http.Client{Transport: client.Transport(r.server.Transport(), "read")}
		defer hc.CloseIdleConnections()
		assert.Equal(t, 200, r.get(t, hc))
		return got
	}
	require.NoError(t, r.client.Close()) // now it is stored
	assert.Equal(t, tok.AccessToken(), second(r.source.current.Load()).AccessToken())
	count := r.server.Count()
	renewed := certtokentest.NewCertificate(t, certtokentest.WithSharedKey(), certtokentest.WithSubject("renewed"))
	r.server.Register(appID, renewed.Leaf)
	assert.NotEqual(t, tok.AccessToken(), second(renewed).AccessToken())
	assert.Equal(t, count+1, r.server.Count())
}

// A bound token isn't handed out when its certificate has ended.
func TestBoundTokenEndsWithItsCertificate(t *testing.T) {
	r := newMTLSRig(t, []certtoken.AuthorityOption{certtoken.WithTLSClientAuth()})
	short := certtokentest.NewCertificate(
		t,
		certtokentest.WithSharedKey(),
		certtokentest.WithValidity(time.Now().Add(-time.Hour), time.Now().Add(10*time.Minute)),
	)
	r.server.Register(appID, short.Leaf)
	r.source.current.Store(short)
	_, err := r.client.Token(t.Context(), "read")
	require.NoError(t, err)
	_, err = r.client.Acquire(t.Context(), certtoken.Request{Scopes: []string{"read"}, MinValidity: 20 * time.Minute})
	assert.ErrorIs(t, err, certtoken.ErrShortLived)

	over := certtokentest.NewCertificate(
		t,
		certtokentest.WithSharedKey(),
		certtokentest.WithValidity(time.Now().Add(-time.Hour), time.Now().Add(-time.Minute)),
	)
	r.source.current.Store(over)
	_, err = r.client.Token(t.Context(), "write")
	assert.ErrorIs(t, err, certtoken.ErrExpired)
}

func TestMTLSThatCannotBe(t *testing.T) {
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	wrapped := &http.Client{Transport: roundTripFunc(http.DefaultTransport.RoundTrip)}
	dialing := &http.Client{
		Transport: &http.Transport{
			DialTLSContext: func(context.Context, string, string) (net.Conn, error) { return nil, io.EOF },
		},
	}
	issuer := certtoken.Issuer("https://as.example.com", "https://as.example.com/token", certtoken.WithTLSClientAuth())
	for name, c := range map[string]struct {
		authority certtoken.Authority
		opts      []certtoken.Option
		says      string
	}{
		"another RoundTripper": {issuer, []certtoken.Option{certtoken.WithHTTPClient(wrapped)}, "*http.Transport"},
		"TLS of its own":       {issuer, []certtoken.Option{certtoken.WithHTTPClient(dialing)}, "DialTLS"},
		"PoP of an issuer": {
			certtoken.Issuer("https://as.example.com", "https://as.example.com/token", certtoken.WithMTLSPoP()), nil,
			"WithMTLSPoP",
		},
		"PoP of another cloud": {certtoken.EntraChina("contoso.com", certtoken.WithMTLSPoP()), nil, "public cloud"},
		"PoP of one tenant's":  {certtoken.EntraExternalID("contoso", certtoken.WithMTLSPoP()), nil, "public cloud"},
		"PoP of two hosts": {
			certtoken.Entra("contoso.com", certtoken.WithMTLSPoP(), certtoken.WithRegion("westeurope"),
				certtoken.WithHost("mtls.example.com")),
			nil, "exclude",
		},
		"a region of US Gov": {
			certtoken.EntraUSGov("contoso.com", certtoken.WithRegion("usgovvirginia")), nil, "WithRegion",
		},
	} {
		_, err := certtoken.NewClient(c.authority, appID, cert, c.opts...)
		assert.ErrorContains(t, err, c.says, name)
	}
	_, err := certtoken.NewFederatedClient(issuer, appID, certtoken.AssertionFile("x"))
	assert.ErrorContains(t, err, "no certificate")

	r := newMTLSRig(t, []certtoken.AuthorityOption{certtoken.WithTLSClientAuth()})
	_, err = (&http.Client{Transport: r.client.Transport(wrapped.Transport, "read")}).Get(mtlsAPI)
	assert.ErrorContains(t, err, "*http.Transport")
}

func TestBoundTokensShowNoSecret(t *testing.T) {
	w := new(watch)
	for _, mode := range []certtoken.AuthorityOption{certtoken.WithTLSClientAuth(),
		certtoken.WithCertificateBoundTokens()} {
		r := newMTLSRig(t, []certtoken.AuthorityOption{mode})
		w.key(r.source.current.Load().Signer.(*rsa.PrivateKey))
		hc := r.httpClient(t)
		require.Equal(t, 200, r.get(t, hc))
		tok, err := r.client.Token(t.Context(), "read")
		require.NoError(t, err)
		print(w, tok)
		dump(w, tok)
		print(w, r.client)
		s := &secretive{rig: &rig{server: r.server}, watch: w}
		r.server.FailFunc(func(req *certtokentest.Request) *certtokentest.Fault {
			return &certtokentest.Fault{Code: 700027, Description: "you sent " + req.Form.Encode()}
		})
		_, err = r.client.Token(t.Context(), "write")
		s.printError(t, err)
		s.check(t)
	}
}

// The connections that present a certificate to resources end with the client.
func TestBoundConnectionsEndWithTheClient(t *testing.T) {
	r := newMTLSRig(t, []certtoken.AuthorityOption{certtoken.WithTLSClientAuth()})
	ignore := goleak.IgnoreCurrent()
	hc := &http.Client{Transport: r.client.Transport(r.server.Transport(), "read")}
	require.Equal(t, 200, r.get(t, hc))
	require.NoError(t, r.client.Close())
	r.server.Client().CloseIdleConnections()
	noLeak(t, ignore, goleak.IgnoreAnyFunction("net/http.(*conn).serve")) // the server's side of them
}

// A server that ends the handshake for the client's certificate, or because it wants one,
// is told from one that can't be reached. (With TLS 1.3 the server's alert can be lost: it
// comes after the client has sent its request.)
func TestHandshakeThatTheServerEnds(t *testing.T) {
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	trusted := x509.NewCertPool()
	trusted.AddCert(certtokentest.NewCertificate(t, certtokentest.AsCA(), certtokentest.WithSharedKey()).Leaf)
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{
		MaxVersion: tls.VersionTLS12, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: trusted,
	}
	server.StartTLS()
	defer server.Close()
	t.Run("cases", func(t *testing.T) {
		for want, opts := range map[string][]certtoken.AuthorityOption{
			"register the certificate there":      {certtoken.WithTLSClientAuth()},
			"does it want a client's certificate": nil,
		} {
			t.Run(want, func(t *testing.T) {
				t.Parallel() // they wait between their attempts
				client, err := certtoken.NewClient(certtoken.Issuer("https://as.example.com", server.URL, opts...),
					appID, cert, certtoken.WithHTTPClient(server.Client()))
				require.NoError(t, err)
				_, err = client.Token(t.Context(), "read")
				require.ErrorContains(t, err, want)
				assert.ErrorContains(t, err, "the server ended the TLS handshake")
				require.NoError(t, client.Close())
			})
		}
	})
}

// Over TLS 1.3 and HTTP/2 the server refuses when the client believes that the handshake is over, and
// net/http often loses what it said.
func TestHandshakeThatTheServerEndsLate(t *testing.T) {
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool()}
	server.StartTLS()
	defer server.Close()
	t.Run("clients", func(t *testing.T) {
		for i := range 5 {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel() // they wait between their attempts
				client, err := certtoken.NewClient(certtoken.Issuer("https://as.example.com", server.URL,
					certtoken.WithTLSClientAuth()), appID, cert, certtoken.WithHTTPClient(server.Client()))
				require.NoError(t, err)
				_, err = client.Token(t.Context(), "read")
				require.ErrorContains(t, err, "register the certificate there or have the server trust its issuer")
				require.NoError(t, client.Close())
			})
		}
	})
}
