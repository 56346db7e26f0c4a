package proof

import (
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
	"github.com/golang-jwt/jwt/v5"
)

// DefaultMaxLife is how far ahead an assertion's end may be by default. Entra ID
// states no limit; a day is beyond any sensible client.
const DefaultMaxLife = 24 * time.Hour

// Times are the limits on an assertion's times.
type Times struct {
	Leeway       time.Duration // by which every time may be off
	MaxAge       time.Duration // of iat; 0: any. Without iat, exp may be this far ahead
	MaxLife      time.Duration // how far exp may be ahead; 0: DefaultMaxLife
	NeedIssuedAt bool          // iat must be there
}

// check wants numbers: exp always, nbf and iat where they are there.
func (t Times) check(claims jwt.MapClaims, now time.Time) *refusal.Refusal {
	exp, err := claims.GetExpirationTime()
	if err != nil || exp == nil {
		return refusal.New(50027, "JWT token is invalid or malformed: 'exp' must be a number.")
	}
	nbf, errNbf := claims.GetNotBefore()
	iat, errIat := claims.GetIssuedAt()
	if errNbf != nil || errIat != nil {
		return refusal.New(50027, "JWT token is invalid or malformed: 'nbf' and 'iat' must be numbers.")
	}
	if iat == nil && t.NeedIssuedAt {
		return refusal.MissingClaim("iat")
	}
	early := ahead(nbf, now) > t.Leeway || ahead(iat, now) > t.Leeway
	over, far := exp.Sub(now) <= -t.Leeway, exp.Sub(now) > t.maxLife()
	if early || over || far {
		refused := refusal.New(700024, "Client assertion is not within its valid time range. "+
			"Current time: %s, assertion valid from %s, expiry time of assertion %s.",
			stamp(now), stampDate(nbf), stampDate(exp))
		if far {
			refused.Because(refusal.FarEnd).Plainly("The assertion ends too far in the future: at %s, and it may end %v "+
				"from now, at %s.", stampDate(exp), t.maxLife(), stamp(now.Add(t.maxLife())))
		}
		return refused
	}
	return t.checkAge(iat, exp, now)
}

func (t Times) maxLife() time.Duration {
	if t.MaxLife > 0 {
		return t.MaxLife + t.Leeway
	}
	return DefaultMaxLife
}

// checkAge bounds how long ago the assertion was issued, whatever it says of its
// end. Without iat its end bounds that.
func (t Times) checkAge(iat, exp *jwt.NumericDate, now time.Time) *refusal.Refusal {
	limit := t.MaxAge + t.Leeway
	switch {
	case t.MaxAge <= 0, iat != nil && now.Sub(iat.Time) <= limit, iat == nil && exp.Sub(now) <= limit:
		return nil
	}
	return refusal.New(700024, "Client assertion was issued too far in the past. "+
		"Current time: %s, issued at %s, expiry time of assertion %s.", stamp(now), stampDate(iat), stampDate(exp)).
		Plainly("The assertion was issued too far in the past to be used now: at %s, and it is %s.",
			stampDate(iat), stamp(now))
}

// ahead is how far in the future a time is; without a time it is 0.
func ahead(t *jwt.NumericDate, now time.Time) time.Duration {
	if t == nil {
		return 0
	}
	return max(t.Sub(now), 0)
}

func stampDate(t *jwt.NumericDate) string {
	if t == nil {
		return "(not given)"
	}
	return stamp(t.Time)
}
