package main

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/jwt"
	"github.com/certtoken/certtoken/internal/certfile"
)

// seeds gives each file to add, and fails if they are gone: a fuzzer without
// seeds finds nothing and passes.
func seeds(f *testing.F, pattern string, add func(data []byte)) {
	f.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		f.Fatalf("the seeds are missing: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		add(data)
	}
}

// FuzzDecode gives anything to certtoken decode: what is shown has no control
// characters, and an error repeats nothing of the input.
func FuzzDecode(f *testing.F) {
	seeds(f, "testdata/decode/*", func(data []byte) { f.Add(string(data)) })
	f.Fuzz(func(t *testing.T, input string) {
		parts, err := jwt.Read(input)
		if err != nil {
			if text := strings.TrimSpace(input); len(text) > 40 && strings.Contains(err.Error(), text) {
				t.Fatalf("the error repeats the input: %v", err)
			}
			return
		}
		for _, object := range []json.RawMessage{parts.Header, parts.Claims} {
			if !json.Valid(object) {
				t.Fatalf("no JSON: %q", object)
			}
			for _, line := range indented(object) {
				graphic(t, console.Printable(jwt.ShortenOpaque(line)))
				noteOn(line)
			}
		}
	})
}

// FuzzFault gives anything to certtoken serve --fault.
func FuzzFault(f *testing.F) {
	for _, seed := range []string{"", "throttle", "429", "AADSTS700027", "delay=1s", "700027,2", "=", ",,"} {
		f.Add(seed)
	}
	f.Fuzz(func(_ *testing.T, spec string) { _, _ = parseFault(spec) })
}

// FuzzCertificate gives anything to those who read public certificates: cert
// show, serve --client and --ca. What they take can be shown, in lines without
// control characters.
func FuzzCertificate(f *testing.F) {
	seeds(f, "testdata/certificate/*", func(data []byte) { f.Add(data, "") })
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n"), "00112233445566778899AABBCCDDEEFF00112233")
	f.Fuzz(func(t *testing.T, data []byte, selected string) {
		shown, err := parsePublic(data, selected)
		if err == nil {
			rows := shown.rows("file", time.Now())
			for _, r := range rows {
				graphic(t, console.Printable(r.text))
			}
			newCertJSON(shown)
			if selected != "" && !selects(selected, shown.leaf) {
				t.Fatalf("%q selected another certificate", selected)
			}
		}
		_, caErr := certfile.ParsePublic(data)
		for _, err := range []error{err, caErr} {
			if err == nil {
				continue
			}
			first, more := headline(err)
			for _, line := range append(more, first) {
				graphic(t, line)
			}
		}
	})
}

// FuzzJWKS gives anything to certtoken jwks: its errors can be shown, and what is
// printed has the members of public keys only.
func FuzzJWKS(f *testing.F) {
	seeds(f, "testdata/certificate/*", func(data []byte) { f.Add(data) })
	seeds(f, "../../internal/jwk/testdata/*.json", func(data []byte) { f.Add(data) })
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		flags := certFlags{file: "file"}
		keys, err := flags.publicKeys(t.Context(), testConsole(t), &certContent{cert: data})
		if err != nil {
			first, more := headline(err)
			for _, line := range append(more, first) {
				graphic(t, line)
			}
			return
		}
		command := &jwksCommand{console: testConsole(t)}
		set, err := command.set(keys)
		if err != nil {
			return
		}
		text, err := json.Marshal(set)
		if err != nil {
			t.Fatal(err)
		}
		checkPublic(t, newSecrets(), string(text), "")
	})
}

func graphic(t *testing.T, line string) {
	t.Helper()
	if i := strings.IndexFunc(line, func(r rune) bool { return r != ' ' && !unicode.IsGraphic(r) }); i >= 0 {
		t.Fatalf("a control character is shown: %q", line)
	}
}

// selects reports whether a thumbprint in hex or base64url is the certificate's.
func selects(thumbprint string, cert *x509.Certificate) bool {
	one, two := sha1.Sum(cert.Raw), sha256.Sum256(cert.Raw)
	bare := strings.Map(func(r rune) rune {
		if r == ':' || unicode.IsSpace(r) {
			return -1
		}
		return r
	}, thumbprint)
	for _, sum := range [][]byte{one[:], two[:]} {
		if strings.EqualFold(bare, hex.EncodeToString(sum)) || bare == base64.RawURLEncoding.EncodeToString(sum) {
			return true
		}
	}
	return false
}
