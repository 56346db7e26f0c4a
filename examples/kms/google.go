package kms

import (
	"context"
	"crypto/rand"

	kms "cloud.google.com/go/kms/apiv1"
	"go.step.sm/crypto/kms/cloudkms"

	"github.com/certtoken/certtoken/certsource"
)

// Google is the signer of a key in Google Cloud KMS, a version of a key for ASYMMETRIC_SIGN. The
// program's account needs the role Cloud KMS CryptoKey Signer/Verifier. The version's name is
// projects/…/locations/…/keyRings/…/cryptoKeys/…/cryptoKeyVersions/1, and the client is that of
// kms.NewKeyManagementClient.
//
// A key has one padding and one hash. For Entra ID make it with RSA_SIGN_PSS_2048_SHA256; one
// with RSA_SIGN_PKCS1_2048_SHA256 needs certtoken.WithPSSFallback or
// certtoken.WithAlgorithm(certtoken.RS256).
func Google(client *kms.KeyManagementClient, version string) (*certsource.Signer, error) {
	key, err := cloudkms.NewSigner(client, version)
	if err != nil {
		return nil, err
	}
	return certsource.NewSigner("Google Cloud KMS, "+version, key.Public(),
		func(_ context.Context, r certsource.SignRequest) ([]byte, error) {
			return key.Sign(rand.Reader, r.Digest, r.Opts)
		})
}
