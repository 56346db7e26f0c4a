package keyform_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/rotate/internal/keyform"
	"github.com/certtoken/certtoken/selfsigned"
)

const password = "correct horse"

func newCert(t *testing.T, opts selfsigned.Options) *certtoken.Certificate {
	t.Helper()
	cert, err := selfsigned.New(opts)
	require.NoError(t, err)
	return cert
}

// read reads files as a client does.
func read(t *testing.T, files keyform.Files, bareKey bool) *certtoken.Certificate {
	t.Helper()
	dir := t.TempDir()
	main, key := filepath.Join(dir, "main"), filepath.Join(dir, "key")
	require.NoError(t, os.WriteFile(main, files.Main, 0o600))
	opts := []certtoken.CertOption{certtoken.WithPassword(password)}
	if files.Key != nil {
		require.NoError(t, os.WriteFile(key, files.Key, 0o600))
		opts = append(opts, certtoken.WithKeyFile(key))
	}
	source := certtoken.CertFile(main, opts...)
	if bareKey {
		source = certtoken.KeyFile(main, opts...)
	}
	cert, err := source.Certificate(context.Background())
	require.NoError(t, err)
	return cert
}

// openssl runs the tool, as an oracle and to write forms of its own.
func openssl(t *testing.T, args ...string) {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("openssl is missing")
		}
		t.Skip("openssl is missing")
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	require.NoError(t, err, string(out))
}

// forms are files as they are met: what they hold, and what is to be found again in a
// file that was written in their form.
func forms(t *testing.T, cert *certtoken.Certificate) map[string]keyform.Files {
	t.Helper()
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	both, err := selfsigned.EncodePEM(cert)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path("both.pem"), both, 0o600))
	pfx, err := selfsigned.EncodePFX(cert, password, selfsigned.PFXModern)
	require.NoError(t, err)
	legacy, err := selfsigned.EncodePFX(cert, password, selfsigned.PFXLegacy)
	require.NoError(t, err)
	keyBlock, rest := pem.Decode(both)
	certBlock, _ := pem.Decode(rest)
	certPEM, keyPEM := pem.EncodeToMemory(certBlock), pem.EncodeToMemory(keyBlock)
	openssl(t, "pkcs8", "-topk8", "-in", path("both.pem"), "-out", path("enc.pem"), "-passout", "pass:"+password)
	openssl(t, "pkcs8", "-topk8", "-in", path("both.pem"), "-out", path("enc.der"), "-outform", "DER",
		"-passout", "pass:"+password)
	traditional := []string{"pkey", "-traditional"}
	if cert.Leaf.PublicKeyAlgorithm == x509.Ed25519 { // it has no older form
		traditional = traditional[:1]
	}
	openssl(t, append(traditional, "-in", path("both.pem"), "-out", path("older.pem"))...)
	openssl(t, append(traditional, "-in", path("both.pem"), "-out", path("older.der"), "-outform", "DER")...)
	load := func(name string) []byte {
		data, err := os.ReadFile(path(name))
		require.NoError(t, err)
		return data
	}
	return map[string]keyform.Files{
		"PEM, key first":              {Main: both},
		"PEM, certificate first":      {Main: append(bytes.Clone(certPEM), keyPEM...)},
		"PEM, encrypted":              {Main: append(bytes.Clone(certPEM), load("enc.pem")...)},
		"PEM, older key":              {Main: append(bytes.Clone(certPEM), load("older.pem")...)},
		"PEM with bag attributes":     {Main: append([]byte("Bag Attributes\n  localKeyID: 01\n"), both...)},
		"PEM in base64":               {Main: []byte(base64.StdEncoding.EncodeToString(both))},
		"PFX":                         {Main: pfx},
		"PFX, legacy":                 {Main: legacy},
		"PFX in base64":               {Main: []byte(base64.StdEncoding.EncodeToString(pfx) + "\n")},
		"two PEM":                     {Main: certPEM, Key: keyPEM},
		"two PEM, encrypted":          {Main: certPEM, Key: load("enc.pem")},
		"DER and key":                 {Main: certBlock.Bytes, Key: keyBlock.Bytes},
		"DER and encrypted key":       {Main: certBlock.Bytes, Key: load("enc.der")},
		"DER and older key":           {Main: certBlock.Bytes, Key: load("older.der")},
		"DER and PEM key":             {Main: certBlock.Bytes, Key: keyPEM},
		"PEM certificate and DER key": {Main: certPEM, Key: keyBlock.Bytes},
	}
}

// shape is what two files of one form have in common.
func shape(t *testing.T, data []byte) []string {
	t.Helper()
	var labels []string
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		labels = append(labels, block.Type)
	}
	return labels
}

func TestTheFormIsKept(t *testing.T) {
	for name, opts := range map[string]selfsigned.Options{
		"RSA": {Subject: "old"}, "EC": {Subject: "old", Key: selfsigned.EC, Curve: elliptic.P384()},
		"Ed25519": {Subject: "old", Key: selfsigned.Ed25519},
	} {
		old, next := newCert(t, opts), newCert(t, opts)
		for form, files := range forms(t, old) {
			t.Run(name+"/"+form, func(t *testing.T) {
				require.Equal(t, old.Leaf.Raw, read(t, files, false).Leaf.Raw, "the example is one")
				f, err := keyform.Of(files, false)
				require.NoError(t, err)
				made, err := f.Encode(next, password)
				require.NoError(t, err)
				got := read(t, made, false)
				assert.Equal(t, next.Leaf.Raw, got.Leaf.Raw)
				assert.Equal(t, files.Key == nil, made.Key == nil)
				assert.Equal(t, shape(t, files.Main), shape(t, made.Main))
				assert.Equal(t, shape(t, files.Key), shape(t, made.Key))
				again, err := keyform.Of(made, false)
				require.NoError(t, err)
				assert.Equal(t, f, again)
			})
		}
	}
}

// What is encrypted here opens in openssl.
func TestEncryptedKeysOpenInOpenSSL(t *testing.T) {
	cert := newCert(t, selfsigned.Options{})
	f, err := keyform.Of(forms(t, cert)["two PEM, encrypted"], false)
	require.NoError(t, err)
	made, err := f.Encode(cert, password)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "key.pem")
	require.NoError(t, os.WriteFile(path, made.Key, 0o600))
	openssl(t, "pkey", "-in", path, "-passin", "pass:"+password, "-noout", "-check")
}

// Between the two renames of a pair in two files either key finds its certificate.
func TestBothCertificatesInOneFile(t *testing.T) {
	old, next := newCert(t, selfsigned.Options{Subject: "old"}), newCert(t, selfsigned.Options{Subject: "next"})
	files := forms(t, old)["two PEM"]
	f, err := keyform.Of(files, false)
	require.NoError(t, err)
	made, err := f.Encode(next, password)
	require.NoError(t, err)
	both := keyform.Beside(files.Main, made.Main)
	assert.Equal(t, old.Leaf.Raw, read(t, keyform.Files{Main: both, Key: files.Key}, false).Leaf.Raw)
	assert.Equal(t, next.Leaf.Raw, read(t, keyform.Files{Main: both, Key: made.Key}, false).Leaf.Raw)
	assert.Nil(t, keyform.Beside(old.Leaf.Raw, made.Main), "DER holds one certificate")
}

func TestBareKeys(t *testing.T) {
	for name, opts := range map[string]selfsigned.Options{
		"RSA": {}, "EC": {Key: selfsigned.EC, Curve: elliptic.P521()}, "Ed25519": {Key: selfsigned.Ed25519},
	} {
		t.Run(name, func(t *testing.T) {
			oldKey, err := selfsigned.GenerateKey(opts)
			require.NoError(t, err)
			old, err := certtoken.NewKey(oldKey, "")
			require.NoError(t, err)
			nextKey, err := selfsigned.GenerateKey(opts)
			require.NoError(t, err)
			next, err := certtoken.NewKey(nextKey, "")
			require.NoError(t, err)
			start, err := keyform.Of(keyform.Files{Main: []byte(`{"kty":"x"}`)}, true)
			require.NoError(t, err)
			first, err := start.Encode(old, "")
			require.NoError(t, err)
			require.Equal(t, old.KeyID, read(t, first, true).KeyID)
			f, err := keyform.Of(first, true)
			require.NoError(t, err)
			made, err := f.Encode(next, "")
			require.NoError(t, err)
			got := read(t, made, true)
			assert.Equal(t, next.KeyID, got.KeyID)
			var members map[string]any
			require.NoError(t, json.Unmarshal(made.Main, &members))
			assert.NotEmpty(t, members["d"])

			for form, files := range forms(t, newCert(t, opts)) {
				if files.Key == nil {
					continue
				}
				f, err := keyform.Of(keyform.Files{Main: files.Key}, true)
				require.NoError(t, err, form)
				made, err := f.Encode(next, password)
				require.NoError(t, err, form)
				assert.Equal(t, next.KeyID, read(t, made, true).KeyID, form)
				assert.Equal(t, shape(t, files.Key), shape(t, made.Main), form)
			}
		})
	}
}

// A key that isn't in memory has no form as a file.
func TestAKeyInAnHSMIsNotWritten(t *testing.T) {
	cert := newCert(t, selfsigned.Options{Key: selfsigned.Ed25519})
	pemForm, err := keyform.Of(forms(t, cert)["PEM, key first"], false)
	require.NoError(t, err)
	hidden := struct{ *ed25519.PrivateKey }{cert.Signer.(*ed25519.PrivateKey)}
	_, err = pemForm.Encode(&certtoken.Certificate{Leaf: cert.Leaf, Signer: hidden}, "")
	assert.ErrorContains(t, err, "isn't in memory")
}

func TestOtherFilesHaveNoForm(t *testing.T) {
	for _, data := range []string{"", "hello world!", "\x30\x03\x02\x01\x00"} {
		_, err := keyform.Of(keyform.Files{Main: []byte(data)}, false)
		assert.Error(t, err, "%q", data)
	}
}
