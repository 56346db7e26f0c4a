package main

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"slices"
)

// odd are files that openssl or another program reads although a standard
// forbids them, and a few that are to be called by their names.
func (w *writer) odd() {
	w.tool, w.class = others, "rare"
	w.oddCertificates()
	w.oddKeys()
	w.oddPFX()
	w.oddText()
}

// rsaKey is a key of make/pki.
func (w *writer) rsaKey(name string) *rsa.PrivateKey {
	key, err := x509.ParsePKCS8PrivateKey(w.key(name))
	if err != nil {
		panic(err)
	}
	return key.(*rsa.PrivateKey)
}

// oddCert says what is odd about a certificate; what is nil is ordinary.
type oddCert struct {
	serial, subject, issuer, key []byte
	extensions                   [][]byte
}

var sha256RSA = seq(oid("1.2.840.113549.1.1.11"), null)

func rsaPublic(key *rsa.PrivateKey, params ...[]byte) []byte {
	algorithm := seq(append([][]byte{oid("1.2.840.113549.1.1.1")}, params...)...)
	return seq(algorithm, tlv(3, []byte{0}, x509.MarshalPKCS1PublicKey(&key.PublicKey)))
}

func name(tag byte, text string) []byte {
	return seq(set(seq(oid("2.5.4.3"), tlv(tag, []byte(text)))))
}

// make signs the certificate of key's owner with the key of its issuer. It is the
// same in every run: nothing of it is random.
func (c oddCert) make(key, issuer *rsa.PrivateKey) []byte {
	or := func(part, otherwise []byte) []byte {
		if part == nil {
			return otherwise
		}
		return part
	}
	validity := seq(tlv(23, []byte("200101000000Z")), tlv(24, []byte("21200101000000Z")))
	subject := or(c.subject, name(12, "odd.example"))
	parts := [][]byte{
		ctx0(integer(2)), or(c.serial, integer(7)), sha256RSA, or(c.issuer, subject), validity, subject,
		or(c.key, rsaPublic(key, null)),
	}
	if len(c.extensions) > 0 {
		parts = append(parts, tlv(0xa3, seq(c.extensions...)))
	}
	tbs := seq(parts...)
	digest := sha256.Sum256(tbs)
	signature, err := rsa.SignPKCS1v15(nil, issuer, crypto.SHA256, digest[:])
	if err != nil {
		panic(err)
	}
	return seq(tbs, sha256RSA, tlv(3, []byte{0}, signature))
}

func pemBlock(label string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der})
}

// oddCertificates are self-signed and have the key "self", but for the last one,
// whose issuer is odd too.
func (w *writer) oddCertificates() {
	key, ca := w.rsaKey("self"), w.rsaKey("self2")
	truth := []byte{1, 1, 0xff}
	extension := func(id string, critical []byte, value []byte) []byte {
		return seq(oid(id), critical, octets(value))
	}
	keyID := extension("2.5.29.14", nil, octets([]byte{1, 2, 3, 4}))
	pem8 := pemBlock("PRIVATE KEY", w.key("self"))
	for _, c := range []struct {
		file, what string
		cert       oddCert
	}{
		{"odd-serial.pem", "negative serial number", oddCert{serial: tlv(2, []byte{0xfb})}},
		{"odd-printable-at.pem", "@ in a PrintableString", oddCert{subject: name(19, "svc@odd.example")}},
		{"odd-printable-underscore.pem", "_ in a PrintableString", oddCert{subject: name(19, "my_app")}},
		{"odd-bits.pem", "BIT STRING in the name", oddCert{subject: seq(
			set(seq(oid("2.5.4.45"), tlv(3, []byte{0, 1}))), set(seq(oid("2.5.4.3"), tlv(12, []byte("odd.example")))))}},
		{"odd-null.pem", "rsaEncryption without NULL", oddCert{key: rsaPublic(key)}},
		{"odd-san.pem", "subject's other name with an address of three bytes", oddCert{extensions: [][]byte{
			extension("2.5.29.17", nil, seq(tlv(0x87, []byte{1, 2, 3})))}}},
		{"odd-aki.pem", "authority key identifier that is critical", oddCert{extensions: [][]byte{
			extension("2.5.29.35", truth, seq(tlv(0x80, []byte{1, 2, 3, 4})))}}},
		{"odd-ski.pem", "subject key identifier that is critical", oddCert{extensions: [][]byte{
			extension("2.5.29.14", truth, octets([]byte{1, 2, 3, 4}))}}},
		{"odd-twice.pem", "an extension twice", oddCert{extensions: [][]byte{keyID, keyID}}},
	} {
		der := c.cert.make(key, key)
		w.pki.certs[c.file], w.pki.keys[c.file] = der, "self"
		data := slices.Concat(pemBlock("CERTIFICATE", der), pem8)
		w.add(c.file, "certificates that deviate", c.what, data, want{leaf: c.file})
	}
	root := oddCert{subject: name(19, "ca@odd.example"), serial: tlv(2, []byte{0xfe})}.make(ca, ca)
	leaf := oddCert{issuer: name(19, "ca@odd.example")}.make(key, ca)
	w.pki.certs["odd-ca"], w.pki.certs["odd-leaf"], w.pki.keys["odd-leaf"] = root, leaf, "self"
	w.add("odd-chain.pfx", "certificates that deviate", "an odd issuer", pfx(sha256Mac(),
		encryptedSafe(aesScheme(), certBag(root), certBag(leaf)), dataSafe(shroudedKeyBag(aesScheme(), w.key("self")))),
		read("odd-leaf", "odd-ca"))
}

// oddKeys are forms of the key "self" beside its certificate.
func (w *writer) oddKeys() {
	key := w.rsaKey("self")
	pre := key.Precomputed
	number := func(n *big.Int, zeros int) []byte {
		padding := make([]byte, zeros)
		if n.BitLen()%8 == 0 {
			padding = append(padding, 0)
		}
		return tlv(2, padding, n.Bytes())
	}
	form := func(d *big.Int, zeros int, rest ...*big.Int) []byte {
		parts := [][]byte{integer(0), number(key.N, zeros), integer(int64(key.E)), number(d, zeros)}
		for _, n := range rest {
			parts = append(parts, number(n, 0))
		}
		return seq(parts...)
	}
	one, zero := big.NewInt(1), new(big.Int)
	p, q := key.Primes[0], key.Primes[1]
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	large := new(big.Int).Add(key.D, new(big.Int).Mul(phi, big.NewInt(4)))
	cert := pemBlock("CERTIFICATE", w.cert("self"))
	for _, c := range []struct {
		file, what string
		key        []byte
	}{
		{"odd-key-zeros.pem", "a zero octet too many in n and d", form(key.D, 1, p, q, pre.Dp, pre.Dq, pre.Qinv)},
		{"odd-key-bare.pem", "n, e and d alone", form(key.D, 0, zero, zero, zero, zero, zero)},
		{"odd-key-crt.pem", "wrong CRT values", form(key.D, 0, p, q, one, one, one)},
		{"odd-key-large.pem", "d larger than n", form(large, 0, p, q, pre.Dp, pre.Dq, pre.Qinv)},
	} {
		data := slices.Concat(cert, pemBlock("RSA PRIVATE KEY", c.key))
		w.add(c.file, "keys that deviate", c.what, data, want{leaf: "self"})
	}
}

func (w *writer) oddPFX() {
	sha1MAC := macOf("SHA-1", bmp(secret), 2048, 16)
	self := read("self", "")
	cert := func() []byte { return certBag(w.cert("self")) }
	both := func(enc func() scheme) []byte {
		return pfx(sha1MAC, encryptedSafe(enc(), cert()), dataSafe(shroudedKeyBag(enc(), w.key("self"))))
	}
	w.tool = "pk12util 3.11"
	for _, c := range [][2]string{{"odd-nss-aes128.p12", "2"}, {"odd-nss-aes192.p12", "22"}} {
		file, cipher := c[0], c[1]
		w.add(file, "PBES2 AES-256", "by the name of another AES", both(func() scheme {
			return pbes2(pbes2Params{
				password: bmp(secret), prf: "default", keyLength: true, cipher: "2.16.840.1.101.3.4.1." + cipher,
			})
		}), self)
	}
	w.tool = "keytool 11"
	w.add("odd-jdk-8202837.p12", "PBES2 AES-256", "parameters wrapped twice",
		both(func() scheme { return wrapped(aesScheme()) }), self)
	w.tool = others
	w.add("odd-behind.p12", "PBES2 AES-256", "bytes behind what is encrypted",
		both(func() scheme { return longer(aesScheme()) }), self)
	another := shroudedKeyBag(pbes2(pbes2Params{password: []byte("another")}), w.key("self"))
	w.add("odd-other-password.p12", "several safes", "a key with another password",
		pfx(sha1MAC, encryptedSafe(aesScheme(), cert()), dataSafe(another)),
		refused("ErrFormat", "the password is that of the PFX"))
	w.tool = "Windows 10"
	wrappedPassword := octets([]byte("the password, encrypted for a group"))
	secretBag := bag("5", seq(oid("1.3.6.1.4.1.311.17.4"), ctx0(wrappedPassword)))
	w.add("odd-group.pfx", "unsupported PFX", "protected to a group of Active Directory",
		pfx(macOf("SHA-1", bmp("random"), 2000, 20), dataSafe(secretBag), encryptedSafe(aesScheme(), cert())),
		want{err: "ErrPasswordRequired", message: "Active Directory"})
}

// wrapped writes the parameters as Java did before JDK-8202837 was mended.
func wrapped(enc scheme) scheme {
	return func(plain []byte) (algorithm, encrypted []byte) {
		algorithm, encrypted = enc(plain)
		return seq(oid("1.2.840.113549.1.5.13"), algorithm), encrypted
	}
}

func longer(enc scheme) scheme {
	return func(plain []byte) (algorithm, encrypted []byte) {
		return enc(append(bytes.Clone(plain), 0, 0, 0))
	}
}

// oddText are files that are almost PEM, or that are something else.
func (w *writer) oddText() {
	w.tool = others
	cert, key := pemBlock("CERTIFICATE", w.cert("self")), pemBlock("PRIVATE KEY", w.key("self"))
	last := []byte("-----END PRIVATE KEY-----\n")
	w.add("odd-end.pem", "text", "the last line cut off", bytes.TrimSuffix(slices.Concat(cert, key), last),
		want{leaf: "self"})
	w.add("odd-dashes.pem", "damaged", "a key whose first line has four dashes", slices.Concat(cert, key[1:]),
		want{err: "ErrFormat", message: "five"})
	for _, c := range [][2]string{
		{"odd-bf.pem", "BF-CBC"}, {"odd-aria.pem", "ARIA-256-CBC"}, {"odd-cfb.pem", "AES-256-CFB"},
	} {
		file, cipher := c[0], c[1]
		info := cipher + ",00112233445566778899AABBCCDDEEFF"
		block := pem.EncodeToMemory(&pem.Block{
			Type: "RSA PRIVATE KEY", Bytes: make([]byte, 1200),
			Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": info},
		})
		w.add(file, "unsupported cipher", "a traditional key in "+cipher, slices.Concat(cert, block),
			refused("ErrUnsupported", cipher))
	}
	w.add("odd-pkipath.der", "P7B", "a PkiPath", seq(w.cert("root"), w.cert("self")),
		want{err: "ErrNoPrivateKey", message: "PkiPath"})
	tpm := seq(oid("2.23.133.10.1.3"), integer(1), octets(make([]byte, 300)))
	w.add("odd-tss2.pem", "another kind of file", "a key of a TPM", slices.Concat(cert, pemBlock("TSS2 PRIVATE KEY", tpm)),
		want{err: "ErrNoPrivateKey", message: "TPM"})
	content := seq(seq(oid("1.2.840.113549.1.5.13"), seq()), octets(make([]byte, 300)))
	store := seq(content, seq(seq(oid("1.2.840.113549.2.11")), octets(make([]byte, 64))))
	w.add("odd-bcfks.der", "Java keystore", "BCFKS", store, want{err: "ErrFormat", message: "BCFKS"})
	head := slices.Concat([]byte{0, 0, 0, 1, 0, 0, 0, 20}, bytes.Repeat([]byte{7}, 20), []byte{0, 0, 5, 200})
	uber := append(head, bytes.Repeat([]byte{0x99, 0xc3}, 200)...)
	w.add("odd-uber.bin", "Java keystore", "UBER", uber, want{err: "ErrFormat", message: "UBER"})
	w.add("odd-kubernetes.yaml", "another kind of file", "a Secret as kubectl prints it",
		[]byte("apiVersion: v1\ndata:\n  tls.crt: LS0tLS1CRUdJTg==\n  tls.key: LS0tLS1CRUdJTg==\n"+
			"kind: Secret\ntype: kubernetes.io/tls\n"),
		want{err: "ErrFormat", message: "kubectl"})
}
