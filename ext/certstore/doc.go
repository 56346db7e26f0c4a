// Package certstore takes the certificate that proves a program's identity from
// the Windows certificate store, and signs with its private key in place, through
// CNG, or through the older CSP that has it. The key is never exported, so it may be
// marked as not exportable, or be in the TPM.
//
//	source, err := certstore.New(certstore.WithSubject("my-app"), certstore.WithLocalMachine())
//	…
//	client, err := certtoken.NewClient(certtoken.Entra(tenant), clientID, source)
//
// On other systems than Windows the package compiles, and [New] returns an error
// that wraps [errors.ErrUnsupported].
package certstore
