package certfile

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// certParts are the encoded parts of a certificate (RFC 5280 §4.1).
type certParts struct {
	version, serial, algorithm, issuer, validity, subject, key, ids, extensions []byte

	outerAlgorithm, signature []byte
	tbs                       []byte // the whole that is signed
}

var (
	explicitVersion3 = []byte{byte(context0Constructed), 3, byte(cbasn1.INTEGER), 1, 2}
	emptySequence    = []byte{tagSequence, 0}
	errCertificate   = formatError("a certificate in it has not the structure of one")
)

// splitCertificate cuts a certificate into its parts. What it asks of them is
// only that each is where it belongs.
func splitCertificate(raw []byte) (certParts, bool) {
	var p certParts
	s := cryptobyte.String(raw)
	var outer, tbs cryptobyte.String
	if !s.ReadASN1(&outer, cbasn1.SEQUENCE) || !s.Empty() {
		return p, false
	}
	element := func(from *cryptobyte.String, out *[]byte, tag cbasn1.Tag) bool {
		return from.ReadASN1Element((*cryptobyte.String)(out), tag)
	}
	optional := func(from *cryptobyte.String, out *[]byte, tag cbasn1.Tag) bool {
		return !from.PeekASN1Tag(tag) || element(from, out, tag)
	}
	if !element(&outer, &p.tbs, cbasn1.SEQUENCE) || !element(&outer, &p.outerAlgorithm, cbasn1.SEQUENCE) ||
		!element(&outer, &p.signature, cbasn1.BIT_STRING) || !outer.Empty() {
		return p, false
	}
	inner := cryptobyte.String(p.tbs)
	var issuerID, subjectID []byte
	ok := inner.ReadASN1(&tbs, cbasn1.SEQUENCE) &&
		optional(&tbs, &p.version, context0Constructed) &&
		element(&tbs, &p.serial, cbasn1.INTEGER) &&
		element(&tbs, &p.algorithm, cbasn1.SEQUENCE) &&
		element(&tbs, &p.issuer, cbasn1.SEQUENCE) &&
		element(&tbs, &p.validity, cbasn1.SEQUENCE) &&
		element(&tbs, &p.subject, cbasn1.SEQUENCE) &&
		element(&tbs, &p.key, cbasn1.SEQUENCE) &&
		optional(&tbs, &issuerID, cbasn1.Tag(1).ContextSpecific()) &&
		optional(&tbs, &subjectID, cbasn1.Tag(2).ContextSpecific()) &&
		optional(&tbs, &p.extensions, cbasn1.Tag(3).ContextSpecific().Constructed()) &&
		tbs.Empty()
	p.ids = slices.Concat(issuerID, subjectID)
	return p, ok
}

// parse lets crypto/x509 read the parts put together.
func (p certParts) parse() (*x509.Certificate, error) {
	tbs := bytes.Join([][]byte{
		p.version, p.serial, p.algorithm, p.issuer, p.validity, p.subject, p.key, p.ids, p.extensions,
	}, nil)
	whole := bytes.Join([][]byte{appendDER(nil, emptySequence[:1], tbs), p.outerAlgorithm, p.signature}, nil)
	return x509.ParseCertificate(appendDER(nil, emptySequence[:1], whole))
}

// lenient makes a copy of a certificate that crypto/x509 reads.
type lenient struct {
	parts, copy certParts
	deviations  []string
}

// deviate notes what is wrong. Identifiers can be as long as a file, and what
// crypto/x509 says can quote the certificate.
func (l *lenient) deviate(format string, args ...any) {
	text := []rune(fmt.Sprintf(format, args...))
	if len(text) > maxDeviation {
		text = append(text[:maxDeviation], '…')
	}
	for i, r := range text {
		if !unicode.IsPrint(r) {
			text[i] = unicode.ReplacementChar
		}
	}
	l.deviations = append(l.deviations, string(text))
}

// try reports why crypto/x509 refuses the copy with a change.
func (l *lenient) try(change func(*certParts)) error {
	changed := l.copy
	change(&changed)
	_, err := changed.parse()
	return err
}

// reason is an error of crypto/x509 for people.
func reason(err error) string {
	return strings.TrimPrefix(err.Error(), "x509: ")
}
