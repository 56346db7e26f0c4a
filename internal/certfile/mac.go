package certfile

import (
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// macData is the integrity protection of a PFX (RFC 7292 §4, RFC 9579).
type macData struct {
	rounds  int64
	unicode bool
	digest  []byte
	hash    hashAlgorithm
	keyLen  int
	derive  func(password []byte, keyLen int) ([]byte, error)
}

// newMAC reads MacData.
func newMAC(s cryptobyte.String) (*macData, error) {
	var digestInfo, digest, salt cryptobyte.String
	if !s.ReadASN1(&digestInfo, cbasn1.SEQUENCE) {
		return nil, errMAC
	}
	alg, ok := readAlgorithm(&digestInfo)
	if !ok || !digestInfo.ReadASN1(&digest, cbasn1.OCTET_STRING) || !s.ReadASN1(&salt, cbasn1.OCTET_STRING) {
		return nil, errMAC
	}
	if alg.oid == oidPBMAC1 {
		return newPBMAC1(alg.params, digest)
	}
	h, ok := digestOf(alg.oid)
	if !ok {
		return nil, otherAlgorithm("integrity check", alg)
	}
	if !h.fips {
		if err := checkFIPS("an integrity check with " + h.name); err != nil {
			return nil, err
		}
	}
	rounds := int64(1)
	if !s.Empty() {
		var err error
		if rounds, err = readCount(&s); err != nil {
			return nil, err
		}
	}
	m := &macData{rounds: rounds, unicode: true, digest: digest, hash: h, keyLen: h.new().Size()}
	m.derive = func(password []byte, keyLen int) ([]byte, error) {
		return pkcs12KDF(h.new, password, salt, rounds, kdfMAC, keyLen), nil
	}
	return m, checkRounds(rounds)
}

// newPBMAC1 reads PBMAC1-params (RFC 8018 appendix A.5). RFC 9579 §5 demands
// the key length, and ignores the salt and the count outside of them.
func newPBMAC1(params cryptobyte.String, digest []byte) (*macData, error) {
	var seq cryptobyte.String
	if !params.ReadASN1(&seq, cbasn1.SEQUENCE) {
		return nil, errMAC
	}
	kdfAlg, ok := readAlgorithm(&seq)
	if !ok {
		return nil, errMAC
	}
	macAlg, ok := readAlgorithm(&seq)
	if !ok {
		return nil, errMAC
	}
	kdf, err := newDerivation(kdfAlg)
	if err != nil {
		return nil, err
	}
	h, ok := hmacOf(macAlg.oid)
	if !ok {
		return nil, otherAlgorithm("PBMAC1", macAlg)
	}
	if !h.fips {
		if err := checkFIPS("PBMAC1 with HMAC-" + h.name); err != nil {
			return nil, err
		}
	}
	switch {
	case kdf.keyLen == 0:
		return nil, formatError("PBMAC1 without the length of its key")
	case kdf.keyLen < minPBMAC1Key:
		return nil, fmt.Errorf("%w: PBMAC1 with a key of %d bytes, which protects nothing", ErrUnsupported, kdf.keyLen)
	case kdf.keyLen > maxPBMAC1Key:
		return nil, fmt.Errorf("%w: a PBMAC1 key of %d bytes", ErrTooLarge, kdf.keyLen)
	}
	m := &macData{rounds: kdf.rounds, digest: digest, hash: h, keyLen: int(kdf.keyLen), derive: kdf.derive}
	if kdf.prfSize > 0 {
		m.rounds *= (kdf.keyLen + kdf.prfSize - 1) / kdf.prfSize // each part of the key costs them anew
	}
	return m, nil
}

var errMAC = formatError("its integrity check is broken")
