package certfile

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// addTraditional adds a key with encryption in its PEM headers (RFC 1421), as
// OpenSSL before 1.0 wrote, "openssl rsa -aes256" did until 3.0, and "openssl ec
// -aes256" still does.
func addTraditional(r *reader, block *pem.Block) error {
	if block.Type == "DSA PRIVATE KEY" {
		// Of no use, so nobody need be asked for its password.
		r.keys = append(r.keys, privateKey{kind: "DSA"})
		return nil
	}
	key := lockedKey{1, func() ([]byte, error) { return openTraditional(&r.unlocker, block) }}
	return r.addLocked(key, checkTraditional(block))
}

// checkTraditional refuses a cipher that isn't known here.
func checkTraditional(block *pem.Block) error {
	if err := checkFIPS("the encryption of a traditional PEM key, which uses MD5,"); err != nil {
		return err
	}
	name, _, _ := strings.Cut(block.Headers["DEK-Info"], ",")
	switch name {
	case "DES-CBC", "DES-EDE3-CBC", "AES-128-CBC", "AES-192-CBC", "AES-256-CBC":
		return nil
	}
	return fmt.Errorf("%w: a PEM key encrypted with %.40q; convert it with \"openssl pkey%s -in FILE -out NEW.pem\"",
		ErrUnsupported, name, legacyFlags(name))
}

// legacyFlags are what OpenSSL 3 needs to be told for a cipher that it has put
// aside. Of DES only the triple one is still in its everyday set.
func legacyFlags(cipherName string) string {
	for _, family := range []string{"BF-", "CAST5-", "RC2-", "RC5-", "IDEA-", "SEED-", "DES-", "DESX-"} {
		if strings.HasPrefix(cipherName, family) && !strings.HasPrefix(cipherName, "DES-EDE") {
			return " -provider legacy -provider default"
		}
	}
	return ""
}

func openTraditional(u *unlocker, block *pem.Block) ([]byte, error) {
	forms := u.passwords.forms(false, false)
	for i, form := range forms {
		if err := u.budget.spend(1); err != nil {
			return nil, err
		}
		// Deprecated because this encryption has no integrity check, so that
		// its errors are an oracle for an attacker who can have us decrypt at will. Here
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
