package kms_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	googlekms "cloud.google.com/go/kms/apiv1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/api/option"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/examples/kms"
	"github.com/certtoken/certtoken/selfsigned"
)

const googleKey = "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1"

// googleAlgorithms are how Go signs by an algorithm, which a key has one of.
var googleAlgorithms = map[string]crypto.SignerOpts{
	"RSA_SIGN_PSS_2048_SHA256":   &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256},
	"RSA_SIGN_PKCS1_2048_SHA256": crypto.SHA256,
	"EC_SIGN_P256_SHA256":        crypto.SHA256,
	"EC_SIGN_ED25519":            crypto.Hash(0),
}

// fakeGoogle is Google Cloud KMS with one key, as far as the example asks it, over its REST
// interface. The client is the same as over gRPC.
func fakeGoogle(t *testing.T, key crypto.Signer, algorithm string) *googlekms.KeyManagementClient {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/"+googleKey+"/publicKey", func(w http.ResponseWriter, _ *http.Request) {
		block := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicDER(t, key.Public())})
		answer := map[string]string{"name": googleKey, "pem": string(block), "algorithm": algorithm}
		_ = json.NewEncoder(w).Encode(answer)
	})
	mux.HandleFunc("POST /v1/"+googleKey+":asymmetricSign", func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			Digest struct {
				SHA256 []byte `json:"sha256"`
			} `json:"digest"`
			Data []byte `json:"data"`
		}
		err := json.NewDecoder(r.Body).Decode(&asked)
		input := asked.Digest.SHA256
		if googleAlgorithms[algorithm] == crypto.Hash(0) {
			input = asked.Data
		}
		if err != nil || len(input) == 0 {
			http.Error(w, `{"error":{"code":400,"status":"INVALID_ARGUMENT"}}`, http.StatusBadRequest)
			return
		}
		signature, err := key.Sign(rand.Reader, input, googleAlgorithms[algorithm])
		if err != nil {
			http.Error(w, `{"error":{"code":400,"status":"INVALID_ARGUMENT"}}`, http.StatusBadRequest)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"name": googleKey, "signature": signature})
	})
	server := httptest.NewTLSServer(mux)
	t.Cleanup(server.Close)
	client, err := googlekms.NewKeyManagementRESTClient(t.Context(),
		option.WithEndpoint(server.URL), option.WithHTTPClient(server.Client()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// The certificate of a key is made by the key itself, whatever its padding.
func TestGoogleKeyMakesItsCertificate(t *testing.T) {
	own := made(t, certtokentest.RSA)
	for algorithm, want := range map[string]x509.SignatureAlgorithm{
		"RSA_SIGN_PSS_2048_SHA256": x509.SHA256WithRSAPSS, "RSA_SIGN_PKCS1_2048_SHA256": x509.SHA256WithRSA,
	} {
		signer, err := kms.Google(fakeGoogle(t, own.Signer, algorithm), googleKey)
		require.NoError(t, err)
		issued, err := selfsigned.For(t.Context(), signer, selfsigned.Options{Subject: "my-service"})
		require.NoError(t, err)
		assert.Equal(t, want, issued.Leaf.SignatureAlgorithm)
	}
}

// What a key is asked for and can't do is an error, which says so of the padding alone.
func TestGoogleKeysLimits(t *testing.T) {
	own := made(t, certtokentest.RSA)
	pss := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	for algorithm, otherPadding := range map[string]crypto.SignerOpts{
		"RSA_SIGN_PSS_2048_SHA256": crypto.SHA256, "RSA_SIGN_PKCS1_2048_SHA256": pss,
	} {
		signer, err := kms.Google(fakeGoogle(t, own.Signer, algorithm), googleKey)
		require.NoError(t, err)
		_, err = signer.Sign(nil, make([]byte, 32), otherPadding)
		assert.ErrorIs(t, err, errors.ErrUnsupported, algorithm)
		_, err = signer.Sign(nil, make([]byte, 64), crypto.SHA512)
		assert.ErrorContains(t, err, "400", algorithm)
		assert.NotErrorIs(t, err, errors.ErrUnsupported, algorithm)
	}
}

func TestGoogle(t *testing.T) {
	rsaKey := made(t, certtokentest.RSA)
	for algorithm, own := range map[string]*certtoken.Certificate{
		"RSA_SIGN_PSS_2048_SHA256": rsaKey, "RSA_SIGN_PKCS1_2048_SHA256": rsaKey,
		"EC_SIGN_P256_SHA256": made(t, certtokentest.P256), "EC_SIGN_ED25519": made(t, certtokentest.Ed25519),
	} {
		t.Run(algorithm, func(t *testing.T) {
			signer, err := kms.Google(fakeGoogle(t, own.Signer, algorithm), googleKey)
			cert := pair(t, signer, err, own.Leaf)
			server := certtokentest.NewServer(t, certtokentest.WithTenants("contoso.com"))
			entra := certtoken.Entra("contoso.com", certtoken.WithPSSFallback())
			switch algorithm {
			case "EC_SIGN_P256_SHA256", "EC_SIGN_ED25519":
				conforms(t, cert)
				server = certtokentest.NewServer(t, certtokentest.WithIssuer("https://as.example"))
				alg := map[string]string{"EC_SIGN_P256_SHA256": "ES256", "EC_SIGN_ED25519": "EdDSA"}[algorithm]
				assert.Equal(t, alg, getsToken(t, server, server.Authority(), cert))
			case "RSA_SIGN_PSS_2048_SHA256":
				assert.Equal(t, "PS256", getsToken(t, server, entra, cert))
			default: // it makes no PSS signatures, and the client finds that out
				conforms(t, cert)
				assert.Equal(t, "RS256", getsToken(t, server, entra, cert))
			}
		})
	}
}
