package certsource

import (
	"context"
	"errors"

	"github.com/certtoken/certtoken"
)

// Load reads the certificate as it is now where it is kept. known is what the source uses,
// or nil: a load that finds it unchanged returns known itself, and spares itself the rest.
// The context ends after the time of [WithTimeout], and not when a caller leaves.
//
// At most one call is under way at a time, in a goroutine of its own. Its panic is an error
// without what it said. A load that hangs in spite of its context hinders nobody who can be
// given the certificate that is known, and is not called again before it has returned.
type Load func(ctx context.Context, known *certtoken.Certificate) (*certtoken.Certificate, error)

var errNothing = errors.New("the function returned neither a certificate nor an error")

// call calls the function and checks what it returns.
func (load Load) call(ctx context.Context, known *certtoken.Certificate) (*certtoken.Certificate, error) {
	return guarded("the function that loads the certificate", func() (*certtoken.Certificate, error) {
		cert, err := load(ctx, known)
		switch {
		case err != nil:
			return nil, err
		case cert == nil:
			return nil, errNothing
		}
		if err := checkPair(cert); err != nil {
			return nil, err
		}
		return cert, nil
	})
}

// checkPair reports why a certificate, or a key alone, can't sign whatever the time.
func checkPair(cert *certtoken.Certificate) error {
	var err error
	if cert.Leaf == nil && cert.KeyID != "" {
		_, err = certtoken.NewKey(cert.Signer, cert.KeyID)
	} else {
		_, err = certtoken.NewCertificate(cert.Signer, cert.Leaf, cert.Chain)
	}
	return err
}
