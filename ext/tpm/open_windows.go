package tpm

import (
	"errors"

	"github.com/google/go-tpm/tpm2/transport"
	"github.com/google/go-tpm/tpm2/transport/windowstpm"
)

// windowsTPM is the name of the one TPM that Windows has.
const windowsTPM = "TPM Base Services"

// absolute names the one TPM if no path is given. openTransport refuses one.
func absolute(path string) string {
	if path == "" {
		return windowsTPM
	}
	return path
}

func resolved(path string) string { return path }

// openTransport opens the TPM through TPM Base Services.
func openTransport(path string) (transport.TPMCloser, error) {
	if path != windowsTPM {
		return nil, errors.New("on Windows there is one TPM and no path for it; leave WithDevice out")
	}
	return windowstpm.Open()
}
