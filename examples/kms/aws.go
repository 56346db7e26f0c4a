package kms

import (
	"context"
	"crypto/rand"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"go.step.sm/crypto/kms/awskms"

	"github.com/certtoken/certtoken/certsource"
)

// AWS is the signer of a key in AWS KMS, an asymmetric key for SIGN_VERIFY. The program's role
// needs kms:GetPublicKey and kms:Sign. keyID is the key's id or ARN; an alias must be in lower
// case. The configuration is that of config.LoadDefaultConfig.
func AWS(cfg aws.Config, keyID string) (*certsource.Signer, error) {
	key, err := awskms.NewSigner(kms.NewFromConfig(cfg), keyID)
	if err != nil {
		return nil, err
	}
	return certsource.NewSigner("AWS KMS, key "+keyID, key.Public(),
		func(_ context.Context, r certsource.SignRequest) ([]byte, error) {
			return key.Sign(rand.Reader, r.Digest, r.Opts)
		})
}
