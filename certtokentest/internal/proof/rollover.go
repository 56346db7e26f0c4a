package proof

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Rollover is what Microsoft Graph demands of the proof with which somebody adds a key to
// an object or removes one: a JWT that one of the object's own certificates has signed.
type Rollover struct {
	ObjectID   string // that the proof's iss names
	Audience   string
	Algorithms []string
	MaxLife    time.Duration // from nbf to exp
	Leeway     time.Duration
}

// VerifyRollover checks a proof, and returns why it isn't one. The signature must be that
// of one of the owner's certificates, which must be valid: the one that the header names,
// or any of them if it names none.
func (c *Client) VerifyRollover(raw string, owner Owner, r *Rollover, now time.Time) error {
	a := Read(raw)
	if refused := a.checkForm(); refused != nil {
		return fmt.Errorf("the proof is no JWT: %w", a.err)
	}
	if !slices.Contains(r.Algorithms, a.algorithm()) {
		return fmt.Errorf("the proof's algorithm is %q, and must be one of %q", a.algorithm(), r.Algorithms)
	}
	if err := r.checkClaims(a, now); err != nil {
		return err
	}
	keys := keysOf(validAt(c.Credentials(owner), now))
	if _, refused := a.verify(c.candidates(a, KeyIDFree, keys)); refused != nil {
		return fmt.Errorf("no valid certificate of the object has signed the proof: its header names %s, registered are %q",
			a.keyName(), namesOf(keys))
	}
	return nil
}

func (r *Rollover) checkClaims(a *Assertion, now time.Time) error {
	if iss := a.Issuer(); iss != r.ObjectID {
		return fmt.Errorf("the proof's iss is %q, and must be the object's id, %q", iss, r.ObjectID)
	}
	if aud := a.text("aud"); aud != r.Audience {
		return fmt.Errorf("the proof's aud is %q, and must be %q", aud, r.Audience)
	}
	return r.checkTimes(a.Claims, now)
}

func (r *Rollover) checkTimes(claims jwt.MapClaims, now time.Time) error {
	nbf, err := claims.GetNotBefore()
	exp, expErr := claims.GetExpirationTime()
	switch {
	case err != nil, expErr != nil, nbf == nil, exp == nil:
		return errors.New("the proof needs nbf and exp, in seconds since 1970")
	case exp.Sub(nbf.Time) > r.MaxLife:
		return fmt.Errorf("the proof is valid for %v, and may be for %v at most", exp.Sub(nbf.Time), r.MaxLife)
	case now.Add(r.Leeway).Before(nbf.Time):
		return fmt.Errorf("the proof is valid from %s, and it is %s", stamp(nbf.Time), stamp(now))
	case !now.Add(-r.Leeway).Before(exp.Time):
		return fmt.Errorf("the proof was valid until %s, and it is %s", stamp(exp.Time), stamp(now))
	}
	return nil
}

// validAt are the certificates that a time is within the validity of.
func validAt(list []Credential, now time.Time) []*x509.Certificate {
	var certs []*x509.Certificate
	for _, credential := range list {
		if checkValidity(credential.Cert, now) == nil {
			certs = append(certs, credential.Cert)
		}
	}
	return certs
}
