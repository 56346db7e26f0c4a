package selfsigned_test

import (
	"bytes"
	"crypto/fips140"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/selfsigned"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tool finds a program that judges what we write. CI must have it.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed, and CI needs it", name)
		}
		t.Skipf("%s is not installed: nothing was compared with it", name)
	}
	return path
}

func run(t *testing.T, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	require.NoErrorf(t, cmd.Run(), "%s: %s%s", filepath.Base(program), out.String(), errOut.String())
	return out.String()
}

// issued is a certificate with a chain of two.
func issued(t *testing.T) *certtoken.Certificate {
	t.Helper()
	root := certtokentest.NewCertificate(t, certtokentest.AsCA(), certtokentest.WithSubject("root"))
	middle := certtokentest.NewCertificate(
		t,
		certtokentest.AsCA(),
		certtokentest.WithSubject("middle"),
		certtokentest.SignedBy(root),
	)
	return certtokentest.NewCertificate(t, certtokentest.WithSubject("leaf"), certtokentest.SignedBy(middle))
}

var passwords = []struct{ name, value string }{
	{"plain", "hybridbrothers.com"},
	{"empty", ""},
	{"non-ASCII", "pässwörd-Ω-密码"},
	{"long", strings.Repeat("0123456789", 12)},
	{"quotes and spaces", ` "it's" $HOME \ `},
}

type pfxForm struct {
	name   string
	form   selfsigned.PFXForm
	legacy []string // openssl needs to be told
}

var forms = []pfxForm{
	{"modern", selfsigned.PFXModern, nil},
	{"legacy", selfsigned.PFXLegacy, []string{"-legacy"}},
}

// encodable are the forms that can be written here.
func encodable() []pfxForm {
	if fips140.Enforced() {
		return forms[:1]
	}
	return forms
}

func TestLegacyPFXInFIPSMode(t *testing.T) {
	if !fips140.Enforced() {
		t.Skip("not in FIPS 140-only mode")
	}
	_, err := selfsigned.EncodePFX(newCert(t, selfsigned.Options{}), "x", selfsigned.PFXLegacy)
	assert.ErrorIs(t, err, errors.ErrUnsupported)
}

// encoded makes each PFX of a test once: its password is hashed often.
type encoded struct {
	cert *certtoken.Certificate
	made map[string][]byte
}

var everyPFX = &encoded{made: make(map[string][]byte)} // by tests that run one after the other

func (e *encoded) pfx(t *testing.T, password string, form selfsigned.PFXForm) []byte {
	t.Helper()
	if e.cert == nil {
		e.cert = issued(t)
	}
	name := fmt.Sprint(form, password)
	if e.made[name] == nil {
		data, err := selfsigned.EncodePFX(e.cert, password, form)
		require.NoError(t, err)
		e.made[name] = data
	}
	return e.made[name]
}

func (e *encoded) file(t *testing.T, password string, form selfsigned.PFXForm) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "private.pfx")
	require.NoError(t, os.WriteFile(path, e.pfx(t, password, form), 0o600))
	return path
}

func TestPFXOpensHere(t *testing.T) {
	all := everyPFX
	for _, form := range encodable() {
		for _, password := range passwords {
			t.Run(form.name+"/"+password.name, func(t *testing.T) {
				data := all.pfx(t, password.value, form.form)
				got, err := certtoken.ParseCertificate(data, certtoken.WithPassword(password.value))
				require.NoError(t, err)
				assert.Equal(t, all.cert.Leaf.Raw, got.Leaf.Raw)
				assert.Len(t, got.Chain, 2)
				if password.name == "plain" {
					_, err = certtoken.ParseCertificate(data, certtoken.WithPassword("wrong"))
					assert.ErrorIs(t, err, certtoken.ErrWrongPassword)
				}
			})
		}
	}
}

func TestPFXOpensInOpenSSL(t *testing.T) {
	openssl := tool(t, "openssl")
	all := everyPFX
	for _, form := range encodable() {
		for _, password := range passwords {
			t.Run(form.name+"/"+password.name, func(t *testing.T) {
				pfx := all.file(t, password.value, form.form)
				passFile := filepath.Join(t.TempDir(), "password")
				require.NoError(t, os.WriteFile(passFile, []byte(password.value+"\n"), 0o600))
				args := append([]string{"pkcs12", "-in", pfx, "-passin", "file:" + passFile, "-nodes"}, form.legacy...)
				out := run(t, openssl, args...)
				got, err := certtoken.ParseCertificate([]byte(out))
				require.NoError(t, err)
				assert.Equal(t, all.cert.Leaf.Raw, got.Leaf.Raw)
				assert.Len(t, got.Chain, 2)
			})
		}
	}
}

func TestModernPFXUsesAES(t *testing.T) {
	openssl := tool(t, "openssl")
	pfx := everyPFX.file(t, passwords[0].value, selfsigned.PFXModern)
	cmd := exec.Command(openssl, "pkcs12", "-in", pfx, "-passin", "pass:"+passwords[0].value, "-info", "-noout")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Contains(t, string(out), "AES-256-CBC")
	assert.Contains(t, string(out), "hmacWithSHA256")
	assert.Regexp(t, `(?i)MAC: sha256`, string(out))
	assert.NotContains(t, string(out), "3DES")
}

func TestPFXOpensInKeytool(t *testing.T) {
	keytool := tool(t, "keytool")
	all := everyPFX
	for _, form := range encodable() {
		for _, password := range passwords {
			if password.name == "non-ASCII" || form.legacy != nil && password.name != "empty" {
				continue // Java refuses the first kind, also in its own files, and starts slowly for the others
			}
			t.Run(form.name+"/"+password.name, func(t *testing.T) {
				pfx := all.file(t, password.value, form.form)
				cmd := exec.Command(keytool,
					"-list", "-v", "-keystore", pfx, "-storetype", "PKCS12", "-storepass:env", "PFX_PASSWORD")
				cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "PFX_PASSWORD="+password.value)
				out, err := cmd.CombinedOutput()
				require.NoError(t, err, string(out))
				sum := sha256.Sum256(all.cert.Leaf.Raw)
				want := strings.ToUpper(hex.EncodeToString(sum[:]))
				plain := strings.ReplaceAll(string(out), ":", "")
				assert.Contains(t, plain, want)
				assert.Contains(t, plain, "PrivateKeyEntry")
				assert.Contains(t, plain, "Certificate chain length 3")
			})
		}
	}
}

func TestCERIsReadByOpenSSL(t *testing.T) {
	openssl := tool(t, "openssl")
	cert := newCert(t, selfsigned.Options{Subject: "hybridbrothers-demo"})
	der, err := selfsigned.EncodeCER(cert)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "public.cer")
	require.NoError(t, os.WriteFile(path, der, 0o600))
	out := run(t, openssl, "x509", "-in", path, "-inform", "DER", "-noout", "-text")
	for _, part := range []string{
		"hybridbrothers-demo", "sha256WithRSAEncryption", "2048 bit",
		"X509v3 Key Usage: critical", "Digital Signature, Key Encipherment",
		"TLS Web Client Authentication, TLS Web Server Authentication",
	} {
		assert.Contains(t, out, part)
	}
	run(t, openssl, "verify", "-CAfile", pemOf(t, cert), pemOf(t, cert))
}

func pemOf(t *testing.T, cert *certtoken.Certificate) string {
	t.Helper()
	data, err := selfsigned.EncodePEM(cert)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "pair.pem")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}

func TestPEMIsReadByOpenSSL(t *testing.T) {
	openssl := tool(t, "openssl")
	cert := issued(t)
	path := pemOf(t, cert)
	run(t, openssl, "pkey", "-in", path, "-check", "-noout")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	got, err := certtoken.ParseCertificate(data)
	require.NoError(t, err)
	assert.Equal(t, cert.Leaf.Raw, got.Leaf.Raw)
	assert.Len(t, got.Chain, 2)
}
