package spiffetest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/url"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/spiffe/go-spiffe/v2/bundle/spiffebundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/certtoken/certtoken/certtokentest"
)

const (
	jwtKeyID = "jwt-authority"

	defaultX509Lifetime = time.Hour
	defaultJWTLifetime  = 5 * time.Minute
	backdate            = 10 * time.Second // as SPIRE does
)

// authority issues the SVIDs of a trust domain.
type authority struct {
	domain spiffeid.TrustDomain
	key    *ecdsa.PrivateKey // of both kinds of SVID
	cert   *x509.Certificate

	mu     sync.Mutex
	serial int64
	issued map[issue]*pair
}

// issue is what an X.509-SVID was made for: one for each identity and generation.
type issue struct {
	identity   Identity
	generation int
}

// pair is an X.509-SVID with its key.
type pair struct{ leaf, key []byte }

func newAuthority(name string) (*authority, error) {
	domain, err := spiffeid.TrustDomainFromString(name)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "spiffetest"},
		URIs:                  []*url.URL{domain.ID().URL()},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.AddDate(10, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{domain: domain, key: key, cert: cert, serial: 1, issued: make(map[issue]*pair)}, nil
}

// x509SVID returns the SVID of an identity, and makes it at the first call.
func (a *authority) x509SVID(identity Identity, generation int) (*pair, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	of := issue{identity, generation}
	if known := a.issued[of]; known != nil {
		return known, nil
	}
	id, err := spiffeid.FromString(identity.ID)
	if err != nil {
		return nil, err
	}
	made, err := certtokentest.MakeCertificate(certtokentest.WithKeyKind(identity.Kind))
	if err != nil {
		return nil, err
	}
	a.serial++
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(a.serial),
		Subject:               pkix.Name{Country: []string{"US"}, Organization: []string{"SPIRE"}},
		URIs:                  []*url.URL{id.URL()},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(orDefault(identity.X509Lifetime, defaultX509Lifetime)),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	leaf, err := x509.CreateCertificate(rand.Reader, template, a.cert, made.Signer.Public(), a.key)
	if err != nil {
		return nil, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(made.Signer)
	if err != nil {
		return nil, err
	}
	a.issued[of] = &pair{leaf, key}
	return a.issued[of], nil
}

// jwtSVID signs one for an audience.
func (a *authority) jwtSVID(identity Identity, audience []string) (string, error) {
	now := time.Now()
	claims := jwt.MapClaims{
		"sub": identity.ID, "aud": audience, "iat": now.Unix(),
		"exp": now.Add(orDefault(identity.JWTLifetime, defaultJWTLifetime)).Unix(),
	}
	if identity.JWTIssuer != "" {
		claims["iss"] = identity.JWTIssuer
	}
	token := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	token.Header["kid"] = jwtKeyID
	return token.SignedString(a.key)
}

// bundle is the trust bundle as a JWK Set (SPIFFE Trust Domain and Bundle, section 4).
func (a *authority) bundle() ([]byte, error) {
	bundle := spiffebundle.New(a.domain)
	bundle.AddX509Authority(a.cert)
	if err := bundle.AddJWTAuthority(jwtKeyID, crypto.PublicKey(a.key.Public())); err != nil {
		return nil, err
	}
	return bundle.Marshal()
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}
