package certfile

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"math/big"
	"strings"

	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Our own certificate and its chain are only shown and hashed here: the
// server that accepts them has long read them with another parser. So what crypto/x509
// refuses about a name, a serial number, the form of a time or an extension must not keep
// the key from signing. Where crypto/x509 refuses a certificate, it is given a copy in
// which the parts that it dislikes are replaced. It still judges the key, the
// validity and the signature's form, and the bytes of the certificate stay as
// they are, so its thumbprints and its signature do too.

// parseLenient reads a certificate that crypto/x509 refuses. The fields that
// can't be read are zero, and deviations says of each what is wrong with it.
func parseLenient(raw []byte) (cert *x509.Certificate, deviations []string, err error) {
	parts, ok := splitCertificate(raw)
	if !ok {
		return nil, nil, errCertificate
	}
	l := lenient{parts: parts, copy: certParts{
		version:        explicitVersion3,
		serial:         []byte{byte(cbasn1.INTEGER), 1, 1},
		algorithm:      parts.algorithm,
		issuer:         emptySequence,
		validity:       parts.validity,
		subject:        emptySequence,
		key:            parts.key,
		outerAlgorithm: parts.algorithm,
		signature:      parts.signature,
	}}
	l.addValidity()
	if err := l.addKey(); err != nil {
		return nil, nil, err
	}
	l.addVersion()
	serial := l.addSerial()
	setIssuer := func(p *certParts, name []byte) { p.issuer = name }
	setSubject := func(p *certParts, name []byte) { p.subject = name }
	l.copy.issuer = l.readName("issuer", "Issuer", parts.issuer, setIssuer)
	l.copy.subject = l.readName("subject", "Subject", parts.subject, setSubject)
	l.addUniqueIDs()
	extensions := l.addExtensions()

	cert, err = l.copy.parse()
	if err != nil {
		return nil, nil, err
	}
	cert.Raw, cert.RawTBSCertificate = raw, parts.tbs
	cert.RawIssuer, cert.RawSubject, cert.RawSubjectPublicKeyInfo = parts.issuer, parts.subject, parts.key
	cert.SerialNumber = serial
	restoreExtensions(cert, extensions)
	if !bytes.Equal(parts.algorithm, parts.outerAlgorithm) {
		cert.SignatureAlgorithm = x509.UnknownSignatureAlgorithm
		l.deviate("signature algorithm: named differently inside and outside of what is signed; " +
			"SignatureAlgorithm is zero")
	}
	return cert, l.deviations, nil
}

func (l *lenient) addVersion() {
	if err := l.try(func(p *certParts) { p.version = l.parts.version }); err != nil {
		l.deviate("version: %s; read as version 3", reason(err))
		return
	}
	l.copy.version = l.parts.version
}

// addSerial returns the serial number, which is read whatever its sign and its
// length are.
func (l *lenient) addSerial() *big.Int {
	serial := signedInteger(l.parts.serial)
	if err := l.try(func(p *certParts) { p.serial = l.parts.serial }); err != nil {
		l.deviate("serial number: %s; SerialNumber is %s", reason(err), shortNumber(serial))
		return serial
	}
	l.copy.serial = l.parts.serial
	return serial
}

// signedInteger is the value of an INTEGER in two's complement.
func signedInteger(der []byte) *big.Int {
	h, err := readBERHeader(der)
	n := new(big.Int)
	if err != nil || len(h.body) == 0 {
		return n
	}
	n.SetBytes(h.body)
	if h.body[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(one, uint(8*len(h.body))))
	}
	return n
}

// shortNumber prints a number that a person could compare.
func shortNumber(n *big.Int) string {
	if bits := n.BitLen(); bits > 256 {
		return fmt.Sprintf("a number of %d bits", bits)
	}
	return n.String()
}

// readName returns the name, or what can be read of it.
func (l *lenient) readName(field, goField string, name []byte, set func(*certParts, []byte)) []byte {
	err := l.try(func(p *certParts) { set(p, name) })
	if err == nil {
		return name
	}
	readable, left, ok := readableName(name)
	if !ok || l.try(func(p *certParts) { set(p, readable) }) != nil {
		l.deviate("%s: %s; %s is zero", field, reason(err), goField)
		return emptySequence
	}
	if len(left) > 0 {
		l.deviate("%s: %s; %s lacks %s", field, reason(err), goField, strings.Join(left, ", "))
	} else {
		l.deviate("%s: %s; %s is read all the same", field, reason(err), goField)
	}
	return readable
}

// addUniqueIDs: x509.Certificate has no field for them.
func (l *lenient) addUniqueIDs() {
	if l.try(func(p *certParts) { p.ids = l.parts.ids }) == nil {
		l.copy.ids = l.parts.ids
	}
}
