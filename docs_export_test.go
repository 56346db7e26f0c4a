package certtoken

import (
	"maps"
	"slices"

	"github.com/certtoken/certtoken/internal/advice"
)

// Refusal is what the library knows of a code that a token endpoint refuses with.
type Refusal struct {
	AADSTS      int    // 0: none
	Code        string // "": none
	Advice      string
	User        string // where the grant is a user's
	Signed      string // where the client signed the grant
	Exchange    string // where the grant exchanges a token
	TLS         string // where the certificate in TLS is the proof
	Others      string // where the assertion is from elsewhere
	Certificate bool   // another certificate may help
	Clock       bool   // so may another clock
	Temporary   bool
	Mismatch    bool // another assertion may help
}

// Refusals are all codes that have an advice, in order: those of Entra ID and
// those of every server.
func Refusals() (entra, oauth []Refusal) {
	for _, code := range slices.Sorted(maps.Keys(advice.AADSTS)) {
		r := refusal(advice.AADSTS[code])
		r.AADSTS, r.Clock = code, code == advice.Clock
		entra = append(entra, r)
	}
	for _, code := range slices.Sorted(maps.Keys(advice.OAuth)) {
		r := refusal(advice.OAuth[code])
		r.Code = code
		oauth = append(oauth, r)
	}
	return entra, oauth
}

func refusal(a advice.Entry) Refusal {
	return Refusal{
		Advice:      a.Advice,
		User:        a.User,
		Signed:      a.Signed,
		Exchange:    a.Exchange,
		TLS:         a.TLS,
		Others:      a.Others,
		Certificate: a.Certificate,
		Temporary:   a.Temporary,
		Mismatch:    a.Mismatch,
	}
}
