package certtokentest_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/internal/jwk"
)

const workloadID = "spiffe://example.org/my-app"

// trustDomain issues SVIDs.
type trustDomain struct {
	ca  *certtoken.Certificate
	kid string
}

func newTrustDomain(t *testing.T, kid string) trustDomain {
	t.Helper()
	ca := certtokentest.NewCertificate(t, certtokentest.AsCA(), certtokentest.WithKeyKind(certtokentest.P256))
	return trustDomain{ca, kid}
}

// bundle is a trust bundle, as SPIRE's server shows it.
func (d trustDomain) bundle(t *testing.T) []byte {
	t.Helper()
	member := func(use string, more map[string]any) map[string]any {
		public, err := jwk.New(d.ca.Leaf.PublicKey)
		require.NoError(t, err)
		data, err := json.Marshal(public)
		require.NoError(t, err)
		key := map[string]any{}
		require.NoError(t, json.Unmarshal(data, &key))
		key["use"] = use
		for name, value := range more {
			key[name] = value
		}
		return key
	}
	data, err := json.Marshal(map[string]any{
		"spiffe_sequence": 1, "spiffe_refresh_hint": 300,
		"keys": []any{
			member("x509-svid", map[string]any{"x5c": []string{base64.StdEncoding.EncodeToString(d.ca.Leaf.Raw)}}),
			member("jwt-svid", map[string]any{"kid": d.kid}),
			member("another", map[string]any{"kid": "another"}),
		},
	})
	require.NoError(t, err)
	return data
}

// jwtSVID signs one; change is made before.
func (d trustDomain) jwtSVID(t *testing.T, audience any, change func(*jwt.Token, jwt.MapClaims)) string {
	t.Helper()
	claims := jwt.MapClaims{
		"sub": workloadID, "aud": audience, "iat": time.Now().Unix(), "exp": time.Now().Add(5 * time.Minute).Unix(),
	}
	token := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	token.Header["kid"] = d.kid
	if change != nil {
		change(token, claims)
	}
	signed, err := token.SignedString(d.ca.Signer)
	require.NoError(t, err)
	return signed
}

// x509SVID issues one for IDs.
func (d trustDomain) x509SVID(t *testing.T, name string, ids ...string) *certtoken.Certificate {
	t.Helper()
	return d.issue(t, x509.Certificate{Subject: pkix.Name{CommonName: name}}, ids...)
}

// issue issues a certificate for IDs.
func (d trustDomain) issue(t *testing.T, like x509.Certificate, ids ...string) *certtoken.Certificate {
	t.Helper()
	made, template := certtokentest.NewCertificate(t, certtokentest.WithKeyKind(certtokentest.P256)), &like
	template.SerialNumber = big.NewInt(2)
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
	for _, id := range ids {
		uri, err := url.Parse(id)
		require.NoError(t, err)
		template.URIs = append(template.URIs, uri)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, d.ca.Leaf, made.Signer.Public(), d.ca.Signer)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	cert, err := certtoken.NewCertificate(made.Signer, leaf, nil)
	require.NoError(t, err)
	return cert
}

// A JWT-SVID proves the client, as often as it comes, and nothing else does.
func TestTrustSPIFFE(t *testing.T) {
	f := newFixture(t, certtokentest.WithIssuer(""))
	domain, other := newTrustDomain(t, "first"), newTrustDomain(t, "first")
	f.srv.Replace(clientID)
	require.NoError(t, f.srv.TrustSPIFFE(clientID, workloadID, domain.bundle(t)))
	issuer := f.srv.Issuer()
	for name, tt := range map[string]struct {
		svid string
		says string // "": it is granted
	}{
		"good":             {svid: domain.jwtSVID(t, issuer, nil)},
		"audience in list": {svid: domain.jwtSVID(t, []string{issuer}, nil)},
		"with an issuer":   {svid: domain.jwtSVID(t, issuer, claim("iss", "https://oidc.example.org"))},
		"of somebody else": {domain.jwtSVID(t, issuer, claim("sub", "spiffe://example.org/other")), "SPIFFE ID"},
		"no SPIFFE ID":     {domain.jwtSVID(t, issuer, claim("sub", "my-app")), "no JWT-SVID"},
		"two audiences":    {domain.jwtSVID(t, []string{issuer, "https://x.example"}, nil), "has 2 audiences"},
		"another audience": {domain.jwtSVID(t, "https://x.example", nil), "audience is"},
		"over": {domain.jwtSVID(t, issuer, claim("exp", time.Now().Add(-time.Minute).Unix())),
			"time range"},
		"another domain's": {other.jwtSVID(t, issuer, nil), "signature"},
		"an unknown key": {domain.jwtSVID(t, issuer, func(token *jwt.Token, _ jwt.MapClaims) {
			token.Header["kid"] = "another"
		}), "kid 'another'"},
		"no kid": {domain.jwtSVID(t, issuer, func(token *jwt.Token, _ jwt.MapClaims) {
			delete(token.Header, "kid")
		}), "kid ''"},
		"no JWT": {"a.b.c", "no JWT-SVID"},
	} {
		t.Run(name, func(t *testing.T) {
			form := f.form()
			form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe")
			form.Set("client_assertion", tt.svid)
			for range 2 {
				r := f.post(form)
				if tt.says == "" {
					assert.Equal(t, 200, r.status, r.text)
				} else {
					assert.NotEqual(t, 200, r.status)
					assert.Contains(t, r.text, tt.says)
				}
			}
			form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
			r := f.post(form)
			assert.NotEqual(t, 200, r.status, "it is trusted as a JWT-SVID only")
			if tt.says == "" {
				assert.Contains(t, r.text, "must come as the client_assertion_type jwt-spiffe")
				assert.NotRegexp(t, `With[A-Z]`, r.text)
			}
		})
	}

	rotated := newTrustDomain(t, "second")
	require.NoError(t, f.srv.TrustSPIFFE(clientID, workloadID, rotated.bundle(t)))
	form := f.form()
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe")
	form.Set("client_assertion", domain.jwtSVID(t, issuer, nil))
	assert.NotEqual(t, 200, f.post(form).status, "the bundle before is gone")
	form.Set("client_assertion", rotated.jwtSVID(t, issuer, nil))
	assert.Equal(t, 200, f.post(form).status)
}

// An X.509-SVID proves the client in TLS, and in the x5c of its assertions.
func TestTrustSPIFFEOfX509SVIDs(t *testing.T) {
	domain, other := newTrustDomain(t, "k"), newTrustDomain(t, "k")
	srv := certtokentest.NewServer(t, certtokentest.WithIssuer(""))
	require.NoError(t, srv.TrustSPIFFE("app", workloadID, domain.bundle(t)))
	for name, tt := range map[string]struct {
		cert *certtoken.Certificate
		good bool
	}{
		"good":                {domain.x509SVID(t, "", workloadID), true},
		"another ID":          {domain.x509SVID(t, "", "spiffe://example.org/other"), false},
		"the ID as a name":    {domain.x509SVID(t, workloadID), false},
		"two IDs":             {domain.x509SVID(t, "", workloadID, "spiffe://example.org/other"), false},
		"of another domain":   {other.x509SVID(t, "", workloadID), false},
		"not even a SPIFFE":   {domain.x509SVID(t, "app"), false},
		"signed by itself":    {certtokentest.NewCertificate(t), false},
		"the authority's own": {domain.ca, false},
		"an authority below": {domain.issue(t, x509.Certificate{
			IsCA: true, BasicConstraintsValid: true,
		}, workloadID), false},
		"signs certificates": {domain.issue(t, x509.Certificate{KeyUsage: x509.KeyUsageCertSign}, workloadID), false},
		"signs revocations":  {domain.issue(t, x509.Certificate{KeyUsage: x509.KeyUsageCRLSign}, workloadID), false},
		"signs and agrees": {domain.issue(t, x509.Certificate{
			KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement, BasicConstraintsValid: true,
		}, workloadID), true},
	} {
		for way, opt := range map[string]certtoken.AuthorityOption{
			"in TLS": certtoken.WithTLSClientAuth(), "in x5c": certtoken.WithX5C(),
		} {
			t.Run(name+" "+way, func(t *testing.T) {
				client, err := certtoken.NewClient(
					srv.Authority(opt),
					"app",
					tt.cert,
					certtoken.WithHTTPClient(srv.Client()),
				)
				require.NoError(t, err)
				t.Cleanup(func() { assert.NoError(t, client.Close()) })
				_, err = client.Token(t.Context(), "read")
				assert.Equal(t, tt.good, err == nil, "%v", err)
			})
		}
	}
}

// The refusal says what was left out.
func TestX509SVIDWithoutItsChain(t *testing.T) {
	domain := newTrustDomain(t, "k")
	srv := certtokentest.NewServer(t, certtokentest.WithIssuer(""))
	require.NoError(t, srv.TrustSPIFFE("app", workloadID, domain.bundle(t)))
	client, err := certtoken.NewClient(srv.Authority(), "app", domain.x509SVID(t, "", workloadID),
		certtoken.WithHTTPClient(srv.Client()))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	_, err = client.Token(t.Context(), "read")
	assert.ErrorContains(t, err, "no x5c was sent, nor a certificate in TLS")
}

// A client whose name is a SPIFFE ID may also have a key of its own.
func TestClientNamedByItsSPIFFEID(t *testing.T) {
	srv := certtokentest.NewServer(t, certtokentest.WithIssuer(""))
	own := certtokentest.NewCertificate(t)
	srv.Register(workloadID, own.Leaf)
	require.NoError(t, srv.TrustSPIFFE(workloadID, workloadID, newTrustDomain(t, "k").bundle(t)))
	client, err := certtoken.NewClient(srv.Authority(), workloadID, own, certtoken.WithHTTPClient(srv.Client()))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	_, err = client.Token(t.Context(), "read")
	assert.NoError(t, err)
}

// An ID with one mistake is refused, and the same without it is taken.
func TestTrustSPIFFEWantsAnID(t *testing.T) {
	bundle, srv := newTrustDomain(t, "k").bundle(t), certtokentest.New(certtokentest.WithIssuer(""))
	domain := strings.Repeat("d", 255)
	long := "spiffe://" + domain + strings.Repeat("/12345678", 198) // 2046 bytes
	for _, id := range []string{
		workloadID, "spiffe://e/x", "spiffe://a_b-c.1/X_y-z.9/.../..a/b..", "spiffe://" + domain + "/x", long + "/x",
	} {
		assert.NoError(t, srv.TrustSPIFFE("app", id, bundle), id)
	}
	for _, id := range []string{
		"", "example.org/app", "https://example.org/app", "SPIFFE://example.org/app", "spiffe:/example.org/app",
		"spiffe://example.org", "spiffe://example.org/", "spiffe:///", "spiffe:///app",
		"spiffe://example.org/app/", "spiffe://example.org//app", "spiffe://example.org/.",
		"spiffe://example.org/./app", "spiffe://example.org/app/..",
		"spiffe://EXAMPLE.org/app", "spiffe://EXAMPLE org?/x#y", "spiffe://größe.org/app",
		"spiffe://example.org:443/app", "spiffe://me@example.org/app", "spiffe://example.org/größe",
		"spiffe://example.org/a b", "spiffe://example.org/a%20b",
		"spiffe://example.org/app?x", "spiffe://example.org/app#x",
		"spiffe://example.org/app\n", "x\nspiffe://example.org/app",
		"spiffe://" + domain + "d/x", long + "/xy",
	} {
		assert.ErrorContains(t, srv.TrustSPIFFE("app", id, bundle), "is no SPIFFE ID such as", id)
	}
}

func TestTrustSPIFFEMistakes(t *testing.T) {
	domain := newTrustDomain(t, "k")
	generic, entra := certtokentest.New(certtokentest.WithIssuer("")), certtokentest.New()
	assert.ErrorContains(t, generic.TrustSPIFFE("app", workloadID, []byte("x")), "bundle for")
	assert.ErrorContains(t, generic.TrustSPIFFE("app", workloadID, []byte(`{"keys":[]}`)), "no key in it is for")
	assert.ErrorContains(t, entra.TrustSPIFFE("app", workloadID, domain.bundle(t)), "add WithIssuer")
	public, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	private, err := json.Marshal(map[string]any{"keys": []any{map[string]string{
		"kty": "OKP", "crv": "Ed25519", "use": "jwt-svid", "kid": "k",
		"x": base64.RawURLEncoding.EncodeToString(public), "d": base64.RawURLEncoding.EncodeToString(key.Seed()),
	}}})
	require.NoError(t, err)
	assert.ErrorContains(t, generic.TrustSPIFFE("app", workloadID, private), "is private")
}
