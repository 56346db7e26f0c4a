package kms_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/examples/kms"
)

const awsKey = "1234abcd-12ab-34cd-56ef-1234567890ab"

// awsAlgorithms are AWS KMS's names, and how Go signs so.
var awsAlgorithms = map[string]crypto.SignerOpts{
	"RSASSA_PKCS1_V1_5_SHA_256": crypto.SHA256,
	"RSASSA_PSS_SHA_256":        &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256},
	"ECDSA_SHA_256":             crypto.SHA256,
	"ECDSA_SHA_384":             crypto.SHA384,
	"ED25519_SHA_512":           crypto.Hash(0),
}

// fakeAWS is AWS KMS with one key, as far as the example asks it.
func fakeAWS(t *testing.T, key crypto.Signer) aws.Config {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			KeyID            string `json:"KeyId"`
			Message          []byte
			MessageType      string
			SigningAlgorithm string
		}
		if json.NewDecoder(r.Body).Decode(&asked) != nil || asked.KeyID != awsKey ||
			r.Header.Get("Authorization") == "" {
			http.Error(w, "{}", http.StatusBadRequest)
			return
		}
		answer := map[string]any{"KeyId": asked.KeyID}
		switch r.Header.Get("X-Amz-Target") {
		case "TrentService.GetPublicKey":
			answer["PublicKey"] = publicDER(t, key.Public())
		case "TrentService.Sign":
			opts, ok := awsAlgorithms[asked.SigningAlgorithm]
			if !ok || (asked.MessageType == "RAW") != (opts == crypto.Hash(0)) {
				http.Error(w, `{"__type":"InvalidKeyUsageException"}`, http.StatusBadRequest)
				return
			}
			signature, err := key.Sign(rand.Reader, asked.Message, opts)
			if err != nil {
				http.Error(w, `{"__type":"ValidationException"}`, http.StatusBadRequest)
				return
			}
			answer["Signature"] = signature
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	return aws.Config{
		Region: "eu-central-1", BaseEndpoint: aws.String(server.URL), HTTPClient: server.Client(),
		Credentials:      credentials.NewStaticCredentialsProvider("id", "secret", ""),
		RetryMaxAttempts: 1,
	}
}

func TestAWS(t *testing.T) {
	for kind, alg := range map[certtokentest.KeyKind]string{
		certtokentest.RSA: "PS256", certtokentest.P256: "ES256", certtokentest.P384: "ES384",
		certtokentest.Ed25519: "EdDSA",
	} {
		t.Run(kind.String(), func(t *testing.T) {
			own := made(t, kind)
			signer, err := kms.AWS(fakeAWS(t, own.Signer), awsKey)
			cert := pair(t, signer, err, own.Leaf)
			if kind != certtokentest.P384 { // slow under the race detector
				conforms(t, cert)
			}
			if kind == certtokentest.RSA {
				server := certtokentest.NewServer(t, certtokentest.WithTenants("contoso.com"))
				assert.Equal(t, alg, getsToken(t, server, certtoken.Entra("contoso.com"), cert))
				return
			}
			server := certtokentest.NewServer(t, certtokentest.WithIssuer("https://as.example"))
			assert.Equal(t, alg, getsToken(t, server, server.Authority(), cert))
		})
	}
}

// A key that was exchanged behind its id is found out, and one that isn't there.
func TestAWSOtherKeys(t *testing.T) {
	own, other := made(t, certtokentest.P256), made(t, certtokentest.P256)
	changed := &changing{own.Signer}
	signer, err := kms.AWS(fakeAWS(t, changed), awsKey)
	require.NoError(t, err)
	changed.Signer = other.Signer
	_, err = signer.Sign(nil, make([]byte, 32), crypto.SHA256)
	assert.ErrorIs(t, err, certtoken.ErrKeyMismatch)
	_, err = kms.AWS(fakeAWS(t, own.Signer), "alias/none")
	assert.Error(t, err)
}

// changing is a key that becomes another one.
type changing struct{ crypto.Signer }
