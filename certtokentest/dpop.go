package certtokentest

import (
	"net/http"
	"strings"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest/internal/possession"
	"github.com/certtoken/certtoken/internal/dpop"
	"github.com/certtoken/certtoken/internal/jws"
)

// DPoPRules are how a server of [WithDPoP] takes proofs. The zero value takes all that RFC
// 9449 allows, and wants neither proofs nor nonces.
type DPoPRules struct {
	// Required refuses a token request without a proof.
	Required bool

	// Nonces and ResourceNonces refuse a proof without a nonce that the token endpoint, or
	// that [Resource], gave (use_dpop_nonce). Each answer brings the newest one, which is
	// replaced every five minutes; see [Server.ExpireNonces].
	Nonces, ResourceNonces bool

	// Past and Future are how far a proof's iat may be off. 0 is a minute, and 15 s.
	// Keycloak takes 25 s and 15 s.
	Past, Future time.Duration

	// Algorithms of proofs; empty: all that certtoken knows.
	Algorithms []certtoken.Algorithm
}

// checker makes what checks the proofs of one server, or of one resource.
func (r *DPoPRules) checker(nonces bool) *possession.Checker {
	rules := possession.Rules{Past: r.Past, Future: r.Future, Nonces: nonces, Algorithms: jws.Names()}
	if rules.Past == 0 {
		rules.Past = time.Minute
	}
	if rules.Future == 0 {
		rules.Future = 15 * time.Second
	}
	if len(r.Algorithms) > 0 {
		rules.Algorithms = nil
		for _, alg := range r.Algorithms {
			rules.Algorithms = append(rules.Algorithms, string(alg))
		}
	}
	return possession.New(rules)
}

// putNonce tells the newest nonce, if there is one.
func putNonce(proofs *possession.Checker, header http.Header, now time.Time) {
	if proofs == nil {
		return
	}
	if nonce := proofs.Nonce(now); nonce != "" {
		header.Set(dpop.NonceHeader, nonce)
	}
}

// isDPoP reports whether a request names the scheme of DPoP tokens.
func isDPoP(scheme string) bool { return strings.EqualFold(scheme, dpop.Scheme) }
