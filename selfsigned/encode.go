package selfsigned

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/fips140"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/certtoken/certtoken"
	"software.sslmate.com/src/go-pkcs12"
)

// ErrKeyNotExportable means that a private key isn't in memory but in an HSM or
// a vault, so it can't be written into a file.
var ErrKeyNotExportable = errors.New("the private key is not in memory")

// PFXForm is a choice of algorithms for a PFX file.
type PFXForm int

// The forms. PFXModern is read by OpenSSL 1.1 and later, Java 12 and later and
// Windows 10 1709 and later; PFXLegacy by everything, and a good password is all
// that protects its key.
const (
	PFXModern PFXForm = iota // AES-256, PBKDF2 and MAC with SHA-256
	PFXLegacy                // TripleDES, SHA-1
)

// modernRounds is how often a password is hashed. Readers put limits on it:
// .NET's are 300,000 for each of the three and 1,000,000 in all.
const modernRounds = 100_000

// EncodePFX writes the certificate, its chain and its private key, of any kind, as
// PKCS #12 under a password, which may be empty and may hold every character of
// Unicode's basic plane; Java reads only files with an ASCII password. Errors
// wrap [ErrKeyNotExportable] for a key that isn't in memory, and
// [errors.ErrUnsupported] for PFXLegacy in FIPS 140-only mode; they never hold
// the password.
func EncodePFX(cert *certtoken.Certificate, password string, form PFXForm) ([]byte, error) {
	key, err := exportKey(cert)
	if err != nil {
		return nil, err
	}
	encoder, err := form.encoder()
	if err != nil {
		return nil, err
	}
	for _, r := range password {
		if r > 0xFFFF || r == 0xFFFD { // PKCS #12 passwords are UCS-2; U+FFFD is what invalid UTF-8 reads as
			return nil, errors.New(
				"selfsigned: the password has a character beyond Unicode's basic plane, such as an emoji, which not every reader of PFX takes the same",
			)
		}
	}
	var data []byte
	fips140.WithoutEnforcement(func() { // it names the key by a SHA-1
		data, err = encoder.Encode(key, cert.Leaf, cert.Chain, password)
	})
	if err != nil {
		return nil, fmt.Errorf("selfsigned: PFX: %w", err)
	}
	return data, nil
}

func (form PFXForm) encoder() (*pkcs12.Encoder, error) {
	switch {
	case form == PFXModern:
		return pkcs12.Modern2023.WithIterations(modernRounds), nil
	case form == PFXLegacy && fips140.Enforced():
		return nil, fmt.Errorf(
			"selfsigned: TripleDES and SHA-1 in FIPS 140-only mode: %w; take PFXModern",
			errors.ErrUnsupported,
		)
	case form == PFXLegacy:
		return pkcs12.LegacyDES, nil
	}
	return nil, fmt.Errorf("selfsigned: unknown PFX form %d", form)
}

// EncodePEM writes the private key (PKCS #8, not encrypted), the certificate and
// its chain as PEM. Errors wrap [ErrKeyNotExportable] for a key that isn't in
// memory.
func EncodePEM(cert *certtoken.Certificate) ([]byte, error) {
	key, err := exportKey(cert)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("selfsigned: PEM: %w", err)
	}
	var out bytes.Buffer
	blocks := []*pem.Block{{Type: "PRIVATE KEY", Bytes: der}, {Type: "CERTIFICATE", Bytes: cert.Leaf.Raw}}
	for _, issuer := range cert.Chain {
		blocks = append(blocks, &pem.Block{Type: "CERTIFICATE", Bytes: issuer.Raw})
	}
	for _, block := range blocks {
		if err := pem.Encode(&out, block); err != nil {
			return nil, fmt.Errorf("selfsigned: PEM: %w", err)
		}
	}
	return out.Bytes(), nil
}

// EncodeCER writes the certificate without its key in DER, as Export-Certificate
// does: what an app registration takes.
func EncodeCER(cert *certtoken.Certificate) ([]byte, error) {
	if cert == nil || cert.Leaf == nil {
		return nil, errNoCertificate
	}
	return bytes.Clone(cert.Leaf.Raw), nil
}

var errNoCertificate = errors.New("selfsigned: no certificate")

// exportKey returns the private key of a certificate whose parts match, in the form
// that crypto/x509 writes.
func exportKey(cert *certtoken.Certificate) (crypto.PrivateKey, error) {
	if cert == nil {
		return nil, errNoCertificate
	}
	if _, err := certtoken.NewCertificate(cert.Signer, cert.Leaf, cert.Chain); err != nil {
		return nil, fmt.Errorf("selfsigned: %w", err)
	}
	switch key := cert.Signer.(type) {
	case *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey:
		return key, nil
	case *ed25519.PrivateKey:
		return *key, nil
	}
	return nil, fmt.Errorf(
		"selfsigned: %w but behind a %T; write its public certificate instead, or export it where it is kept",
		ErrKeyNotExportable,
		cert.Signer,
	)
}
