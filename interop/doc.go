// Package interop tries the whole client on authorization servers that people outside
// of this project wrote. What they accept and what they answer is in README.md,
// which its test writes:
//
//	go test . -update
package interop
