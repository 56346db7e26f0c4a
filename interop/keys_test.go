package interop

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/jwks"
)

// keyAlgorithm is an algorithm with a key that can do it.
type keyAlgorithm struct {
	name certtoken.Algorithm
	kind certtokentest.KeyKind
	asks bool // is asked for: the client signs this kind of key by another one by itself
}

var keyAlgorithms = []keyAlgorithm{
	{certtoken.RS256, certtokentest.RSA, false},
	{certtoken.PS256, certtokentest.RSA, true},
	{certtoken.ES256, certtokentest.P256, false},
	{certtoken.ES384, certtokentest.P384, false},
	{certtoken.ES512, certtokentest.P521, false},
	{certtoken.EdDSA, certtokentest.Ed25519, false},
	{certtoken.Ed25519, certtokentest.Ed25519, true},
}

// keyWay is how a client is known to a server.
type keyWay struct {
	name string
	bare bool // the client signs with a key alone
	url  bool // the server fetches the set
	cert bool // the server has the certificate and no set
}

var keyWays = []keyWay{
	{name: "the certificate itself", cert: true},
	{name: "`jwks.Marshal` of a certificate"},
	{name: "`jwks.Marshal` of a key alone", bare: true},
	{name: "`jwks.Handler` of a certificate", url: true},
	{name: "`jwks.Handler` of a key alone", bare: true, url: true},
}

// TestKeys has every server know a client by the set of keys that package jwks makes, or
// fetch it, and gets a token with each algorithm. README.md holds what came out.
func TestKeys(t *testing.T) {
	all, whole := judgesForTable(t)
	all = slices.DeleteFunc(all, func(j *judge) bool { return j.registerSet == nil })
	type cell struct {
		outcome string
		err     error
	}
	cells := make(map[string]*cell)
	at := func(j *judge, way keyWay, alg keyAlgorithm) string {
		return strings.Join([]string{j.name, way.name, string(alg.name)}, "/")
	}
	t.Run("trial", func(t *testing.T) {
		for _, j := range all {
			for _, way := range keyWays {
				for _, alg := range keyAlgorithms {
					c := &cell{outcome: "–"}
					cells[at(j, way, alg)] = c
					if !j.hasWay(way) {
						continue
					}
					t.Run(at(j, way, alg), func(t *testing.T) {
						t.Parallel()
						c.err = promptly(t, func() error { return j.tryKey(t, way, alg) })
						c.outcome = outcomeOfKey(c.err)
						takes := j.takesKeys(alg.name) && !(way.url && j.refusesLoopback)
						assert.Equal(t, takes, c.err == nil, "%v", c.err)
					})
				}
			}
		}
	})
	if t.Failed() {
		return
	}
	if !whole {
		t.Skip("the tables have servers in them that weren't asked")
	}

	var results, texts strings.Builder
	results.WriteString("| server | set of keys |")
	for _, alg := range keyAlgorithms {
		fmt.Fprintf(&results, " %s |", alg.name)
	}
	results.WriteString("\n|---|---|" + strings.Repeat("---|", len(keyAlgorithms)) + "\n")
	texts.WriteString("| server | algorithm | status, error | description |\n|---|---|---|---|\n")
	for _, j := range all {
		said := make(map[string]bool) // the same in each way
		for _, way := range keyWays {
			fmt.Fprintf(&results, "| %s | %s |", j.name, way.name)
			for _, alg := range keyAlgorithms {
				c := cells[at(j, way, alg)]
				fmt.Fprintf(&results, " %s |", c.outcome)
				row := fmt.Sprintf("| %s | %s | %s | %s |\n", j.name, alg.name, c.outcome, description(j, c.err))
				if c.err != nil && !said[row] {
					said[row] = true
					texts.WriteString(row)
				}
			}
			results.WriteString("\n")
		}
	}
	compareTable(t, "keys", results.String())
	compareTable(t, "keys refused", texts.String())
}

// takesKeys reports whether the judge takes an algorithm, by its documentation.
func (j *judge) takesKeys(alg certtoken.Algorithm) bool {
	return j.offers(alg) || slices.Contains(j.curves, alg)
}

// hasWay reports whether the judge can know a client in this way.
func (j *judge) hasWay(way keyWay) bool {
	switch {
	case way.cert:
		return j.registerCertificate != nil
	case way.url:
		return j.publish != nil
	}
	return !j.urlOnly
}

// tryKey registers a client with one key, and gets a token for it.
func (j *judge) tryKey(t *testing.T, way keyWay, alg keyAlgorithm) error {
	t.Helper()
	if j.places != nil {
		j.places <- struct{}{}
		defer func() { <-j.places }()
	}
	cert := newKey(t, alg.kind)
	if way.bare {
		var err error
		cert, err = certtoken.NewKey(cert.Signer, "")
		require.NoError(t, err)
	}
	var options jwks.Options
	var own []certtoken.AuthorityOption
	if alg.asks {
		options.Algorithm = alg.name
		own = append(own, certtoken.WithAlgorithm(alg.name))
	}
	if !j.fapiOnly { // its algorithms are tried one by one
		for _, n := range j.needs(jwks.KeyID) {
			own = append(own, n.option)
		}
	}
	if way.cert {
		own = nil // with one key there is no need to name it
		if alg.asks {
			own = append(own, certtoken.WithAlgorithm(alg.name))
		}
	}
	set := keySet{id: "keys-" + rand.Text(), algorithm: alg.name}
	switch {
	case way.cert:
		j.registerCertificate(t, set.id, cert)
	case way.url:
		set.url = j.publish(t, options.Handler(func(context.Context) ([]*certtoken.Certificate, error) {
			return []*certtoken.Certificate{cert}, nil
		}))
	default:
		var err error
		set.set, err = options.Marshal(cert)
		require.NoError(t, err)
	}
	if !way.cert {
		if err := j.registerSet(t, set); err != nil {
			return err
		}
	}

	client, err := certtoken.NewClient(certtoken.Issuer(j.issuer, j.tokenURL, own...), set.id, cert,
		certtoken.WithHTTPClient(&http.Client{Transport: j.http.Transport}), patient)
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	ctx, cancel := context.WithTimeout(t.Context(), programAnswer)
	defer cancel()
	token, err := client.Token(ctx, scope)
	if err == nil {
		require.Contains(t, token.Scopes(), scope)
		require.True(t, j.allScopes || len(token.Scopes()) == 1)
	}
	return err
}

// outcomeOfKey is a result in a word or two.
func outcomeOfKey(err error) string {
	var te *certtoken.TokenError
	switch {
	case err == nil:
		return "✓"
	case errors.As(err, &te):
		return strings.TrimSpace(fmt.Sprintf("%d %s", te.StatusCode, te.Code))
	case errors.As(err, new(*notRegistered)):
		return "not registered"
	case errors.As(err, new(*noMetadata)):
		return "no metadata"
	}
	return "?"
}

// newKey makes a certificate once for each kind of key.
func newKey(t *testing.T, kind certtokentest.KeyKind) *certtoken.Certificate {
	t.Helper()
	return newCertificate(t, "client with "+kind.String(), certtokentest.WithKeyKind(kind))
}

// go-jose reads what package jwks prints of each kind of key as the same key with the same
// thumbprint, and verifies the assertions of each algorithm with it.
func TestGoJOSEAgrees(t *testing.T) {
	for _, alg := range append([]keyAlgorithm{
		{certtoken.RS384, certtokentest.RSA, true},
		{certtoken.RS512, certtokentest.RSA, true},
		{certtoken.PS384, certtokentest.RSA, true},
		{certtoken.PS512, certtokentest.RSA, true},
	}, keyAlgorithms...) {
		t.Run(string(alg.name), func(t *testing.T) {
			cert := newKey(t, alg.kind)
			printed, err := jwks.Options{Algorithm: alg.name}.Marshal(cert)
			require.NoError(t, err)
			var set jose.JSONWebKeySet
			require.NoError(t, json.Unmarshal(printed, &set))
			require.Len(t, set.Keys, 1)
			key := set.Keys[0]
			assert.True(t, key.Valid())
			assert.True(t, key.IsPublic())
			assert.Equal(t, cert.Leaf.PublicKey, key.Key)
			assert.Equal(t, "sig", key.Use)
			assert.EqualValues(t, alg.name, key.Algorithm)
			require.Len(t, key.Certificates, 1)
			assert.True(t, cert.Leaf.Equal(key.Certificates[0]))
			sum := sha256.Sum256(cert.Leaf.Raw)
			assert.Equal(t, sum[:], key.CertificateThumbprintSHA256)
			thumbprint, err := key.Thumbprint(crypto.SHA256)
			require.NoError(t, err)
			assert.Equal(t, base64.RawURLEncoding.EncodeToString(thumbprint), key.KeyID)

			assertion, err := certtoken.Assertion{
				ClientID: "client", Audience: "https://as.example", Algorithm: alg.name,
			}.Sign(t.Context(), cert)
			require.NoError(t, err)
			if alg.name == certtoken.Ed25519 {
				// go-jose knows the name of RFC 8037 only; the signature is the same for both.
				_, err = jose.ParseSignedCompact(assertion, []jose.SignatureAlgorithm{jose.EdDSA})
				require.Error(t, err, "go-jose takes RFC 9864's name by now: delete this case")
				parts := strings.Split(assertion, ".")
				sig, err := base64.RawURLEncoding.DecodeString(parts[2])
				require.NoError(t, err)
				assert.True(t, ed25519.Verify(key.Key.(ed25519.PublicKey), []byte(parts[0]+"."+parts[1]), sig))
				return
			}
			parsed, err := jose.ParseSignedCompact(assertion,
				[]jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg.name)})
			require.NoError(t, err)
			claims, err := parsed.Verify(key.Key)
			require.NoError(t, err)
			assert.Contains(t, string(claims), `"iss":"client"`)
			_, err = parsed.Verify(newCertificate(t, "other "+alg.kind.String(),
				certtokentest.WithKeyKind(alg.kind)).Leaf.PublicKey)
			assert.Error(t, err)
		})
	}
}

// What go-jose writes of a private key of each kind is read by ParseKey, as the same key
// with the same key id.
func TestKeysOfGoJOSE(t *testing.T) {
	for _, kind := range certtokentest.KeyKinds() {
		t.Run(kind.String(), func(t *testing.T) {
			signer := newKey(t, kind).Signer
			if pointer, ok := signer.(*ed25519.PrivateKey); ok {
				signer = *pointer // go-jose knows the type of the standard library only
			}
			for _, id := range []string{"", "a key's id"} {
				own := jose.JSONWebKey{Key: signer, KeyID: id, Use: "sig"}
				data, err := own.MarshalJSON()
				require.NoError(t, err)
				key, err := certtoken.ParseKey(data)
				require.NoError(t, err)
				assert.Equal(t, signer.Public(), key.Signer.Public())
				if id == "" {
					thumbprint, err := own.Thumbprint(crypto.SHA256)
					require.NoError(t, err)
					id = base64.RawURLEncoding.EncodeToString(thumbprint)
				}
				assert.Equal(t, id, key.KeyID)
			}
		})
	}
}
