package rotate

import (
	"crypto"

	"github.com/certtoken/certtoken/selfsigned"
)

// WithFault has a function decide what happens at each point of a rotation: before and after
// each change of a file and each call of the registrar. An error fails what is done there; a
// panic stops the rotation as the end of the process does.
func (o Options) WithFault(fault func(point string) error) Options {
	o.fault = fault
	return o
}

// WithKeys has a function make the keys, so that tests needn't wait for RSA.
func (o Options) WithKeys(keys func(selfsigned.Options) (crypto.Signer, error)) Options {
	o.newKey = keys
	return o
}

// IdentityOf is what tells a registrar from others.
func IdentityOf(r Registrar) string {
	name, _ := nameOf(r)
	return name.identity
}

// OccupyFile stands for a file that hangs until the channel is closed.
func (s *KeySet) OccupyFile(until <-chan struct{}) { s.files.Occupy(until) }
