package certfile

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/pbkdf2"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/scrypt"
)

// PBES2 (RFC 8018 §6.2): a cipher, and a derivation that makes its key. PBMAC1
// uses the same derivations.

func newPBES2(params cryptobyte.String) (scheme, error) {
	var seq cryptobyte.String
	if !params.ReadASN1(&seq, cbasn1.SEQUENCE) {
		return scheme{}, errParameters
	}
	seq = unwrapPBES2(seq)
	kdfAlg, ok := readAlgorithm(&seq)
	if !ok {
		return scheme{}, errParameters
	}
	cipherAlg, ok := readAlgorithm(&seq)
	if !ok {
		return scheme{}, errParameters
	}
	kdf, err := newDerivation(kdfAlg)
	if err != nil {
		return scheme{}, err
	}
	c, err := newBlockCipher(cipherAlg, kdf.keyLen)
	if err != nil {
		return scheme{}, err
	}
	if kdf.keyLen != 0 && kdf.keyLen != int64(c.keyLen) {
		return scheme{}, formatError("a key of %d bytes for %s, which takes %d", kdf.keyLen, cipherAlg, c.keyLen)
	}
	open := func(password, ciphertext []byte) ([]byte, error) {
		key, err := kdf.derive(password, c.keyLen)
		if err != nil {
			return nil, err
		}
		block, err := c.newBlock(key)
		if err != nil {
			return nil, err
		}
		return cbcDecrypt(block, c.iv, ciphertext), nil
	}
	return scheme{rounds: kdf.rounds, blockSize: len(c.iv), open: open}, nil
}

// unwrapPBES2 takes the parameters out of a second algorithm identifier around
// them, which Java wrote before JDK-8202837 was mended.
func unwrapPBES2(seq cryptobyte.String) cryptobyte.String {
	var inner cryptobyte.String
	outer := seq
	if oid, ok := readOID(&outer); !ok || oid != oidPBES2 || !outer.ReadASN1(&inner, cbasn1.SEQUENCE) {
		return seq
	}
	return inner
}

// derivation is PBKDF2 or scrypt with its parameters.
type derivation struct {
	rounds  int64 // its price
	keyLen  int64 // as the file says, or 0
	prfSize int64 // the bytes that PBKDF2's rounds give at once; 0 for scrypt
	derive  func(password []byte, keyLen int) ([]byte, error)
}

func newDerivation(alg algorithm) (derivation, error) {
	var seq cryptobyte.String
	params := alg.params
	switch alg.oid {
	case oidPBKDF2, oidScrypt:
		if !params.ReadASN1(&seq, cbasn1.SEQUENCE) {
			return derivation{}, errParameters
		}
	default:
		return derivation{}, otherAlgorithm("key derivation", alg)
	}
	if alg.oid == oidScrypt {
		return newScrypt(seq)
	}
	return newPBKDF2(seq)
}

// newPBKDF2 reads PBKDF2-params (RFC 8018 appendix A.2).
func newPBKDF2(seq cryptobyte.String) (derivation, error) {
	var salt cryptobyte.String
	if seq.PeekASN1Tag(cbasn1.SEQUENCE) {
		return derivation{}, fmt.Errorf("%w: PBKDF2 with a salt from elsewhere", ErrUnsupported)
	}
	if !seq.ReadASN1(&salt, cbasn1.OCTET_STRING) {
		return derivation{}, errParameters
	}
	rounds, err := readCount(&seq)
	if err != nil {
		return derivation{}, err
	}
	if err := checkRounds(rounds); err != nil {
		return derivation{}, err
	}
	keyLen, err := readOptionalCount(&seq)
	if err != nil {
		return derivation{}, err
	}
	prf, err := readPRF(&seq)
	if err != nil {
		return derivation{}, err
	}
	if err := checkFIPSDerivation(prf, salt); err != nil {
		return derivation{}, err
	}
	derive := func(password []byte, keyLen int) ([]byte, error) {
		key, err := pbkdf2.Key(prf.new, string(password), salt, int(rounds), keyLen)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
		}
		return key, nil
	}
	return derivation{rounds, keyLen, int64(prf.new().Size()), derive}, nil
}

// readPRF reads the function of PBKDF2; absent means HMAC-SHA-1.
func readPRF(seq *cryptobyte.String) (hashAlgorithm, error) {
	prf := algorithm{oid: oidHMACSHA1}
	if !seq.Empty() {
		var ok bool
		if prf, ok = readAlgorithm(seq); !ok {
			return hashAlgorithm{}, errParameters
		}
	}
	h, ok := hmacOf(prf.oid)
	if !ok {
		return hashAlgorithm{}, otherAlgorithm("PBKDF2", prf)
	}
	return h, nil
}

func readOptionalCount(seq *cryptobyte.String) (int64, error) {
	if !seq.PeekASN1Tag(cbasn1.INTEGER) {
		return 0, nil
	}
	return readCount(seq)
}

// newScrypt reads scrypt-params (RFC 7914 §7).
func newScrypt(seq cryptobyte.String) (derivation, error) {
	if err := checkFIPS("scrypt"); err != nil {
		return derivation{}, err
	}
	var salt cryptobyte.String
	if !seq.ReadASN1(&salt, cbasn1.OCTET_STRING) {
		return derivation{}, errParameters
	}
	var nrp [3]int64
	for i := range nrp {
		var err error
		if nrp[i], err = readCount(&seq); err != nil {
			return derivation{}, err
		}
	}
	n, r, p := nrp[0], nrp[1], nrp[2]
	if err := checkScrypt(n, r, p); err != nil {
		return derivation{}, err
	}
	keyLen, err := readOptionalCount(&seq)
	if err != nil {
		return derivation{}, err
	}
	derive := func(password []byte, keyLen int) ([]byte, error) {
		return scrypt.Key(password, salt, int(n), int(r), int(p), keyLen)
	}
	return derivation{rounds: scryptRounds * n * r * p, keyLen: keyLen, derive: derive}, nil
}

// checkScrypt refuses parameters that aren't scrypt's, or cost too much. Each
// factor is bounded first, so that no product overflows.
func checkScrypt(n, r, p int64) error {
	if n < 2 || n&(n-1) != 0 || r < 1 || p < 1 {
		return formatError("impossible scrypt parameters N=%d r=%d p=%d", n, r, p)
	}
	if max(n, r, p) > maxScryptCost || 128*n*r > maxScryptMemory || n*r > maxScryptCost/p {
		return fmt.Errorf("%w: scrypt with N=%d r=%d p=%d", ErrTooLarge, n, r, p)
	}
	return nil
}

// blockCipher is a cipher in CBC mode with its IV.
type blockCipher struct {
	keyLen   int
	iv       []byte
	newBlock func(key []byte) (cipher.Block, error)
}

// newBlockCipher reads an encryption scheme of PBES2. RC2 alone takes keys of
// any length, and leaves it to the derivation.
func newBlockCipher(alg algorithm, keyLen int64) (blockCipher, error) {
	if alg.oid == oidRC2CBC {
		return newRC2CBC(alg, keyLen)
	}
	var c blockCipher
	blockSize := aes.BlockSize
	switch alg.oid {
	case oidAES128CBC, oidAES192CBC, oidAES256CBC:
		c.keyLen, c.newBlock = aesKeyLen(alg.oid, keyLen), aes.NewCipher
	case oid3DESCBC:
		c.keyLen, c.newBlock, blockSize = 24, des.NewTripleDESCipher, des.BlockSize
	case oidDESCBC:
		c.keyLen, c.newBlock, blockSize = 8, des.NewCipher, des.BlockSize
	default:
		return blockCipher{}, otherAlgorithm("encryption", alg)
	}
	if blockSize == des.BlockSize {
		if err := checkFIPS(alg.String()); err != nil {
			return blockCipher{}, err
		}
	}
	params := alg.params
	var err error
	c.iv, err = readIV(&params, blockSize)
	return c, err
}

// aesKeyLen is the length of the key by the cipher's name, unless the derivation
// states another one that AES has. Old NSS names AES-128 or AES-192 whatever the
// length of the key is, and 32 bytes make it AES-256 in truth.
func aesKeyLen(oid string, stated int64) int {
	switch stated {
	case 16, 24, 32:
		return int(stated)
	}
	switch oid {
	case oidAES128CBC:
		return 16
	case oidAES192CBC:
		return 24
	}
	return 32
}

// newRC2CBC reads RC2-CBC-Parameter (RFC 8018 appendix B.2.3).
func newRC2CBC(alg algorithm, keyLen int64) (blockCipher, error) {
	if err := checkFIPS(alg.String()); err != nil {
		return blockCipher{}, err
	}
	var seq cryptobyte.String
	params := alg.params
	if !params.ReadASN1(&seq, cbasn1.SEQUENCE) {
		return blockCipher{}, errParameters
	}
	version, err := readOptionalCount(&seq)
	if err != nil {
		return blockCipher{}, err
	}
	effectiveBits := rc2EffectiveBits(version)
	if effectiveBits == 0 {
		return blockCipher{}, formatError("impossible RC2 version %d", version)
	}
	if keyLen == 0 {
		keyLen = int64(effectiveBits / 8)
	}
	if keyLen < 1 || keyLen > 128 {
		return blockCipher{}, formatError("an RC2 key of %d bytes", keyLen)
	}
	iv, err := readIV(&seq, rc2BlockSize)
	newBlock := func(key []byte) (cipher.Block, error) { return newRC2(key, effectiveBits), nil }
	return blockCipher{int(keyLen), iv, newBlock}, err
}

// rc2EffectiveBits is the number of key bits that count, which the version
// stands for; 0 if it stands for none.
func rc2EffectiveBits(version int64) int {
	switch {
	case version == 0: // absent
		return 32
	case version == 160:
		return 40
	case version == 120:
		return 64
	case version == 58:
		return 128
	case version >= 256 && version <= 1024:
		return int(version)
	}
	return 0
}

func readIV(s *cryptobyte.String, blockSize int) ([]byte, error) {
	var iv cryptobyte.String
	if !s.ReadASN1(&iv, cbasn1.OCTET_STRING) {
		return nil, errParameters
	}
	if len(iv) != blockSize {
		return nil, formatError("an initialization vector of %d bytes, not %d", len(iv), blockSize)
	}
	return iv, nil
}
