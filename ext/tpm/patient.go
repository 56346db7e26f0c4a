package tpm

import (
	"encoding/binary"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// patient sends a command again that the TPM was not ready for, after a pause. A TPM tests
// each of its algorithms before the first use, and says so in the meantime (TPM 2.0 Part 1,
// §12.3); nothing has changed by such an answer.
type patient struct{ transport.TPMCloser }

// Pauses between attempts, and how long they go on. Tests take less than a second.
const (
	firstPause  = 2 * time.Millisecond
	longestWait = 10 * time.Second
)

// Send sends a command until it was begun.
func (p patient) Send(command []byte) ([]byte, error) {
	waited, pause := time.Duration(0), firstPause
	for {
		answer, err := p.TPMCloser.Send(command)
		if err != nil || !notReady(answer) || waited >= longestWait {
			return answer, err
		}
		time.Sleep(pause)
		waited, pause = waited+pause, min(2*pause, time.Second)
	}
}

// notReady reports whether an answer means that the command is to be sent again.
func notReady(answer []byte) bool {
	if len(answer) < 10 {
		return false
	}
	switch tpm2.TPMRC(binary.BigEndian.Uint32(answer[6:])) {
	case tpm2.TPMRCRetry, tpm2.TPMRCTesting, tpm2.TPMRCYielded:
		return true
	}
	return false
}
