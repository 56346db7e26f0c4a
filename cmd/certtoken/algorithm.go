package main

import (
	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/internal/jws"
)

// algorithms are the names that --alg takes.
var algorithms = jws.Names()

// algorithm is the algorithm that a name in any case is of. A name that is none stays
// what it is: the library says then what there is.
func algorithm(name string) certtoken.Algorithm {
	if known, err := jws.Parse(name); err == nil {
		return certtoken.Algorithm(known)
	}
	return certtoken.Algorithm(name)
}
