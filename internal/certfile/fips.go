package certfile

import (
	"crypto/fips140"
	"fmt"
)

// checkFIPS refuses, where only FIPS 140-3 algorithms may run
// (GODEBUG=fips140=only), one that isn't: the standard library would panic.
func checkFIPS(name string) error {
	if !fips140.Enforced() {
		return nil
	}
	return fmt.Errorf("%w: %s is not allowed in FIPS 140 mode (GODEBUG=fips140=only); "+
		"write the file again with AES, PBKDF2, SHA-256 and salts of 16 bytes (OpenSSL 3.2 or later does)",
		ErrUnsupported, name)
}

// minFIPSSalt is what crypto/pbkdf2 asks for in FIPS 140 mode (SP 800-132).
const minFIPSSalt = 16

// checkFIPSDerivation refuses PBKDF2 with parameters that FIPS 140 mode doesn't
// allow. OpenSSL before 3.2 wrote salts of 8 bytes.
func checkFIPSDerivation(h hashAlgorithm, salt []byte) error {
	if !h.fips {
		return checkFIPS("PBKDF2 with HMAC-" + h.name)
	}
	if len(salt) < minFIPSSalt {
		return checkFIPS(fmt.Sprintf("PBKDF2 with a salt of %d bytes (at least %d)", len(salt), minFIPSSalt))
	}
	return nil
}
