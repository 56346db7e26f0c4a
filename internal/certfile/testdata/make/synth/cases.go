package main

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math"
	"slices"
	"strings"

	gopkcs12 "software.sslmate.com/src/go-pkcs12"
)

const secret = "secret"

var (
	chain     = []string{"inter2", "inter1", "root"}
	fullChain = strings.Join(chain, ",")
	password  = new(secret)
)

// others stands for programs that follow the standards and have no name here.
const others = "others"

// read and refused are what a case expects, with the password "secret".
func read(leaf, chain string) want       { return want{leaf: leaf, chain: chain, password: password} }
func refused(err, message string) want   { return want{err: err, message: message, password: password} }
func (x want) without() want             { x.password = nil; return x }
func (x want) with(password string) want { x.password = &password; return x }
func (x want) of(file string) want       { x.file = file; return x }

func (w *writer) cert(name string) []byte {
	der, ok := w.pki.certs[name]
	if !ok {
		panic("no certificate " + name)
	}
	return der
}

func (w *writer) key(name string) []byte {
	der, err := w.pki.key(name)
	if err != nil {
		panic(err)
	}
	return der
}

// certBags are bags of certificates without attributes.
func (w *writer) certBags(names ...string) [][]byte {
	var bags [][]byte
	for _, name := range names {
		bags = append(bags, certBag(w.cert(name)))
	}
	return bags
}

func (w *writer) synthesise() {
	w.goPKCS12()
	w.windows()
	w.keyVault()
	w.macOS()
	w.nss()
	w.pbmac1()
	w.ber()
	w.shapes()
	w.hostile()
	w.odd()
}

// goPKCS12 are real files of a library, which certtoken itself writes PFX with.
func (w *writer) goPKCS12() {
	w.tool, w.class = "go-pkcs12 0.7.4", "everyday"
	start := len(w.cases)
	key, err := x509.ParsePKCS8PrivateKey(w.key("leaf"))
	if err != nil {
		panic(err)
	}
	var certs []*x509.Certificate
	for _, name := range append([]string{"leaf"}, chain...) {
		cert, err := x509.ParseCertificate(w.cert(name))
		if err != nil {
			panic(err)
		}
		certs = append(certs, cert)
	}
	for _, e := range []struct {
		name, format, what, class string
		enc                       *gopkcs12.Encoder
	}{
		{"go-modern2023", "PBES2 AES-256", "Modern2023", "everyday", gopkcs12.Modern2023},
		{"go-modern2026", "PBMAC1", "Modern2026: PBMAC1", "rare", gopkcs12.Modern2026},
		{"go-legacydes", "PBES1 3DES", "LegacyDES", "everyday", gopkcs12.LegacyDES},
		{"go-legacyrc2", "PBES1 3DES + RC2-40", "LegacyRC2", "everyday", gopkcs12.LegacyRC2},
		{"go-passwordless", "no encryption", "Passwordless", "rare", gopkcs12.Passwordless},
	} {
		x := read("leaf", fullChain)
		text := secret
		if e.enc == gopkcs12.Passwordless {
			x, text = x.without(), ""
		}
		data, err := e.enc.Encode(key, certs[0], certs[1:], text)
		if err != nil {
			panic(err)
		}
		w.class = e.class
		w.add(e.name+".pfx", e.format, e.what+", with the chain", data, x)
	}
	for i := range w.cases[start:] {
		w.cases[start+i].Synthesised = false
	}
}

// winPFX has the structure of Windows' export: first the key, under the name of
// its container and provider, then the certificates, both of localKeyID 1.
func (w *writer) winPFX(enc func() scheme, m mac, key, leaf string, others ...string) []byte {
	keyBag := shroudedKeyBag(enc(), w.key(key),
		localKeyID(1, 0, 0, 0),
		friendlyName("te-7c1f3d52-5d6a-4a3b-9f0e-3f1f2a9c6d11"),
		cspName("Microsoft Software Key Storage Provider"),
		attr("1.3.6.1.4.1.311.17.2", null)) // local machine keyset
	var bags [][]byte
	for _, name := range append([]string{leaf}, others...) {
		if name == leaf {
			bags = append(bags, certBag(w.cert(name), localKeyID(1, 0, 0, 0)))
		} else {
			bags = append(bags, certBag(w.cert(name)))
		}
	}
	return pfx(m, dataSafe(keyBag), encryptedSafe(enc(), bags...))
}

func (w *writer) windows() {
	w.tool, w.class = "Windows 10", "everyday"
	des := func(password []byte) func() scheme {
		return func() scheme { return pbes1(pbe3DES, password, 2000, 20) }
	}
	aes := func(password string) func() scheme {
		return func() scheme { return pbes2(pbes2Params{password: []byte(password), rounds: 2000}) }
	}
	sha1 := func(password []byte) mac { return macOf("SHA-1", password, 2000, 20) }
	sha256 := func(password string) mac { return macOf("SHA-256", bmp(password), 2000, 20) }

	full := w.winPFX(des(bmp(secret)), sha1(bmp(secret)), "leaf", "leaf", chain...)
	w.add("win-3des.pfx", "PBES1 3DES", "Export-PfxCertificate, TripleDES_SHA1, with the chain", full,
		read("leaf", fullChain))
	self := w.winPFX(des(bmp(secret)), sha1(bmp(secret)), "self", "self")
	w.add("win-3des-self.pfx", "PBES1 3DES", "Export-PfxCertificate, TripleDES_SHA1, self-signed", self, read("self", ""))
	modern := w.winPFX(aes(secret), sha256(secret), "leaf", "leaf", chain...)
	w.add("win-aes256.pfx", "PBES2 AES-256", "Export-PfxCertificate, AES256_SHA256, with the chain", modern,
		read("leaf", fullChain))
	modernSelf := w.winPFX(aes(secret), sha256(secret), "self", "self")
	w.add("win-aes256-self.pfx", "PBES2 AES-256", "Export-PfxCertificate, AES256_SHA256, self-signed", modernSelf,
		read("self", ""))
	w.add("win-aes256-zeros.pfx", "trailing bytes", "AES256_SHA256 with zeros after the end",
		append(slices.Clone(modern), make([]byte, 37)...), read("leaf", fullChain))
	w.add("win-3des-zeros.pfx", "trailing bytes", "TripleDES_SHA1 with zeros after the end",
		append(slices.Clone(self), make([]byte, 512)...), read("self", ""))
	w.add("win-base64.txt", "base64", "[Convert]::ToBase64String of it",
		[]byte(base64.StdEncoding.EncodeToString(modernSelf)), read("self", ""))

	w.class = "rare"
	rootFirst := func() []byte {
		key := shroudedKeyBag(des(bmp(secret))(), w.key("leaf"), localKeyID(1, 0, 0, 0))
		bags := w.certBags("root", "inter1", "inter2")
		bags = append(bags, certBag(w.cert("leaf"), localKeyID(1, 0, 0, 0)))
		return pfx(sha1(bmp(secret)), dataSafe(key), encryptedSafe(des(bmp(secret))(), bags...))
	}
	w.add("win-rootfirst.pfx", "PBES1 3DES", "the root first, the leaf last", rootFirst(), read("leaf", fullChain))
	umlaut := "Grüße, Zoë €"
	w.add("win-3des-umlaut.pfx", "PBES1 3DES", "non-ASCII password",
		w.winPFX(des(bmp(umlaut)), sha1(bmp(umlaut)), "self", "self"), read("self", "").with(umlaut))
	w.add("win-aes256-umlaut.pfx", "PBES2 AES-256", "non-ASCII password",
		w.winPFX(aes(umlaut), sha256(umlaut), "self", "self"), read("self", "").with(umlaut))
	w.add("win-3des-empty.pfx", "PBES1 3DES", "empty password",
		w.winPFX(des(bmp("")), sha1(bmp("")), "self", "self"), read("self", "").with(""))
	w.add("win-aes256-empty.pfx", "PBES2 AES-256", "empty password, none given",
		w.winPFX(aes(""), sha256(""), "self", "self"), read("self", "").without())
	rc2 := pfx(sha1(bmp(secret)),
		dataSafe(shroudedKeyBag(pbes1(pbe3DES, bmp(secret), 2000, 8), w.key("self"), localKeyID(1, 0, 0, 0),
			friendlyName("{6C8D6F2A-57F1-4B0A-9A43-6A40F5B0E9D2}"), cspName("Microsoft Enhanced Cryptographic Provider v1.0"))),
		encryptedSafe(pbes1(pbeRC240, bmp(secret), 2000, 8), certBag(w.cert("self"), localKeyID(1, 0, 0, 0))))
	w.add("win-xp.pfx", "PBES1 3DES + RC2-40", "as older versions write it", rc2, read("self", ""))
	two := pfx(sha256(secret),
		dataSafe(
			shroudedKeyBag(aes(secret)(), w.key("self"), localKeyID(1, 0, 0, 0)),
			shroudedKeyBag(aes(secret)(), w.key("self2"), localKeyID(2, 0, 0, 0))),
		encryptedSafe(aes(secret)(),
			certBag(w.cert("self2"), localKeyID(2, 0, 0, 0)),
			certBag(w.cert("self"), localKeyID(1, 0, 0, 0))))
	w.add("win-two.pfx", "several pairs", "two pairs, none selected", two, refused("ErrSeveralKeys", "@sha1:self2"))
	x := read("self2", "")
	x.thumb = "sha1:self2"
	w.add("win-two-thumbprint.pfx", "several pairs", "two pairs, one by thumbprint", nil, x.of("win-two.pfx"))
	x = read("self2", "")
	x.thumb = "=\u200e" + w.thumb("sha1spaces:self2")
	w.add("win-two-copied.pfx", "several pairs",
		"a thumbprint copied from Windows' dialogue, with its invisible first character", nil, x.of("win-two.pfx"))
	renewal := pfx(sha256(secret),
		dataSafe(shroudedKeyBag(aes(secret)(), w.key("self"), localKeyID(1, 0, 0, 0))),
		encryptedSafe(aes(secret)(), w.certBags("self", "selfrenewed")...))
	w.add("win-renewal.pfx", "several pairs", "a certificate and its renewal, same key, no localKeyID", renewal,
		read("selfrenewed", ""))
	w.add("win-wrong.pfx", "PBES2 AES-256", "wrong password", nil,
		refused("ErrWrongPassword", "").with("Secret").of("win-aes256.pfx"))
	w.add("win-3des-missing.pfx", "PBES1 3DES", "password missing", nil,
		refused("ErrPasswordRequired", "").without().of("win-3des.pfx"))

	// certutil -encode puts a certificate's label around anything.
	var encoded bytes.Buffer
	encoded.WriteString("-----BEGIN CERTIFICATE-----\r\n")
	text := base64.StdEncoding.EncodeToString(modernSelf)
	for len(text) > 64 {
		encoded.WriteString(text[:64] + "\r\n")
		text = text[64:]
	}
	encoded.WriteString(text + "\r\n-----END CERTIFICATE-----\r\n")
	w.add("win-certutil.pem", "PEM-armoured PFX", "certutil -encode: a PFX labelled CERTIFICATE", encoded.Bytes(),
		read("self", ""))
}

func (w *writer) thumb(spec string) string {
	s, err := w.pki.thumbprint(spec)
	if err != nil {
		panic(err)
	}
	return s
}

// keyVault hands out certificates as secrets: base64 of a PFX without password.
func (w *writer) keyVault() {
	w.tool, w.class = "Azure Key Vault", "everyday"
	b64 := func(data []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(data)) }
	build := func(password []byte, leaf string, others ...string) []byte {
		enc := func() scheme { return pbes1(pbe3DES, password, 2000, 20) }
		return w.winPFX(enc, macOf("SHA-1", password, 2000, 20), leaf, leaf, others...)
	}
	null := build(nil, "self")
	w.add("keyvault.txt", "base64", "a secret's value: null password", b64(null), read("self", "").without())
	w.add("keyvault-chain.txt", "base64", "a secret's value: null password, with the chain",
		b64(build(nil, "leaf", chain...)), read("leaf", fullChain).without())
	w.add("keyvault-empty.txt", "base64", "a secret's value: empty password", b64(build(bmp(""), "self")),
		read("self", "").without())
	w.add("keyvault-newline.txt", "base64", "a secret's value written by the az command line, newline at the end",
		append(b64(null), '\n'), read("self", "").without())
	w.add("keyvault-given-empty.txt", "base64", "a secret's value: null password, the empty one given", nil,
		read("self", "").with("").of("keyvault.txt"))
	w.class = "rare"
	w.add("keyvault-decoded.pfx", "PBES1 3DES", "the value decoded: null password", null, read("self", "").without())
	w.add("keyvault-twice.txt", "base64", "base64 of the base64, as a Kubernetes secret in a file", b64(b64(null)),
		read("self", "").without())
	w.add("keyvault-needless.txt", "base64", "a password given for the null one", nil,
		refused("ErrWrongPassword", "").with("needless").of("keyvault.txt"))
	aes := func() scheme { return pbes2(pbes2Params{rounds: 2000}) }
	w.add("keyvault-aes256.txt", "base64", "AES-256 and SHA-256 under the null password",
		b64(w.winPFX(aes, macOf("SHA-256", nil, 2000, 20), "self", "self")), read("self", "").without())
	var text bytes.Buffer
	for _, name := range []string{"leaf", "inter2", "inter1", "root"} {
		pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: w.cert(name)})
	}
	var key bytes.Buffer
	pem.Encode(&key, &pem.Block{Type: "PRIVATE KEY", Bytes: w.key("leaf")})
	w.class = "everyday"
	w.add("keyvault-pem.pem", "PKCS #8", "a secret's value of content type PEM: key, then chain",
		append(key.Bytes(), text.Bytes()...), read("leaf", fullChain).without())
}

func (w *writer) macOS() {
	w.tool, w.class = "macOS", "everyday"
	build := func(password, key, leaf string, others ...string) []byte {
		bags := [][]byte{certBag(w.cert(leaf), friendlyName("My app"), localKeyID(w.cert(leaf)[:20]...))}
		bags = append(bags, w.certBags(others...)...)
		return pfx(macOf("SHA-1", bmp(password), 1, 8),
			encryptedSafe(pbes1(pbeRC240, bmp(password), 2048, 8), bags...),
			dataSafe(shroudedKeyBag(pbes1(pbe3DES, bmp(password), 2048, 8), w.key(key),
				friendlyName("My app"), localKeyID(w.cert(leaf)[:20]...))))
	}
	w.add("macos-keychain.p12", "PBES1 3DES + RC2-40", "Keychain Access's export, self-signed",
		build(secret, "self", "self"), read("self", ""))
	w.add("macos-keychain-chain.p12", "PBES1 3DES + RC2-40", "Keychain Access's export, with the chain",
		build(secret, "leaf", "leaf", chain...), read("leaf", fullChain))
	w.class = "rare"
	w.add("macos-keychain-empty.p12", "PBES1 3DES + RC2-40", "Keychain Access's export, empty password",
		build("", "self", "self"), read("self", "").with(""))
	w.add("macos-keychain-wrong.p12", "PBES1 3DES + RC2-40", "wrong password", nil,
		refused("ErrWrongPassword", "").with("Secret").of("macos-keychain.p12"))
}

// nss before 3.31 gave PBKDF2 its passwords in UTF-16.
func (w *writer) nss() {
	w.tool, w.class = "pk12util 3.30", "rare"
	for _, p := range []struct{ file, what, password string }{
		{"nss-utf16.p12", "PBKDF2 over the password in UTF-16", secret},
		{"nss-utf16-umlaut.p12", "PBKDF2 over a non-ASCII password in UTF-16", "Grüße, Zoë"},
	} {
		enc := func() scheme { return pbes2(pbes2Params{password: bmp(p.password), prf: "default", keyLength: true}) }
		data := pfx(macOf("SHA-1", bmp(p.password), 2048, 16),
			dataSafe(shroudedKeyBag(enc(), w.key("self"))), encryptedSafe(enc(), w.certBags("self")...))
		w.add(p.file, "PBES2 AES-256", p.what, data, read("self", "").with(p.password))
	}
}

// aesScheme is what most of the following files are encrypted with.
func aesScheme() scheme { return pbes2(pbes2Params{password: []byte(secret)}) }

func sha256Mac() mac { return macOf("SHA-256", bmp(secret), 2048, 16) }

// pair is the usual two safes.
func (w *writer) pair(m mac, enc func() scheme, key string, certs ...string) []byte {
	return pfx(m, encryptedSafe(enc(), w.certBags(certs...)...), dataSafe(shroudedKeyBag(enc(), w.key(key))))
}

func (w *writer) pbmac1() {
	w.tool, w.class = others, "rare"
	for _, v := range []struct{ file, what, prf, mac string }{
		{"pbmac1-256-256.pfx", "as RFC 9579's vector A.1: PRF and MAC SHA-256", "SHA-256", "SHA-256"},
		{"pbmac1-256-512.pfx", "as RFC 9579's vector A.2: PRF SHA-256, MAC SHA-512", "SHA-256", "SHA-512"},
		{"pbmac1-512-512.pfx", "as RFC 9579's vector A.3: PRF and MAC SHA-512", "SHA-512", "SHA-512"},
		{"pbmac1-384-384.pfx", "PRF and MAC SHA-384", "SHA-384", "SHA-384"},
	} {
		n := hashes[v.mac].new().Size()
		w.add(v.file, "PBMAC1", v.what, w.pair(pbmac1(v.prf, v.mac, secret, 2048, 2048, n), aesScheme, "self", "self"),
			read("self", ""))
	}
	text := "Grüße, Zoë 🔑"
	enc := func() scheme { return pbes2(pbes2Params{password: []byte(text)}) }
	w.add("pbmac1-umlaut.pfx", "PBMAC1", "non-ASCII password, in UTF-8 here",
		w.pair(pbmac1("SHA-256", "SHA-256", text, 2048, 2048, 32), enc, "self", "self"), read("self", "").with(text))
	w.add("pbmac1-wrong.pfx", "PBMAC1", "wrong password", nil,
		refused("ErrWrongPassword", "").with("Secret").of("pbmac1-256-256.pfx"))
	w.add("pbmac1-missing.pfx", "PBMAC1", "password missing", nil,
		refused("ErrPasswordRequired", "").without().of("pbmac1-256-256.pfx"))
	w.add("pbmac1-rounds.pfx", "damaged", "as RFC 9579's vector A.4: another number of rounds",
		w.pair(pbmac1("SHA-256", "SHA-256", secret, 2048, 2049, 32), aesScheme, "self", "self"), refused("ErrWrongPassword",
			""))
	w.add("pbmac1-nokeylength.pfx", "damaged", "as RFC 9579's vector A.6: the key's length is missing",
		w.pair(pbmac1("SHA-256", "SHA-256", secret, 2048, 2048, 0), aesScheme, "self", "self"), refused("ErrFormat", ""))
}

func (w *writer) ber() {
	w.tool, w.class = others, "rare"
	safes := func() []byte {
		return seq(encryptedSafe(aesScheme(), w.certBags("leaf", "inter2", "inter1", "root")...),
			dataSafe(shroudedKeyBag(aesScheme(), w.key("leaf"))))
	}
	x := read("leaf", fullChain)
	w.add("ber-outer.p12", "BER", "indefinite lengths around a DER content",
		pfxOf(sha256Mac(), safes(), ber(math.MaxInt)), x)
	w.add("ber-pieces.p12", "BER", "indefinite lengths, octet strings in pieces of 1000",
		pfxOf(sha256Mac(), safes(), ber(1000)), x)
	w.add("ber-inner.p12", "BER", "the authenticated content in BER too",
		pfxOf(sha256Mac(), ber(1024)(safes()), ber(4096)), x)
	w.add("ber-small.p12", "BER", "pieces of seven bytes, salts and IVs as well",
		pfxOf(sha256Mac(), ber(7)(safes()), ber(7)), x)
	w.add("ber-lengths.p12", "BER", "every length in four bytes", pfxOf(sha256Mac(), longLengths(safes()), longLengths), x)
	w.add("ber-zeros.p12", "BER", "zeros after the end",
		append(pfxOf(sha256Mac(), safes(), ber(1000)), make([]byte, 24)...), x)
	w.add("ber-base64.txt", "BER", "BER in base64",
		[]byte(base64.StdEncoding.EncodeToString(pfxOf(sha256Mac(), safes(), ber(1000)))), x)
	// The decrypted safe and key are BER as well.
	content := seq(
		encryptedInfo(aesScheme(), ber(math.MaxInt)(seq(w.certBags("leaf", "inter2", "inter1", "root")...))),
		dataInfo(ber(1000)(seq(shroudedKeyBag(aesScheme(), w.key("leaf"))))))
	w.add("ber-encrypted.p12", "BER", "what is encrypted is BER too", pfxOf(sha256Mac(), ber(1000)(content), ber(1000)), x)
	w.add("ber-wrong.p12", "BER", "wrong password", nil,
		refused("ErrWrongPassword", "").with("Secret").of("ber-small.p12"))
}

// shapes are files that the standard allows and tools rarely write.
func (w *writer) shapes() {
	w.tool, w.class = others, "rare"
	self := read("self", "")
	full := read("leaf", fullChain)
	add := func(file, format, what string, data []byte, x want) { w.add(file, format, what, data, x) }

	// Null and empty, separately for MAC and encryption.
	mixed := func(macPassword, encPassword []byte) []byte {
		return w.pair(macOf("SHA-1", macPassword, 1024, 8), func() scheme { return pbes1(pbe3DES, encPassword, 1024, 8) },
			"self", "self")
	}
	add("mixed-null-empty.pfx", "null and empty", "MAC of the null password, encryption of the empty one",
		mixed(nil, bmp("")), self.without())
	add("mixed-empty-null.pfx", "null and empty", "MAC of the empty password, encryption of the null one",
		mixed(bmp(""), nil), self.without())
	add("mixed-null-empty-given.pfx", "null and empty",
		"MAC of the null password, encryption of the empty one, which is given", nil,
		self.with("").of("mixed-null-empty.pfx"))
	add("mixed-empty-null-given.pfx", "null and empty",
		"MAC of the empty password, which is given, encryption of the null one", nil,
		self.with("").of("mixed-empty-null.pfx"))
	add("null-nomac.pfx", "null and empty", "null password, no MAC",
		w.pair(nil, func() scheme { return pbes1(pbe3DES, nil, 1024, 8) }, "self", "self"), self.without())

	// Safes.
	key := func() []byte { return shroudedKeyBag(aesScheme(), w.key("leaf")) }
	add("nested.pfx", "several safes", "safes within a safe, three deep", pfx(sha256Mac(),
		dataSafe(safeBag(key(), safeBag(certBag(w.cert("inter1")), safeBag(w.certBags("leaf", "root")...)))),
		encryptedSafe(aesScheme(), safeBag(w.certBags("inter2")...))), full)
	var safes [][]byte
	for _, name := range []string{"root", "inter1", "inter2", "leaf"} {
		safes = append(safes, encryptedSafe(aesScheme(), w.certBags(name)...))
	}
	add("five-safes.pfx", "several safes", "a safe for every certificate, and one for the key",
		pfx(sha256Mac(), append(safes, dataSafe(key()))...), full)
	add("empty-safes.pfx", "several safes", "empty safes between",
		pfx(sha256Mac(), dataSafe(), dataSafe(key()), dataSafe(),
			encryptedSafe(aesScheme(), w.certBags("leaf", "inter2", "inter1", "root")...), encryptedSafe(aesScheme())), full)
	add("two-ciphers.pfx", "several safes", "AES-128 key, 3DES leaf, RC2-40 and unencrypted CAs", pfx(sha256Mac(),
		dataSafe(shroudedKeyBag(pbes2(pbes2Params{password: []byte(secret), bits: 128, prf: "SHA-512"}), w.key("leaf"))),
		encryptedSafe(pbes1(pbe3DES, bmp(secret), 7, 8), w.certBags("leaf")...),
		encryptedSafe(pbes1(pbeRC240, bmp(secret), 9, 8), w.certBags("inter2")...),
		dataSafe(w.certBags("inter1", "root")...)), full)

	// Attributes.
	add("no-localkeyid.pfx", "localKeyID", "no attributes at all, the leaf third",
		w.pair(sha256Mac(), aesScheme, "leaf", "root", "inter2", "leaf", "inter1"), full)
	same := localKeyID(7)
	add("same-localkeyid.pfx", "localKeyID", "one localKeyID on everything", pfx(sha256Mac(),
		encryptedSafe(aesScheme(), certBag(w.cert("root"), same), certBag(w.cert("leaf"), same),
			certBag(w.cert("inter2"), same), certBag(w.cert("inter1"), same)),
		dataSafe(shroudedKeyBag(aesScheme(), w.key("leaf"), same))), full)
	add("empty-localkeyid.pfx", "localKeyID", "an empty localKeyID", pfx(sha256Mac(),
		encryptedSafe(aesScheme(), certBag(w.cert("self"), localKeyID())), dataSafe(shroudedKeyBag(aesScheme(),
			w.key("self"), localKeyID()))), self)
	add("root-localkeyid.pfx", "localKeyID", "the key's localKeyID on the root", pfx(sha256Mac(),
		encryptedSafe(aesScheme(), certBag(w.cert("root"), same), certBag(w.cert("leaf"), localKeyID(8)),
			certBag(w.cert("inter2")), certBag(w.cert("inter1"))),
		dataSafe(shroudedKeyBag(aesScheme(), w.key("leaf"), same))), full)
	add("odd-attributes.pfx", "attributes", "attributes nobody knows, one twice, one without a value, an odd BMPString",
		pfx(sha256Mac(),
			encryptedSafe(aesScheme(), certBag(w.cert("self"),
				attr("1.2.3.4.5", seq(integer(1), null)), attr("1.2.3.4.5", seq()), seq(oid("1.2.3.4.6"), set()),
				attr("1.2.840.113549.1.9.20", tlv(0x1e, []byte{0, 'a', 0})))),
			dataSafe(shroudedKeyBag(aesScheme(), w.key("self"), friendlyName(strings.Repeat("name ", 200))))), self)

	// Bags of other kinds.
	add("unknown-bags.pfx", "extra bags", "bags of unknown kinds, an SDSI certificate and a secret", pfx(sha256Mac(),
		encryptedSafe(aesScheme(), bag("9", seq(integer(5))),
			bag("3", seq(oid("1.2.840.113549.1.9.22.2"), ctx0(tlv(0x16, []byte("c2RzaQ==")))))),
		encryptedSafe(aesScheme(), w.certBags("self")...),
		dataSafe(bag("5", seq(oid("1.2.3.4"), ctx0(octets([]byte("word")))), friendlyName("a secret")),
			shroudedKeyBag(aesScheme(), w.key("self")))), self)
	add("negative-stranger.pfx", "extra bags", "a stranger that Go can't parse (negative serial number)",
		w.pair(sha256Mac(), aesScheme, "self", "negative", "self"), self)
	add("broken-stranger.pfx", "extra bags", "a certificate bag that holds no certificate", pfx(sha256Mac(),
		encryptedSafe(aesScheme(), certBag([]byte("no certificate")),
			certBag(w.cert("self"))), dataSafe(shroudedKeyBag(aesScheme(), w.key("self")))), self)
	add("stray-ec.pfx", "several pairs", "an EC key without a certificate beside the RSA pair", pfx(sha256Mac(),
		encryptedSafe(aesScheme(), w.certBags("self")...),
		dataSafe(shroudedKeyBag(aesScheme(), w.key("ec")), shroudedKeyBag(aesScheme(), w.key("self")))), self)

	// Parameters.
	params := func(p pbes2Params) []byte {
		p.password = []byte(secret)
		return w.pair(sha256Mac(), func() scheme { return pbes2(p) }, "self", "self")
	}
	add("keylength.pfx", "PBES2 AES-256", "PBKDF2 with its key's length", params(pbes2Params{keyLength: true}), self)
	add("default-prf.pfx", "PBES2 AES-128", "PBKDF2 with its PRF left out: SHA-1",
		params(pbes2Params{bits: 128, prf: "default"}), self)
	add("prf-nonull.pfx", "PBES2 AES-192", "PRF without parameters", params(pbes2Params{bits: 192, noNull: true}), self)
	add("long-salt.pfx", "PBES2 AES-256", "a salt of 128 bytes", params(pbes2Params{saltLen: 128}), self)
	add("one-byte-salt.pfx", "PBES2 AES-256", "a salt of one byte", params(pbes2Params{saltLen: 1}), self)
	add("mac-nonull.pfx", "MAC SHA-256", "hash without parameters",
		w.pair(macWriting("SHA-256", bmp(secret), 2048, 2048, 16, nil), aesScheme, "self", "self"), self)
	add("mac-salt.pfx", "MAC SHA-512", "a MAC salt of 200 bytes",
		w.pair(macOf("SHA-512", bmp(secret), 3, 200), aesScheme, "self", "self"), self)
	add("mac-384.pfx", "MAC SHA-384", "a SHA-384 MAC over 3DES",
		w.pair(macOf("SHA-384", bmp(secret), 2000, 48), func() scheme { return pbes1(pbe3DES, bmp(secret), 2000, 8) },
			"self", "self"), self)
	long := strings.Repeat("långt lösenord ", 70)
	add("very-long-password.pfx", "PBES1 3DES + RC2-40", "a password of a thousand characters",
		pfx(macOf("SHA-1", bmp(long), 100, 8),
			encryptedSafe(pbes1(pbeRC240, bmp(long), 100, 8), w.certBags("self")...),
			dataSafe(shroudedKeyBag(pbes1(pbe3DES, bmp(long), 100, 8), w.key("self")))), self.with(long))
	add("plain-key-in-data.pfx", "no encryption", "key and certificate bags in one unencrypted safe",
		pfx(macOf("SHA-256", bmp(secret), 2048, 16),
			dataSafe(append(w.certBags("leaf", "inter2", "inter1", "root"), keyBag(w.key("leaf")))...)), full)
	add("plain-mac-missing.pfx", "no encryption", "nothing encrypted, but a MAC: password missing", nil,
		refused("ErrPasswordRequired", "").without().of("plain-key-in-data.pfx"))

	// Of no use.
	add("chain-swapped.pfx", "mismatched pair", "the CAs' certificates and a stranger's key",
		w.pair(sha256Mac(), aesScheme, "self", "leaf", "inter2", "inter1", "root"), refused("ErrKeyMismatch", ""))
	add("small.pfx", "RSA too short", "RSA 1024",
		w.pair(sha256Mac(), aesScheme, "small", "small"), refused("ErrKeySize", "1024"))
	add("gcm.pfx", "unsupported cipher", "AES-256-GCM",
		params(pbes2Params{cipher: "2.16.840.1.101.3.4.1.46", ivLen: 12}), refused("ErrUnsupported", "GCM"))
	signed := seq(integer(3), seq(oid("1.2.840.113549.1.7.2"),
		ctx0(seq(integer(1), set(), seq(oid("1.2.840.113549.1.7.1")), set()))))
	add("signed.pfx", "unsupported PFX", "authenticated by a signature instead of a MAC", signed,
		refused("ErrUnsupported", ""))
	enveloped := seq(oid("1.2.840.113549.1.7.3"), ctx0(seq(integer(0), set(), seq(oid("1.2.840.113549.1.7.1")))))
	add("enveloped.pfx", "unsupported PFX", "a safe encrypted to a public key", pfx(sha256Mac(), enveloped),
		refused("ErrUnsupported", ""))
}

// hostile are files that ask for too much, or that lie.
func (w *writer) hostile() {
	w.tool, w.class = others, "rare"
	params := func(p pbes2Params) func() scheme {
		p.password = []byte(secret)
		return func() scheme { return pbes2(p) }
	}
	w.add("hostile-mac.pfx", "too much work", "a MAC of two thousand million rounds",
		w.pair(macWriting("SHA-256", bmp(secret), 1, math.MaxInt32, 16, null), aesScheme, "self",
			"self"), refused("ErrTooLarge", ""))
	w.add("hostile-mac64.pfx", "too much work", "a MAC of 2^62 rounds",
		w.pair(macWriting("SHA-1", bmp(secret), 1, 1<<62, 8, null), aesScheme, "self", "self"), refused("ErrTooLarge", ""))
	w.add("hostile-pbmac1.pfx", "too much work", "PBMAC1 of two thousand million rounds",
		w.pair(pbmac1("SHA-512", "SHA-512", secret, 1, math.MaxInt32, 64), aesScheme, "self",
			"self"), refused("ErrTooLarge", ""))
	w.add("hostile-key.pfx", "too much work", "a key of six million rounds", pfx(sha256Mac(),
		encryptedSafe(aesScheme(), w.certBags("self")...),
		dataSafe(shroudedKeyBag(params(pbes2Params{rounds: 1, written: 6_000_000})(),
			w.key("self")))), refused("ErrTooLarge", ""))
	w.add("hostile-hidden.pfx", "too much work", "a key of two thousand million rounds, hidden in an encrypted safe",
		pfx(sha256Mac(),
			encryptedSafe(aesScheme(), certBag(w.cert("self")),
				shroudedKeyBag(params(pbes2Params{rounds: 1, written: math.MaxInt32})(),
					w.key("self")))), refused("ErrTooLarge", ""))
	w.add("hostile-safe-nomac.pfx", "too much work", "a safe of two thousand million rounds, no MAC", pfx(nil,
		encryptedSafe(params(pbes2Params{rounds: 1, written: math.MaxInt32})(), w.certBags("self")...),
		dataSafe(shroudedKeyBag(aesScheme(), w.key("self")))), refused("ErrTooLarge", ""))
	var keys [][]byte
	for range 5 {
		keys = append(keys, shroudedKeyBag(params(pbes2Params{rounds: 1, written: 4_000_000})(), w.key("self")))
	}
	w.add("hostile-sum.pfx", "too much work", "five keys of four million rounds each",
		pfx(sha256Mac(), encryptedSafe(aesScheme(), w.certBags("self")...), dataSafe(keys...)), refused("ErrTooLarge", ""))
	many := slices.Repeat([][]byte{dataSafe()}, 40)
	w.add("hostile-safes.pfx", "too much work", "forty safes", pfx(sha256Mac(), many...), refused("ErrTooLarge", ""))
	deep := certBag(w.cert("self"))
	for range 40 {
		deep = safeBag(deep)
	}
	w.add("hostile-depth.pfx", "too much work", "forty safes within each other", pfx(sha256Mac(), dataSafe(deep)),
		refused("ErrTooLarge", ""))
	w.add("hostile-bags.pfx", "too much work", "a thousand bags",
		pfx(sha256Mac(), dataSafe(slices.Repeat([][]byte{bag("9", null)}, 1000)...)), refused("ErrTooLarge", ""))
	scrypt := seq(seq(oid("1.2.840.113549.1.5.13"), seq(
		seq(oid("1.3.6.1.4.1.11591.4.11"), seq(octets(random(16)), integer(1<<20), integer(8), integer(1))),
		seq(oid("2.16.840.1.101.3.4.1.42"), octets(random(16))))), octets(random(1232)))
	text := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: scrypt})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.cert("self")})...)
	w.add("hostile-scrypt.pem", "too much work", "scrypt of one GiB", text, refused("ErrTooLarge", ""))

	w.add("hostile-iv.pfx", "damaged", "an IV of eight bytes for AES, no MAC",
		w.pair(nil, params(pbes2Params{ivLen: 8}), "self", "self"), refused("ErrFormat", ""))
	w.add("hostile-zero.pfx", "damaged", "a MAC of no rounds",
		w.pair(macWriting("SHA-256", bmp(secret), 1, 0, 16, null), aesScheme, "self", "self"), refused("ErrFormat", ""))
	ragged := func(plain []byte) ([]byte, []byte) {
		algorithm, encrypted := aesScheme()(plain)
		return algorithm, encrypted[:len(encrypted)-3]
	}
	w.add("hostile-ragged.pfx", "damaged", "ciphertext that isn't whole blocks", pfx(sha256Mac(),
		encryptedSafe(aesScheme(), w.certBags("self")...), dataSafe(shroudedKeyBag(ragged,
			w.key("self")))), refused("ErrFormat", ""))
	w.add("hostile-nothing.pfx", "damaged", "ciphertext of no bytes", pfx(sha256Mac(),
		encryptedSafe(aesScheme(), w.certBags("self")...),
		dataSafe(shroudedKeyBag(func(plain []byte) ([]byte, []byte) { a, _ := aesScheme()(plain); return a, nil },
			w.key("self")))), refused("ErrFormat", ""))
	endless := bytes.Repeat([]byte{0x30, 0x80}, 5000)
	w.add("hostile-ber.p12", "damaged", "five thousand values opened and none closed", endless, refused("ErrFormat", ""))
}
