package certfile

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rc4"
	"crypto/sha1"
	"encoding/asn1"
	"strconv"
	"strings"

	"golang.org/x/crypto/scrypt"

	"crypto/pbkdf2"
)

// A writer of PFX and PKCS #8 files for tests: it writes what no tool at hand
// writes, right or wrong. What a tool also writes is compared with it.

func seq(parts ...[]byte) []byte { return tlv(tagSequence, parts...) }

func tlv(tag byte, parts ...[]byte) []byte {
	return appendDER(nil, []byte{tag}, bytes.Join(parts, nil))
}

func octets(b []byte) []byte { return tlv(tagOctetString, b) }

func explicit0(parts ...[]byte) []byte { return tlv(0xa0, parts...) }

func null() []byte { return []byte{5, 0} }

func number(n int64) []byte {
	der, err := asn1.Marshal(n)
	if err != nil {
		panic(err)
	}
	return der
}

func oid(text string) []byte {
	var id asn1.ObjectIdentifier
	for arc := range strings.SplitSeq(text, ".") {
		n, err := strconv.Atoi(arc)
		if err != nil {
			panic(err)
		}
		id = append(id, n)
	}
	der, err := asn1.Marshal(id)
	if err != nil {
		panic(err)
	}
	return der
}

// encryption is an algorithm with its parameters, and what it does.
type encryption struct {
	alg     []byte
	encrypt func(plain []byte) []byte
}

func (e encryption) shroud(pkcs8 []byte) []byte { return seq(e.alg, octets(e.encrypt(pkcs8))) }

var testSalt = []byte("sixteen salty by")

// pkcs12PBE takes the password as the derivation does: see bmpString.
func pkcs12PBE(algOID string, password []byte, rounds int64) encryption {
	derive := func(purpose byte, size int) []byte {
		return pkcs12KDF(sha1.New, password, testSalt, rounds, purpose, size)
	}
	return encryption{
		alg: seq(oid(algOID), seq(octets(testSalt), number(rounds))),
		encrypt: func(plain []byte) []byte {
			if n := pkcs12RC4KeyLen(algOID); n != 0 {
				c, _ := rc4.NewCipher(derive(kdfKey, n))
				out := make([]byte, len(plain))
				c.XORKeyStream(out, plain)
				return out
			}
			n, newBlock := pkcs12BlockCipher(algOID)
			block, _ := newBlock(derive(kdfKey, n))
			return cbcEncrypt(block, derive(kdfIV, 8), plain)
		},
	}
}

func pbes1(algOID string, password []byte, rounds int64) encryption {
	newHash, newBlock := sha1.New, des.NewCipher
	switch algOID {
	case oidPBEMD5DES:
		newHash = md5.New
	case oidPBEMD5RC2:
		newHash, newBlock = md5.New, newRC2WholeKey
	case oidPBESHA1RC2:
		newBlock = newRC2WholeKey
	}
	salt := testSalt[:8]
	return encryption{
		alg: seq(oid(algOID), seq(octets(salt), number(rounds))),
		encrypt: func(plain []byte) []byte {
			derived := pbkdf1(newHash, password, salt, rounds)
			block, _ := newBlock(derived[:8])
			return cbcEncrypt(block, derived[8:16], plain)
		},
	}
}

// kdfRecipe is the derivation in PBES2 and PBMAC1.
type kdfRecipe struct {
	alg    []byte
	derive func(keyLen int) []byte
}

// pbkdf2Recipe writes the key length if it isn't zero, and no PRF if prf is "".
func pbkdf2Recipe(prf string, password []byte, rounds int64, keyLen int) kdfRecipe {
	params := [][]byte{octets(testSalt), number(rounds)}
	if keyLen != 0 {
		params = append(params, number(int64(keyLen)))
	}
	if prf != "" {
		params = append(params, seq(oid(prf), null()))
	} else {
		prf = oidHMACSHA1
	}
	return kdfRecipe{
		alg: seq(oid(oidPBKDF2), seq(params...)),
		derive: func(keyLen int) []byte {
			h, _ := hmacOf(prf)
			key, err := pbkdf2.Key(h.new, string(password), testSalt, int(rounds), keyLen)
			if err != nil {
				panic(err)
			}
			return key
		},
	}
}

func scryptRecipe(password []byte, n, r, p int64) kdfRecipe {
	return kdfRecipe{
		alg: seq(oid(oidScrypt), seq(octets(testSalt), number(n), number(r), number(p))),
		derive: func(keyLen int) []byte {
			key, err := scrypt.Key(password, testSalt, int(n), int(r), int(p), keyLen)
			if err != nil {
				panic(err)
			}
			return key
		},
	}
}

func pbes2(kdf kdfRecipe, cipherOID string) encryption {
	iv := []byte("0123456789abcdef")
	newBlock, keyLen := aes.NewCipher, 0
	params := octets(iv)
	switch cipherOID {
	case oidAES128CBC:
		keyLen = 16
	case oidAES192CBC:
		keyLen = 24
	case oidAES256CBC:
		keyLen = 32
	case oid3DESCBC:
		keyLen, newBlock, iv = 24, des.NewTripleDESCipher, iv[:8]
		params = octets(iv)
	case oidDESCBC:
		keyLen, newBlock, iv = 8, des.NewCipher, iv[:8]
		params = octets(iv)
	case oidRC2CBC:
		keyLen, newBlock, iv = 16, newRC2WholeKey, iv[:8]
		params = seq(number(58), octets(iv))
	}
	return encryption{
		alg: seq(oid(oidPBES2), seq(kdf.alg, seq(oid(cipherOID), params))),
		encrypt: func(plain []byte) []byte {
			block, err := newBlock(kdf.derive(keyLen))
			if err != nil {
				panic(err)
			}
			return cbcEncrypt(block, iv, plain)
		},
	}
}

const oidHMACSHA256 = "1.2.840.113549.2.9"

// modern is what OpenSSL 3 writes.
func modern(password string, rounds int64) encryption {
	return pbes2(pbkdf2Recipe(oidHMACSHA256, []byte(password), rounds, 0), oidAES256CBC)
}

func cbcEncrypt(block cipher.Block, iv, plain []byte) []byte {
	if rc2, ok := block.(*rc2Cipher); ok {
		block = rc2Writer{rc2}
	}
	n := block.BlockSize() - len(plain)%block.BlockSize()
	padded := append(bytes.Clone(plain), bytes.Repeat([]byte{byte(n)}, n)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(padded, padded)
	return padded
}

// bags

func bag(bagOID string, value []byte) []byte {
	// Attributes with a friendlyName, so that there are some to pass over.
	name := append([]byte{0, 'n'}, 0, 'm')
	attribute := seq(oid("1.2.840.113549.1.9.20"), tlv(0x31, tlv(0x1e, name)))
	return seq(oid(bagOID), explicit0(value), tlv(0x31, attribute))
}

func certBag(cert []byte) []byte {
	return bag(oidCertBag, seq(oid(oidX509Certificate), explicit0(octets(cert))))
}

func keyBag(pkcs8 []byte) []byte { return bag(oidKeyBag, pkcs8) }

func shroudedBag(e encryption, pkcs8 []byte) []byte {
	return bag(oidShroudedKeyBag, e.shroud(pkcs8))
}

func nestedBag(bags ...[]byte) []byte { return bag(oidSafeContentsBag, seq(bags...)) }

// safes

func plainSafe(bags ...[]byte) []byte {
	return seq(oid(oidData), explicit0(octets(seq(bags...))))
}

func encryptedSafeOf(e encryption, bags ...[]byte) []byte {
	return rawEncryptedSafe(e.alg, e.encrypt(seq(bags...)))
}

func rawEncryptedSafe(alg, ciphertext []byte) []byte {
	return seq(oid(oidEncryptedData), explicit0(
		seq(number(0), seq(oid(oidData), alg, tlv(0x80, ciphertext)))))
}

// macRecipe makes MacData for a content.
type macRecipe func(content []byte) []byte

// pkcs12MAC takes the password as the derivation does.
func pkcs12MAC(hashOID string, password []byte, rounds int64) macRecipe {
	return func(content []byte) []byte {
		h, _ := digestOf(hashOID)
		key := pkcs12KDF(h.new, password, testSalt, rounds, kdfMAC, h.new().Size())
		mac := hmac.New(h.new, key)
		mac.Write(content)
		return seq(seq(seq(oid(hashOID), null()), octets(mac.Sum(nil))), octets(testSalt), number(rounds))
	}
}

func pbmac1(kdf kdfRecipe, hmacOID string, keyLen int) macRecipe {
	return func(content []byte) []byte {
		h, _ := hmacOf(hmacOID)
		mac := hmac.New(h.new, kdf.derive(keyLen))
		mac.Write(content)
		alg := seq(oid(oidPBMAC1), seq(kdf.alg, seq(oid(hmacOID), null())))
		return seq(seq(alg, octets(mac.Sum(nil))), octets([]byte("NOT USED")), number(1))
	}
}

const oidSHA256 = "2.16.840.1.101.3.4.2.1"

func modernMAC(password string, rounds int64) macRecipe {
	return pkcs12MAC(oidSHA256, bmpString(password), rounds)
}

// pfxFile joins safes; mac may be nil.
func pfxFile(mac macRecipe, safes ...[]byte) []byte {
	return pfxOf(mac, seq(safes...))
}

func pfxOf(mac macRecipe, content []byte) []byte {
	parts := [][]byte{number(3), seq(oid(oidData), explicit0(octets(content)))}
	if mac != nil {
		parts = append(parts, mac(content))
	}
	return seq(parts...)
}

// toBER writes a DER value as BER: lengths that end with a marker, octet strings
// in two pieces, and long forms of short lengths.
func toBER(der []byte) []byte {
	h, err := readBERHeader(der)
	if err != nil {
		panic(err)
	}
	implicitOctets := h.tag[0] == 0x80
	switch {
	case (h.tag[0] == tagOctetString || implicitOctets) && len(h.body) > 1:
		half := len(h.body) / 2
		out := []byte{h.tag[0] | tagConstructed, 0x80}
		out = append(out, octets(h.body[:half])...)
		out = append(out, octets(h.body[half:])...)
		return append(out, 0, 0)
	case !h.constructed():
		n := len(h.body)
		return append([]byte{h.tag[0], 0x83, byte(n >> 16), byte(n >> 8), byte(n)}, h.body...)
	}
	out := []byte{h.tag[0], 0x80}
	for rest := h.body; len(rest) > 0; {
		child, err := readBERHeader(rest)
		if err != nil { // mutations write BER of values that are no longer whole
			out = append(out, rest...)
			break
		}
		out = append(out, toBER(rest[:len(rest)-len(child.rest)])...)
		rest = child.rest
	}
	return append(out, 0, 0)
}
