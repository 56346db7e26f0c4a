package keyform

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
)

// rounds is how often a password is hashed. As many are in the PFX files that we write.
const rounds = 100_000

var (
	oidPBES2      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidHMACSHA256 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
	oidAES256CBC  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
)

// encryptedKey is EncryptedPrivateKeyInfo (RFC 5958 §3).
type encryptedKey struct {
	Algorithm struct {
		ID         asn1.ObjectIdentifier
		Parameters pbes2
	}
	Data []byte
}

// pbes2 is PBES2-params (RFC 8018 appendix A.4).
type pbes2 struct {
	Derivation struct {
		ID         asn1.ObjectIdentifier
		Parameters struct {
			Salt   []byte
			Rounds int
			PRF    pkix.AlgorithmIdentifier
		}
	}
	Cipher struct {
		ID asn1.ObjectIdentifier
		IV []byte
	}
}

// encrypt encrypts a PKCS #8 key under a password: PBKDF2 with HMAC-SHA-256, and AES-256.
// Every openssl since 1.1 reads it.
func encrypt(der []byte, password string) ([]byte, error) {
	random := make([]byte, 16+aes.BlockSize)
	_, _ = rand.Read(random) // never fails (crypto/rand)
	salt, iv := random[:16], random[16:]
	key, err := pbkdf2.Key(sha256.New, password, salt, rounds, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	pad := aes.BlockSize - len(der)%aes.BlockSize
	data := append(bytes.Clone(der), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(data, data)

	var out encryptedKey
	out.Algorithm.ID = oidPBES2
	params := &out.Algorithm.Parameters
	params.Derivation.ID = oidPBKDF2
	params.Derivation.Parameters.Salt = salt
	params.Derivation.Parameters.Rounds = rounds
	params.Derivation.Parameters.PRF = pkix.AlgorithmIdentifier{Algorithm: oidHMACSHA256, Parameters: asn1.NullRawValue}
	params.Cipher.ID = oidAES256CBC
	params.Cipher.IV = iv
	out.Data = data
	return asn1.Marshal(out)
}
