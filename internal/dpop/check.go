package dpop

import (
	"crypto/subtle"
	"errors"
	"net/url"
	"time"
)

// Wanted is what a proof must say to be taken for a request (§4.3).
type Wanted struct {
	Method string
	Target string // see [Target]
	Token  string // that came with the request; "": none

	Now          time.Time
	Past, Future time.Duration // how far iat may be off
}

// Check reports why a proof isn't one for a request, or returns nil. It looks neither at the
// nonce nor at whether the proof was used before.
func (p *Proof) Check(w Wanted) error {
	age := w.Now.Sub(p.IssuedAt)
	switch {
	case p.Method != w.Method: // methods differ in case (RFC 9110 §9.1)
		return errors.New("the proof's htm is not the request's method")
	case !sameTarget(p.Target, w.Target):
		return errors.New("the proof's htu is not the request's URL")
	case age > w.Past:
		return errors.New("the proof's iat is too old")
	case -age > w.Future:
		return errors.New("the proof's iat is in the future")
	case w.Token != "" && p.TokenHash == "":
		return errors.New("the proof has no ath")
	case w.Token != "" && subtle.ConstantTimeCompare([]byte(p.TokenHash), []byte(TokenHash(w.Token))) == 0:
		return errors.New("the proof's ath is not the token's")
	}
	return nil
}

// sameTarget compares the htu of a proof with a request's. Query and fragment don't count, and
// neither does the spelling.
func sameTarget(given, wanted string) bool {
	u, err := url.Parse(given)
	if err != nil || u.User != nil {
		return false
	}
	target, err := Target(u, "")
	return err == nil && normalPath(target) == normalPath(wanted)
}
