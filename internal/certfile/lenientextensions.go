package certfile

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// addExtensions adds the extensions that crypto/x509 reads, each by itself. What
// it returns is every extension of the certificate, or nil where crypto/x509
// takes them as they are.
func (l *lenient) addExtensions() []certExtension {
	all := l.parts.extensions
	err := l.try(func(p *certParts) { p.extensions = all })
	if err == nil {
		l.copy.extensions = all
		return nil
	}
	list, ok := splitExtensions(all)
	if !ok {
		l.deviate("extensions: %s; none is read", reason(err))
		return nil
	}
	var body []byte
	for i := range list {
		if l.addExtension(list, &list[i]) {
			body = append(body, list[i].der...)
		}
	}
	some := explicitExtensions(body)
	if err := l.try(func(p *certParts) { p.extensions = some }); err != nil {
		l.deviate("extensions: %s; none is read", reason(err))
		return nil
	}
	l.copy.extensions = some
	return list
}

// certExtension is one extension (RFC 5280 §4.1).
type certExtension struct {
	pkix.Extension
	der  []byte // as crypto/x509 is given it
	left bool   // crypto/x509 isn't given it
}

// splitExtensions cuts up the extensions, unless there are too many of them to
// look at each.
func splitExtensions(explicit []byte) (list []certExtension, ok bool) {
	s := cryptobyte.String(explicit)
	var outer, seq cryptobyte.String
	if !s.ReadASN1(&outer, cbasn1.Tag(3).ContextSpecific().Constructed()) ||
		!outer.ReadASN1(&seq, cbasn1.SEQUENCE) || !outer.Empty() {
		return nil, false
	}
	for !seq.Empty() {
		var e certExtension
		if !seq.ReadASN1Element((*cryptobyte.String)(&e.der), cbasn1.SEQUENCE) || len(list) == maxExtensions {
			return nil, false
		}
		if !e.read() {
			return nil, false
		}
		list = append(list, e)
	}
	return list, true
}

// read reads an extension whose critical flag is any BOOLEAN.
func (e *certExtension) read() bool {
	s := cryptobyte.String(e.der)
	var seq, flag, value cryptobyte.String
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.ReadASN1ObjectIdentifier(&e.Id) {
		return false
	}
	if seq.PeekASN1Tag(cbasn1.BOOLEAN) {
		if !seq.ReadASN1(&flag, cbasn1.BOOLEAN) || len(flag) != 1 {
			return false
		}
		e.Critical = flag[0] != 0
	}
	if !seq.ReadASN1(&value, cbasn1.OCTET_STRING) {
		return false
	}
	e.Value = value
	return true
}

// addExtension reports whether crypto/x509 reads an extension, or would if it
// weren't marked critical. Of two of the same kind nobody can say which counts.
func (l *lenient) addExtension(list []certExtension, e *certExtension) bool {
	name := extensionName(e.Id.String())
	same, first := 0, false
	for i := range list {
		if list[i].Id.Equal(e.Id) {
			first = first || same == 0 && &list[i] == e
			same++
		}
	}
	e.left = true
	if same > 1 {
		if first {
			l.deviate("extension %s: there are %d of it; none is read", name, same)
		}
		return false
	}
	err := l.tryExtension(e.der)
	if err == nil {
		e.left = false
		return true
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(e.Id)
		b.AddASN1OctetString(e.Value)
	})
	if plain, buildErr := b.Bytes(); buildErr == nil && e.Critical && l.tryExtension(plain) == nil {
		l.deviate("extension %s: %s; it is read all the same", name, reason(err))
		e.der, e.left = plain, false
		return true
	}
	l.deviate("extension %s: %s; its fields are zero", name, reason(err))
	return false
}

// tryExtension reports why crypto/x509 refuses an extension. It stands in a
// certificate that is short otherwise: names and keys of hundreds of kilobytes
// would be read again for each extension.
func (l *lenient) tryExtension(der []byte) error {
	short := certParts{
		version:        l.copy.version,
		serial:         []byte{byte(cbasn1.INTEGER), 1, 1},
		algorithm:      unknownAlgorithm,
		issuer:         emptySequence,
		validity:       l.copy.validity,
		subject:        emptySequence,
		key:            appendDER(nil, emptySequence[:1], slices.Concat(unknownAlgorithm, emptyBits)),
		extensions:     explicitExtensions(der),
		outerAlgorithm: unknownAlgorithm,
		signature:      emptyBits,
	}
	_, err := short.parse()
	return err
}

var (
	unknownAlgorithm = []byte{tagSequence, 3, byte(cbasn1.OBJECT_IDENTIFIER), 1, 0x2a} // of the identifier 1.2
	emptyBits        = []byte{byte(cbasn1.BIT_STRING), 1, 0}
)

// explicitExtensions wraps encoded extensions as a certificate has them.
func explicitExtensions(body []byte) []byte {
	return appendDER(nil, []byte{0xa3}, appendDER(nil, []byte{tagSequence}, body))
}

// restoreExtensions puts back the extensions that crypto/x509 wasn't given, or
// wasn't given as they are, as raw values only.
func restoreExtensions(cert *x509.Certificate, list []certExtension) {
	if list == nil {
		return
	}
	cert.Extensions = nil
	for _, e := range list {
		value := bytes.Clone(e.Value)
		cert.Extensions = append(cert.Extensions, pkix.Extension{Id: e.Id, Critical: e.Critical, Value: value})
		if e.left && e.Critical {
			cert.UnhandledCriticalExtensions = append(cert.UnhandledCriticalExtensions, e.Id)
		}
	}
}
