package certtoken

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// credential proves to the token endpoint who the client is: by a certificate,
// or by an assertion from elsewhere.
type credential interface {
	// prove makes the proof for one attempt of a request.
	prove(ctx context.Context, authority Authority) (proof, error)

	// renew is told that the endpoint refused a proof for its certificate or its
	// time, and reports whether there is another one now.
	renew(ctx context.Context, refused proof, why *TokenError) bool
}

// proof is what one attempt shows.
type proof struct {
	assertion string        // "": the certificate in the TLS handshake is all
	audience  string        // of an assertion from elsewhere
	cert      *Certificate  // that signed it; nil: the assertion is from elsewhere
	offset    time.Duration // of the clock that it was signed by
	binding   *binding      // whose connections present the certificate; nil: none do
}

// event starts the event of an attempt.
func (p proof) event() Event {
	if p.cert == nil {
		return Event{}
	}
	return p.cert.event()
}

// certCredential is a source of certificates, whose key signs each assertion.
type certCredential struct {
	client *Client
	source CertSource
}

func (k *certCredential) prove(ctx context.Context, authority Authority) (proof, error) {
	cert, err := k.certificate(ctx)
	if err != nil {
		return proof{}, err
	}
	p := proof{cert: cert}
	if authority.presents() {
		if err := cert.usable(time.Now()); err != nil {
			return proof{}, err
		}
		if p.binding, err = k.client.bind(cert); err != nil {
			return proof{}, err
		}
	}
	if authority.asserts() {
		p.assertion, p.offset, err = k.client.sign(ctx, authority, cert)
	}
	return p, err
}

// certificate asks the source, checks what it gives, and announces what is new
// about it.
func (k *certCredential) certificate(ctx context.Context) (*Certificate, error) {
	cert, err := k.source.Certificate(ctx)
	if err != nil {
		return nil, sourceError("certificate source", err)
	}
	if _, err := cert.publicKey(); err != nil {
		return nil, err
	}
	k.client.announce(cert)
	if source, ok := k.source.(interface{ Health() error }); ok {
		k.client.announceHealth(source.Health(), cert)
	}
	return cert, nil
}

// renew tells the source that its certificate was refused, and reports whether
// it has another one now.
func (k *certCredential) renew(ctx context.Context, refused proof, why *TokenError) bool {
	source, ok := k.source.(Reloader)
	if !ok {
		return false
	}
	event := refused.event()
	event.Err = why
	emit(k.client.hooks.CertificateRefused, event)
	if source.Reload(ctx, refused.cert) != nil {
		return false
	}
	cert, err := k.certificate(ctx)
	return err == nil && cert.sha256() != refused.cert.sha256()
}

// sourceError says which of the user's sources an error is from, unless it is
// one of ours.
func sourceError(what string, err error) error {
	if strings.HasPrefix(err.Error(), "certtoken: ") {
		return err
	}
	return fmt.Errorf("certtoken: %s: %w", what, err)
}

// withoutJWT passes an error on unless its text holds something shaped like a
// JWT.
func withoutJWT(err error) error {
	if !jwtShape.MatchString(err.Error()) {
		return err
	}
	return errors.New(redact(err.Error(), maxDescription))
}
