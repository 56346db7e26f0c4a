package certtoken

import (
	"crypto/rsa"
	"fmt"

	"github.com/certtoken/certtoken/internal/jws"
)

// takes reports why the authority can't be asked with a certificate, or with a key alone,
// that was checked before.
func (a Authority) takes(cert *Certificate) error {
	if cert.Leaf == nil {
		if err := a.takesKeys(); err != nil {
			return err
		}
	}
	pub := cert.Signer.Public()
	if _, ok := pub.(*rsa.PublicKey); !ok && a.product() != "" {
		return fmt.Errorf("%w: %s takes RSA keys only, and this is %s: "+
			"make a certificate with an RSA key (certtoken cert new --key rsa)", ErrNotRSA, a.product(), jws.Describe(pub))
	}
	if !a.asserts() {
		return nil
	}
	as, err := a.dialectFor(cert)
	if err != nil {
		return err
	}
	return as.forKey(cert).fits(cert)
}

// dialectFor is the dialect with the algorithm of a certificate's key. The error says that
// none fits it.
func (a Authority) dialectFor(cert *Certificate) (as Assertion, err error) {
	as = a.assertion
	if as.Algorithm == "" {
		as.Algorithm, err = a.algorithms.of(cert.Signer.Public())
	}
	return as, err
}

// errKeyInTLS: a handshake proves a certificate.
var errKeyInTLS = fmt.Errorf("%w: TLS presents one, and this is a key alone: give the certificate too (CertFile)",
	ErrNoCertificate)

// takesKeys reports why the authority can't be asked with a key alone.
func (a Authority) takesKeys() error {
	switch {
	case a.product() != "":
		return fmt.Errorf("%w: %s knows its clients by certificates, and this is a key alone: "+
			"give the certificate too (CertFile)", ErrNoCertificate, a.product())
	case a.presents():
		return errKeyInTLS
	case a.assertion.SendChain:
		return fmt.Errorf("%w: WithX5C sends one, and this is a key alone: leave WithX5C out", ErrNoCertificate)
	}
	return nil
}

// assertionFor is the assertion that this authority wants of a client whose
// certificate is cert. The error says that no algorithm fits its key.
func (a Authority) assertionFor(clientID string, cert *Certificate) (Assertion, error) {
	as, err := a.dialectFor(cert)
	if err != nil {
		return as, err
	}
	as.ClientID = clientID
	as.Audience = a.tokenURL
	switch {
	case a.audience != "":
		as.Audience = a.audience
	case a.issuer != "":
		as.Audience = a.issuer
	}
	if a.keyID != nil {
		as.KeyID = a.keyID(cert)
	}
	return as, nil
}
