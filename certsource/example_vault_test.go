package certsource_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certsource"
	"github.com/certtoken/certtoken/certtokentest"
)

// signingVault stands for a vault that shows certificates and never their keys.
type signingVault struct{ key *certtoken.Certificate }

// Certificate is the newest certificate, in PEM, and the version of its key.
func (v *signingVault) Certificate(context.Context, string) (data []byte, version string, err error) {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: v.key.Leaf.Raw}), "1", nil
}

func (v *signingVault) Sign(
	_ context.Context, _, _ string, alg certtoken.Algorithm, digest []byte,
) ([]byte, error) {
	if alg != certtoken.PS256 {
		return nil, fmt.Errorf("%s: %w", alg, errors.ErrUnsupported)
	}
	return v.key.Signer.Sign(rand.Reader, digest, &rsa.PSSOptions{SaltLength: 32, Hash: crypto.SHA256})
}

// A vault that has the certificate and signs with its key: the public half is fetched, and a
// signer is made for each new one.
func ExampleNew_signer() {
	made, err := certtokentest.MakeCertificate()
	if err != nil {
		log.Fatal(err)
	}
	server, err := certtokentest.Start()
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	server.Register("my-service", made.Leaf)
	vault := &signingVault{made}

	source, err := certsource.New("my vault", func(
		ctx context.Context, known *certtoken.Certificate,
	) (*certtoken.Certificate, error) {
		data, version, err := vault.Certificate(ctx, "my-service")
		if err != nil {
			return nil, err
		}
		block, _ := pem.Decode(data)
		if block == nil {
			return nil, errors.New("the certificate is not PEM")
		}
		leaf, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		if known != nil && leaf.Equal(known.Leaf) {
			return known, nil
		}
		signer, err := certsource.NewSigner("my vault", leaf.PublicKey, func(
			ctx context.Context, r certsource.SignRequest,
		) ([]byte, error) {
			return vault.Sign(ctx, "my-service", version, r.Algorithm, r.Digest)
		})
		if err != nil {
			return nil, err
		}
		return certtoken.NewCertificate(signer, leaf, nil)
	})
	if err != nil {
		log.Fatal(err)
	}
	client, err := certtoken.NewClient(server.Authority(), "my-service", source,
		certtoken.WithHTTPClient(server.Client()))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	token, err := client.Token(context.Background(), "https://graph.microsoft.com/.default")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(token.Type())
	// Output: Bearer
}
