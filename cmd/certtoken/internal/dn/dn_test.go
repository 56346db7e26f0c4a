package dn

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"strings"
	"testing"
	"time"
)

// What is read is what crypto/x509 shows, whose text is that of RFC 4514 too.
func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"my-app":                       "CN=my-app",
		"CN=my-app":                    "CN=my-app",
		"cn = my-app":                  "CN=my-app",
		"2.5.4.3=my-app":               "CN=my-app",
		"OID.2.5.4.3=my-app":           "CN=my-app",
		"My App, Inc":                  `CN=My App\, Inc`,
		"CN=my-app,O=Example,C=DE":     "CN=my-app,O=Example,C=DE",
		"CN=my-app; O=Example ,  C=DE": "CN=my-app,O=Example,C=DE",
		`CN=a\,b,O=c\+d\=e`:            `CN=a\,b,O=c\+d=e`,
		`CN="a, b",O=c`:                `CN=a\, b,O=c`,
		`CN="a \"b\"",O=c`:             `CN=a \"b\",O=c`,
		`CN=\ a\ `:                     `CN=\ a\ `,
		`CN=\ a\  ,O=b`:                `CN=\ a\ ,O=b`,
		`CN=a   ,O=b`:                  "CN=a,O=b",
		`CN=Lu\C4\8Di\C4\87`:           "CN=Lučić",
		`CN=Lučić`:                     "CN=Lučić",
		`CN=a=b`:                       "CN=a=b",
		`CN=\#a`:                       `CN=\#a`,
		`CN=a#b`:                       `CN=a#b`,
		`CN=a\\b`:                      `CN=a\\b`,
		"OU=Sales+CN=J.  Smith,L=a":    "OU=Sales+CN=J.  Smith,L=a",
		"CN=J.  Smith+OU=Sales,L=a":    "OU=Sales+CN=J.  Smith,L=a",
		"CN=#0C066D792D617070":         "CN=my-app",
		"CN=#130161,O=b":               "CN=a,O=b",
		"CN=#1e0400610062":             "CN=ab",
		"1.3.6.1.4.1.1466.0=#04024869": "",
		"O=Example":                    "O=Example",
		"O=a,O=b":                      "O=a,O=b",
	} {
		name, err := Parse(text)
		if want == "" {
			if err == nil {
				t.Errorf("%s: no error", text)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := shown(t, name); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// shown is the name as the standard library shows it after a round through DER.
func shown(t *testing.T, name *Name) string {
	t.Helper()
	der, err := name.DER()
	if err != nil {
		t.Fatal(err)
	}
	var rdns pkix.RDNSequence
	if rest, err := asn1.Unmarshal(der, &rdns); err != nil || len(rest) > 0 {
		t.Fatalf("%x: %v", der, err)
	}
	return rdns.String()
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "CN has no value",
		"CN=":                              "CN has no value",
		`CN=""`:                            "CN has no value",
		"CN=a,":                            "ends with a separator",
		"CN=a,O":                           `"O" is not TYPE=VALUE`,
		"CN=My App, Inc":                   `" Inc" is not TYPE=VALUE`,
		"CN=a,,O=b":                        "is not TYPE=VALUE",
		"CN=a+":                            "ends with a separator",
		"CN=a+CN=b":                        "both sides of a +",
		"FOO=a":                            `"FOO" is no type of attribute`,
		"my=app":                           `write CN=my\=`,
		"CN=a,1=b":                         `"1" is no type`,
		"3.1=a":                            `"3.1" is no type`,
		"1.40=a":                           "over 39",
		"1.99999999999=a":                  "too large a number",
		"/CN=a/O=b":                        "openssl's -subj",
		"CN=a\n":                           "can't be printed",
		`CN=a\0Ab`:                         "can't be printed",
		"CN=a\xff":                         "not UTF-8",
		`CN=a\ffb`:                         "not UTF-8",
		`CN=a\xb`:                          `after \ comes`,
		`CN=a\`:                            `after \ comes`,
		`CN="a`:                            "closing quote is missing",
		`CN="a"b`:                          "behind the closing quote",
		`CN=a"b`:                           `write \" instead of "`,
		"CN=a<b":                           `write \< instead of <`,
		"C=DEU":                            "exactly 2 characters",
		"C=D_":                             "letters, digits",
		"DC=ü":                             "ASCII",
		"CN=#":                             "hexadecimal digits",
		"CN=#0":                            "hexadecimal digits",
		"CN=#zz":                           "hexadecimal digits",
		"CN=#0c05616263":                   "not one DER value",
		"CN=#0c016162":                     "not one DER value",
		"CN=#020101":                       "no valid UTF8String",
		"CN=#130140":                       "no valid UTF8String",
		"CN=#0c010a":                       "can't be printed",
		"CN=#0c00":                         "CN has no value",
		"CN=" + strings.Repeat("a", 65):    "up to 64 characters",
		strings.Repeat("a", 65):            "up to 64 characters",
		strings.Repeat("OU=a,", 64) + "O=": "over 64 attributes",
		strings.Repeat("a", 5000):          "over 4096 bytes",
	} {
		_, err := Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// The string types are those that RFC 5280 asks for.
func TestEncoding(t *testing.T) {
	for text, want := range map[string]string{
		"a":          "300c310a30080603550403130161",
		"ü":          "300d310b300906035504030c02c3bc",
		"DC=a":       "30133111300f060a0992268993f22c640119160161",
		"E=a@b":      "30143112301006092a864886f70d0109011603614062",
		"CN=a,O=b":   "3018310a3008060355040a130162310a30080603550403130161",
		"CN=#0c0161": "300c310a300806035504030c0161",
	} {
		name, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		der, err := name.DER()
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(der); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestCommonName(t *testing.T) {
	for text, want := range map[string]string{
		"my-app": "my-app", "CN=my-app": "my-app", "2.5.4.3=a": "a", "CN=ü": "ü",
		"CN=a,O=b": "", "O=b": "", "CN=a+OU=b": "", "CN=#1e0400610062": "",
	} {
		name, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, ok := name.CommonName(); got != want || ok != (want != "") {
			t.Errorf("%s: %q, %v", text, got, ok)
		}
	}
}

// FuzzParse: every name that is read stands in a certificate that crypto/x509
// reads.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"my-app", "CN=my-app,O=Example,C=DE", `CN=a\,b+OU=c\2Bd;DC=e`,
		`CN="a, b"`, "CN=#0C0161", "1.2.3=#1E020061", "my=app", `CN=\`,
	} {
		f.Add(seed)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, err := Parse(text)
		if err != nil {
			return
		}
		der, err := name.DER()
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now(), RawSubject: der}
		cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if _, err := x509.ParseCertificate(cert); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
	})
}
