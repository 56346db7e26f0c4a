package input

import (
	"bytes"
	"encoding/binary"
	"unicode/utf16"
)

// Text is a text file's content as UTF-8 without a byte order mark. PowerShell
// 5.1 writes UTF-16 by ">". Without a mark, UTF-16 is what has a zero as every
// other byte, which no other text has.
func Text(data []byte) string {
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return string(data[3:])
	case bytes.HasPrefix(data, []byte("\xff\xfe")):
		return fromUTF16(data[2:], binary.LittleEndian)
	case bytes.HasPrefix(data, []byte("\xfe\xff")):
		return fromUTF16(data[2:], binary.BigEndian)
	case everyOtherIsZero(data, 1):
		return fromUTF16(data, binary.LittleEndian)
	case everyOtherIsZero(data, 0):
		return fromUTF16(data, binary.BigEndian)
	}
	return string(data)
}

// everyOtherIsZero reports whether the bytes at one place of each pair are zero,
// and only they.
func everyOtherIsZero(data []byte, place int) bool {
	for i, b := range data {
		if (b == 0) != (i%2 == place) {
			return false
		}
	}
	return len(data) > 0 && len(data)%2 == 0
}

func fromUTF16(data []byte, order binary.ByteOrder) string {
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = order.Uint16(data[2*i:])
	}
	return string(utf16.Decode(units))
}
