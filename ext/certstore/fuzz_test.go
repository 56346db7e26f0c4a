package certstore

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// seeds gives each file to the fuzzer, and fails if they are gone: a fuzzer
// without seeds finds nothing and passes.
func seeds(f *testing.F, pattern string) {
	f.Helper()
	files, err := filepath.Glob(pattern)
	require.NoError(f, err)
	require.NotEmpty(f, files, "the seeds are missing")
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(string(data))
	}
}

// FuzzThumbprint: what is taken is the digits of one digest and nothing else,
// and names one certificate; an error is one line.
func FuzzThumbprint(f *testing.F) {
	seeds(f, "testdata/thumbprint/*")
	f.Fuzz(func(t *testing.T, text string) {
		sum, err := parseThumbprint(text)
		if err != nil {
			assert.Nil(t, sum)
			oneLine(t, err.Error())
			_, err = newSource(nil, []Option{WithThumbprint(text)})
			assert.Error(t, err)
			return
		}
		assert.Contains(t, []int{sha1.Size, sha256.Size}, len(sum))
		for _, r := range text {
			known := strings.ContainsRune("0123456789abcdefABCDEF:", r) || unicode.IsSpace(r) ||
				unicode.Is(unicode.Cf, r)
			assert.True(t, known, "%q", r)
		}
		again, err := parseThumbprint(strings.ToUpper(hex.EncodeToString(sum)))
		require.NoError(t, err)
		assert.Equal(t, sum, again)
		s, err := newSource(nil, []Option{WithThumbprint(text)})
		require.NoError(t, err)
		assert.False(t, s.cfg.matches(&x509.Certificate{Raw: []byte(text)}), "it has another digest")
	})
}

// FuzzSubject: a name finds the certificate that has it and no other, and prints
// in one line.
func FuzzSubject(f *testing.F) {
	seeds(f, "testdata/subject/*")
	now := time.Now()
	f.Fuzz(func(t *testing.T, subject string) {
		s, err := newSource(nil, []Option{WithSubject(subject)})
		if err != nil {
			assert.Empty(t, subject)
			return
		}
		certs := []*x509.Certificate{
			{Raw: []byte{1}, Subject: pkix.Name{CommonName: subject}},
			{Raw: []byte{2}, Subject: pkix.Name{CommonName: subject + "."}},
			{Raw: []byte{3}, Subject: pkix.Name{CommonName: "." + subject}},
			{Raw: []byte{4}},
		}
		assert.Equal(t, []int{0}, s.cfg.order(certs, now))
		s, err = newSource(nil, []Option{WithSubject(certs[1].Subject.String())})
		require.NoError(t, err)
		assert.Contains(t, s.cfg.order(certs, now), 1, "by the whole name")
		oneLine(t, s.String())
		assert.False(t, bytes.ContainsRune([]byte(s.String()), '\x1b'))
	})
}

// FuzzTemplate: whatever a CA wrote as the template, it has the one name that is printed of
// it, and the mistakes in an identifier are told in one line.
func FuzzTemplate(f *testing.F) {
	files, err := filepath.Glob("testdata/template/*")
	require.NoError(f, err)
	require.NotEmpty(f, files, "the seeds are missing")
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(data, "WebServer")
		f.Add(data, "1.3.6.1.4.1.311.21.8.8950086.10656446.2706058.12775672.480128.147.13466065.13029902")
	}
	f.Fuzz(func(t *testing.T, value []byte, template string) {
		s, err := newSource(nil, []Option{WithTemplate(template)})
		if err != nil {
			oneLine(t, err.Error())
			return
		}
		oneLine(t, s.String())
		for _, id := range []asn1.ObjectIdentifier{templateName, templateID, {1, 2, 3}} {
			cert := &x509.Certificate{Extensions: []pkix.Extension{{Id: id, Value: value}}}
			if !s.cfg.matches(cert) {
				continue
			}
			assert.Contains(t, []string{templateName.String(), templateID.String()}, id.String())
			other := newConfig([]Option{WithTemplate(template + ".1x")})
			assert.False(t, other.matches(cert))
		}
	})
}

func oneLine(t *testing.T, text string) {
	t.Helper()
	assert.False(t, strings.ContainsAny(text, "\n\r\x00\x1b\u2028\u2029\u202e"), "%q", text)
}
