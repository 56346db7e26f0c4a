package dn

import (
	"encoding/asn1"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/certtoken/certtoken/internal/lazyregexp"
)

// attributeKind is a type of attribute, and what its values may be.
type attributeKind struct {
	name   string
	oid    asn1.ObjectIdentifier
	max    int // characters (RFC 5280 Appendix A.1, upper bounds)
	tag    int // the only string type, or 0: PrintableString, or UTF8String where that isn't enough
	length int // the exact number of characters, or 0
}

// noBound is for types without an upper bound of their own.
const noBound = 1024

const printable, ia5 = asn1.TagPrintableString, asn1.TagIA5String

// Types that are looked for by themselves, or have several names.
var (
	commonName   = attributeKind{name: "CN", oid: asn1.ObjectIdentifier{2, 5, 4, 3}, max: 64}
	emailAddress = attributeKind{name: "emailAddress", oid: oidEmailAddress, max: 255, tag: ia5}
	surname      = attributeKind{name: "SN", oid: asn1.ObjectIdentifier{2, 5, 4, 4}, max: noBound}
	province     = attributeKind{name: "ST", oid: asn1.ObjectIdentifier{2, 5, 4, 8}, max: 128}
	title        = attributeKind{name: "title", oid: asn1.ObjectIdentifier{2, 5, 4, 12}, max: 64}
	givenName    = attributeKind{name: "GN", oid: asn1.ObjectIdentifier{2, 5, 4, 42}, max: noBound}
)

// Object identifiers outside of X.520's arc.
var (
	oidEmailAddress    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}
	oidUserID          = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}
	oidDomainComponent = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}
)

// kinds are the types of attributes that have names: those of RFC 4514 §3 and
// others that certificates use, under the names that programs write.
var kinds = map[string]attributeKind{
	"CN":           commonName,
	"COMMONNAME":   commonName,
	"SN":           surname,
	"SURNAME":      surname,
	"SERIALNUMBER": {name: "serialNumber", oid: asn1.ObjectIdentifier{2, 5, 4, 5}, max: 64, tag: printable},
	"C":            {name: "C", oid: asn1.ObjectIdentifier{2, 5, 4, 6}, max: 2, tag: printable, length: 2},
	"L":            {name: "L", oid: asn1.ObjectIdentifier{2, 5, 4, 7}, max: 128},
	"ST":           province,
	"S":            province,
	"STREET":       {name: "STREET", oid: asn1.ObjectIdentifier{2, 5, 4, 9}, max: noBound},
	"O":            {name: "O", oid: asn1.ObjectIdentifier{2, 5, 4, 10}, max: 64},
	"OU":           {name: "OU", oid: asn1.ObjectIdentifier{2, 5, 4, 11}, max: 64},
	"TITLE":        title,
	"T":            title,
	"DESCRIPTION":  {name: "description", oid: asn1.ObjectIdentifier{2, 5, 4, 13}, max: noBound},
	"POSTALCODE":   {name: "postalCode", oid: asn1.ObjectIdentifier{2, 5, 4, 17}, max: 40},
	"NAME":         {name: "name", oid: asn1.ObjectIdentifier{2, 5, 4, 41}, max: noBound},
	"GN":           givenName,
	"GIVENNAME":    givenName,
	"INITIALS":     {name: "initials", oid: asn1.ObjectIdentifier{2, 5, 4, 43}, max: noBound},
	"DNQUALIFIER":  {name: "dnQualifier", oid: asn1.ObjectIdentifier{2, 5, 4, 46}, max: noBound, tag: printable},
	"PSEUDONYM":    {name: "pseudonym", oid: asn1.ObjectIdentifier{2, 5, 4, 65}, max: 128},
	"ORGANIZATIONIDENTIFIER": {
		name: "organizationIdentifier", oid: asn1.ObjectIdentifier{2, 5, 4, 97}, max: noBound,
	},
	"UID":          {name: "UID", oid: oidUserID, max: 256},
	"DC":           {name: "DC", oid: oidDomainComponent, max: 63, tag: ia5},
	"E":            emailAddress,
	"EMAIL":        emailAddress,
	"EMAILADDRESS": emailAddress,
}

var (
	typeInFront = lazyregexp.New(`^\s*(?:[A-Za-z][A-Za-z0-9-]*|(?i:oid\.)?[0-9]+(?:\.[0-9]+)+)\s*=`)
	dotted      = lazyregexp.New(`^(?i:oid\.)?([0-2](?:\.(?:0|[1-9][0-9]*))+)$`)
)

// startsWithType reports whether a text begins as TYPE=VALUE does.
func startsWithType(text string) bool { return typeInFront().MatchString(text) }

// kindOf finds a type by its name or its object identifier.
func kindOf(typ string) (attributeKind, error) {
	if kind, ok := kinds[strings.ToUpper(typ)]; ok {
		return kind, nil
	}
	m := dotted().FindStringSubmatch(typ)
	if m == nil {
		return attributeKind{}, fmt.Errorf(
			"%q is no type of attribute: give CN, O, OU, C, ST, L, DC, UID or an object identifier such as 2.5.4.3; "+
				"if the = belongs to a name, write CN=%s\\=…", typ, typ)
	}
	var oid asn1.ObjectIdentifier
	for _, part := range strings.Split(m[1], ".") {
		n, err := strconv.ParseInt(part, 10, 31)
		if err != nil {
			return attributeKind{}, fmt.Errorf("the object identifier %s has too large a number", typ)
		}
		oid = append(oid, int(n))
	}
	if oid[0] < 2 && oid[1] > 39 {
		return attributeKind{}, fmt.Errorf("%s is no object identifier: its second number is over 39", typ)
	}
	for _, kind := range kinds {
		if kind.oid.Equal(oid) {
			return kind, nil
		}
	}
	return attributeKind{name: m[1], oid: oid, max: noBound}, nil
}

// stringValue encodes a value's text.
func stringValue(kind attributeKind, text string) (asn1.RawValue, error) {
	if err := checkText(kind, text); err != nil {
		return asn1.RawValue{}, err
	}
	tag := kind.tag
	switch {
	case tag == asn1.TagIA5String && !isASCII(text):
		return asn1.RawValue{}, fmt.Errorf("%s takes ASCII characters only", kind.name)
	case tag == asn1.TagPrintableString && !isPrintable(text):
		return asn1.RawValue{}, fmt.Errorf("%s takes letters, digits, spaces and ' ( ) + , - . / : = ? only", kind.name)
	case tag == 0 && isPrintable(text):
		tag = asn1.TagPrintableString
	case tag == 0:
		tag = asn1.TagUTF8String
	}
	return asn1.RawValue{Tag: tag, Bytes: []byte(text)}, nil
}

func checkText(kind attributeKind, text string) error {
	switch n := utf8.RuneCountInString(text); {
	case text == "":
		return fmt.Errorf("%s has no value", kind.name)
	case !utf8.ValidString(text):
		return fmt.Errorf("the value of %s is not UTF-8", kind.name)
	case strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("the value of %s has a character that can't be printed", kind.name)
	case kind.length > 0 && n != kind.length:
		return fmt.Errorf("%s takes exactly %d characters", kind.name, kind.length)
	case n > kind.max:
		return fmt.Errorf("%s takes up to %d characters", kind.name, kind.max)
	}
	return nil
}

// checkEncoded takes a value that was given in DER, if it is a string that
// certificates may hold.
func checkEncoded(kind attributeKind, value asn1.RawValue) (asn1.RawValue, error) {
	text, ok := "", value.Class == asn1.ClassUniversal && !value.IsCompound
	switch value.Tag {
	case asn1.TagUTF8String, asn1.TagIA5String, asn1.TagPrintableString:
		text = string(value.Bytes)
		ok = ok && (value.Tag == asn1.TagUTF8String || isASCII(text)) &&
			(value.Tag != asn1.TagPrintableString || isPrintable(text))
	case asn1.TagBMPString:
		ok = ok && len(value.Bytes)%2 == 0
		units := make([]uint16, len(value.Bytes)/2)
		for i := range units {
			units[i] = uint16(value.Bytes[2*i])<<8 | uint16(value.Bytes[2*i+1])
		}
		text = string(utf16.Decode(units))
	default:
		ok = false
	}
	if !ok {
		return asn1.RawValue{}, fmt.Errorf(
			"%s: the DER value behind # is no valid UTF8String, PrintableString, IA5String or BMPString", kind.name)
	}
	value.FullBytes = nil
	return value, checkText(kind, text)
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII })
}

// isPrintable reports whether a PrintableString can hold text (X.680 §41.4).
func isPrintable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && !strings.ContainsRune(" '()+,-./:=?", r)
	})
}
