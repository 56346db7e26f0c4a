package certtoken

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/certtoken/certtoken/internal/clock"
	"github.com/certtoken/certtoken/internal/mtls"
	"github.com/certtoken/certtoken/internal/workers"
)

// warnEvery is how often the coming end of a certificate is announced.
const warnEvery = 24 * time.Hour

// assertionType is the client_assertion_type of a JWT (RFC 7523 §2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// assertionTypePoP is that of an assertion which is bound to the certificate in TLS.
const assertionTypePoP = "urn:ietf:params:oauth:client-assertion-type:jwt-pop"

// credential proves to the token endpoint who the client is: by a certificate,
// or by an assertion from elsewhere.
type credential interface {
	// obtain asks the user's source for the certificate, or for the assertion from
	// elsewhere, from which prove makes a proof.
	obtain(ctx context.Context, authority Authority) (proof, error)

	// prove makes a proof for one attempt of a request from what was obtained.
	prove(ctx context.Context, authority Authority, obtained proof) (proof, error)

	// signGrant signs the assertion of a grant with the key of an obtained proof, and adds
	// it to the proof.
	signGrant(ctx context.Context, authority Authority, p proof, grant Assertion) (proof, error)

	// replace is called when the endpoint refused a proof because of its certificate or
	// its assertion. It obtains another one, or returns false if there is none.
	replace(ctx context.Context, authority Authority, refused proof, why *TokenError) (proof, bool)

	// granted is called when the endpoint granted a token for a proof.
	granted(ctx context.Context, p proof)

	// followClock is called after a refusal. If the proof's times can be the cause, and
	// the endpoint's clock shows that they were wrong, later proofs follow that clock. It
	// reports whether another proof has a better chance.
	followClock(authority Authority, refused proof, why *TokenError) bool

	// name is the thumbprint of the certificate or the key that signed last, or "".
	name() string

	// binding returns the binding of the certificate in use, or nil where tokens are
	// bound to no certificate.
	binding(ctx context.Context) (*mtls.Binding, error)
}

// proof is what one attempt of a request shows to the endpoint.
type proof struct {
	assertion string        // "": the certificate in the TLS handshake is the whole proof, or there is none
	kind      string        // the assertion's type; "": a JWT
	grant     string        // the signed assertion of the grant; "": none
	agent     string        // the agent's own token, for its user; "": none
	audience  string        // of an assertion from elsewhere
	cert      *Certificate  // the one that signed; nil: the assertion is from elsewhere
	made      time.Time     // by this machine's clock; zero: nothing was signed
	offset    time.Duration // added to made for the assertion's times
	binding   *mtls.Binding // whose connections present the certificate; nil: it isn't presented
}

// event starts the event of an attempt.
func (p proof) event() Event {
	if p.cert == nil {
		return Event{}
	}
	return eventOf(p.cert)
}

// certCredential is a source of certificates, or of keys, that sign each assertion.
type certCredential struct {
	clientID   string
	source     CertSource
	hooks      Hooks
	clock      *clock.Clock
	warnBefore time.Duration  // how long before its end a certificate is announced
	bindings   *mtls.Bindings // nil: no certificate is presented in TLS

	offset  atomic.Int64           // how far the endpoint's clock is ahead of this machine's, in ns
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
	if err := authority.takes(cert); err != nil {
		return proof{}, err
	}
	if authority.presents() {
		if err := cert.valid(time.Now()); err != nil {
			return proof{}, err
		}
		if p.binding, err = k.bindings.Bind(cert.pair()); err != nil {
			return proof{}, err
		}
	}
	if authority.asserts() {
		assertion, err := authority.assertionFor(k.clientID, cert)
		if err != nil {
			return proof{}, err
		}
		p.made = k.clock.Look().Time
		p.assertion, p.offset, err = k.sign(ctx, authority, assertion, cert)
		return p, authority.withoutPS256(assertion.Algorithm, err)
	}
	return p, nil
}

func (k *certCredential) signGrant(
	ctx context.Context, authority Authority, p proof, grant Assertion,
) (_ proof, err error) {
	if grant, err = authority.grantAssertion(grant, k.clientID, p.cert); err != nil {
		return p, err
	}
	p.made = k.clock.Look().Time
	p.grant, p.offset, err = k.sign(ctx, authority, grant, p.cert)
	return p, err
}

func (k *certCredential) binding(ctx context.Context) (*mtls.Binding, error) {
	if k.bindings == nil {
		return nil, nil
	}
	cert, err := k.certificate(ctx)
	if err == nil && cert.Leaf == nil {
		err = errKeyInTLS
	}
	if err != nil {
		return nil, err
	}
	return k.bindings.Bind(cert.pair())
}

// certificate asks the source, checks what it returns, and tells the hooks of a
// certificate that is new, ends soon or can't be replaced.
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

// replace tells the source that its certificate was refused, and returns another one
// if the source has one now.
func (k *certCredential) replace(
	ctx context.Context, authority Authority, refused proof, why *TokenError,
) (proof, bool) {
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
	if err != nil || cert.isSameAs(refused.cert) || cert.valid(time.Now()) != nil || authority.takes(cert) != nil {
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
	next := signed{thumbprint: cert.thumbprint()}
	end := cert.ends()
	ends := k.warnBefore > 0 && !end.IsZero() && now.After(end.Add(-k.warnBefore))
	last := k.last.Load()
	isNew := last == nil || last.thumbprint != next.thumbprint
	if !isNew {
		next.warned = last.warned
	}
	warn := ends && now.Sub(next.warned) >= warnEvery
	if warn {
		next.warned = now
	}
	if !isNew && !warn || !k.last.CompareAndSwap(last, &next) { // another request has announced it
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

// sign signs an assertion. Its times are by the endpoint's clock if that is known. It
// returns the offset that it used.
func (k *certCredential) sign(
	ctx context.Context, authority Authority, assertion Assertion, cert *Certificate,
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
	jwt, err = k.signAt(ctx, authority, assertion, cert, now.Add(offset))
	leave()
	return jwt, offset, err
}

// signAt signs, and falls back to an algorithm without PSS where that is allowed.
func (k *certCredential) signAt(
	ctx context.Context, authority Authority, assertion Assertion, cert *Certificate, now time.Time,
) (string, error) {
	plain, isPSS := withoutPSS[assertion.Algorithm]
	if isPSS && (authority.noPSS || k.noPSS.Load()) {
		assertion.Algorithm = plain
		isPSS = false
	}
	jwt, err := assertion.signAt(ctx, cert, now)
	if err == nil || !isPSS || !authority.pssFallback || !lacksPSS(err) {
		return jwt, err
	}
	k.noPSS.Store(true)
	emitIn(ctx, k.hooks.AlgorithmFallback, Event{Algorithm: plain, Err: public(err)})
	assertion.Algorithm = plain
	return assertion.signAt(ctx, cert, now)
}

// lacksPSS reports whether a signer's error says that it lacks the algorithm. [ErrUnsupported]
// is about a file that can't be read, as by a signer that opens its own: another algorithm
// wouldn't help.
func lacksPSS(err error) bool {
	return errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, ErrUnsupported)
}

// withoutPS256 adds to a signer's error that it can't do PS256 what to do, where the server
// probably takes RS256 too. It doesn't where PS256 was asked for by name, or is the only one
// that the server lists.
func (a Authority) withoutPS256(alg Algorithm, err error) error {
	byDefault := a.host != "" || a.assertion.Algorithm == "" && a.algorithms.take(RS256)
	if alg != PS256 || !byDefault || a.pssFallback || a.noPSS || !lacksPSS(err) {
		return err
	}
	return fmt.Errorf("%w; try RS256, by WithPSSFallback", err)
}

// withoutPSS has the algorithm for a signer that can't do PSS.
var withoutPSS = map[Algorithm]Algorithm{PS256: RS256, PS384: RS384, PS512: RS512}

// followClock follows the endpoint's clock if a proof's times were wrong. It goes back
// to this machine's clock in the same way, after that was set. Only the times of
// assertions are corrected. How long a token lives is measured by this machine alone.
func (k *certCredential) followClock(authority Authority, refused proof, why *TokenError) bool {
	if refused.made.IsZero() || why.date.IsZero() || !authority.mayBeClock(why) {
		return false
	}
	tolerance, limit := authority.clockLimits()
	offset := clock.LeastOffset(why.date, refused.made, k.clock.Look().Time)
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
