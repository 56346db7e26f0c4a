// Package dn reads a certificate's subject as people write it: a common name
// such as my-app, or a whole name such as CN=my-app,O=Example (RFC 4514).
package dn

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Bounds on what is read. Real names have fewer than ten attributes.
const (
	maxText       = 4096
	maxAttributes = 64
)

// Name is a name that was read.
type Name struct {
	rdns pkix.RDNSequence // as in the certificate: the last one of the text first
}

// Parse reads a subject. Text that has no attribute type in front, such as
// my-app, is a common name. White space around separators, values in double
// quotes and ; as a separator are taken too, as in the names that RFC 2253 §4
// wants to be read. Errors say what is wrong and where.
func Parse(text string) (*Name, error) {
	switch {
	case len(text) > maxText:
		return nil, fmt.Errorf("it has over %d bytes", maxText)
	case !utf8.ValidString(text):
		return nil, errors.New("it is not UTF-8")
	case strings.HasPrefix(text, "/") && strings.Contains(text, "="):
		return nil, errors.New("it is in the form of openssl's -subj: write /CN=a/O=b as CN=a,O=b")
	case !startsWithType(text):
		value, err := stringValue(commonName, text)
		if err != nil {
			return nil, err
		}
		return &Name{pkix.RDNSequence{{{Type: commonName.oid, Value: value}}}}, nil
	}
	p := &parser{rest: text}
	rdns, err := p.name()
	if err != nil {
		return nil, err
	}
	return &Name{rdns}, nil
}

// CommonName is the name's common name, if it has nothing else.
func (n *Name) CommonName() (string, bool) {
	if len(n.rdns) != 1 || len(n.rdns[0]) != 1 || !n.rdns[0][0].Type.Equal(commonName.oid) {
		return "", false
	}
	value, ok := n.rdns[0][0].Value.(asn1.RawValue)
	if !ok || value.Tag != asn1.TagUTF8String && value.Tag != asn1.TagPrintableString {
		return "", false
	}
	return string(value.Bytes), true
}

// DER is the name as it stands in a certificate (RFC 5280 §4.1.2.4).
func (n *Name) DER() ([]byte, error) { return asn1.Marshal(n.rdns) }

// parser reads a name from front to end.
type parser struct {
	rest  string
	count int // attributes read
}

func (p *parser) name() (pkix.RDNSequence, error) {
	var rdns pkix.RDNSequence
	for {
		rdn, err := p.rdn()
		if err != nil {
			return nil, err
		}
		rdns = append(pkix.RDNSequence{rdn}, rdns...)
		if p.rest == "" {
			return rdns, nil
		}
		p.rest = p.rest[1:] // the comma
	}
}

// rdn reads attributes that are joined by +, up to a comma or the end.
func (p *parser) rdn() (pkix.RelativeDistinguishedNameSET, error) {
	var rdn pkix.RelativeDistinguishedNameSET
	for {
		attribute, err := p.attribute()
		if err != nil {
			return nil, err
		}
		for _, other := range rdn {
			if other.Type.Equal(attribute.Type) {
				return nil, fmt.Errorf("an attribute stands on both sides of a +: %v", attribute.Type)
			}
		}
		rdn = append(rdn, attribute)
		if !strings.HasPrefix(p.rest, "+") {
			return rdn, nil
		}
		p.rest = p.rest[1:]
	}
}

func (p *parser) attribute() (pkix.AttributeTypeAndValue, error) {
	var none pkix.AttributeTypeAndValue
	if p.count++; p.count > maxAttributes {
		return none, fmt.Errorf("it has over %d attributes", maxAttributes)
	}
	typ, rest, ok := strings.Cut(p.rest, "=")
	typ = strings.TrimSpace(typ)
	switch {
	case p.rest == "" || strings.TrimSpace(p.rest) == "":
		return none, errors.New("it ends with a separator; if the , or + belongs to a value, write \\, or \\+")
	case !ok || strings.ContainsAny(typ, ",+;"):
		return none, fmt.Errorf("%q is not TYPE=VALUE; if the separator before it belongs to a value, write \\ before it",
			firstPart(p.rest))
	}
	kind, err := kindOf(typ)
	if err != nil {
		return none, err
	}
	p.rest = strings.TrimLeft(rest, " ")
	value, err := p.value(kind)
	if err != nil {
		return none, err
	}
	return pkix.AttributeTypeAndValue{Type: kind.oid, Value: value}, nil
}

func firstPart(text string) string {
	if i := strings.IndexAny(text, ",+;"); i > 0 {
		return text[:i]
	}
	return text
}

// value reads up to a separator, which stays.
func (p *parser) value(kind attributeKind) (asn1.RawValue, error) {
	switch {
	case strings.HasPrefix(p.rest, "#"):
		return p.hexValue(kind)
	case strings.HasPrefix(p.rest, `"`):
		return p.quotedValue(kind)
	}
	var b strings.Builder
	kept := 0 // bytes that aren't blanks at the end
	for p.rest != "" {
		switch c := p.rest[0]; c {
		case ',', '+', ';':
			return stringValue(kind, b.String()[:kept])
		case '"', '<', '>':
			return asn1.RawValue{}, fmt.Errorf("%s: write \\%c instead of %c", kind.name, c, c)
		case '\\':
			char, err := p.escape(kind)
			if err != nil {
				return asn1.RawValue{}, err
			}
			b.WriteByte(char)
			kept = b.Len()
		default:
			b.WriteByte(c)
			p.rest = p.rest[1:]
			if c != ' ' {
				kept = b.Len()
			}
		}
	}
	return stringValue(kind, b.String()[:kept])
}

// escape reads a backslash with what it stands for: one of the special
// characters, or two hexadecimal digits of a byte.
func (p *parser) escape(kind attributeKind) (byte, error) {
	after := p.rest[1:]
	if after != "" && strings.IndexByte(`\"+,;<>=# `, after[0]) >= 0 {
		p.rest = after[1:]
		return after[0], nil
	}
	if len(after) >= 2 {
		if pair, err := hex.DecodeString(after[:2]); err == nil {
			p.rest = after[2:]
			return pair[0], nil
		}
	}
	return 0, fmt.Errorf(
		`%s: after \ comes one of \ " + , ; < > = # or a space, or two hexadecimal digits; write \\ for \ itself`,
		kind.name)
}

// quotedValue reads a value in double quotes, within which separators need no
// backslash.
func (p *parser) quotedValue(kind attributeKind) (asn1.RawValue, error) {
	p.rest = p.rest[1:]
	var b strings.Builder
	for p.rest != "" {
		switch c := p.rest[0]; c {
		case '"':
			p.rest = strings.TrimLeft(p.rest[1:], " ")
			if p.rest != "" && strings.IndexByte(",+;", p.rest[0]) < 0 {
				return asn1.RawValue{}, fmt.Errorf("%s: something stands behind the closing quote", kind.name)
			}
			return stringValue(kind, b.String())
		case '\\':
			char, err := p.escape(kind)
			if err != nil {
				return asn1.RawValue{}, err
			}
			b.WriteByte(char)
		default:
			b.WriteByte(c)
			p.rest = p.rest[1:]
		}
	}
	return asn1.RawValue{}, fmt.Errorf("%s: the closing quote is missing", kind.name)
}

// hexValue reads # and the value's DER form in hexadecimal digits.
func (p *parser) hexValue(kind attributeKind) (asn1.RawValue, error) {
	digits := p.rest[1:]
	if i := strings.IndexAny(digits, ",+;"); i >= 0 {
		digits = digits[:i]
	}
	p.rest = p.rest[1+len(digits):]
	der, err := hex.DecodeString(strings.TrimRight(digits, " "))
	if err != nil || len(der) == 0 {
		return asn1.RawValue{}, fmt.Errorf("%s: # begins the hexadecimal digits of a DER value; write \\# for # itself",
			kind.name)
	}
	var value asn1.RawValue
	rest, err := asn1.Unmarshal(der, &value)
	if err != nil || len(rest) > 0 {
		return asn1.RawValue{}, fmt.Errorf("%s: the digits behind # are not one DER value", kind.name)
	}
	return checkEncoded(kind, value)
}
