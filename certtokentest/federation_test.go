package certtokentest_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"testing"
	"time"

	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/internal/jws"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Issuers elsewhere have keys of every kind.
func TestFederationOfEveryKind(t *testing.T) {
	const issuer, subject, audience = "https://cluster.example", "spiffe://cluster.example/app",
		"https://issuer.example"
	for _, alg := range jws.Names() {
		k := newKey(t, alg, "")
		f := newFixture(t, certtokentest.WithIssuer(""))
		f.srv.Federate(clientID, certtokentest.Federation{
			Issuer: issuer, Subject: subject, Audience: audience, Key: k.signer.Public(),
		})
		d := f.keyDraft(k, alg)
		d.claims["iss"], d.claims["sub"], d.claims["aud"] = issuer, subject, audience
		assert.Equal(t, 200, f.postKey(d).status, alg)
		sign := d.sign
		d.sign = func(t *testing.T, input []byte) []byte { return sign(t, append(input, 'x')) }
		assert.Equal(t, 401, f.postKey(d).status, alg)
	}
}

// An assertion from elsewhere proves a client that trusts its issuer for it.
func TestFederation(t *testing.T) {
	const issuer, subject = "https://cluster.example", "system:serviceaccount:ns:app"
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	tests := map[string]struct {
		change func(token *jwt.Token, claims jwt.MapClaims)
		key    any
		method jwt.SigningMethod
		code   int
	}{
		"good":             {},
		"audience in list": {change: claim("aud", []string{"x", certtokentest.ExchangeAudience})},
		"another issuer":   {change: claim("iss", "https://other.example"), code: 700211},
		"another subject":  {change: claim("sub", "system:serviceaccount:ns:other"), code: 700213},
		"another audience": {change: claim("aud", "api://x"), code: 700212},
		"another key":      {key: other, method: jwt.SigningMethodRS256, code: 700027},
		"unsigned":         {key: jwt.UnsafeAllowNoneSignatureType, method: jwt.SigningMethodNone, code: 700027},
		"over":             {change: claim("exp", time.Now().Add(-time.Minute).Unix()), code: 700024},
		"not yet valid":    {change: claim("nbf", time.Now().Add(time.Hour).Unix()), code: 700024},
		"gty in its header, as FusionAuth writes it": {code: 5002726, change: func(token *jwt.Token, _ jwt.MapClaims) {
			token.Header["gty"] = []string{"client_credentials"}
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.srv.Replace(clientID)
			f.srv.Federate(clientID, certtokentest.Federation{
				Issuer: issuer, Subject: subject, Audience: certtokentest.ExchangeAudience, Key: key.Public(),
			})
			claims := jwt.MapClaims{
				"iss": issuer, "sub": subject, "aud": certtokentest.ExchangeAudience,
				"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
			}
			method, signer := tt.method, tt.key
			if signer == nil {
				method, signer = jwt.SigningMethodES256, key
			}
			token := jwt.NewWithClaims(method, claims)
			if tt.change != nil {
				tt.change(token, claims)
			}
			signed, err := token.SignedString(signer)
			require.NoError(t, err)
			form := f.form()
			form.Set("client_assertion", signed)
			for range 2 { // it may come again
				r := f.post(form)
				assert.Equal(t, tt.code, r.code(), r.text)
			}
		})
	}
}

func claim(name string, value any) func(*jwt.Token, jwt.MapClaims) {
	return func(_ *jwt.Token, claims jwt.MapClaims) { claims[name] = value }
}

func TestIdentityProvider(t *testing.T) {
	f := newFixture(t)
	provider := certtokentest.NewIdentityProvider("https://cluster.example")
	f.srv.Federate(clientID, provider.Federation("me", certtokentest.ExchangeAudience))
	form := f.form()
	form.Set("client_assertion", provider.Assertion("me", certtokentest.ExchangeAudience, time.Hour))
	assert.Equal(t, 200, f.post(form).status)
	form.Set("client_assertion", provider.Assertion("you", certtokentest.ExchangeAudience, time.Hour))
	assert.Equal(t, 700213, f.post(form).code())
	assert.Equal(t, 200, f.post(f.form()).status, "the client's own certificate goes on to prove it")
}

// One client's token proves another (a federated credential of the same tenant).
func TestFederationOfThisServer(t *testing.T) {
	f := newFixture(t)
	form := f.form()
	form.Set("scope", certtokentest.ExchangeAudience+"/.default")
	token := f.post(form).token()
	f.srv.Federate("second", f.srv.Federation(clientID))
	form = f.form()
	form.Set("client_id", "second")
	form.Set("client_assertion", token)
	r := f.post(form)
	assert.Equal(t, 200, r.status, r.text)
}
