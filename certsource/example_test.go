package certsource_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"log"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certsource"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/selfsigned"
)

// hsm stands for what asks an HSM, a vault or an agent. This one has a key in memory.
type hsm struct{ key crypto.Signer }

func (h *hsm) Sign(_ context.Context, alg certtoken.Algorithm, digest []byte) ([]byte, error) {
	if alg != certtoken.RS256 {
		return nil, fmt.Errorf("%s: %w", alg, errors.ErrUnsupported)
	}
	return h.key.Sign(rand.Reader, digest, crypto.SHA256)
}

// safe stands for where a certificate with its key is kept.
type safe struct{ pem []byte }

func (s *safe) Read(context.Context, string) ([]byte, error) { return s.pem, nil }

// A source whose certificate, with its key, is fetched from somewhere.
func ExampleNew() {
	made, err := certtokentest.MakeCertificate(certtokentest.WithSubject("my-service"))
	if err != nil {
		log.Fatal(err)
	}
	pem, err := selfsigned.EncodePEM(made)
	if err != nil {
		log.Fatal(err)
	}
	vault := &safe{pem}

	source, err := certsource.New("my vault", func(
		ctx context.Context, _ *certtoken.Certificate,
	) (*certtoken.Certificate, error) {
		pem, err := vault.Read(ctx, "my-service")
		if err != nil {
			return nil, err
		}
		return certtoken.ParseCertificate(pem)
	})
	if err != nil {
		log.Fatal(err)
	}
	cert, err := source.Certificate(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(cert.Leaf.Subject, source.Health())
	// Output: CN=my-service <nil>
}

// A key that signs elsewhere. This HSM lacks PSS, which is Entra ID's default here, so the
// client falls back to RS256.
func ExampleNewSigner() {
	made, err := certtokentest.MakeCertificate()
	if err != nil {
		log.Fatal(err)
	}
	server, err := certtokentest.Start(certtokentest.WithTenants("contoso.com"))
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	server.Register("my-service", made.Leaf)
	leaf, hsm := made.Leaf, &hsm{made.Signer}

	signer, err := certsource.NewSigner("my HSM", leaf.PublicKey, func(
		ctx context.Context, r certsource.SignRequest,
	) ([]byte, error) {
		return hsm.Sign(ctx, r.Algorithm, r.Digest)
	})
	if err != nil {
		log.Fatal(err)
	}
	cert, err := certtoken.NewCertificate(signer, leaf, nil)
	if err != nil {
		log.Fatal(err)
	}
	client, err := certtoken.NewClient(certtoken.Entra("contoso.com", certtoken.WithPSSFallback()), "my-service",
		cert, certtoken.WithHTTPClient(server.Client()))
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
