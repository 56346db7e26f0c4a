package certfile

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// addTraditional adds a key with encryption in its PEM headers (RFC 1421), as
// OpenSSL before 1.0 wrote and "openssl rsa -aes256" did until 3.0.
func addTraditional(r *reader, block *pem.Block) error {
	if r.publicOnly {
		return nil
	}
	if block.Type == "EC PRIVATE KEY" || block.Type == "DSA PRIVATE KEY" {
		// Of no use, so nobody need be asked for its password.
		algorithm, _, _ := strings.Cut(block.Type, " ")
		r.keys = append(r.keys, privateKey{algorithm: algorithm})
		return nil
	}
	cipherName, _, _ := strings.Cut(block.Headers["DEK-Info"], ",")
	if err := checkFIPS("the encryption of a traditional PEM key, which uses MD5,"); err != nil {
		return r.problem(err)
	}
	switch cipherName {
	case "DES-CBC", "DES-EDE3-CBC", "AES-128-CBC", "AES-192-CBC", "AES-256-CBC":
	default:
		return r.problem(fmt.Errorf("%w: a PEM key encrypted with %.40q", ErrUnsupported, cipherName))
	}
	r.addLocked(lockedKey{1, func() ([]byte, error) { return openTraditional(&r.unlocker, block) }})
	return nil
}

func openTraditional(u *unlocker, block *pem.Block) ([]byte, error) {
	forms := u.passwords.forms(false, false)
	for i, form := range forms {
		if err := u.budget.spend(1); err != nil {
			return nil, err
		}
		// Deprecated because this encryption has no integrity check, so that
		// its errors are an oracle for whoever can have us decrypt at will. Here
		// the key's owner decrypts a file that openssl wrote, and nothing else
		// in the standard library reads it.
		//lint:ignore SA1019 see above
		der, err := x509.DecryptPEMBlock(block, form)
		if err == nil && isKey(der) {
			prefer(forms, i)
			return der, nil
		}
		if err != nil && !errors.Is(err, x509.IncorrectPasswordError) {
			return nil, formatError("its PEM encryption is broken: %v", err)
		}
	}
	return nil, u.passwords.refused()
}
