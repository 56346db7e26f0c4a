package certfile

import (
	"crypto/cipher"
	"crypto/des"
	"crypto/md5"
	"crypto/rc4"
	"crypto/sha1"
	"hash"
)

// The encryptions before PBES2: those of PKCS #12 (RFC 7292 appendix C), in
// nearly every PFX made before 2021 and in Windows' until today, and PBES1
// (RFC 8018 §6.1) of old PKCS #8 files.

// newPKCS12PBE reads an encryption whose key and IV both come from the PKCS #12
// derivation with SHA-1.
func newPKCS12PBE(alg algorithm) (scheme, error) {
	if err := checkFIPS(alg.String()); err != nil {
		return scheme{}, err
	}
	salt, rounds, err := readSaltAndRounds(alg.params)
	if err != nil {
		return scheme{}, err
	}
	derive := func(password []byte, purpose byte, size int) []byte {
		return pkcs12KDF(sha1.New, password, salt, rounds, purpose, size)
	}
	s := scheme{rounds: rounds, unicode: true}
	if keyLen := pkcs12RC4KeyLen(alg.oid); keyLen != 0 {
		s.blockSize = 1
		s.open = func(password, ciphertext []byte) ([]byte, error) {
			return rc4Decrypt(derive(password, kdfKey, keyLen), ciphertext)
		}
		return s, nil
	}
	keyLen, newBlock := pkcs12BlockCipher(alg.oid)
	s.blockSize = des.BlockSize // RC2's too
	s.open = func(password, ciphertext []byte) ([]byte, error) {
		block, err := newBlock(derive(password, kdfKey, keyLen))
		if err != nil {
			return nil, err
		}
		return cbcDecrypt(block, derive(password, kdfIV, s.blockSize), ciphertext), nil
	}
	return s, nil
}

func pkcs12RC4KeyLen(oid string) int {
	switch oid {
	case oidPKCS12RC4128:
		return 16
	case oidPKCS12RC440:
		return 5
	}
	return 0
}

func pkcs12BlockCipher(oid string) (keyLen int, newBlock func([]byte) (cipher.Block, error)) {
	switch oid {
	case oidPKCS123DES:
		return 24, des.NewTripleDESCipher
	case oidPKCS122KeyDES:
		return 16, newTwoKeyTripleDES
	case oidPKCS12RC2128:
		return 16, newRC2WholeKey
	default: // oidPKCS12RC240
		return 5, newRC2WholeKey
	}
}

func newTwoKeyTripleDES(key []byte) (cipher.Block, error) {
	return des.NewTripleDESCipher(append(key[:16:16], key[:8]...))
}

func newRC2WholeKey(key []byte) (cipher.Block, error) {
	return newRC2(key, 8*len(key)), nil
}

func rc4Decrypt(key, ciphertext []byte) ([]byte, error) {
	c, err := rc4.NewCipher(key)
	if err != nil {
		return nil, err
	}
	plain := make([]byte, len(ciphertext))
	c.XORKeyStream(plain, ciphertext)
	return plain, nil
}

// newPBES1 reads an encryption whose key and IV are the two halves of PBKDF1.
func newPBES1(alg algorithm) (scheme, error) {
	if err := checkFIPS(alg.String()); err != nil {
		return scheme{}, err
	}
	salt, rounds, err := readSaltAndRounds(alg.params)
	if err != nil {
		return scheme{}, err
	}
	newHash := sha1.New
	if alg.oid == oidPBEMD5DES || alg.oid == oidPBEMD5RC2 {
		newHash = md5.New
	}
	newBlock := des.NewCipher
	if alg.oid == oidPBEMD5RC2 || alg.oid == oidPBESHA1RC2 {
		newBlock = newRC2WholeKey
	}
	open := func(password, ciphertext []byte) ([]byte, error) {
		derived := pbkdf1(newHash, password, salt, rounds)
		block, err := newBlock(derived[:8])
		if err != nil {
			return nil, err
		}
		return cbcDecrypt(block, derived[8:16], ciphertext), nil
	}
	return scheme{rounds: rounds, blockSize: des.BlockSize, open: open}, nil
}

// pbkdf1 is RFC 8018 §5.1.
func pbkdf1(newHash func() hash.Hash, password, salt []byte, rounds int64) []byte {
	h := newHash()
	h.Write(password)
	h.Write(salt)
	digest := h.Sum(nil)
	for i := int64(1); i < rounds; i++ {
		h.Reset()
		h.Write(digest)
		digest = h.Sum(digest[:0])
	}
	return digest
}
