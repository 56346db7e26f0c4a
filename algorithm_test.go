package certtoken_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
)

// checkAlgorithm checks by which algorithm a key signs at an authority, or with which error
// it fails. The certificate is at hand when the client is made, or comes later.
func checkAlgorithm(t *testing.T, authority certtoken.Authority, kind, want string) {
	t.Helper()
	key := kinds()[kind]
	cert, err := certtoken.NewCertificate(key, leafOf(t, key, time.Now().Add(-time.Minute), time.Hour), nil)
	require.NoError(t, err)
	later := certtoken.CertSourceFunc(cert.Certificate)
	for when, source := range map[string]certtoken.CertSource{"at NewClient": cert, "later": later} {
		var wire recorder
		client, err := certtoken.NewClient(authority, clientID, source,
			certtoken.WithHTTPClient(&http.Client{Transport: &wire}))
		if err == nil {
			_, err = client.Token(t.Context(), "read")
			require.NoError(t, client.Close())
		} else {
			assert.Equal(t, "at NewClient", when, "%v", err)
		}
		require.Error(t, err) // also from the recorder
		if strings.Contains(want, " ") {
			assert.Empty(t, wire.form, "%s: nothing is sent", when)
			require.ErrorContains(t, err, want, "%s %s", kind, when)
			assert.True(t, strings.HasPrefix(err.Error(), "certtoken: "), err.Error())
			assert.Less(t, len(err.Error()), 1500)
			continue
		}
		require.ErrorContains(t, err, "invalid_client", "%s %s", kind, when)
		header, _ := decodedJWT(t, wire.form.Get("client_assertion"))
		var h struct{ Alg string }
		require.NoError(t, json.Unmarshal(header, &h))
		assert.Equal(t, want, h.Alg, "%s %s", kind, when)
	}
}

func TestTheKeyDecidesTheAlgorithm(t *testing.T) {
	const issuer, endpoint = "https://as.example.com", "https://as.example.com/token"
	for kind, want := range map[string]string{
		"RSA": "RS256", "P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "EdDSA",
	} {
		checkAlgorithm(t, certtoken.Issuer(issuer, endpoint), kind, want)
	}
	for kind, want := range map[string]string{
		"RSA": "PS256", "P-256": "ES256", "Ed25519": "EdDSA",
		"P-384": "FAPI 2.0 allows PS256, ES256, EdDSA, Ed25519, and this key is an EC key of the curve P-384",
	} {
		checkAlgorithm(t, certtoken.Issuer(issuer, endpoint, certtoken.WithFAPI()), kind, want)
		checkAlgorithm(t, discovered(t, `["RS256","ES384","ES256","EdDSA","PS256"]`, certtoken.WithFAPI()), kind, want)
	}
	checkAlgorithm(t, discovered(t, `["RS256"]`, certtoken.WithFAPI()), "RSA",
		"the server takes RS256, and this key is an RSA key of 2048 bits, which signs by PS256")
	checkAlgorithm(t, certtoken.Issuer(issuer, endpoint, certtoken.WithAlgorithm(certtoken.Ed25519)), "Ed25519",
		"Ed25519")
	checkAlgorithm(t, certtoken.Issuer(issuer, endpoint, certtoken.WithAlgorithm(certtoken.ES384)), "P-256",
		"ES384 is for EC keys of the curve P-384, and this key is an EC key of the curve P-256")
	// Neither option is about other keys than RSA.
	for _, opt := range []certtoken.AuthorityOption{certtoken.WithoutPSS(), certtoken.WithPSSFallback()} {
		checkAlgorithm(t, certtoken.Issuer(issuer, endpoint, opt), "P-256", "ES256")
	}
}

func TestEntraAndADFSTakeRSAOnly(t *testing.T) {
	for _, c := range []struct {
		authority certtoken.Authority
		name      string
	}{
		{certtoken.Entra(tenantID), "Entra ID"},
		{certtoken.EntraB2C("contoso", "B2C_1_x"), "Entra ID"},
		{certtoken.Entra(tenantID, certtoken.WithMTLSPoP()), ""}, // presents it in TLS
		{certtoken.ADFS("fs.contoso.com"), "ADFS"},
	} {
		for _, kind := range []string{"P-256", "P-384", "P-521", "Ed25519"} {
			if c.name != "" {
				checkAlgorithm(t, c.authority, kind, c.name+" takes RSA keys only, and this is an E")
				checkAlgorithm(t, c.authority, kind, "(certtoken cert new --key rsa)")
			}
		}
		key := kinds()["P-256"]
		cert, err := certtoken.NewCertificate(key, leafOf(t, key, time.Now(), time.Hour), nil)
		require.NoError(t, err)
		_, err = certtoken.NewClient(c.authority, clientID, cert)
		require.ErrorIs(t, err, certtoken.ErrNotRSA)
		client, err := certtoken.NewClient(c.authority, clientID, certtoken.CertSourceFunc(cert.Certificate))
		require.NoError(t, err)
		require.ErrorIs(t, client.Check(t.Context()), certtoken.ErrNotRSA)
		require.NoError(t, client.Close())
	}
}

// goldenKinds are the golden certificates, by the end of their file's name.
var goldenKinds = map[string]string{
	"RSA": "", "P-256": "-p256", "P-384": "-p384", "P-521": "-p521", "Ed25519": "-ed25519",
}

// goldenOf is a golden certificate with a key of a kind.
func goldenOf(t testing.TB, kind string) *certtoken.Certificate {
	t.Helper()
	data, err := os.ReadFile("testdata/golden" + goldenKinds[kind] + ".pem")
	require.NoError(t, err)
	first, rest := pem.Decode(data)
	second, _ := pem.Decode(rest)
	if first.Type == "CERTIFICATE" {
		first, second = second, first
	}
	key, err := x509.ParsePKCS8PrivateKey(first.Bytes)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(second.Bytes)
	require.NoError(t, err)
	cert, err := certtoken.NewCertificate(key.(crypto.Signer), leaf, nil)
	require.NoError(t, err)
	return cert
}

// fitting says which kind of key each algorithm is for.
var fitting = map[certtoken.Algorithm]string{
	certtoken.RS256: "RSA", certtoken.RS384: "RSA", certtoken.RS512: "RSA",
	certtoken.PS256: "RSA", certtoken.PS384: "RSA", certtoken.PS512: "RSA",
	certtoken.ES256: "P-256", certtoken.ES384: "P-384", certtoken.ES512: "P-521",
	certtoken.EdDSA: "Ed25519", certtoken.Ed25519: "Ed25519",
}

func TestAssertionIsVerifiedByOthers(t *testing.T) {
	for alg, kind := range fitting {
		cert := goldenOf(t, kind)
		spki, err := x509.MarshalPKIXPublicKey(cert.Leaf.PublicKey)
		require.NoError(t, err)
		pub := filepath.Join(t.TempDir(), "pub.pem")
		require.NoError(t, os.WriteFile(pub, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}), 0o600))
		signers := map[string]crypto.Signer{
			"key in memory":  cert.Signer,
			"crypto.Signer":  opaque{cert.Signer},
			"context signer": contextSigner{opaque{cert.Signer}, new(bool)},
		}
		if key, ok := cert.Signer.(*ecdsa.PrivateKey); ok {
			signers["raw signer"] = rawSigner{key}
			signers["raw context signer"] = contextSigner{opaque{rawSigner{key}}, new(bool)}
		}
		for name, signer := range signers {
			t.Run(string(alg)+" "+name, func(t *testing.T) {
				pair, err := certtoken.NewCertificate(signer, cert.Leaf, nil)
				require.NoError(t, err)
				assertion := certtoken.Assertion{ClientID: clientID, Audience: tokenURL, Algorithm: alg}
				signed, err := assertion.Sign(t.Context(), pair)
				require.NoError(t, err)
				dot := strings.LastIndex(signed, ".")
				sig, err := base64.RawURLEncoding.DecodeString(signed[dot+1:])
				require.NoError(t, err)
				verifiedByGo(t, alg, cert.Leaf.PublicKey, signed)
				verifiedByOpenSSL(t, alg, pub, signed[:dot], sig)
			})
		}
	}
}

// verifiedByGo asks golang-jwt, or for the name that it doesn't know crypto/ed25519.
func verifiedByGo(t *testing.T, alg certtoken.Algorithm, pub crypto.PublicKey, signed string) {
	t.Helper()
	if alg == certtoken.Ed25519 {
		dot := strings.LastIndex(signed, ".")
		sig, err := base64.RawURLEncoding.DecodeString(signed[dot+1:])
		require.NoError(t, err)
		assert.True(t, ed25519.Verify(pub.(ed25519.PublicKey), []byte(signed[:dot]), sig))
		return
	}
	key := func(*jwt.Token) (any, error) { return pub, nil }
	_, err := jwt.Parse(signed, key, jwt.WithValidMethods([]string{string(alg)}))
	require.NoError(t, err)
}

// verifiedByOpenSSL asks openssl, which takes ECDSA signatures in ASN.1.
func verifiedByOpenSSL(t *testing.T, alg certtoken.Algorithm, pub, input string, sig []byte) {
	t.Helper()
	if strings.HasPrefix(string(alg), "ES") {
		var err error
		sig, err = asn1.Marshal([]*big.Int{
			new(big.Int).SetBytes(sig[:len(sig)/2]), new(big.Int).SetBytes(sig[len(sig)/2:]),
		})
		require.NoError(t, err)
	}
	dir := t.TempDir()
	sigFile, inFile := filepath.Join(dir, "sig"), filepath.Join(dir, "in")
	require.NoError(t, os.WriteFile(sigFile, sig, 0o600))
	require.NoError(t, os.WriteFile(inFile, []byte(input), 0o600))
	if strings.HasPrefix(string(alg), "Ed") {
		out := openssl(t, nil, "pkeyutl", "-verify", "-pubin", "-inkey", pub, "-rawin", "-in", inFile, "-sigfile",
			sigFile)
		assert.Contains(t, string(out), "Signature Verified Successfully")
		return
	}
	args := []string{"dgst", "-sha" + string(alg)[2:], "-verify", pub, "-signature", sigFile}
	if strings.HasPrefix(string(alg), "PS") {
		args = append(args, "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest")
	}
	assert.Contains(t, string(openssl(t, nil, append(args, inFile)...)), "Verified OK")
}
