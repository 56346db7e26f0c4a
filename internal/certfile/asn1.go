package certfile

import (
	"encoding/asn1"
	"math"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Small readers over cryptobyte. They return false, or an error of this
// package, where the structure is broken.

const (
	context0            = cbasn1.Tag(0x80) // [0] IMPLICIT of a primitive type
	context0Constructed = cbasn1.Tag(0xa0) // [0] EXPLICIT, or IMPLICIT of a structure
	context1            = cbasn1.Tag(0x81) // [1] IMPLICIT of a primitive type
)

// algorithm is an AlgorithmIdentifier.
type algorithm struct {
	oid    string
	params cryptobyte.String // the parameters with their tag; empty if absent
}

func (a algorithm) String() string { return algorithmName(a.oid) }

func readAlgorithm(s *cryptobyte.String) (algorithm, bool) {
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) {
		return algorithm{}, false
	}
	oid, ok := readOID(&seq)
	return algorithm{oid, seq}, ok
}

func readOID(s *cryptobyte.String) (string, bool) {
	var oid asn1.ObjectIdentifier
	if !s.ReadASN1ObjectIdentifier(&oid) {
		return "", false
	}
	return oid.String(), true
}

// readCount reads a non-negative INTEGER. What doesn't fit comes out as the
// largest number, which every limit refuses.
func readCount(s *cryptobyte.String) (int64, error) {
	var octets cryptobyte.String
	if !s.ReadASN1(&octets, cbasn1.INTEGER) || len(octets) == 0 {
		return 0, formatError("a count in it is missing")
	}
	if octets[0]&0x80 != 0 {
		return 0, errNoRounds
	}
	var n int64
	for _, b := range octets {
		if n > math.MaxInt64>>8 {
			return math.MaxInt64, nil
		}
		n = n<<8 | int64(b)
	}
	return n, nil
}

// readPositive reads an INTEGER that isn't negative. DER allows no zero octet in
// front that the sign doesn't need; some programs write one, openssl ignores it,
// and the number is the same.
func readPositive(s *cryptobyte.String) (*big.Int, bool) {
	var octets cryptobyte.String
	if !s.ReadASN1(&octets, cbasn1.INTEGER) || len(octets) == 0 || octets[0]&0x80 != 0 {
		return nil, false
	}
	return new(big.Int).SetBytes(octets), true
}

// readOctets reads an OCTET STRING that is tagged implicitly: in one piece, or
// in pieces, which [toDER] can't know to be an octet string.
func readOctets(s *cryptobyte.String, tag cbasn1.Tag) ([]byte, bool) {
	var body cryptobyte.String
	if s.PeekASN1Tag(tag) {
		ok := s.ReadASN1(&body, tag)
		return body, ok
	}
	if !s.ReadASN1(&body, tag.Constructed()) {
		return nil, false
	}
	var out []byte
	for !body.Empty() {
		var piece cryptobyte.String
		if !body.ReadASN1(&piece, cbasn1.OCTET_STRING) {
			return nil, false
		}
		out = append(out, piece...)
	}
	return out, true
}
