package certfile

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
)

// certWriter writes certificates that x509.CreateCertificate refuses to. Its zero
// parts are those of an ordinary certificate.
type certWriter struct {
	version, serial, issuer, subject, key, validity, ids, outer []byte
	extensions                                                  [][]byte
	behind                                                      []byte // behind the extensions
}

var sha256RSA = seq(oid("1.2.840.113549.1.1.11"), null())

func orElse(part, otherwise []byte) []byte {
	if part == nil {
		return otherwise
	}
	return part
}

// sign writes the certificate of public, signed by key.
func (w certWriter) sign(public *rsa.PublicKey, key *rsa.PrivateKey) []byte {
	bits := append([]byte{0}, x509.MarshalPKCS1PublicKey(public)...)
	validity := seq(tlv(23, []byte("250101000000Z")), tlv(24, []byte("21000101000000Z")))
	parts := [][]byte{
		orElse(w.version, tlv(0xa0, number(2))), orElse(w.serial, number(7)), sha256RSA,
		orElse(w.issuer, nameOfText(0x0c, "issuer")), orElse(w.validity, validity),
		orElse(w.subject, nameOfText(0x0c, "app")),
		orElse(w.key, seq(seq(oid(oidRSA), null()), tlv(3, bits))), w.ids,
	}
	if len(w.extensions) > 0 {
		parts = append(parts, tlv(0xa3, seq(w.extensions...)))
	}
	tbs := seq(append(parts, w.behind)...)
	digest := sha256.Sum256(tbs)
	signature, err := key.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		panic(err)
	}
	return seq(tbs, orElse(w.outer, sha256RSA), tlv(3, append([]byte{0}, signature...)))
}

// attribute is one of a name, with a value of any type.
func attribute(id string, value []byte) []byte { return tlv(0x31, seq(oid(id), value)) }

const oidCommonName = "2.5.4.3"

func nameOfText(tag byte, text string) []byte {
	return seq(attribute(oidCommonName, tlv(tag, []byte(text))))
}

// extension is one of a certificate; critical is the content of its flag, if any.
func extension(id string, critical, value []byte) []byte {
	if critical == nil {
		return seq(oid(id), octets(value))
	}
	return seq(oid(id), tlv(1, critical), octets(value))
}

const (
	oidSKI = "2.5.29.14"
	oidSAN = "2.5.29.17"
	oidAKI = "2.5.29.35"
)

// oddCertificate is one that crypto/x509 refuses.
type oddCertificate struct {
	certWriter
	says    string // a part of the deviation
	subject string
}

// oddCertificates are those that others read.
func oddCertificates(k *keyring) map[string]oddCertificate {
	cases := map[string]oddCertificate{}
	for name, tt := range oddSerials() {
		cases["serial "+name] = oddCertificate{certWriter{serial: tlv(2, tt.content)}, "SerialNumber is " + tt.says,
			"CN=app"}
	}
	for name, tt := range oddNames() {
		cases["name: "+name] = oddCertificate{certWriter{subject: tt.name}, "Subject " + tt.says, tt.subject}
		cases["issuer: "+name] = oddCertificate{certWriter{issuer: tt.name}, "Issuer " + tt.says, "CN=app"}
	}
	for name, tt := range oddExtensions() {
		cases["extension: "+name] = oddCertificate{certWriter{extensions: tt.extensions}, tt.says, "CN=app"}
	}
	bits := tlv(3, append([]byte{0}, x509.MarshalPKCS1PublicKey(&k.key.PublicKey)...))
	bare, strange := seq(seq(oid(oidRSA)), bits), seq(seq(oid(oidRSA), seq()), bits)
	sha1RSA, noNull := seq(oid("1.2.840.113549.1.1.5"), null()), seq(oid("1.2.840.113549.1.1.11"))
	for name, tt := range map[string]oddCertificate{
		"rsaEncryption without NULL":       {certWriter{key: bare}, "public key: ", "CN=app"},
		"rsaEncryption, other parameters":  {certWriter{key: strange}, "public key: ", "CN=app"},
		"version 4":                        {certWriter{version: tlv(0xa0, number(3))}, "version: ", "CN=app"},
		"algorithms that differ":           {certWriter{outer: sha1RSA}, "SignatureAlgorithm is zero", "CN=app"},
		"algorithms that differ in a NULL": {certWriter{outer: noNull}, "SignatureAlgorithm is zero", "CN=app"},
		allOfThem: {certWriter{
			serial: number(-1), subject: nameOfText(19, "a_b"), issuer: nameOfText(19, "c@d"), key: bare,
			extensions: [][]byte{
				extension(oidAKI, flagged, seq(tlv(0x80, []byte{1, 2, 3, 4}))), sanOf(tlv(0x87, []byte{1})),
				extension("1.2.3", nil, nil), extension("1.2.3", nil, nil),
			},
		}, "there are 2 of it", "CN=a_b"},
	} {
		cases[name] = tt
	}
	return cases
}

const allOfThem = "all of them"

// flagged is the content of a BOOLEAN that is true.
var flagged = []byte{0xff}

func sanOf(names ...[]byte) []byte { return extension(oidSAN, nil, seq(names...)) }

type oddSerial struct {
	content []byte
	says    string
}

func oddSerials() map[string]oddSerial {
	bytesOf := func(first byte, zeros int) []byte { return append([]byte{first}, make([]byte, zeros)...) }
	return map[string]oddSerial{
		"-5":                {[]byte{0xfb}, "-5"},
		"of 20 bytes":       {bytesOf(0x80, 19), "-730750818665451459101842416358141509827966271488"},
		"with a zero octet": {[]byte{0, 0, 7}, "7"},
		"with octets of 1":  {[]byte{0xff, 0xff, 7}, "-249"},
		"of 100 bytes":      {bytesOf(0x80, 99), "a number of 800 bits"},
		"without content":   {nil, "0"},
	}
}

type oddName struct {
	name          []byte
	says, subject string
}

func oddNames() map[string]oddName {
	cn := attribute(oidCommonName, tlv(12, []byte("app")))
	// A text whose type doesn't allow it.
	text := func(tag byte, content, want string) oddName {
		return oddName{nameOfText(tag, content), "is read all the same", "CN=" + want}
	}
	// A value that isn't text, beside a common name.
	value := func(id string, value []byte) oddName {
		return oddName{seq(attribute(id, value), cn), "lacks " + id, "CN=app"}
	}
	return map[string]oddName{
		"@ in a PrintableString":      text(19, "svc@contoso.com", "svc@contoso.com"),
		"_ in a PrintableString":      text(19, "my_app", "my_app"),
		"Latin-1 in PrintableString":  text(19, "M\xfcller", "Müller"),
		"UTF-8 in an IA5String":       text(22, "Müller", "Müller"),
		"letters in a NumericString":  text(18, "a-1", "a-1"),
		"Latin-1 in a UTF8String":     text(12, "M\xfcller", "Müller"),
		"VisibleString":               text(26, "app", "app"),
		"GeneralString":               text(27, "app", "app"),
		"UniversalString":             text(28, "\x00\x00\x00a\x00\x01\xf6\x00", "a😀"),
		"BMPString with a surrogate":  text(30, "\xd8\x3d\xde\x00", "😀"),
		"UniversalString, no Unicode": value("2.5.4.10", tlv(28, []byte("\xff\xff\xff\xff"))),
		"BMPString of three bytes":    value("2.5.4.10", tlv(30, []byte("abc"))),
		"BIT STRING":                  value("2.5.4.45", tlv(3, []byte{0, 1})),
		"INTEGER":                     value("2.5.4.5", number(5)),
		"SEQUENCE":                    value("2.5.4.16", seq(tlv(12, []byte("street")))),
		"attribute without a value":   value("2.5.4.10", nil),
		"nothing but a BIT STRING":    {seq(attribute("2.5.4.45", tlv(3, []byte{0, 1}))), "lacks 2.5.4.45", ""},
		"no attribute":                {seq(tlv(0x31, number(1)), cn), "lacks what is no attribute", "CN=app"},
		"no list of sets":             {seq(number(1)), "is zero", ""},
	}
}

type oddExtensionList struct {
	extensions [][]byte
	says       string
}

func oddExtensions() map[string]oddExtensionList {
	of := func(says string, extensions ...[]byte) oddExtensionList { return oddExtensionList{extensions, says} }
	const san = "extension subjectAltName (2.5.29.17): "
	keyID := octets([]byte{1, 2, 3, 4})
	aki, ski := extension(oidAKI, flagged, seq(tlv(0x80, keyID[2:]))), extension(oidSKI, flagged, keyID)
	plainSKI, unknown := extension(oidSKI, nil, keyID), extension("1.2.3", nil, nil)
	policy := seq(oid("1.2.3"))
	constraints := func(value []byte) []byte { return extension("2.5.29.19", nil, value) }
	return map[string]oddExtensionList{
		"SAN with Latin-1":        of(san, sanOf(tlv(0x82, []byte("m\xfcller.de")))),
		"SAN with an odd address": of(san, sanOf(tlv(0x87, []byte{1, 2, 3}))),
		"SAN with an odd URI":     of(san, sanOf(tlv(0x86, []byte("http://[::1")))),
		"SAN with an odd mail":    of(san, sanOf(tlv(0x81, []byte("m\xfcller@x")))),
		"SAN that is no list":     of(san, extension(oidSAN, nil, number(5))),
		"SAN that is empty":       of(san, extension(oidSAN, flagged, nil)),
		"critical AKI":            of("authorityKeyIdentifier (2.5.29.35): ", aki),
		"critical SKI":            of("subjectKeyIdentifier (2.5.29.14): ", ski),
		"critical AIA":            of("authorityInfoAccess", extension("1.3.6.1.5.5.7.1.1", flagged, seq())),
		"two SKI":                 of("there are 2 of it", plainSKI, plainSKI),
		"three of an unknown":     of("1.2.3: there are 3", unknown, extension("1.2.3", flagged, nil), unknown),
		"SKI, no octet string":    of("subjectKeyIdentifier", extension(oidSKI, nil, number(1))),
		"key usage, no bits":      of("keyUsage", extension("2.5.29.15", flagged, octets([]byte{1}))),
		"basic constraints -1":    of("basicConstraints", constraints(seq(tlv(1, flagged), number(-1)))),
		"basic constraints cut":   of("basicConstraints", constraints([]byte{0x30, 9})),
		"extended key usage":      of("extKeyUsage", extension("2.5.29.37", nil, seq(number(1)))),
		"name constraints":        of("nameConstraints", extension("2.5.29.30", nil, seq())),
		"CRL points":              of("cRLDistributionPoints", extension("2.5.29.31", nil, number(1))),
		"policies twice":          of("certificatePolicies", extension("2.5.29.32", nil, seq(policy, policy))),
		"critical by a 1":         of("1.2.3: ", extension("1.2.3", []byte{1}, nil)),
		"no extension":            of("none is read", number(1)),
	}
}
