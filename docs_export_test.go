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
	Certificate bool // another certificate may help
	Clock       bool // so may another clock
	Temporary   bool
}

// Refusals are all codes that have an advice, in order: those of Entra ID and
// those of every server.
func Refusals() (entra, oauth []Refusal) {
	for _, code := range slices.Sorted(maps.Keys(advice.AADSTS)) {
		a := advice.AADSTS[code]
		entra = append(entra, Refusal{AADSTS: code, Advice: a.Advice, Certificate: a.Certificate, Clock: code == advice.Clock, Temporary: a.Temporary})
	}
	for _, code := range slices.Sorted(maps.Keys(advice.OAuth)) {
		oauth = append(oauth, Refusal{Code: code, Advice: advice.OAuth[code]})
	}
	return entra, oauth
}
