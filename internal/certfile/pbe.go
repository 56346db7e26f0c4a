package certfile

// newScheme reads an encryption algorithm. Everything that can be refused
// without a password is refused here.
func newScheme(alg algorithm) (scheme, error) {
	switch alg.oid {
	case oidPBES2:
		return newPBES2(alg.params)
	case oidPKCS12RC4128, oidPKCS12RC440, oidPKCS123DES, oidPKCS122KeyDES, oidPKCS12RC2128, oidPKCS12RC240:
		return newPKCS12PBE(alg)
	case oidPBEMD5DES, oidPBEMD5RC2, oidPBESHA1DES, oidPBESHA1RC2:
		return newPBES1(alg)
	}
	return scheme{}, otherAlgorithm("encryption", alg)
}
