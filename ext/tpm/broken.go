package tpm

import "github.com/google/go-tpm/tpm2/transport"

// breaking is a TPM to which nothing more is sent once a command could not be sent, or wasn't
// answered in time: it may still be busy with that, and each command that puts something away
// would wait as long again. Closing it is all that is left.
type breaking struct {
	transport.TPMCloser
	broken error // why; nil: it works
}

// Send sends a command, unless an earlier one failed.
func (b *breaking) Send(command []byte) ([]byte, error) {
	if b.broken != nil {
		return nil, b.broken
	}
	var answer []byte
	answer, b.broken = b.TPMCloser.Send(command)
	return answer, b.broken
}
