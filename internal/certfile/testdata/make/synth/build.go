package main

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"hash"
	"math/big"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// A PKCS #12 writer that follows orders instead of a standard: what its callers
// ask for is what somebody else's program, or somebody hostile, writes.

// DER.

func tlv(tag byte, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	out := []byte{tag}
	switch n := len(body); {
	case n < 0x80:
		out = append(out, byte(n))
	case n < 0x100:
		out = append(out, 0x81, byte(n))
	case n < 0x10000:
		out = append(out, 0x82, byte(n>>8), byte(n))
	default:
		out = append(out, 0x83, byte(n>>16), byte(n>>8), byte(n))
	}
	return append(out, body...)
}

func seq(parts ...[]byte) []byte { return tlv(0x30, parts...) }
func set(parts ...[]byte) []byte { return tlv(0x31, parts...) }
func octets(b []byte) []byte     { return tlv(0x04, b) }
func ctx0(parts ...[]byte) []byte {
	return tlv(0xa0, parts...)
}

var null = []byte{0x05, 0x00}

func integer(n int64) []byte {
	b := big.NewInt(n).Bytes()
	if len(b) == 0 || b[0]&0x80 != 0 {
		b = append([]byte{0}, b...)
	}
	return tlv(0x02, b)
}

func oid(dotted string) []byte {
	var arcs []uint64
	for s := range strings.SplitSeq(dotted, ".") {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			panic(err)
		}
		arcs = append(arcs, n)
	}
	arcs = append([]uint64{arcs[0]*40 + arcs[1]}, arcs[2:]...)
	var body []byte
	for _, arc := range arcs {
		group := []byte{byte(arc & 0x7f)}
		for arc >>= 7; arc > 0; arc >>= 7 {
			group = append(group, byte(arc&0x7f)|0x80)
		}
		slices.Reverse(group)
		body = append(body, group...)
	}
	return tlv(0x06, body)
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// Passwords.

// bmp is the form of the PKCS #12 KDF: UTF-16 with two zeros at the end. The
// null password is nil, the empty one those zeros.
func bmp(s string) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune(s)) {
		out = binary.BigEndian.AppendUint16(out, u)
	}
	return append(out, 0, 0)
}

// Hashes by name.

type hashInfo struct {
	new        func() hash.Hash
	oid, hmac  string
	blockBytes int
}

var hashes = map[string]hashInfo{
	"SHA-1":   {sha1.New, "1.3.14.3.2.26", "1.2.840.113549.2.7", 64},
	"SHA-256": {sha256.New, "2.16.840.1.101.3.4.2.1", "1.2.840.113549.2.9", 64},
	"SHA-384": {sha512.New384, "2.16.840.1.101.3.4.2.2", "1.2.840.113549.2.10", 128},
	"SHA-512": {sha512.New, "2.16.840.1.101.3.4.2.3", "1.2.840.113549.2.11", 128},
}

// pkcs12KDF is RFC 7292, appendix B.2.
func pkcs12KDF(h hashInfo, id byte, password, salt []byte, rounds, size int) []byte {
	v := h.blockBytes
	stretch := func(b []byte) []byte {
		if len(b) == 0 {
			return nil
		}
		n := (len(b) + v - 1) / v * v
		return bytes.Repeat(b, n/len(b)+1)[:n]
	}
	d := bytes.Repeat([]byte{id}, v)
	i := append(stretch(salt), stretch(password)...)
	var out []byte
	for {
		sum := h.new()
		sum.Write(d)
		sum.Write(i)
		a := sum.Sum(nil)
		for range rounds - 1 {
			sum.Reset()
			sum.Write(a)
			a = sum.Sum(a[:0])
		}
		out = append(out, a...)
		if len(out) >= size {
			return out[:size]
		}
		b := new(big.Int).SetBytes(bytes.Repeat(a, v/len(a)+1)[:v])
		b.Add(b, big.NewInt(1))
		mod := new(big.Int).Lsh(big.NewInt(1), uint(v)*8)
		for j := 0; j < len(i); j += v {
			x := new(big.Int).SetBytes(i[j : j+v])
			x.Add(x, b).Mod(x, mod)
			x.FillBytes(i[j : j+v])
		}
	}
}

// Encryption. A scheme turns a plaintext into its algorithm and its ciphertext.

type scheme func(plain []byte) (algorithm, encrypted []byte)

func cbc(block cipher.Block, iv, plain []byte) []byte {
	n := block.BlockSize()
	pad := n - len(plain)%n
	out := append(slices.Clone(plain), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(out, out)
	return out
}

const (
	pbe3DES  = "1.2.840.113549.1.12.1.3"
	pbeRC240 = "1.2.840.113549.1.12.1.6"
)

// pbes1 is one of PKCS #12's own schemes; password as bmp gives it.
func pbes1(id string, password []byte, rounds, saltLen int) scheme {
	return func(plain []byte) ([]byte, []byte) {
		salt := random(saltLen)
		derive := func(purpose byte, n int) []byte {
			return pkcs12KDF(hashes["SHA-1"], purpose, password, salt, rounds, n)
		}
		var block cipher.Block
		if id == pbe3DES {
			block, _ = des.NewTripleDESCipher(derive(1, 24))
		} else {
			block = newRC2(derive(1, 5))
		}
		return seq(oid(id), seq(octets(salt), integer(int64(rounds)))), cbc(block, derive(2, 8), plain)
	}
}

// pbes2Params are the options of pbes2; the zero values are what most write.
type pbes2Params struct {
	password  []byte
	bits      int    // AES key, 256
	prf       string // SHA-256; "default" leaves SHA-1 out
	rounds    int    // 2048
	written   int64  // rounds to write instead
	saltLen   int    // 16
	keyLength bool   // written
	noNull    bool   // PRF without its NULL
	ivLen     int    // 16; others only look so
	cipher    string // another identifier to write
}

func pbes2(p pbes2Params) scheme {
	def := func(n *int, v int) {
		if *n == 0 {
			*n = v
		}
	}
	def(&p.bits, 256)
	def(&p.rounds, 2048)
	def(&p.saltLen, 16)
	def(&p.ivLen, 16)
	if p.prf == "" {
		p.prf = "SHA-256"
	}
	if p.written == 0 {
		p.written = int64(p.rounds)
	}
	if p.cipher == "" {
		p.cipher = map[int]string{128: "2.16.840.1.101.3.4.1.2", 192: "2.16.840.1.101.3.4.1.22",
			256: "2.16.840.1.101.3.4.1.42"}[p.bits]
	}
	return func(plain []byte) ([]byte, []byte) {
		prf, ok := hashes[p.prf]
		if !ok {
			prf = hashes["SHA-1"]
		}
		salt, iv := random(p.saltLen), random(16)
		key, err := pbkdf2.Key(prf.new, string(p.password), salt, p.rounds, p.bits/8)
		if err != nil {
			panic(err)
		}
		block, _ := aes.NewCipher(key)
		kdf := [][]byte{octets(salt), integer(p.written)}
		if p.keyLength {
			kdf = append(kdf, integer(int64(p.bits/8)))
		}
		switch {
		case !ok:
		case p.noNull:
			kdf = append(kdf, seq(oid(prf.hmac)))
		default:
			kdf = append(kdf, seq(oid(prf.hmac), null))
		}
		algorithm := seq(oid("1.2.840.113549.1.5.13"), seq(
			seq(oid("1.2.840.113549.1.5.12"), seq(kdf...)),
			seq(oid(p.cipher), octets(iv[:p.ivLen]))))
		return algorithm, cbc(block, iv, plain)
	}
}

// Bags.

func bag(kind string, value []byte, attrs ...[]byte) []byte {
	parts := [][]byte{oid("1.2.840.113549.1.12.10.1." + kind), ctx0(value)}
	if len(attrs) > 0 {
		parts = append(parts, set(attrs...))
	}
	return seq(parts...)
}

func certBag(der []byte, attrs ...[]byte) []byte {
	return bag("3", seq(oid("1.2.840.113549.1.9.22.1"), ctx0(octets(der))), attrs...)
}

func keyBag(p8 []byte, attrs ...[]byte) []byte { return bag("1", p8, attrs...) }

func shroudedKeyBag(enc scheme, p8 []byte, attrs ...[]byte) []byte {
	algorithm, encrypted := enc(p8)
	return bag("2", seq(algorithm, octets(encrypted)), attrs...)
}

func safeBag(bags ...[]byte) []byte { return bag("6", seq(bags...)) }

func attr(id string, value []byte) []byte { return seq(oid(id), set(value)) }

func friendlyName(s string) []byte {
	b := bmp(s)
	return attr("1.2.840.113549.1.9.20", tlv(0x1e, b[:len(b)-2]))
}

func localKeyID(b ...byte) []byte { return attr("1.2.840.113549.1.9.21", octets(b)) }

func cspName(s string) []byte {
	b := bmp(s)
	return attr("1.3.6.1.4.1.311.17.1", tlv(0x1e, b[:len(b)-2]))
}

// Safes.

func dataSafe(bags ...[]byte) []byte { return dataInfo(seq(bags...)) }

func dataInfo(content []byte) []byte {
	return seq(oid("1.2.840.113549.1.7.1"), ctx0(octets(content)))
}

func encryptedSafe(enc scheme, bags ...[]byte) []byte { return encryptedInfo(enc, seq(bags...)) }

func encryptedInfo(enc scheme, content []byte) []byte {
	algorithm, encrypted := enc(content)
	return seq(oid("1.2.840.113549.1.7.6"), ctx0(seq(integer(0),
		seq(oid("1.2.840.113549.1.7.1"), algorithm, tlv(0x80, encrypted)))))
}

// MACs: a function of what is authenticated.

type mac func(content []byte) []byte

func macOf(hashName string, password []byte, rounds, saltLen int) mac {
	return macWriting(hashName, password, rounds, int64(rounds), saltLen, null)
}

// macWriting computes with rounds and writes others; params stand behind the
// hash's identifier.
func macWriting(hashName string, password []byte, rounds int, written int64, saltLen int, params []byte) mac {
	h := hashes[hashName]
	return func(content []byte) []byte {
		salt := random(saltLen)
		m := hmac.New(h.new, pkcs12KDF(h, 3, password, salt, rounds, h.new().Size()))
		m.Write(content)
		return seq(seq(seq(oid(h.oid), params), octets(m.Sum(nil))), octets(salt), integer(written))
	}
}

// pbmac1 is RFC 9579; keyLength is also what is written, 0 for nothing.
func pbmac1(prfName, macName string, password string, rounds int, written int64, keyLength int) mac {
	prf, h := hashes[prfName], hashes[macName]
	return func(content []byte) []byte {
		salt := random(16)
		n := keyLength
		if n == 0 {
			n = h.new().Size()
		}
		key, err := pbkdf2.Key(prf.new, password, salt, rounds, n)
		if err != nil {
			panic(err)
		}
		m := hmac.New(h.new, key)
		m.Write(content)
		kdf := [][]byte{octets(salt), integer(written)}
		if keyLength > 0 {
			kdf = append(kdf, integer(int64(keyLength)))
		}
		kdf = append(kdf, seq(oid(prf.hmac), null))
		return seq(
			seq(
				seq(oid("1.2.840.113549.1.5.14"), seq(
					seq(oid("1.2.840.113549.1.5.12"), seq(kdf...)),
					seq(oid(h.hmac), null))),
				octets(m.Sum(nil))),
			octets([]byte("NOT USED")), integer(1))
	}
}

// pfx joins safes; m may be nil.
func pfx(m mac, safes ...[]byte) []byte { return pfxOf(m, seq(safes...), identity) }

func identity(b []byte) []byte { return b }

// pfxOf authenticates content, an AuthenticatedSafe in whatever encoding, and
// passes the whole through outer.
func pfxOf(m mac, content []byte, outer func([]byte) []byte) []byte {
	parts := [][]byte{integer(3), dataInfo(content)}
	if m != nil {
		parts = append(parts, m(content))
	}
	return outer(seq(parts...))
}

// BER.

// ber gives every constructed value an indefinite length and cuts octet strings
// above piece bytes, also implicitly tagged ones.
func ber(piece int) func([]byte) []byte {
	var convert func(in []byte) []byte
	convert = func(in []byte) []byte {
		var out []byte
		for len(in) > 0 {
			tag, body, rest := split(in)
			in = rest
			switch {
			case tag&0x20 != 0:
				out = append(out, tag, 0x80)
				out = append(out, convert(body)...)
				out = append(out, 0, 0)
			case (tag == 0x04 || tag == 0x80) && len(body) > piece:
				out = append(out, tag|0x20, 0x80)
				for chunk := range slices.Chunk(body, piece) {
					out = append(out, octets(chunk)...)
				}
				out = append(out, 0, 0)
			default:
				out = append(out, tlv(tag, body)...)
			}
		}
		return out
	}
	return convert
}

// longLengths writes every length in four octets more than it takes.
func longLengths(in []byte) []byte {
	var out []byte
	for len(in) > 0 {
		tag, body, rest := split(in)
		in = rest
		if tag&0x20 != 0 {
			body = longLengths(body)
		}
		out = append(out, tag, 0x84)
		out = binary.BigEndian.AppendUint32(out, uint32(len(body)))
		out = append(out, body...)
	}
	return out
}

// split takes the first DER value off in.
func split(in []byte) (tag byte, body, rest []byte) {
	tag = in[0]
	n, head := int(in[1]), 2
	if n > 0x80 {
		size := n & 0x7f
		n = 0
		for _, b := range in[2 : 2+size] {
			n = n<<8 | int(b)
		}
		head += size
	}
	return tag, in[head : head+n], in[head+n:]
}

// RC2 (RFC 2268) with an effective length of the key's.
type rc2 [64]uint16

func newRC2(key []byte) *rc2 {
	var l [128]byte
	copy(l[:], key)
	t := len(key)
	for i := t; i < 128; i++ {
		l[i] = rc2Pi[l[i-1]+l[i-t]]
	}
	l[128-t] = rc2Pi[l[128-t]]
	for i := 127 - t; i >= 0; i-- {
		l[i] = rc2Pi[l[i+1]^l[i+t]]
	}
	var k rc2
	for i := range k {
		k[i] = binary.LittleEndian.Uint16(l[2*i:])
	}
	return &k
}

func (*rc2) BlockSize() int        { return 8 }
func (*rc2) Decrypt(dst, _ []byte) { panic("only encrypts") }

func (k *rc2) Encrypt(dst, src []byte) {
	var r [4]uint16
	for i := range r {
		r[i] = binary.LittleEndian.Uint16(src[2*i:])
	}
	j := 0
	mix := func() {
		for i, s := range [...]int{1, 2, 3, 5} {
			r[i] += k[j] + (r[(i+3)%4] & r[(i+2)%4]) + (^r[(i+3)%4] & r[(i+1)%4])
			r[i] = bits.RotateLeft16(r[i], s)
			j++
		}
	}
	mash := func() {
		for i := range r {
			r[i] += k[r[(i+3)%4]&63]
		}
	}
	for round := range 16 {
		if round == 5 || round == 11 {
			mash()
		}
		mix()
	}
	for i := range r {
		binary.LittleEndian.PutUint16(dst[2*i:], r[i])
	}
}

var rc2Pi = [256]byte{
	0xd9, 0x78, 0xf9, 0xc4, 0x19, 0xdd, 0xb5, 0xed, 0x28, 0xe9, 0xfd, 0x79, 0x4a, 0xa0, 0xd8, 0x9d,
	0xc6, 0x7e, 0x37, 0x83, 0x2b, 0x76, 0x53, 0x8e, 0x62, 0x4c, 0x64, 0x88, 0x44, 0x8b, 0xfb, 0xa2,
	0x17, 0x9a, 0x59, 0xf5, 0x87, 0xb3, 0x4f, 0x13, 0x61, 0x45, 0x6d, 0x8d, 0x09, 0x81, 0x7d, 0x32,
	0xbd, 0x8f, 0x40, 0xeb, 0x86, 0xb7, 0x7b, 0x0b, 0xf0, 0x95, 0x21, 0x22, 0x5c, 0x6b, 0x4e, 0x82,
	0x54, 0xd6, 0x65, 0x93, 0xce, 0x60, 0xb2, 0x1c, 0x73, 0x56, 0xc0, 0x14, 0xa7, 0x8c, 0xf1, 0xdc,
	0x12, 0x75, 0xca, 0x1f, 0x3b, 0xbe, 0xe4, 0xd1, 0x42, 0x3d, 0xd4, 0x30, 0xa3, 0x3c, 0xb6, 0x26,
	0x6f, 0xbf, 0x0e, 0xda, 0x46, 0x69, 0x07, 0x57, 0x27, 0xf2, 0x1d, 0x9b, 0xbc, 0x94, 0x43, 0x03,
	0xf8, 0x11, 0xc7, 0xf6, 0x90, 0xef, 0x3e, 0xe7, 0x06, 0xc3, 0xd5, 0x2f, 0xc8, 0x66, 0x1e, 0xd7,
	0x08, 0xe8, 0xea, 0xde, 0x80, 0x52, 0xee, 0xf7, 0x84, 0xaa, 0x72, 0xac, 0x35, 0x4d, 0x6a, 0x2a,
	0x96, 0x1a, 0xd2, 0x71, 0x5a, 0x15, 0x49, 0x74, 0x4b, 0x9f, 0xd0, 0x5e, 0x04, 0x18, 0xa4, 0xec,
	0xc2, 0xe0, 0x41, 0x6e, 0x0f, 0x51, 0xcb, 0xcc, 0x24, 0x91, 0xaf, 0x50, 0xa1, 0xf4, 0x70, 0x39,
	0x99, 0x7c, 0x3a, 0x85, 0x23, 0xb8, 0xb4, 0x7a, 0xfc, 0x02, 0x36, 0x5b, 0x25, 0x55, 0x97, 0x31,
	0x2d, 0x5d, 0xfa, 0x98, 0xe3, 0x8a, 0x92, 0xae, 0x05, 0xdf, 0x29, 0x10, 0x67, 0x6c, 0xba, 0xc9,
	0xd3, 0x00, 0xe6, 0xcf, 0xe1, 0x9e, 0xa8, 0x2c, 0x63, 0x16, 0x01, 0x3f, 0x58, 0xe2, 0x89, 0xa9,
	0x0d, 0x38, 0x34, 0x1b, 0xab, 0x33, 0xff, 0xb0, 0xbb, 0x48, 0x0c, 0x5f, 0xb9, 0xb1, 0xcd, 0x2e,
	0xc5, 0xf3, 0xdb, 0x47, 0xe5, 0xa5, 0x9c, 0x77, 0x0a, 0xa6, 0x20, 0x68, 0xfe, 0x7f, 0xc1, 0xad,
}
