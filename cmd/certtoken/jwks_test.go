package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/internal/certfile"
	"github.com/certtoken/certtoken/selfsigned"
)

// jwksOf runs the command and returns its exit status and all that it printed.
func runJWKS(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	in, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var out, errOut bytes.Buffer
	status = execute(t.Context(), console.With(in, &out, &errOut), append([]string{"jwks"}, args...))
	return status, out.String(), errOut.String()
}

// publicMembers are all that a set may hold.
var publicMembers = []string{"kty", "use", "alg", "kid", "crv", "x", "y", "n", "e", "x5t#S256", "x5c"}

// checkPublic checks that nothing but public members are printed, and none of the
// secrets.
func checkPublic(t *testing.T, secrets *secrets, stdout, stderr string) {
	t.Helper()
	for what := range secrets.find(stdout + stderr) {
		t.Errorf("%s is printed", what)
	}
	if stdout == "" {
		return
	}
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal([]byte(stdout), &set); err != nil {
		t.Fatal(err)
	}
	for _, key := range set.Keys {
		for name := range key {
			if !slices.Contains(publicMembers, name) {
				t.Errorf("a member %q is printed", name)
			}
		}
	}
}

// Whatever certificate file it is given, the command prints no private key: every
// file of the corpus.
func TestJWKSOfTheCorpus(t *testing.T) {
	t.Parallel()
	const corpus = "../../internal/certfile/testdata"
	data, err := os.ReadFile(filepath.Join(corpus, "corpus.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name, File, KeyFile, Thumbprint, Error string
		Key                                    string // its digest
		Slow                                   bool   // hundreds of thousands of rounds
		Password                               *string
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	// The files hold few keys. Which file holds which, and which are errors, the parser's
	// own tests check: here no file is opened a second time for a key that is known.
	keys := make(map[string]crypto.Signer)
	printed := 0
	for i, c := range cases {
		if testing.Short() && (i%16 != 0 || c.Slow) {
			continue
		}
		path := filepath.Join(corpus, "corpus", c.File)
		secrets := newSecrets()
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		opts := certfile.Options{}
		args := []string{path}
		if c.Password != nil {
			opts.Password, opts.HasPassword = *c.Password, true
			file := filepath.Join(t.TempDir(), "password")
			if err := os.WriteFile(file, []byte(*c.Password), 0o600); err != nil {
				t.Fatal(err)
			}
			args = append(args, "--password-file", file)
		}
		key, opens := keys[c.Key], c.Error == ""
		alone := c.KeyFile == "" && c.Thumbprint == "" // as the command gets it here
		if opens && key == nil || !alone {
			var pair *certfile.Pair
			pair, err = certfile.Parse(content, opts)
			if opens = err == nil; opens {
				key = pair.Key
			}
			if opens && alone {
				keys[c.Key] = key
			}
		}
		if opens {
			secrets.key(key)
		}
		status, stdout, stderr := runJWKS(t, args...)
		checkPublic(t, secrets, stdout, stderr)
		if t.Failed() {
			t.Fatalf("%s", c.Name) // without the output, which has a key in it
		}
		if opens && status != statusDone {
			t.Errorf("%s: exit status %d: %s", c.Name, status, stderr)
		}
		if status == statusDone {
			printed++
		}
	}
	if printed < 10 {
		t.Errorf("only %d files were printed", printed)
	}
}

// inMemory is a certificate's key in the form that crypto/x509 writes.
func inMemory(signer crypto.Signer) crypto.Signer {
	if key, ok := signer.(*ed25519.PrivateKey); ok {
		return *key
	}
	return signer
}

// privateForms are the forms in which a private key comes without a certificate.
func privateForms(t *testing.T, key crypto.Signer) map[string][]byte {
	t.Helper()
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	one, number := privateJWK(t, key), privateNumber(t, key)
	forms := map[string][]byte{
		"PKCS #8, DER":          pkcs8,
		"PKCS #8, PEM":          pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
		"JWK":                   one,
		"JWK with a mark":       append([]byte("\xef\xbb\xbf\n "), one...),
		"JWK Set":               []byte(`{"keys":[` + string(one) + `]}`),
		"JWK with what else is": bytes.Replace(one, []byte("{"), []byte(`{"D":"`+number+`","k":"`+number+`",`), 1),
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		der := x509.MarshalPKCS1PrivateKey(key)
		forms["PKCS #1, DER"] = der
		forms["PKCS #1, PEM"] = pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der})
	case *ecdsa.PrivateKey:
		der, err := x509.MarshalECPrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		forms["SEC 1, DER"] = der
		forms["SEC 1, PEM"] = pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	}
	return forms
}

// privateNumber is the member d of a private JWK.
func privateNumber(t *testing.T, key crypto.Signer) string {
	t.Helper()
	switch key := key.(type) {
	case *rsa.PrivateKey:
		return base64.RawURLEncoding.EncodeToString(key.D.Bytes())
	case *ecdsa.PrivateKey:
		number, err := key.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(number)
	}
	return base64.RawURLEncoding.EncodeToString(key.(ed25519.PrivateKey).Seed())
}

func privateJWK(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	members := map[string]string{"d": privateNumber(t, key), "kid": "my key"}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		members["kty"], members["n"] = "RSA", encode(key.N.Bytes())
		members["e"] = encode(big.NewInt(int64(key.E)).Bytes())
		for name, number := range map[string]*big.Int{
			"p": key.Primes[0], "q": key.Primes[1],
			"dp": key.Precomputed.Dp, "dq": key.Precomputed.Dq, "qi": key.Precomputed.Qinv,
		} {
			members[name] = encode(number.Bytes())
		}
	case *ecdsa.PrivateKey:
		point, err := key.PublicKey.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		members["kty"], members["crv"] = "EC", key.Params().Name
		members["x"], members["y"] = encode(point[1:len(point)/2+1]), encode(point[len(point)/2+1:])
	case ed25519.PrivateKey:
		members["kty"], members["crv"] = "OKP", "Ed25519"
		members["x"] = encode(key.Public().(ed25519.PublicKey))
	}
	data, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Whatever private key it is given, alone or with its certificate, in each form, whole,
// damaged or cut, the command prints no part of it.
func TestJWKSOfPrivateKeys(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]selfsigned.Options{
		"RSA":     {},
		"P-256":   {Key: selfsigned.EC},
		"P-384":   {Key: selfsigned.EC, Curve: elliptic.P384()},
		"P-521":   {Key: selfsigned.EC, Curve: elliptic.P521()},
		"Ed25519": {Key: selfsigned.Ed25519},
	} {
		cert, err := selfsigned.New(opts)
		if err != nil {
			t.Fatal(err)
		}
		secrets := newSecrets()
		secrets.key(cert.Signer)
		forms := privateForms(t, inMemory(cert.Signer))
		if forms["pair, PEM"], err = selfsigned.EncodePEM(cert); err != nil {
			t.Fatal(err)
		}
		if forms["pair, PFX"], err = selfsigned.EncodePFX(cert, "", selfsigned.PFXLegacy); err != nil {
			t.Fatal(err)
		}
		for form, data := range forms {
			t.Run(name+"/"+form, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "key")
				run := func(data []byte) int {
					if err := os.WriteFile(path, data, 0o600); err != nil {
						t.Fatal(err)
					}
					status, stdout, stderr := runJWKS(t, path)
					checkPublic(t, secrets, stdout, stderr)
					return status
				}
				if form != "pair, PFX" && !secrets.find(string(data))["a private key"] {
					t.Error("the key isn't found in the file")
				}
				if status := run(data); status != statusDone {
					t.Errorf("exit status %d", status)
				}
				if form == "pair, PFX" {
					return // each password takes its time
				}
				places := 50
				if _, slow := cert.Signer.(*rsa.PrivateKey); slow { // each whole key is checked
					places = 12
				}
				if testing.Short() {
					places /= 4
				}
				for at := 0; at < len(data) && !t.Failed(); at += 1 + len(data)/places {
					damaged := bytes.Clone(data)
					damaged[at] ^= 1 << (at % 7)
					run(damaged)
					run(data[:at])
				}
			})
		}
	}
}

// A public key is read in each of its forms.
func TestJWKSOfPublicKeys(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := x509.MarshalPKCS1PublicKey(&key.PublicKey)
	var want string
	for name, data := range map[string][]byte{
		"SPKI, DER":    spki,
		"SPKI, PEM":    pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}),
		"PKCS #1, DER": pkcs1,
		"PKCS #1, PEM": pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: pkcs1}),
		"UTF-16":       utf16File(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))),
	} {
		path := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		status, stdout, stderr := runJWKS(t, path)
		if want == "" {
			want = stdout
		}
		if status != statusDone || stdout != want {
			t.Errorf("%s: exit status %d: %s%s", name, status, stdout, stderr)
		}
	}
}

// utf16File is a text as PowerShell 5.1 writes it.
func utf16File(text string) []byte {
	data := []byte{0xff, 0xfe}
	for _, b := range []byte(text) {
		data = append(data, b, 0)
	}
	return data
}
