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
	// time, and returns another one if there is one now.
	renew(ctx context.Context, authority Authority, refused proof, why *TokenError) (proof, bool)
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
	return k.proofOf(ctx, authority, cert)
}

func (k *certCredential) proofOf(ctx context.Context, authority Authority, cert *Certificate) (p proof, err error) {
	p.cert = cert
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

// renew tells the source that its certificate was refused, and signs with
// another one if it has one now.
func (k *certCredential) renew(ctx context.Context, authority Authority, refused proof, why *TokenError) (proof, bool) {
	source, ok := k.source.(Reloader)
	if !ok {
		return proof{}, false
	}
	event := refused.event()
	event.Err = why
	emit(k.client.hooks.CertificateRefused, event)
	if source.Reload(ctx, refused.cert) != nil {
		return proof{}, false
	}
	cert, err := k.certificate(ctx)
	if err != nil || cert.sha256() == refused.cert.sha256() {
		return proof{}, false
	}
	next, err := k.proofOf(ctx, authority, cert)
	return next, err == nil
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
