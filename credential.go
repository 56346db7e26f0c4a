package certtoken

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/certtoken/certtoken/internal/clock"
	"github.com/certtoken/certtoken/internal/mtls"
	"github.com/certtoken/certtoken/internal/workers"
)

// warnEvery is how often the coming end of a certificate is announced.
const warnEvery = 24 * time.Hour

// credential proves to the token endpoint who the client is: by a certificate,
// or by an assertion from elsewhere.
type credential interface {
	// obtain asks the user's source for what a proof is made of: a certificate, or an
	// assertion from elsewhere.
	obtain(ctx context.Context, authority Authority) (proof, error)

	// prove makes what was obtained a proof for one attempt of a request.
	prove(ctx context.Context, authority Authority, obtained proof) (proof, error)

	// renew is told that the endpoint refused a proof for its certificate or its
	// time, and obtains another one if there is one now.
	renew(ctx context.Context, authority Authority, refused proof, why *TokenError) (proof, bool)

	// granted is told that the endpoint granted a token for a proof.
	granted(ctx context.Context, p proof)

	// followClock is told of a refusal. If the proof's times can be its cause, and the
	// endpoint's clock shows that they were wrong, it follows that clock and reports
	// that another proof will be better.
	followClock(authority Authority, refused proof, why *TokenError) bool

	// name is the thumbprint of the certificate that signed last, or "".
	name() string

	// bound returns the binding of the certificate in use, or nil where tokens are
	// bound to no certificate.
	bound(ctx context.Context) (*mtls.Binding, error)
}

// proof is what one attempt shows.
type proof struct {
	assertion string        // "": the certificate in the TLS handshake is all
	audience  string        // of an assertion from elsewhere
	cert      *Certificate  // that signed it; nil: the assertion is from elsewhere
	made      time.Time     // by this machine's clock
	offset    time.Duration // that was added to it for the assertion's times
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
	warnBefore time.Duration  // how long before its end a certificate is announced
	bindings   *mtls.Bindings // nil: no certificate is presented in TLS

	offset  atomic.Int64           // how far the endpoint's clock is ahead of ours
	noPSS   atomic.Bool            // the signer can't do PSS, and WithPSSFallback was given
	last    atomic.Pointer[signed] // the certificate that signed last
	trouble atomic.Pointer[string] // what the source's Health said last
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

func (k *certCredential) obtain(ctx context.Context, _ Authority) (proof, error) {
	cert, err := k.certificate(ctx)
	return proof{cert: cert}, err
}

func (k *certCredential) prove(ctx context.Context, authority Authority, p proof) (_ proof, err error) {
	cert := p.cert
	if authority.presents() {
		if err := cert.valid(time.Now()); err != nil {
			return proof{}, err
		}
		if p.binding, err = k.bindings.Bind(cert.pair()); err != nil {
			return proof{}, err
		}
	}
	if authority.asserts() {
		p.made = k.clock.Look().Time
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
	leave := workers.Enter(ctx, partCertSource)
	cert, err := k.source.Certificate(ctx)
	leave()
	if err != nil {
		return nil, ofSource("certificate source", err)
	}
	if err := cert.check(); err != nil {
		return nil, err
	}
	k.announce(ctx, cert)
	if source, ok := k.source.(interface{ Health() error }); ok {
		leave = workers.Enter(ctx, partCertSource)
		trouble := source.Health()
		leave()
		k.announceHealth(ctx, trouble, cert)
	}
	return cert, nil
}

// renew tells the source that its certificate was refused, and returns another one
// if the source has one now.
func (k *certCredential) renew(ctx context.Context, _ Authority, refused proof, why *TokenError) (proof, bool) {
	source, ok := k.source.(Reloader)
	if !ok {
		return proof{}, false
	}
	event := refused.event()
	event.Err = why
	emitIn(ctx, k.hooks.CertificateRefused, event)
	leave := workers.Enter(ctx, partCertSource)
	err := source.Reload(ctx, refused.cert)
	leave()
	if err != nil {
		return proof{}, false
	}
	cert, err := k.certificate(ctx)
	if err != nil || cert.sha256() == refused.cert.sha256() || cert.valid(time.Now()) != nil {
		return proof{}, false
	}
	return proof{cert: cert}, true
}

func (k *certCredential) granted(ctx context.Context, p proof) {
	if source, ok := k.source.(interface{ Granted(*Certificate) }); ok {
		leave := workers.Enter(ctx, partCertSource)
		source.Granted(p.cert)
		leave()
	}
}

// announce tells the hooks of a certificate that is new or ends soon.
func (k *certCredential) announce(ctx context.Context, cert *Certificate) {
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
	if !isNew && !warn || !k.last.CompareAndSwap(last, &next) { // or another request announces it
		return
	}
	event := eventOf(cert)
	if isNew {
		emitIn(ctx, k.hooks.CertificateLoaded, event)
	}
	if warn {
		emitIn(ctx, k.hooks.CertificateExpiring, event)
	}
}

// announceHealth tells the hooks, once, why the source goes on with an old
// certificate. A renewal that can't be used would otherwise be noticed only when the
// old certificate ends.
func (k *certCredential) announceHealth(ctx context.Context, trouble error, cert *Certificate) {
	text := ""
	if trouble != nil {
		text = trouble.Error()
	}
	last := k.trouble.Load()
	if last == nil && text == "" || last != nil && *last == text {
		return
	}
	if !k.trouble.CompareAndSwap(last, &text) || text == "" {
		return
	}
	event := eventOf(cert)
	event.Err = foreign(trouble)
	emitIn(ctx, k.hooks.CertificateUnusable, event)
}

// sign makes the assertion that the authority wants, by the endpoint's clock as far
// as that is known, and returns the offset that it used.
func (k *certCredential) sign(
	ctx context.Context, authority Authority, cert *Certificate,
) (jwt string, offset time.Duration, err error) {
	now := time.Now()
	offset = time.Duration(k.offset.Load())
	if offset != 0 && cert.valid(now.Add(offset)) != nil && cert.valid(now) == nil {
		// The offset makes the certificate invalid, so the machine's clock was put
		// right since then. Signing would fail before the endpoint is asked, and
		// then nobody would ever notice that the offset is wrong.
		offset = 0
	}
	leave := workers.Enter(ctx, partSigner)
	jwt, err = k.signAt(ctx, authority, cert, now.Add(offset))
	leave()
	return jwt, offset, err
}

// signAt falls back to an algorithm without PSS where that was allowed.
func (k *certCredential) signAt(
	ctx context.Context, authority Authority, cert *Certificate, now time.Time,
) (string, error) {
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
	emitIn(ctx, k.hooks.AlgorithmFallback, Event{Algorithm: plain, Err: public(err)})
	assertion.Algorithm = plain
	return assertion.signAt(ctx, cert, now)
}

// withoutPSS is what a signer that can't do PSS signs with instead.
var withoutPSS = map[Algorithm]Algorithm{PS256: RS256, PS384: RS384, PS512: RS512}

// followClock follows the endpoint's clock if a proof's times were wrong. In the same
// way it notices later that the machine's clock was put right. Only the times of
// assertions follow; how long a token lives is never measured by another's clock.
func (k *certCredential) followClock(authority Authority, refused proof, why *TokenError) bool {
	if refused.assertion == "" || why.date.IsZero() || !authority.mayBeClock(why) {
		return false
	}
	tolerance, limit := authority.clockLimits()
	offset := clock.SurelyAhead(why.date, refused.made, k.clock.Look().Time)
	if offset.Abs() > limit {
		return false
	}
	if offset.Abs() <= tolerance {
		offset = 0
	}
	known := k.offset.Load()
	moved := (offset - time.Duration(known)).Abs() > tolerance
	if moved && k.offset.CompareAndSwap(known, int64(offset)) {
		emit(k.hooks.ClockCorrected, Event{Offset: offset})
	}
	return (offset - refused.offset).Abs() > tolerance
}
