package certfile

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"mime/quotedprintable"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func utf16Of(text []byte, low int, mark bool) []byte {
	units := utf16.Encode([]rune(string(text)))
	if mark {
		units = append([]uint16{0xfeff}, units...)
	}
	out := make([]byte, 2*len(units))
	for i, u := range units {
		out[2*i+low], out[2*i+1-low] = byte(u), byte(u>>8)
	}
	return out
}

// textForms are the shapes in which one PEM or base64 text reaches us.
func textForms(text []byte) map[string][]byte {
	replace := func(from, to string) []byte { return bytes.ReplaceAll(text, []byte(from), []byte(to)) }
	quoted, err := json.Marshal(string(text))
	if err != nil {
		panic(err)
	}
	return map[string][]byte{
		"as it is":               text,
		"CRLF":                   replace("\n", "\r\n"),
		"lone CR":                replace("\n", "\r"),
		"BOM":                    append([]byte("\xef\xbb\xbf"), text...),
		"UTF-16LE":               utf16Of(text, 0, true),
		"UTF-16BE":               utf16Of(text, 1, true),
		"UTF-16LE without mark":  utf16Of(text, 0, false),
		"UTF-16BE without mark":  utf16Of(text, 1, false),
		"trailing spaces":        replace("\n", "  \t\n"),
		"blank lines":            replace("\n", "\n\n"),
		"trailing zeros":         append(bytes.Clone(text), 0, 0, 0),
		"no final newline":       bytes.TrimRight(text, "\n"),
		"indented":               replace("\n", "\n      "),
		`literal \n`:             replace("\n", `\n`),
		`literal \r\n`:           replace("\n", `\r\n`),
		"on one line":            replace("\n", " "),
		"a JSON string":          quoted,
		"a JSON string of .NET":  bytes.ReplaceAll(quoted, []byte("+"), []byte(`\u002B`)),
		"a JSON string of PHP":   bytes.ReplaceAll(quoted, []byte("/"), []byte(`\/`)),
		"every space a line end": replace(" ", "\n"),
		"a URL's encoding":       []byte(url.PathEscape(string(text))),
		"a form's encoding":      []byte(url.QueryEscape(string(text))),
		"hex":                    []byte(hex.EncodeToString(text)),
		`hex of PostgreSQL`:      []byte(`\x` + hex.EncodeToString(text)),
		"base64":                 []byte(base64.StdEncoding.EncodeToString(text)),
		"base64 twice":           nest64(text, 2),
		"base64 in UTF-16":       utf16Of(nest64(text, 1), 0, true),
		"base64url":              []byte(base64.RawURLEncoding.EncodeToString(text)),
		"base64, quoted":         []byte(`"` + base64.StdEncoding.EncodeToString(text) + `"` + "\n"),
	}
}

func TestPEMText(t *testing.T) {
	t.Parallel()
	k := testKeys(t)
	chain := slices.Concat(pemCert(k.root), pemOf("PRIVATE KEY", k.pkcs8), pemCert(k.intermediate), pemCert(k.leaf))
	for name, data := range textForms(chain) {
		t.Run(name, func(t *testing.T) {
			pair := requirePair(t, k, data, Options{})
			assert.Equal(t, "PEM", pair.Format)
			assert.Len(t, pair.Chain, 2)
			requirePair(t, k, data, withPassword("not needed"))
		})
	}
	t.Run("secret in JSON", func(t *testing.T) {
		data, err := json.Marshal(map[string]string{"key": string(pemOf("PRIVATE KEY", k.pkcs8)),
			"cert": string(pemCert(k.leaf))})
		require.NoError(t, err)
		requirePair(t, k, data, Options{})
	})
}

func TestPEMLabels(t *testing.T) {
	t.Parallel()
	k := testKeys(t)
	text := func(s string) []byte { return []byte(s) }
	cert, key := pemCert(k.leaf), pemOf("PRIVATE KEY", k.pkcs8)
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, k.key)
	require.NoError(t, err)
	spki, err := x509.MarshalPKIXPublicKey(k.key.Public())
	require.NoError(t, err)
	trusted := append(bytes.Clone(k.leaf.Raw), seq(seq(oid("1.3.6.1.5.5.7.3.2")), tlv(0x0c, []byte("alias")))...)
	p7 := seq(oid(oidSignedData), explicit0(seq(number(1), tlv(0x31), seq(oid(oidData)),
		tlv(0xa0, k.root.Raw, k.leaf.Raw, tlv(0xa1, number(1)), k.intermediate.Raw), tlv(0x31))))
	for name, data := range map[string][]byte{
		"PKCS #1":                  slices.Concat(cert, pemOf("RSA PRIVATE KEY", k.pkcs1)),
		"PKCS #1 labelled PKCS #8": slices.Concat(cert, pemOf("PRIVATE KEY", k.pkcs1)),
		"PKCS #8 labelled PKCS #1": slices.Concat(cert, pemOf("RSA PRIVATE KEY", k.pkcs8)),
		"no label":                 slices.Concat(pemOf("", k.leaf.Raw), key),
		"X509":                     slices.Concat(pemOf("X509 CERTIFICATE", k.leaf.Raw), key),
		"TRUSTED":                  slices.Concat(pemOf("TRUSTED CERTIFICATE", trusted), key),
		"PKCS7":                    slices.Concat(pemOf("PKCS7", p7), key),
		"PKCS7 in BER":             slices.Concat(pemOf("PKCS7", toBER(p7)), key),
		"P7B in DER, key in PEM":   p7,
		"PKCS12":                   pemOf("PKCS12", pfxFile(nil, plainSafe(keyBag(k.pkcs8), certBag(k.leaf.Raw)))),
		"key in PKCS12, certificate not": slices.Concat(cert,
			pemOf("PKCS12", pfxFile(nil, plainSafe(keyBag(k.pkcs8))))),
		"Bag Attributes": slices.Concat(text("Bag Attributes\n    localKeyID: 01 00 00 00 \n    friendlyName: x\n"+
			"subject=CN = Leaf\n\nissuer=CN = -----\n\n"), cert,
			text("Bag Attributes: <No Attributes>\nKey Attributes: <No Attributes>\n"), key),
		"text that starts as DER": slices.Concat(text("0 s:CN = Leaf\n  i:CN = Intermediate\n"), cert, key),
		"garbage around": slices.Concat(text("\x00\xff junk"), cert, text("more -----junk"), key,
			text("\xfe end -----BEGIN")),
		"EC and DH parameters": slices.Concat(pemOf("EC PARAMETERS", oid("1.2.840.10045.3.1.7")), cert,
			pemOf("DH PARAMETERS", seq(number(5), number(2))), key),
		"a CSR and a public key": slices.Concat(pemOf("CERTIFICATE REQUEST", csr), pemOf("PUBLIC KEY", spki), cert,
			key),
		"an EC key beside": slices.Concat(pemOf("PRIVATE KEY", k.ecPKCS8), key, cert),
		"a broken block beside": slices.Concat(text("-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n"),
			cert, key),
		"a truncated block before": slices.Concat(text("-----BEGIN CERTIFICATE-----\nMIIB\n"), cert, key),
		"END missing behind":       bytes.TrimSuffix(slices.Concat(cert, key), text("-----END PRIVATE KEY-----\n")),
		"END missing between": bytes.Replace(slices.Concat(cert, key), text("-----END CERTIFICATE-----\n"), nil,
			1),
		"END of the wrong form": bytes.Replace(slices.Concat(cert, key), text("-----END CERT"),
			text("-----FIN CERT"), 1),
		"a truncated block behind": slices.Concat(cert, key, text("-----BEGIN CERTIFICATE-----\nMIIB\n")),
		"END of another label": bytes.ReplaceAll(slices.Concat(cert, key), text("END PRIVATE"),
			text("END RSA PRIVATE")),
		"END with a dash too few": bytes.TrimSuffix(slices.Concat(cert, key), text("-\n")),
		"six dashes at the end of BEGIN": bytes.ReplaceAll(slices.Concat(cert, key), text("E-----\n"),
			text("E------\n")),
		"eight dashes everywhere": bytes.ReplaceAll(slices.Concat(cert, key), text("-----"),
			text("--------")),
		"six dashes, spaces for line ends": bytes.ReplaceAll(bytes.ReplaceAll(slices.Concat(cert, key),
			text("-----"), text("------")), text("\n"), text(" ")),
		"six dashes, END missing": bytes.ReplaceAll(bytes.Replace(slices.Concat(cert, key),
			text("-----END CERTIFICATE-----\n"), nil, 1), text("-----"), text("------")),
		"no padding": bytes.ReplaceAll(slices.Concat(cert, key), text("="), nil),
		"headers": bytes.Replace(slices.Concat(cert, key), text("KEY-----\n"),
			text("KEY-----\nComment: mine\n\n"), 1),
		"PKCS #8 with attributes": slices.Concat(cert,
			pemOf("PRIVATE KEY",
				appendToSeq(k.pkcs8, tlv(0xa0, seq(oid("2.5.29.15"), tlv(0x31, tlv(3, []byte{0, 16}))))))),
		"DER after DER":             slices.Concat(k.leaf.Raw, k.pkcs8),
		"DER after DER, newline":    slices.Concat(k.pkcs1, text("\r\n"), k.leaf.Raw, text("\x00\x00")),
		"DER in BER":                slices.Concat(k.leaf.Raw, toBER(k.pkcs8)),
		"DER with garbage behind":   slices.Concat(k.leaf.Raw, k.pkcs8, text("-----END")),
		"DER with sequences behind": slices.Concat(k.leaf.Raw, k.pkcs8, text("0\x820")),
	} {
		t.Run(name, func(t *testing.T) {
			opts := Options{}
			if !bytes.Contains(data, []byte(pemBegin)) && bytes.Equal(data, p7) {
				opts.Key = key
			}
			requirePair(t, k, data, opts)
		})
	}
}

// What stands before every line of a block is not of it.
func TestPEMLinePrefixes(t *testing.T) {
	k := testKeys(t)
	chain := slices.Concat(pemCert(k.root), pemOf("PRIVATE KEY", k.pkcs8), pemCert(k.intermediate), pemCert(k.leaf))
	for _, prefix := range []string{"> ", "> > ", "+", "- ", "# ", "// ", "app-1  | ", "\t* "} {
		lines := strings.SplitAfter(strings.TrimSuffix(string(chain), "\n"), "\n")
		data := []byte("-- text\n" + prefix + strings.Join(lines, prefix))
		assert.Len(t, requirePair(t, k, data, Options{}).Chain, 2, prefix)
		windows := bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n"))
		assert.Len(t, requirePair(t, k, windows, Options{}).Chain, 2, prefix)
	}
	// OpenPGP puts "- " before lines that start with a dash, and before no others (RFC 9580 §7.2).
	requirePair(t, k, bytes.ReplaceAll(chain, []byte("-----"), []byte("- -----"))[2:], Options{})
}

// Mail encodes the padding, the plus signs and perhaps the line ends.
func TestPEMQuotedPrintable(t *testing.T) {
	k := testKeys(t)
	for _, length := range []int{0, 1, 2} { // for each length of the padding
		csr := append([]byte("-----BEGIN JUNK-----\n"), bytes.Repeat([]byte("A"), length)...)
		chain := slices.Concat(csr, pemCert(k.root), pemOf("PRIVATE KEY", k.pkcs8),
			pemCert(k.intermediate), pemCert(k.leaf))
		var mail bytes.Buffer
		w := quotedprintable.NewWriter(&mail)
		_, err := w.Write(chain)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		assert.Len(t, requirePair(t, k, mail.Bytes(), Options{}).Chain, 2)
		ends := strings.NewReplacer("=", "=3D", "+", "=2B", "/", "=2F", "\n", "=0A=\n").Replace(string(chain))
		assert.Len(t, requirePair(t, k, []byte(ends), Options{}).Chain, 2)
	}
}

// An error shows what is not of the base64, and nothing else of a key.
func TestPEMThatIsNotBase64(t *testing.T) {
	k := testKeys(t)
	key := string(pemOf("PRIVATE KEY", k.pkcs8))
	for from, foreign := range map[string]string{
		"^\n": "'^'", "`n": "'`'", "<br>": "'<'", "\n\x1b[0m": `'\x1b'`, ",": "','",
	} {
		_, err := Parse([]byte(strings.ReplaceAll(key, "\n", from)), Options{})
		require.ErrorIs(t, err, ErrFormat)
		require.ErrorContains(t, err, "has "+foreign+" in it")
		assert.NotContains(t, err.Error(), key[40:50])
	}
	_, err := Parse([]byte("-----BEGIN PRIVATE KEY-----\nA\n-----END PRIVATE KEY-----\n"), Options{})
	require.ErrorContains(t, err, "damaged")
}

// The values of a secret, printed one after the other.
func TestSeveralBase64(t *testing.T) {
	k := testKeys(t)
	for _, extra := range []string{"", "\n", "\n\n"} { // for each length of the padding
		cert := base64.StdEncoding.EncodeToString(slices.Concat(pemCert(k.leaf), []byte(extra)))
		key := base64.StdEncoding.EncodeToString(pemOf("PRIVATE KEY", k.pkcs8))
		requirePair(t, k, []byte(cert+"\n"+key+"\n"), Options{})
	}
	der := base64.StdEncoding.EncodeToString(k.pkcs8) + "\r\n" + base64.StdEncoding.EncodeToString(k.leaf.Raw)
	requirePair(t, k, []byte(der), Options{})
}

// A block whose dashes are wrong is reported, beside a good one too.
func TestPEMDashes(t *testing.T) {
	k := testKeys(t)
	cert, key := string(pemCert(k.leaf)), string(pemOf("PRIVATE KEY", k.pkcs8))
	for name, tt := range map[string]struct{ dashes, at, says string }{
		"one dash of another kind": {"\u2014", "both", "other characters"},
		"three of them":            {"\u2014\u2014-", "both", "other characters"},
		"en dashes":                {"\u2013\u2013\u2013\u2013\u2013", "both", "other characters"},
		"minus signs":              {"\u2212\u2212\u2212\u2212\u2212", "both", "other characters"},
		"of Windows-1252":          {"\x97\x97-", "both", "other characters"},
		"four dashes":              {"----", "both", "less than five dashes"},
		"four at the end":          {"----", "end", `"-----BEGIN PRIVATE KEY----" ends with less than five`},
		"none at the end":          {"", "end", `"-----BEGIN PRIVATE KEY" ends with less than five`},
	} {
		t.Run(name, func(t *testing.T) {
			damaged := strings.ReplaceAll(key, "-----", tt.dashes)
			if tt.at == "end" {
				damaged = strings.Replace(key, "BEGIN PRIVATE KEY-----", "BEGIN PRIVATE KEY"+tt.dashes, 1)
			}
			for _, text := range []string{cert + damaged, damaged + cert, damaged} {
				_, err := Parse([]byte(text), Options{})
				require.ErrorIs(t, err, ErrFormat)
				require.ErrorContains(t, err, tt.says)
				pair, err := Parse([]byte(text+cert+key), Options{})
				require.NoError(t, err)
				require.NotEmpty(t, pair.Deviations)
			}
		})
	}
	requirePair(t, k, []byte("Certificate \u2013 BEGIN\n"+cert+key), Options{})
}

func appendToSeq(der, part []byte) []byte {
	h, err := readBERHeader(der)
	if err != nil {
		panic(err)
	}
	return seq(h.body, part)
}

func TestTwoFiles(t *testing.T) {
	k := testKeys(t)
	certs := map[string][]byte{
		"PEM": pemCert(k.leaf), "DER": k.leaf.Raw, "base64": nest64(k.leaf.Raw, 1),
		"chain": slices.Concat(pemCert(k.intermediate), pemCert(k.leaf)),
		"PFX":   pfxFile(modernMAC(testPassword, 1), encryptedSafeOf(modern(testPassword, 1), certBag(k.leaf.Raw))),
	}
	keys := map[string][]byte{
		"PKCS #1 PEM": pemOf("RSA PRIVATE KEY", k.pkcs1), "PKCS #8 PEM": pemOf("PRIVATE KEY", k.pkcs8),
		"PKCS #1 DER": k.pkcs1, "PKCS #8 DER": k.pkcs8, "base64": nest64(k.pkcs8, 1),
		"encrypted PEM": pemOf("ENCRYPTED PRIVATE KEY", modern(testPassword, 1).shroud(k.pkcs8)),
		"encrypted DER": modern(testPassword, 1).shroud(k.pkcs8),
		"PFX":           pfxFile(modernMAC(testPassword, 1), plainSafe(keyBag(k.pkcs8))),
	}
	for certName, cert := range certs {
		for keyName, key := range keys {
			t.Run(certName+"/"+keyName, func(t *testing.T) {
				opts := withPassword(testPassword)
				opts.Key = key
				requirePair(t, k, cert, opts)
				opts.Key = cert
				requirePair(t, k, key, opts)
			})
		}
	}
	t.Run("pair and an unrelated key file", func(t *testing.T) {
		requirePair(t, k, slices.Concat(certs["PEM"], keys["PKCS #8 PEM"]),
			Options{Key: pemOf("PRIVATE KEY", k.otherPKCS8)})
	})
	for name, tt := range map[string]struct {
		key  []byte
		want error
	}{
		"empty":        {[]byte{}, ErrFormat},
		"HTML":         {[]byte("<!DOCTYPE html>"), ErrFormat},
		"mismatch":     {k.otherPKCS8, ErrKeyMismatch},
		"same again":   {certs["PEM"], ErrNoPrivateKey},
		"EC":           {k.ecPKCS8, ErrKeyMismatch},
		"too large":    {make([]byte, maxFileSize+1), ErrTooLarge},
		"needs it":     {keys["encrypted PEM"], ErrPasswordRequired},
		"PFX needs it": {keys["PFX"], ErrPasswordRequired},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(certs["PEM"], Options{Key: tt.key})
			assert.ErrorIs(t, err, tt.want)
		})
	}
}

func TestEncryptedPEM(t *testing.T) {
	t.Parallel()
	skipInFIPSMode(t)
	k := testKeys(t)
	const umlauts = "pässwörd"
	keys := map[string][]byte{}
	for name, e := range schemes(umlauts, 10) {
		keys["PKCS #8 "+name] = pemOf("ENCRYPTED PRIVATE KEY", e.shroud(k.pkcs8))
	}
	keys["PKCS #8 holding PKCS #1"] = pemOf("ENCRYPTED PRIVATE KEY", modern(umlauts, 1).shroud(k.pkcs1))
	for name, c := range map[string]x509.PEMCipher{
		"DES": x509.PEMCipherDES, "3DES": x509.PEMCipher3DES, "AES-128": x509.PEMCipherAES128,
		"AES-192": x509.PEMCipherAES192, "AES-256": x509.PEMCipherAES256,
	} {
		for encoding, password := range map[string]string{"UTF-8": umlauts, "Latin-1": "p\xe4ssw\xf6rd"} {
			//lint:ignore SA1019 what openssl writes, to be read
			block, err := x509.EncryptPEMBlock(rand.Reader, "RSA PRIVATE KEY", k.pkcs1, []byte(password), c)
			require.NoError(t, err)
			keys["traditional "+name+" "+encoding] = pem.EncodeToMemory(block)
		}
	}
	for name, key := range keys {
		t.Run(name, func(t *testing.T) {
			for _, data := range [][]byte{append(pemCert(k.leaf), key...),
				append(bytes.Clone(key), pemCert(k.leaf)...)} {
				requirePair(t, k, data, withPassword(umlauts))
				for range 3 {
					_, err := Parse(data, withPassword(rand.Text()))
					require.ErrorIs(t, err, ErrWrongPassword)
				}
				_, err := Parse(data, Options{})
				require.ErrorIs(t, err, ErrPasswordRequired)
			}
		})
	}
}

// What openssl writes today, whichever version is here.
func TestOpenSSLEncryptedPEM(t *testing.T) {
	t.Parallel()
	skipInFIPSMode(t)
	openssl := tool(t, "openssl")
	k := testKeys(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "key.pem")
	require.NoError(t, os.WriteFile(file, pemOf("PRIVATE KEY", k.pkcs8), 0o600))
	for _, command := range []string{
		"pkcs8 -topk8", "pkcs8 -topk8 -scrypt", "pkcs8 -topk8 -v2 des3",
		"pkcs8 -topk8 -v2 aes-128-cbc -v2prf hmacWithSHA512",
		"pkcs8 -topk8 -v1 PBE-SHA1-3DES", "pkcs8 -topk8 -v1 PBE-SHA1-2DES",
		"rsa -aes256 -traditional", "rsa -des3 -traditional",
		"rsa -aes192",
	} {
		t.Run(command, func(t *testing.T) {
			args := append(strings.Fields(command), "-in", file, "-passout", "pass:"+testPassword)
			out, err := exec.Command(openssl, args...).Output()
			require.NoError(t, err)
			requirePair(t, k, pemCert(k.leaf), Options{Key: out, Password: testPassword, HasPassword: true})
			_, err = Parse(pemCert(k.leaf), Options{Key: out, Password: "wrong", HasPassword: true})
			assert.ErrorIs(t, err, ErrWrongPassword)
		})
	}
}

func TestTraditionalPEMErrors(t *testing.T) {
	skipInFIPSMode(t)
	k := testKeys(t)
	block := func(label, info string, body []byte) []byte {
		return append(pemCert(k.leaf), pem.EncodeToMemory(&pem.Block{
			Type: label, Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": info}, Bytes: body,
		})...)
	}
	for name, tt := range map[string]struct {
		data []byte
		want error
		text string
	}{
		"RC2": {block("RSA PRIVATE KEY", "RC2-CBC,0102030405060708", make([]byte, 16)), ErrUnsupported,
			"RC2-CBC\"; convert it with \"openssl pkey -provider legacy -provider default -in FILE"},
		"Camellia": {block("RSA PRIVATE KEY", "CAMELLIA-256-CBC,0102030405060708", make([]byte, 16)), ErrUnsupported,
			"openssl pkey -in FILE -out NEW.pem"},
		"short IV":   {block("RSA PRIVATE KEY", "AES-256-CBC,0102", make([]byte, 16)), ErrFormat, "IV"},
		"no IV":      {block("RSA PRIVATE KEY", "AES-256-CBC", make([]byte, 16)), ErrFormat, ""},
		"no hex":     {block("RSA PRIVATE KEY", "AES-256-CBC,zz", make([]byte, 16)), ErrFormat, ""},
		"odd length": {block("RSA PRIVATE KEY", "DES-CBC,0102030405060708", make([]byte, 15)), ErrFormat, ""},
		"empty":      {block("RSA PRIVATE KEY", "DES-CBC,0102030405060708", nil), ErrFormat, "empty"},
		"EC": {block("EC PRIVATE KEY", "CAMELLIA-256-CBC,0102030405060708", make([]byte, 16)), ErrUnsupported,
			"openssl pkey -in FILE -out NEW.pem"},
		"DSA": {block("DSA PRIVATE KEY", "AES-256-CBC,00", make([]byte, 16)), ErrUnsupported, "DSA"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(tt.data, withPassword("secret"))
			assert.ErrorIs(t, err, tt.want)
			assert.ErrorContains(t, err, tt.text)
		})
	}
}
