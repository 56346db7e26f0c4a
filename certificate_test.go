package certtoken_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
)

// issue makes a certificate that another one has signed, or its own key.
func issue(
	t *testing.T, name string, key *rsa.PrivateKey, by *x509.Certificate, byKey *rsa.PrivateKey,
) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	if by == nil {
		by, byKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by, key.Public(), byKey)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert
}

func TestNewCertificateOrdersItsIssuers(t *testing.T) {
	rootKey, outerKey, innerKey, key := newKey(t), newKey(t), newKey(t), newKey(t)
	root := issue(t, "root", rootKey, nil, nil)
	outer := issue(t, "outer", outerKey, root, rootKey)
	inner := issue(t, "inner", innerKey, outer, outerKey)
	leaf := issue(t, "leaf", key, inner, innerKey)
	namesake := issue(t, "inner", newKey(t), nil, nil) // has the issuer's name and not its key
	stranger := issue(t, "stranger", newKey(t), nil, nil)

	for name, c := range map[string]struct{ given, want []*x509.Certificate }{
		"in order":      {[]*x509.Certificate{inner, outer, root}, []*x509.Certificate{inner, outer, root}},
		"reversed":      {[]*x509.Certificate{root, outer, inner}, []*x509.Certificate{inner, outer, root}},
		"shuffled":      {[]*x509.Certificate{outer, root, inner}, []*x509.Certificate{inner, outer, root}},
		"with the leaf": {[]*x509.Certificate{leaf, root, inner, outer}, []*x509.Certificate{inner, outer, root}},
		"with others":   {[]*x509.Certificate{stranger, namesake, outer, inner}, []*x509.Certificate{inner, outer}},
		"with a gap":    {[]*x509.Certificate{root, inner}, []*x509.Certificate{inner}},
		"twice":         {[]*x509.Certificate{inner, inner, outer}, []*x509.Certificate{inner, outer}},
		"only others":   {[]*x509.Certificate{stranger, root}, nil},
		"none":          {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			given := slices.Clone(c.given)
			cert, err := certtoken.NewCertificate(key, leaf, given)
			require.NoError(t, err)
			assert.Equal(t, c.want, cert.Chain)
			assert.Equal(t, c.given, given, "the caller's slice stays as it is")
		})
	}
}

func TestCertificateValid(t *testing.T) {
	from := time.Now().Truncate(time.Second)
	cert := certOf(t, newKey(t), from, time.Hour)
	for name, c := range map[string]struct {
		at time.Time
		is error
	}{
		"before":     {from.Add(-time.Nanosecond), certtoken.ErrNotYetValid},
		"from":       {from, nil},
		"until":      {from.Add(time.Hour), nil},
		"afterwards": {from.Add(time.Hour + time.Nanosecond), certtoken.ErrExpired},
	} {
		t.Run(name, func(t *testing.T) { assert.ErrorIs(t, cert.Valid(c.at), c.is) })
	}
}

// The fields of a Certificate are its user's: its thumbprints are always those of
// the leaf that is there now.
func TestThumbprintsFollowTheLeaf(t *testing.T) {
	now := time.Now()
	a, b := certOf(t, newKey(t), now, time.Hour), certOf(t, newKey(t), now, time.Hour)
	byHand := &certtoken.Certificate{Leaf: a.Leaf, Signer: a.Signer}
	copied := *a
	changed := *a
	changed.Leaf, changed.Signer = b.Leaf, b.Signer
	for name, c := range map[string]struct {
		cert *certtoken.Certificate
		leaf *x509.Certificate
	}{
		"made":           {a, a.Leaf},
		"built by hand":  {byHand, a.Leaf},
		"copied":         {&copied, a.Leaf},
		"of another now": {&changed, b.Leaf},
	} {
		t.Run(name, func(t *testing.T) {
			sum := sha256.Sum256(c.leaf.Raw)
			assert.Contains(t, c.cert.String(), hex.EncodeToString(sum[:]))
			assertion := certtoken.Assertion{ClientID: "c", Audience: "a", Thumbprint: certtoken.ThumbprintBoth}
			jwt, err := assertion.Sign(t.Context(), c.cert)
			require.NoError(t, err)
			header, _ := decodedJWT(t, jwt)
			var h map[string]string
			require.NoError(t, json.Unmarshal(header, &h))
			assert.Equal(t, base64.RawURLEncoding.EncodeToString(sum[:]), h["x5t#S256"])
			assert.Equal(t, sha1Base64(c.leaf.Raw), h["x5t"])
		})
	}
}

func sha1Base64(der []byte) string {
	sum := sha1.Sum(der)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
