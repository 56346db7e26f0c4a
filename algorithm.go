package certtoken

import (
	"crypto"
	"crypto/rsa"
	"fmt"
	"slices"
	"strings"

	"github.com/certtoken/certtoken/internal/jws"
	"github.com/certtoken/certtoken/internal/redact"
)

// algorithms are those that a server takes. Which one signs follows from the key, which is
// known when it signs.
type algorithms struct {
	forRSA Algorithm // the usual one for RSA keys; "": PS256
	fapi   bool      // see WithFAPI
	listed []string  // in the server's metadata, as far as they are known here; nil: no list
	list   string    // the whole list, for errors
}

// ofFAPI are the algorithms that FAPI 2.0 allows (Security Profile §5.4.1).
var ofFAPI = []string{jws.PS256, jws.ES256, jws.EdDSA, jws.Ed25519}

// setList remembers what a server's metadata list.
func (s *algorithms) setList(names []string) {
	if len(names) == 0 {
		return
	}
	s.list = redact.Text(strings.Join(names, ", "), 4*redact.MaxShort)
	s.listed = []string{}
	for _, name := range names {
		if jws.Known(name) && !slices.Contains(s.listed, name) {
			s.listed = append(s.listed, name)
		}
	}
}

// of is the algorithm that a key signs by: the usual one if the server lists it or lists
// none, and otherwise the first listed that the key can do.
func (s algorithms) of(pub crypto.PublicKey) (Algorithm, error) {
	able := s.able(pub)
	if len(able) == 0 {
		if err := jws.CheckKey(pub); err != nil {
			return "", err
		}
		return "", fmt.Errorf("FAPI 2.0 allows %s, and this key is %s: use one that fits, or WithAlgorithm without WithFAPI",
			strings.Join(ofFAPI, ", "), jws.Describe(pub))
	}
	if s.listed == nil || slices.Contains(s.listed, able[0]) {
		return Algorithm(able[0]), nil
	}
	for _, name := range s.listed {
		if slices.Contains(able, name) {
			return Algorithm(name), nil
		}
	}
	return "", fmt.Errorf("the server takes %s, and this key is %s, which signs by %s: "+
		"use a key that fits, or WithAlgorithm if the server's list is wrong",
		s.list, jws.Describe(pub), strings.Join(able, ", "))
}

// take reports whether the server may take an algorithm, as far as is known.
func (s algorithms) take(alg Algorithm) bool {
	return !s.fapi && (s.listed == nil || slices.Contains(s.listed, string(alg)))
}

// able are the algorithms that a key can do and may be used for, the usual one first.
func (s algorithms) able(pub crypto.PublicKey) []string {
	able := jws.Of(pub)
	if _, ok := pub.(*rsa.PublicKey); ok {
		usual := string(s.forRSA)
		if usual == "" || s.fapi {
			usual = jws.PS256
		}
		able = append([]string{usual}, slices.DeleteFunc(able, func(alg string) bool { return alg == usual })...)
	}
	if s.fapi {
		able = slices.DeleteFunc(able, func(alg string) bool { return !slices.Contains(ofFAPI, alg) })
	}
	return able
}
