package certtoken

import (
	"context"
	"errors"
	"time"
)

// clockTolerance is the drift that the assertion's backdating covers anyway.
const clockTolerance = 30 * time.Second

// warnEvery is how often the coming end of a certificate is announced.
const warnEvery = 24 * time.Hour

// inUse is the certificate that signed last.
type inUse struct {
	thumbprint string
	warned     time.Time // when its end was announced
}

// thumbprint is that of the certificate that signed last, or "".
func (c *Client) thumbprint() string {
	if u := c.signing.Load(); u != nil {
		return u.thumbprint
	}
	return ""
}

// announce tells the hooks of a certificate that is new or ends soon.
func (c *Client) announce(cert *Certificate) {
	now := time.Now()
	next := inUse{thumbprint: cert.thumbprintHex()}
	ends := c.cfg.expiryWarning > 0 && now.After(cert.Leaf.NotAfter.Add(-c.cfg.expiryWarning))
	last := c.signing.Load()
	isNew := last == nil || last.thumbprint != next.thumbprint
	if !isNew {
		next.warned = last.warned
	}
	warn := ends && now.Sub(next.warned) >= warnEvery
	if warn {
		next.warned = now
	}
	if !isNew && !warn || !c.signing.CompareAndSwap(last, &next) { // else another flight tells
		return
	}
	event := cert.event()
	if isNew {
		emit(c.hooks.CertificateLoaded, event)
	}
	if warn {
		emit(c.hooks.CertificateExpiring, event)
	}
}

// announceHealth tells the hooks, once, why the source goes on with an old
// certificate: a renewal that nobody can use would be noticed at its end.
func (c *Client) announceHealth(trouble error, cert *Certificate) {
	text := ""
	if trouble != nil {
		text = trouble.Error()
	}
	last := c.trouble.Load()
	if last == nil && text == "" || last != nil && *last == text || !c.trouble.CompareAndSwap(last, &text) || text == "" {
		return
	}
	event := cert.event()
	event.Err = trouble
	emit(c.hooks.CertificateUnusable, event)
}

// event starts an event about a certificate.
func (c *Certificate) event() Event {
	return Event{
		Subject: c.Leaf.Subject.String(), NotAfter: c.Leaf.NotAfter,
		Thumbprint: c.thumbprintHex(), ThumbprintSHA1: c.sha1Hex(),
	}
}

// sign makes the assertion that the authority wants, by its clock as far as that
// is known, and returns the offset that it used.
func (c *Client) sign(ctx context.Context, authority Authority, cert *Certificate) (jwt string, offset time.Duration, err error) {
	now := time.Now()
	offset = time.Duration(c.offset.Load())
	if offset != 0 && cert.usable(now.Add(offset)) != nil && cert.usable(now) == nil {
		// The machine's clock was put right since: to sign by an offset that no
		// longer holds would be refused here, and nobody would ever be asked.
		offset = 0
	}
	jwt, err = c.signAt(ctx, authority, cert, now.Add(offset))
	return jwt, offset, err
}

// signAt falls back to an algorithm without PSS where that was allowed.
func (c *Client) signAt(ctx context.Context, authority Authority, cert *Certificate, now time.Time) (string, error) {
	assertion := authority.assertionFor(c.id, cert)
	plain, isPSS := withoutPSS[assertion.withDefaults().Algorithm]
	if isPSS && (authority.noPSS || c.noPSS.Load()) {
		assertion.Algorithm = plain
		isPSS = false
	}
	jwt, err := assertion.signAt(ctx, cert, now)
	if err == nil || !isPSS || !authority.pssFallback || !errors.Is(err, errors.ErrUnsupported) {
		return jwt, err
	}
	c.noPSS.Store(true)
	emit(c.hooks.AlgorithmFallback, Event{Algorithm: plain, Err: err})
	assertion.Algorithm = plain
	return assertion.signAt(ctx, cert, now)
}

// withoutPSS is what a signer that can't do PSS signs with instead.
var withoutPSS = map[Algorithm]Algorithm{PS256: RS256, PS384: RS384, PS512: RS512}

// correctClock follows the endpoint's clock if an assertion that was signed with
// the given offset was off, and reports whether another one will be better. A
// machine whose clock is put right later is found out in the same way.
func (c *Client) correctClock(date time.Time, signedWith time.Duration) bool {
	if date.IsZero() {
		return false
	}
	offset := date.Sub(c.clock.look().time)
	if offset.Abs() <= clockTolerance {
		offset = 0
	}
	if known := c.offset.Load(); (offset-time.Duration(known)).Abs() > clockTolerance && c.offset.CompareAndSwap(known, int64(offset)) {
		emit(c.hooks.ClockCorrected, Event{Offset: offset})
	}
	return (offset - signedWith).Abs() > clockTolerance
}
