package certtoken

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/certtoken/certtoken/internal/clock"
	"github.com/certtoken/certtoken/internal/mtls"
)

const (
	clockTolerance = 30 * time.Second // drift that the assertion's backdating covers anyway
	warnEvery      = 24 * time.Hour   // the coming end of a certificate is announced
)

// credential proves to the token endpoint who the client is: by a certificate,
// or by an assertion from elsewhere.
type credential interface {
	// prove makes the proof for one attempt of a request.
	prove(ctx context.Context, authority Authority) (proof, error)

	// renew is told that the endpoint refused a proof for its certificate or its
	// time, and returns another one if there is one now.
	renew(ctx context.Context, authority Authority, refused proof, why *TokenError) (proof, bool)

	// followClock is told the endpoint's time after it refused a proof's times, and
	// reports whether another proof will be better.
	followClock(date time.Time, refused proof) bool

	// name is that of what proved last, or "".
	name() string

	// bound is the binding of the certificate in use, or nil where tokens are bound
	// to none.
	bound(ctx context.Context) (*mtls.Binding, error)
}

// proof is what one attempt shows.
type proof struct {
	assertion string        // "": the certificate in the TLS handshake is all
	audience  string        // of an assertion from elsewhere
	cert      *Certificate  // that signed it; nil: the assertion is from elsewhere
	offset    time.Duration // of the clock that it was signed by
	binding   *mtls.Binding // whose connections present the certificate; nil: none do
}

// event starts the event of an attempt.
func (p proof) event() Event {
	if p.cert == nil {
		return Event{}
	}
	return eventOf(p.cert)
}

// certCredential is a source of certificates, whose key signs each assertion.
type certCredential struct {
	clientID   string
	source     CertSource
	hooks      Hooks
	clock      *clock.Clock
	warnBefore time.Duration  // the certificate's end
	bindings   *mtls.Bindings // nil: it isn't presented

	offset  atomic.Int64           // how far the endpoint's clock is ahead of ours
	noPSS   atomic.Bool            // the signer said so, and WithPSSFallback was given
	last    atomic.Pointer[signed] // certificate
	trouble atomic.Pointer[string] // of the source, as told to the hooks
}

// signed is the certificate that signed last.
type signed struct {
	thumbprint string
	warned     time.Time // when its end was announced
}

func (k *certCredential) name() string {
	if s := k.last.Load(); s != nil {
		return s.thumbprint
	}
	return ""
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
		if p.binding, err = k.bindings.Bind(cert.pair()); err != nil {
			return proof{}, err
		}
	}
	if authority.asserts() {
		p.assertion, p.offset, err = k.sign(ctx, authority, cert)
	}
	return p, err
}

func (k *certCredential) bound(ctx context.Context) (*mtls.Binding, error) {
	if k.bindings == nil {
		return nil, nil
	}
	cert, err := k.certificate(ctx)
	if err != nil {
		return nil, err
	}
	return k.bindings.Bind(cert.pair())
}

// certificate asks the source, checks what it gives, and announces what is new
// about it.
func (k *certCredential) certificate(ctx context.Context) (*Certificate, error) {
	cert, err := k.source.Certificate(ctx)
	if err != nil {
		return nil, ofSource("certificate source", err)
	}
	if _, err := cert.publicKey(); err != nil {
		return nil, err
	}
	k.announce(cert)
	if source, ok := k.source.(interface{ Health() error }); ok {
		k.announceHealth(source.Health(), cert)
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
	emit(k.hooks.CertificateRefused, event)
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

// announce tells the hooks of a certificate that is new or ends soon.
func (k *certCredential) announce(cert *Certificate) {
	now := time.Now()
	next := signed{thumbprint: cert.thumbprintHex()}
	ends := k.warnBefore > 0 && now.After(cert.Leaf.NotAfter.Add(-k.warnBefore))
	last := k.last.Load()
	isNew := last == nil || last.thumbprint != next.thumbprint
	if !isNew {
		next.warned = last.warned
	}
	warn := ends && now.Sub(next.warned) >= warnEvery
	if warn {
		next.warned = now
	}
	if !isNew && !warn || !k.last.CompareAndSwap(last, &next) { // else another flight tells
		return
	}
	event := eventOf(cert)
	if isNew {
		emit(k.hooks.CertificateLoaded, event)
	}
	if warn {
		emit(k.hooks.CertificateExpiring, event)
	}
}

// announceHealth tells the hooks, once, why the source goes on with an old
// certificate: a renewal that nobody can use would be noticed at its end.
func (k *certCredential) announceHealth(trouble error, cert *Certificate) {
	text := ""
	if trouble != nil {
		text = trouble.Error()
	}
	last := k.trouble.Load()
	if last == nil && text == "" || last != nil && *last == text || !k.trouble.CompareAndSwap(last, &text) || text == "" {
		return
	}
	event := eventOf(cert)
	event.Err = foreign(trouble)
	emit(k.hooks.CertificateUnusable, event)
}

// sign makes the assertion that the authority wants, by its clock as far as that
// is known, and returns the offset that it used.
func (k *certCredential) sign(ctx context.Context, authority Authority, cert *Certificate) (jwt string, offset time.Duration, err error) {
	now := time.Now()
	offset = time.Duration(k.offset.Load())
	if offset != 0 && cert.usable(now.Add(offset)) != nil && cert.usable(now) == nil {
		// The machine's clock was put right since: to sign by an offset that no
		// longer holds would be refused here, and nobody would ever be asked.
		offset = 0
	}
	jwt, err = k.signAt(ctx, authority, cert, now.Add(offset))
	return jwt, offset, err
}

// signAt falls back to an algorithm without PSS where that was allowed.
func (k *certCredential) signAt(ctx context.Context, authority Authority, cert *Certificate, now time.Time) (string, error) {
	assertion := authority.assertionFor(k.clientID, cert)
	plain, isPSS := withoutPSS[assertion.withDefaults().Algorithm]
	if isPSS && (authority.noPSS || k.noPSS.Load()) {
		assertion.Algorithm = plain
		isPSS = false
	}
	jwt, err := assertion.signAt(ctx, cert, now)
	if err == nil || !isPSS || !authority.pssFallback || !errors.Is(err, errors.ErrUnsupported) {
		return jwt, err
	}
	k.noPSS.Store(true)
	emit(k.hooks.AlgorithmFallback, Event{Algorithm: plain, Err: public(err)})
	assertion.Algorithm = plain
	return assertion.signAt(ctx, cert, now)
}

// withoutPSS is what a signer that can't do PSS signs with instead.
var withoutPSS = map[Algorithm]Algorithm{PS256: RS256, PS384: RS384, PS512: RS512}

// followClock follows the endpoint's clock if a proof was off. A machine whose
// clock is put right later is found out in the same way.
func (k *certCredential) followClock(date time.Time, refused proof) bool {
	if date.IsZero() {
		return false
	}
	offset := date.Sub(k.clock.Look().Time)
	if offset.Abs() <= clockTolerance {
		offset = 0
	}
	if known := k.offset.Load(); (offset-time.Duration(known)).Abs() > clockTolerance && k.offset.CompareAndSwap(known, int64(offset)) {
		emit(k.hooks.ClockCorrected, Event{Offset: offset})
	}
	return (offset - refused.offset).Abs() > clockTolerance
}
