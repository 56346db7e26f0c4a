package certtokentest_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/internal/jwk"
	"github.com/certtoken/certtoken/internal/jws"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// key is a key of a client that has no certificate.
type key struct {
	signer crypto.Signer
	public jwk.Public // as it is registered
}

// newKey makes a key that can do an algorithm.
func newKey(t *testing.T, alg, kid string) *key {
	t.Helper()
	var signer crypto.Signer
	var err error
	switch alg {
	case jws.ES256:
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jws.ES384:
		signer, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case jws.ES512:
		signer, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case jws.EdDSA, jws.Ed25519:
		_, signer, err = ed25519.GenerateKey(rand.Reader)
	default:
		signer = certtokentest.NewCertificate(t, certtokentest.WithSharedKey()).Signer
	}
	require.NoError(t, err)
	k := &key{signer: signer}
	k.public, err = jwk.New(signer.Public())
	require.NoError(t, err)
	k.public.KeyID = kid
	return k
}

func setOf(t *testing.T, keys ...*key) []byte {
	t.Helper()
	var set jwk.Set
	for _, k := range keys {
		set.Keys = append(set.Keys, k.public)
	}
	data, err := json.Marshal(set)
	require.NoError(t, err)
	return data
}

// jwkSet is a set of one key.
func jwkSet(t testing.TB, pub crypto.PublicKey, kid string) []byte {
	t.Helper()
	public, err := jwk.New(pub)
	require.NoError(t, err)
	public.KeyID = kid
	data, err := json.Marshal(jwk.Set{Keys: []jwk.Public{public}})
	require.NoError(t, err)
	return data
}

// keyDraft is a good assertion by a key, for tests to spoil.
type keyDraft struct {
	alg    string
	header map[string]any
	claims map[string]any
	sign   func(t *testing.T, input []byte) []byte
}

func (f *fixture) keyDraft(k *key, alg string) *keyDraft {
	d := f.draft()
	d.claims["aud"] = f.srv.Issuer()
	return &keyDraft{
		alg:    alg,
		header: map[string]any{"typ": "JWT", "kid": k.public.KeyID, "alg": alg},
		claims: d.claims,
		sign: func(t *testing.T, input []byte) []byte {
			sig, err := jws.Sign(t.Context(), alg, k.signer, input)
			require.NoError(t, err)
			return sig
		},
	}
}

func (f *fixture) compact(d *keyDraft) string {
	f.t.Helper()
	part := func(v any) string {
		data, err := json.Marshal(v)
		require.NoError(f.t, err)
		return base64.RawURLEncoding.EncodeToString(data)
	}
	input := part(d.header) + "." + part(d.claims)
	return input + "." + base64.RawURLEncoding.EncodeToString(d.sign(f.t, []byte(input)))
}

func (f *fixture) postKey(d *keyDraft) reply {
	f.t.Helper()
	form := f.form()
	form.Set("client_assertion", f.compact(d))
	return f.post(form)
}

// newKeyFixture is a server by RFC 7523 whose client is registered by JWKs alone.
func newKeyFixture(t *testing.T, keys []*key, opts ...certtokentest.Option) *fixture {
	t.Helper()
	f := newFixture(t, append([]certtokentest.Option{certtokentest.WithIssuer("")}, opts...)...)
	f.srv.Unregister(clientID)
	require.NoError(t, f.srv.RegisterJWKS(clientID, setOf(t, keys...)))
	return f
}

func TestEveryAlgorithm(t *testing.T) {
	for _, alg := range jws.Names() {
		t.Run(alg, func(t *testing.T) {
			k := newKey(t, alg, "mine")
			f := newKeyFixture(t, []*key{k})
			r := f.postKey(f.keyDraft(k, alg))
			assert.Equal(t, 200, r.status, r.text)
			assert.Nil(t, f.srv.LastRequest().Certificate)

			d := f.keyDraft(k, alg)
			sign := d.sign
			d.sign = func(t *testing.T, input []byte) []byte { return sign(t, append(input, 'x')) }
			r = f.postKey(d)
			assert.Equal(t, 401, r.status)
			assert.Contains(t, r.text, "signature is not valid")
		})
	}
}

func TestMetadataListAlgorithms(t *testing.T) {
	const name = "token_endpoint_auth_signing_alg_values_supported"
	for place, c := range map[string]struct {
		opts []certtokentest.Option
		path string
		want []string
	}{
		"issuer": {[]certtokentest.Option{certtokentest.WithIssuer("")}, "/.well-known/openid-configuration",
			jws.Names()},
		"Entra ID": {nil, "/contoso.com/v2.0/.well-known/openid-configuration",
			[]string{"RS256", "RS384", "RS512", "PS256"}},
		"ADFS": {nil, "/adfs/.well-known/openid-configuration", []string{"RS256"}},
		"FAPI": {[]certtokentest.Option{certtokentest.WithIssuer(""), certtokentest.LikeFAPI2()},
			"/.well-known/oauth-authorization-server", []string{"PS256", "ES256", "EdDSA"}},
		"SMART": {[]certtokentest.Option{certtokentest.WithIssuer(""), certtokentest.LikeSMART()},
			"/.well-known/smart-configuration", []string{"RS384", "ES384"}},
	} {
		t.Run(place, func(t *testing.T) {
			f := newFixture(t, c.opts...)
			var got []string
			for _, alg := range f.get(f.srv.URL() + c.path).body[name].([]any) {
				got = append(got, alg.(string))
			}
			assert.Equal(t, c.want, got)
		})
	}
}

// Entra ID and ADFS take RSA, whatever a client is registered with.
func TestEntraTakesRSAOnly(t *testing.T) {
	for _, alg := range []string{jws.ES256, jws.ES384, jws.ES512, jws.EdDSA, jws.Ed25519} {
		f := newFixture(t)
		d := f.keyDraft(newKey(t, alg, "mine"), alg)
		d.claims["aud"] = f.srv.TokenURL()
		r := f.postKey(d)
		assert.Equal(t, 5002738, r.code(), r.text)
		assert.Contains(t, r.text, "'"+alg+"' is not a supported signature algorithm")

		form := f.form()
		form.Del("client_assertion")
		form.Set("client_assertion", f.compact(d))
		adfs, err := f.do(tokenRequest(t, "https://fs.example.com/adfs/oauth2/token", form))
		require.NoError(t, err)
		assert.Equal(t, "invalid_client", adfs.body["error"])
		assert.Contains(t, adfs.text, "'"+alg+"' is not a supported signature algorithm")

		_, err = certtokentest.Start(certtokentest.WithAlgorithms(certtoken.Algorithm(alg)))
		assert.ErrorContains(t, err, "Entra ID takes no other")
	}
	f := newFixture(t)
	assert.ErrorContains(t, f.srv.RegisterJWKS(clientID, setOf(t, newKey(t, jws.ES256, "mine"))), "add WithIssuer")
	assert.ErrorContains(t, f.srv.RegisterJWKSURI(clientID, "https://app.example/jwks", nil), "add WithIssuer")
}

// What is wrong with a signature or with the choice of a key, and the words for it.
func TestRefusedKeys(t *testing.T) {
	ec, other, rs := newKey(t, jws.ES256, "ec"), newKey(t, jws.ES256, "ec"), newKey(t, jws.RS256, "rsa")
	p384, ed := newKey(t, jws.ES384, "p384"), newKey(t, jws.EdDSA, "ed")
	with := func(k *key, change func(*jwk.Public)) *key {
		changed := *k
		change(&changed.public)
		return &changed
	}
	only := func(alg string) func(*jwk.Public) { return func(p *jwk.Public) { p.Algorithm = alg } }
	asn1 := func(d *keyDraft) {
		d.sign = func(t *testing.T, input []byte) []byte {
			sum := sha256.Sum256(input)
			sig, err := ec.signer.Sign(rand.Reader, sum[:], crypto.SHA256)
			require.NoError(t, err)
			return sig
		}
	}
	for name, c := range map[string]struct {
		registered []*key
		signs      *key
		alg        string
		spoil      func(d *keyDraft)
		refused    string // "": granted
	}{
		"good": {[]*key{ec}, ec, jws.ES256, nil, ""},
		"a kid that isn't in the set": {[]*key{ec}, ec, jws.ES256, func(d *keyDraft) { d.header["kid"] = "what" },
			"The JSON Web Token uses signing key with kid 'what', which could not be found in the client's " +
				"JSON Web Key " +
				"Set: registered are 'ec'."},
		"no kid, one key":    {[]*key{ec}, ec, jws.ES256, func(d *keyDraft) { delete(d.header, "kid") }, ""},
		"no kid, three keys": {[]*key{rs, p384, ec}, ec, jws.ES256, func(d *keyDraft) { delete(d.header, "kid") }, ""},
		"several of one kid": {[]*key{other, ec}, ec, jws.ES256, nil, ""},
		"one kid, two kinds": {[]*key{with(rs, func(p *jwk.Public) { p.KeyID = "ec" }), ec}, ec, jws.ES256, nil, ""},
		"another of the kid": {[]*key{other}, ec, jws.ES256, nil,
			"The assertion's signature is not valid; the assertion names 'kid=ec'."},
		"for encryption only": {[]*key{with(ec, func(p *jwk.Public) { p.Use = "enc" }), rs}, ec, jws.ES256, nil,
			"registered are 'rsa'"},
		"a key without kid": {[]*key{with(ec, func(p *jwk.Public) { p.KeyID = "" })}, ec, jws.ES256, nil,
			"registered are '" + ec.public.Thumbprint() + "'"},
		"a key without kid goes by its thumbprint": {[]*key{with(ec, func(p *jwk.Public) { p.KeyID = "" })}, ec,
			jws.ES256,
			func(d *keyDraft) { d.header["kid"] = ec.public.Thumbprint() }, ""},
		"ASN.1": {[]*key{ec}, ec, jws.ES256, asn1,
			"it is in ASN.1 DER, and ES256 wants r and s one after the other"},
		"ASN.1, beside keys that it isn't of": {[]*key{rs, other, ec, ed}, ec, jws.ES256,
			func(d *keyDraft) { asn1(d); delete(d.header, "kid") }, "it is in ASN.1 DER"},
		"cut": {[]*key{ec}, ec, jws.ES256, func(d *keyDraft) {
			d.sign = func(*testing.T, []byte) []byte { return make([]byte, 63) }
		}, "signature is not valid"},
		"another curve's algorithm": {[]*key{ec}, ec, jws.ES256, func(d *keyDraft) { d.header["alg"] = "ES384" },
			"ES384 is for EC keys of the curve P-384, and this key is an EC key of the curve P-256"},
		"another kind's algorithm": {[]*key{ec}, ec, jws.ES256, func(d *keyDraft) { d.header["alg"] = "RS256" },
			"RS256 is for RSA keys, and this key is an EC key"},
		"registered for another algorithm": {[]*key{with(rs, only("PS256"))}, rs, jws.RS256, nil,
			"the key is registered for PS256, and the assertion says RS256"},
		"registered for its algorithm": {[]*key{with(rs, only("PS256"))}, rs, jws.PS256, nil, ""},
		"Ed25519's other name":         {[]*key{ed}, ed, jws.Ed25519, nil, ""},
		"Ed25519's other name, registered for one": {[]*key{with(ed, only("EdDSA"))}, ed, jws.Ed25519, nil,
			"the key is registered for EdDSA, and the assertion says Ed25519"},
		"no signature": {[]*key{ec}, ec, jws.ES256, func(d *keyDraft) {
			d.header["alg"], d.sign = "none", func(*testing.T, []byte) []byte { return nil }
		}, "'none' is not a supported signature algorithm"},
		"an HMAC with the public key": {[]*key{ec}, ec, jws.ES256, func(d *keyDraft) { d.header["alg"] = "HS256" },
			"'HS256' is not a supported signature algorithm"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newKeyFixture(t, c.registered)
			d := f.keyDraft(c.signs, c.alg)
			if c.spoil != nil {
				c.spoil(d)
			}
			r := f.postKey(d)
			if c.refused == "" {
				assert.Equal(t, 200, r.status, r.text)
				return
			}
			assert.Equal(t, 401, r.status, r.text)
			assert.Equal(t, "invalid_client", r.body["error"])
			assert.Contains(t, r.body["error_description"], c.refused)
		})
	}
}

// Keys that nobody should sign with.
func TestShortKeyIsRefused(t *testing.T) {
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skipf("crypto/rsa makes no short key: %v", err)
	}
	data, err := json.Marshal(jwk.Set{Keys: []jwk.Public{{KeyType: "RSA", E: "AQAB",
		N: base64.RawURLEncoding.EncodeToString(short.N.Bytes())}}})
	require.NoError(t, err)
	assert.ErrorContains(t, newKeyFixture(t, []*key{newKey(t, jws.ES256, "a")}).srv.RegisterJWKS(clientID, data),
		"1024 bits")
}

// A later registration by keys takes the place of the one before, and leaves
// certificates alone; Replace leaves certificates only.
func TestRegistrationByKeys(t *testing.T) {
	old, next := newKey(t, jws.ES256, "old"), newKey(t, jws.ES384, "next")
	f := newKeyFixture(t, []*key{old})
	status := func(k *key, alg string) int { return f.postKey(f.keyDraft(k, alg)).status }
	byCertificate := func() int {
		d := f.draft()
		d.claims["aud"] = f.srv.Issuer()
		return f.post(f.formOf(d)).status
	}
	f.srv.Register(clientID, f.cert.Leaf)
	assert.Equal(t, 200, status(old, jws.ES256))
	assert.Equal(t, 200, byCertificate())
	require.NoError(t, f.srv.RegisterJWKS(clientID, setOf(t, next)))
	assert.Equal(t, 401, status(old, jws.ES256))
	assert.Equal(t, 200, status(next, jws.ES384))
	assert.Equal(t, 200, byCertificate())
	assert.ErrorContains(t, f.srv.RegisterJWKS(clientID, []byte("{}")), `JWK Set of client "`+clientID)
	assert.Equal(t, 200, status(next, jws.ES384), "a mistake changes nothing")
	f.srv.Replace(clientID, f.cert.Leaf)
	assert.Equal(t, 401, status(next, jws.ES384))
	assert.Equal(t, 200, byCertificate())
}

// published is a jwks_uri.
type published struct {
	mu       sync.Mutex
	set      []byte
	requests int
}

func (p *published) publish(set []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set = set
}

func (p *published) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests++
	if p.set == nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write(p.set)
}

// A jwks_uri is fetched when it is needed, kept, and fetched again for a key that isn't
// in it; a key that was rotated out is refused then.
func TestJWKSURI(t *testing.T) {
	old, next := newKey(t, jws.ES256, "old"), newKey(t, jws.EdDSA, "next")
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, certtokentest.WithIssuer(""))
		f.srv.Unregister(clientID)
		app := &published{}
		f.srv.Handle("app.example/jwks", app)
		require.NoError(t, f.srv.RegisterJWKSURI(clientID, "https://app.example/jwks", f.srv.Client()))
		assert.Zero(t, app.requests)

		ask := func(k *key, alg string) reply { return f.postKey(f.keyDraft(k, alg)) }
		r := ask(old, jws.ES256)
		assert.Equal(t, 401, r.status)
		assert.Contains(t, r.text,
			"The client's JSON Web Key Set can't be had: GET https://app.example/jwks: status 503.")

		app.publish(setOf(t, old))
		time.Sleep(time.Second)
		for range 3 {
			assert.Equal(t, 200, ask(old, jws.ES256).status)
		}
		assert.Equal(t, 2, app.requests, "one that failed and one for all")

		time.Sleep(time.Second)
		assert.Contains(t, ask(next, jws.EdDSA).text, "kid 'next', which could not be found")
		assert.Equal(t, 3, app.requests)
		app.publish(setOf(t, old, next))
		time.Sleep(time.Second)
		assert.Equal(t, 200, ask(next, jws.EdDSA).status)
		assert.Equal(t, 200, ask(old, jws.ES256).status)
		assert.Equal(t, 4, app.requests)

		app.publish(setOf(t, next))
		assert.Equal(t, 200, ask(old, jws.ES256).status, "the set at hand has it")
		time.Sleep(5 * time.Minute)
		assert.Contains(t, ask(old, jws.ES256).text, "kid 'old', which could not be found")
		assert.Equal(t, 200, ask(next, jws.EdDSA).status)

		// Nothing in an assertion without kid says that its key is a new one.
		last := newKey(t, jws.ES384, "last")
		app.publish(setOf(t, next, last))
		d := f.keyDraft(last, jws.ES384)
		delete(d.header, "kid")
		time.Sleep(time.Second)
		assert.Equal(t, 200, f.postKey(d).status)

		d = f.keyDraft(next, jws.EdDSA)
		sign := d.sign
		d.sign = func(t *testing.T, input []byte) []byte { return sign(t, append(input, 'x')) }
		time.Sleep(time.Second)
		before := app.requests
		assert.Equal(t, 401, f.postKey(d).status)
		assert.Equal(t, before, app.requests, "a signature that is wrong is no reason to fetch")
	})
}

func TestPresetsOfKeys(t *testing.T) {
	const jwksURL = "https://app.example/jwks"
	fapi, smart := certtokentest.LikeFAPI2(), certtokentest.LikeSMART()
	okta, auth0 := certtokentest.LikeOkta(), certtokentest.LikeAuth0()
	claim := func(name string, value any) func(f *fixture, d *keyDraft) {
		return func(_ *fixture, d *keyDraft) { d.claims[name] = value }
	}
	at := func(name string, ahead time.Duration) func(f *fixture, d *keyDraft) {
		return func(_ *fixture, d *keyDraft) { d.claims[name] = time.Now().Add(ahead).Unix() }
	}
	toURL := func(f *fixture, d *keyDraft) { d.claims["aud"] = f.srv.TokenURL() }
	both := func(list ...func(f *fixture, d *keyDraft)) func(f *fixture, d *keyDraft) {
		return func(f *fixture, d *keyDraft) {
			for _, change := range list {
				change(f, d)
			}
		}
	}
	header := func(name string, value any) func(f *fixture, d *keyDraft) {
		return func(_ *fixture, d *keyDraft) { d.header[name] = value }
	}
	noSlash := func(f *fixture, d *keyDraft) { d.claims["aud"] = strings.TrimSuffix(f.srv.Issuer(), "/") }
	noKeyID := func(_ *fixture, d *keyDraft) { delete(d.header, "kid") }
	for name, c := range map[string]struct {
		like    certtokentest.Option
		alg     string
		change  func(f *fixture, d *keyDraft)
		refused string
	}{
		"FAPI, PS256":     {fapi, jws.PS256, nil, ""},
		"FAPI, ES256":     {fapi, jws.ES256, nil, ""},
		"FAPI, EdDSA":     {fapi, jws.EdDSA, nil, ""},
		"FAPI, RS256":     {fapi, jws.RS256, nil, "'RS256' is not a supported"},
		"FAPI, ES384":     {fapi, jws.ES384, nil, "'ES384' is not a supported"},
		"FAPI, token URL": {fapi, jws.ES256, toURL, "audience is"},
		"FAPI, a list of it": {fapi, jws.ES256,
			func(f *fixture, d *keyDraft) { d.claims["aud"] = []string{f.srv.Issuer()} },
			"must be one string"},
		"FAPI, 9 s ahead":          {fapi, jws.ES256, at("iat", 9*time.Second), ""},
		"FAPI, nbf 9 s ahead":      {fapi, jws.ES256, at("nbf", 9*time.Second), ""},
		"FAPI, a minute ahead":     {fapi, jws.ES256, at("iat", time.Minute), "not within its valid time range"},
		"FAPI, nbf a minute ahead": {fapi, jws.ES256, at("nbf", time.Minute), "not within its valid time range"},
		"SMART, RS384":             {smart, jws.RS384, toURL, ""},
		"SMART, ES384":             {smart, jws.ES384, toURL, ""},
		"SMART, ES256":             {smart, jws.ES256, toURL, "'ES256' is not a supported"},
		"SMART, issuer":            {smart, jws.ES384, nil, "audience is"},
		"SMART, no kid":            {smart, jws.ES384, both(toURL, noKeyID), "must contain a kid"},
		"SMART, unknown kid": {smart, jws.ES384, both(toURL, header("kid", "x")),
			"kid 'x', which could not be found"},
		"SMART, another typ": {smart, jws.ES384, both(toURL, header("typ", "client-authentication+jwt")),
			"typ header value"},
		"SMART, its jku": {smart, jws.ES384, both(toURL, header("jku", jwksURL)), ""},
		"SMART, another jku": {smart, jws.ES384, both(toURL, header("jku", "https://evil.example/jwks")),
			"jku 'https://evil.example/jwks' is not"},
		"SMART, a jku that isn't": {smart, jws.ES384, both(toURL, header("jku", 7)), "jku '7' is not"},
		"SMART, five minutes":     {smart, jws.ES384, both(toURL, at("exp", 5*time.Minute)), ""},
		"SMART, six minutes": {smart, jws.ES384, both(toURL, at("exp", 6*time.Minute)),
			"ends too far in the future"},
		"SMART, no jti":        {smart, jws.ES384, both(toURL, claim("jti", nil)), "'jti' must be"},
		"Okta, RS256":          {okta, jws.RS256, toURL, ""},
		"Okta, ES512":          {okta, jws.ES512, toURL, ""},
		"Okta, PS256":          {okta, jws.PS256, toURL, "'PS256' is not a supported"},
		"Okta, issuer":         {okta, jws.RS256, nil, "audience is"},
		"Okta, nearly an hour": {okta, jws.RS256, both(toURL, at("exp", time.Hour-5*time.Second)), ""},
		"Okta, an hour and more": {okta, jws.RS256, both(toURL, at("exp", time.Hour+2*time.Second)),
			"The client_assertion token has an expiration too far into the future."},
		"Okta, unknown kid": {okta, jws.RS256, both(toURL, header("kid", "x")),
			"The client_assertion JWT kid is invalid."},
		"Okta, several and no kid": {okta, jws.RS256, both(toURL, noKeyID), "The client_assertion JWT kid is invalid."},
		"Auth0, RS256":             {auth0, jws.RS256, nil, ""},
		"Auth0, no kid":            {auth0, jws.PS256, noKeyID, ""},
		"Auth0, ES256":             {auth0, jws.ES256, nil, "'ES256' is not a supported"},
		"Auth0, without slash": {auth0, jws.RS256, noSlash,
			"audience is"},
		"Auth0, six minutes":   {auth0, jws.RS256, at("exp", 6*time.Minute), "ends too far in the future"},
		"Keycloak, ES512":      {certtokentest.LikeKeycloak(), jws.ES512, nil, ""},
		"Better Auth, Ed25519": {certtokentest.LikeBetterAuth(), jws.Ed25519, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, other := newKey(t, c.alg, "mine"), newKey(t, jws.ES256, "other")
				f := newKeyFixture(t, []*key{k, other}, c.like)
				app := &published{set: setOf(t, k, other)}
				f.srv.Handle("app.example/jwks", app)
				require.NoError(t, f.srv.RegisterJWKSURI(clientID, jwksURL, f.srv.Client()))
				d := f.keyDraft(k, c.alg)
				if c.change != nil {
					c.change(f, d)
				}
				r := f.postKey(d)
				if c.refused != "" {
					assert.GreaterOrEqual(t, r.status, 400)
					assert.Equal(t, "invalid_client", r.body["error"], r.text)
					assert.Contains(t, r.body["error_description"], c.refused)
					return
				}
				assert.Equal(t, 200, r.status, r.text)
				r = f.postKey(d)
				assert.Equal(t, "invalid_client", r.body["error"], "each assertion counts once")
				assert.Contains(t, r.text, "used before")
			})
		})
	}
}

// One key needs no kid at Okta.
func TestOktaWithOneKey(t *testing.T) {
	k := newKey(t, jws.RS256, "mine")
	f := newKeyFixture(t, []*key{k}, certtokentest.LikeOkta())
	d := f.keyDraft(k, jws.RS256)
	d.claims["aud"] = f.srv.TokenURL()
	delete(d.header, "kid")
	assert.Equal(t, 200, f.postKey(d).status)
}

// A jku says nothing to most servers.
func TestJKUIsIgnoredElsewhere(t *testing.T) {
	k := newKey(t, jws.ES256, "mine")
	f := newKeyFixture(t, []*key{k})
	d := f.keyDraft(k, jws.ES256)
	d.header["jku"] = "https://evil.example/jwks"
	assert.Equal(t, 200, f.postKey(d).status)
	f = newKeyFixture(t, []*key{newKey(t, jws.ES384, "mine")}, certtokentest.LikeSMART())
	d = f.keyDraft(newKey(t, jws.ES384, "mine"), jws.ES384)
	d.header["jku"] = ""
	assert.Contains(t, f.postKey(d).text, "jku '' is not", "a client without a URL has no jku")
}

// A client that is told nothing but the server's Authority and its algorithm gets a token.
func TestAuthorityOfPresets(t *testing.T) {
	for name, c := range map[string]struct {
		like certtokentest.Option
		alg  certtoken.Algorithm
	}{
		"FAPI":        {certtokentest.LikeFAPI2(), certtoken.PS256},
		"SMART":       {certtokentest.LikeSMART(), certtoken.RS384},
		"Okta":        {certtokentest.LikeOkta(), certtoken.RS256},
		"Auth0":       {certtokentest.LikeAuth0(), certtoken.RS256},
		"Keycloak":    {certtokentest.LikeKeycloak(), certtoken.RS256},
		"Better Auth": {certtokentest.LikeBetterAuth(), certtoken.RS256},
		"Glewlwyd":    {certtokentest.LikeGlewlwyd(), certtoken.RS256},
	} {
		t.Run(name, func(t *testing.T) {
			eachForm(t, func(t *testing.T, f *fixture) {
				require.NoError(t, f.srv.RegisterJWKS(clientID, jwkSet(t, f.cert.Leaf.PublicKey, "mine")))
				authority := f.srv.Authority(certtoken.WithAlgorithm(c.alg), certtoken.WithKeyID("mine"),
					certtoken.WithThumbprintHeader(certtoken.ThumbprintNone))
				_, err := f.client(authority).Token(t.Context(), "read")
				require.NoError(t, err)
				discovered, err := certtoken.Discover(t.Context(), f.srv.Issuer(),
					certtoken.WithDiscoveryClient(f.srv.Client()))
				require.NoError(t, err)
				assert.Contains(t, fmt.Sprint(discovered), strings.TrimSuffix(f.srv.Issuer(), "/"))
			}, certtokentest.WithIssuer(""), c.like)
		})
	}
}
