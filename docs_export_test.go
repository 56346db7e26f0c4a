package certtoken

import (
	"maps"
	"slices"
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
	for _, code := range slices.Sorted(maps.Keys(aadsts)) {
		a := aadsts[code]
		entra = append(entra, Refusal{AADSTS: code, Advice: a.advice, Certificate: a.certificate, Clock: code == aadstsClock, Temporary: a.temporary})
	}
	for _, code := range slices.Sorted(maps.Keys(codeAdvice)) {
		oauth = append(oauth, Refusal{Code: code, Advice: codeAdvice[code]})
	}
	return entra, oauth
}
