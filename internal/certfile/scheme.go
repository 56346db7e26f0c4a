package certfile

import (
	"crypto/cipher"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// scheme is one password-based encryption, its parameters read and found
// acceptable: all that is missing is the password. PFX and encrypted PKCS #8
// share it.
type scheme struct {
	rounds    int64 // the price of one try
	blockSize int   // 1 for a stream cipher
	unicode   bool  // the password is a BMPString, not UTF-8

	// open decrypts with one form of the password. It returns nil where the
	// padding shows that the password is wrong.
	open func(password, ciphertext []byte) ([]byte, error)
}

// readSaltAndRounds reads the parameters that PBES1 and the PKCS #12
// encryptions share.
func readSaltAndRounds(params cryptobyte.String) (salt []byte, rounds int64, err error) {
	var seq, octets cryptobyte.String
	if !params.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.ReadASN1(&octets, cbasn1.OCTET_STRING) {
		return nil, 0, errParameters
	}
	if rounds, err = readCount(&seq); err != nil {
		return nil, 0, err
	}
	return octets, rounds, checkRounds(rounds)
}

var errParameters = formatError("the parameters of its encryption are broken")

// cbcDecrypt decrypts whole blocks and takes off the padding. It returns nil
// where the padding is wrong. The caller has checked all lengths.
func cbcDecrypt(block cipher.Block, iv, ciphertext []byte) []byte {
	plain := make([]byte, len(ciphertext))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, ciphertext)
	n := int(plain[len(plain)-1])
	if n == 0 || n > block.BlockSize() {
		return nil
	}
	body := plain[:len(plain)-n]
	for _, b := range plain[len(body):] {
		if int(b) != n {
			return nil
		}
	}
	return body
}
