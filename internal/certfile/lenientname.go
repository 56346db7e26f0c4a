package certfile

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// readableName writes a name anew with all its text as UTF8String, and without
// the attributes that aren't text. Of these it returns the identifiers.
func readableName(name []byte) (out []byte, left []string, ok bool) {
	s := cryptobyte.String(name)
	var sets cryptobyte.String
	if !s.ReadASN1(&sets, cbasn1.SEQUENCE) {
		return nil, nil, false
	}
	var body []byte
	for !sets.Empty() {
		var set cryptobyte.String
		if !sets.ReadASN1(&set, cbasn1.SET) {
			return nil, nil, false
		}
		var attributes []byte
		for !set.Empty() {
			attribute, oid, ok := readableAttribute(&set)
			if !ok {
				left = noteLeft(left, oid)
			}
			attributes = append(attributes, attribute...)
		}
		if len(attributes) > 0 {
			body = append(body, appendDER(nil, []byte{byte(cbasn1.SET)}, attributes)...)
		}
	}
	return appendDER(nil, []byte{tagSequence}, body), left, true
}

// noteLeft adds to the list of what is left out, which people are to read.
func noteLeft(left []string, what string) []string {
	if len(left) > maxNamed || slices.Contains(left, what) {
		return left
	}
	if len(left) == maxNamed {
		what = "and more"
	}
	return append(left, what)
}

// readableAttribute writes the next attribute anew. Where that can't be done, it
// says which one it is.
func readableAttribute(set *cryptobyte.String) (out []byte, oid string, ok bool) {
	var element, attribute, id, value cryptobyte.String
	var tag cbasn1.Tag
	if !set.ReadAnyASN1Element(&element, &tag) {
		*set = nil
		return nil, "what is no attribute", false
	}
	if !element.ReadASN1(&attribute, cbasn1.SEQUENCE) || !attribute.ReadASN1Element(&id, cbasn1.OBJECT_IDENTIFIER) {
		return nil, "what is no attribute", false
	}
	copied := id
	if oid, ok = readOID(&copied); !ok {
		return nil, "an attribute without a name", false
	}
	if !attribute.ReadAnyASN1(&value, &tag) || !attribute.Empty() {
		return nil, oid, false
	}
	text, ok := textOf(tag, value)
	if !ok {
		return nil, oid, false
	}
	out = appendDER(bytes.Clone(id), []byte{byte(cbasn1.UTF8String)}, []byte(text))
	return appendDER(nil, []byte{tagSequence}, out), oid, true
}

// Types of strings that cryptobyte has no name for.
const (
	tagNumericString   = cbasn1.Tag(18)
	tagGraphicString   = cbasn1.Tag(25)
	tagVisibleString   = cbasn1.Tag(26)
	tagUniversalString = cbasn1.Tag(28)
	tagBMPString       = cbasn1.Tag(30)
)

// textOf reads a string whatever its type allows. Openssl and Windows show
// the characters that are there, too.
func textOf(tag cbasn1.Tag, value []byte) (string, bool) {
	switch tag {
	case cbasn1.PrintableString, cbasn1.UTF8String, cbasn1.IA5String, cbasn1.GeneralString, cbasn1.T61String,
		tagNumericString, tagGraphicString, tagVisibleString:
		if utf8.Valid(value) && tag != cbasn1.T61String {
			return string(value), true
		}
		return bytesAsRunes(string(value)), true // Latin-1
	case tagBMPString:
		return fromBMP(value)
	case tagUniversalString:
		return fromUniversal(value)
	}
	return "", false
}

func fromBMP(value []byte) (string, bool) {
	if len(value)%2 != 0 {
		return "", false
	}
	units := make([]uint16, len(value)/2)
	for i := range units {
		units[i] = uint16(value[2*i])<<8 | uint16(value[2*i+1])
	}
	return strings.TrimRight(string(utf16.Decode(units)), "\x00"), true
}

func fromUniversal(value []byte) (string, bool) {
	if len(value)%4 != 0 {
		return "", false
	}
	var text strings.Builder
	for ; len(value) > 0; value = value[4:] {
		r := uint32(value[0])<<24 | uint32(value[1])<<16 | uint32(value[2])<<8 | uint32(value[3])
		if r > utf8.MaxRune {
			return "", false
		}
		text.WriteRune(rune(r))
	}
	return text.String(), true
}
