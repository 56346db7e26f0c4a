package certfile

import (
	"bytes"
	"errors"
	"slices"
)

// BER, as NSS, BouncyCastle and smart card tools write PKCS #12: lengths that
// end with a marker, octet strings in pieces, lengths with leading zeros. The
// rest of this package reads DER only, so BER becomes DER first.

var (
	errTruncated = errors.New("it ends in the middle of a value: it was damaged, or only a part of it was copied")
	errBER       = errors.New("its ASN.1 structure is broken")
)

const (
	tagConstructed = 0x20
	tagOctetString = 0x04
	tagSequence    = 0x30
)

// berHeader is the start of one value: what it is and where it ends.
type berHeader struct {
	tag        []byte // identifier octets
	body       []byte // content; for an indefinite length, all that follows
	rest       []byte // what follows the value; for an indefinite length, nil
	indefinite bool
}

func (h berHeader) constructed() bool { return h.tag[0]&tagConstructed != 0 }

func readBERHeader(in []byte) (berHeader, error) {
	tagLen, err := berTagLen(in)
	if err != nil {
		return berHeader{}, err
	}
	h := berHeader{tag: in[:tagLen]}
	in = in[tagLen:]
	if len(in) == 0 {
		return berHeader{}, errTruncated
	}
	first := in[0]
	in = in[1:]
	if first == 0x80 {
		if !h.constructed() {
			return berHeader{}, errBER
		}
		h.body, h.indefinite = in, true
		return h, nil
	}
	length := int(first)
	if first > 0x80 {
		n := int(first & 0x7f)
		if n > len(in) {
			return berHeader{}, errTruncated
		}
		if length, err = berLongLength(in[:n]); err != nil {
			return berHeader{}, err
		}
		in = in[n:]
	}
	if length > len(in) {
		return berHeader{}, errTruncated
	}
	h.body, h.rest = in[:length], in[length:]
	return h, nil
}

// berTagLen is the number of identifier octets; tags above 30 have several.
func berTagLen(in []byte) (int, error) {
	if len(in) == 0 {
		return 0, errTruncated
	}
	if in[0]&0x1f != 0x1f {
		return 1, nil
	}
	for n := 1; n < len(in) && n < 6; n++ {
		if in[n]&0x80 == 0 {
			return n + 1, nil
		}
	}
	return 0, errBER
}

func berLongLength(octets []byte) (int, error) {
	length := 0
	for _, b := range octets {
		length = length<<8 | int(b)
		if length > maxFileSize {
			return 0, errTruncated
		}
	}
	return length, nil
}

// toDER converts the first value of in and returns what follows it. Strings in
// pieces are joined, lengths become definite and minimal; the order of sets and
// the content of primitive values stay as they are. The joining is done for
// octet strings, the only ones that tools cut up.
func toDER(in []byte) (der, rest []byte, err error) {
	return appendBER(nil, in, maxBERDepth)
}

// appendBER appends the first value of in as DER.
func appendBER(out, in []byte, depth int) (der, rest []byte, err error) {
	if depth == 0 {
		return nil, nil, errBER
	}
	h, err := readBERHeader(in)
	if err != nil {
		return nil, nil, err
	}
	if !h.constructed() {
		return appendDER(out, h.tag, h.body), h.rest, nil
	}
	tag := h.tag
	join := len(tag) == 1 && tag[0] == tagOctetString|tagConstructed
	if join {
		tag = []byte{tagOctetString}
	}
	start := len(out)
	out, rest, err = appendChildren(out, h, join, depth-1)
	if err != nil {
		return nil, nil, err
	}
	header := appendHeader(nil, tag, len(out)-start)
	return slices.Insert(out, start, header...), rest, nil
}

// appendChildren appends the values inside h, or, to join them, their contents.
func appendChildren(out []byte, h berHeader, join bool, depth int) (body, rest []byte, err error) {
	in := h.body
	for {
		if h.indefinite {
			if len(in) < 2 {
				return nil, nil, errTruncated
			}
			if in[0] == 0 && in[1] == 0 {
				return out, in[2:], nil
			}
		} else if len(in) == 0 {
			return out, h.rest, nil
		}
		start := len(out)
		out, in, err = appendBER(out, in, depth)
		if err != nil {
			return nil, nil, err
		}
		if join {
			piece, err := readBERHeader(out[start:])
			if err != nil || piece.tag[0] != tagOctetString {
				return nil, nil, errBER
			}
			out = append(out[:start], piece.body...)
		}
	}
}

func appendDER(out, tag, body []byte) []byte {
	return append(appendHeader(out, tag, len(body)), body...)
}

// appendHeader appends identifier and length octets.
func appendHeader(out, tag []byte, n int) []byte {
	out = append(out, tag...)
	switch {
	case n < 0x80:
		return append(out, byte(n))
	case n < 1<<8:
		return append(out, 0x81, byte(n))
	case n < 1<<16:
		return append(out, 0x82, byte(n>>8), byte(n))
	default: // maxFileSize is below 1<<24
		return append(out, 0x83, byte(n>>16), byte(n>>8), byte(n))
	}
}

// derOf is toDER for values whose every part need not be sound: where BER is
// broken somewhere inside a value of definite length, the value is returned as
// it came, because the broken part may be one that nobody reads.
func derOf(in []byte) (der, rest []byte, err error) {
	der, rest, err = toDER(in)
	if err == nil {
		return der, rest, nil
	}
	h, headerErr := readBERHeader(in)
	if headerErr != nil || h.indefinite {
		return nil, nil, err
	}
	return in[:len(in)-len(h.rest)], h.rest, nil
}

// trimFiller skips what may stand between and after DER values.
func trimFiller(data []byte) []byte {
	return bytes.TrimLeft(data, "\x00\r\n\t ")
}
