// Package selfsigned makes the certificate that an application proves itself
// with: self-signed, as PowerShell's New-SelfSignedCertificate makes it, and
// written as a public .cer, which is uploaded to the app registration, and a
// private .pfx with a password.
//
//	cert, err := selfsigned.New(selfsigned.Options{Subject: "my-app"})
//	files, err := selfsigned.WriteFiles(".", cert, password, selfsigned.WriteOptions{})
//
// [For] makes one for a key that exists already and may be in an HSM, a TPM or a
// vault, and [Request] makes the request by which a CA issues one.
//
// Nothing here checks or uses a certificate; that is package certtoken's.
package selfsigned

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"math/big"
	"time"

	"github.com/certtoken/certtoken"
)

// backdate is from a certificate's NotBefore to now, against drifting clocks.
const backdate = 10 * time.Minute

// New makes a key and a certificate that it signs itself, valid from ten minutes
// ago. The signature's hash is SHA-256, or that of the curve (P-384: SHA-384,
// P-521: SHA-512), or Ed25519's own.
//
// A certificate with an RSA key is for digital signature and key encipherment,
// client and server authentication, as New-SelfSignedCertificate makes it. One
// with another key is for digital signature and client authentication. Errors name
// every option that is out of its bounds.
func New(opts Options) (*certtoken.Certificate, error) {
	p, err := opts.profile(time.Now())
	if err != nil {
		return nil, err
	}
	key, err := p.generate()
	if err != nil {
		return nil, fmt.Errorf("selfsigned: %w", err)
	}
	return p.issue(context.Background(), key)
}

// For makes the certificate that New makes, for a key that exists: in memory, an
// HSM, a TPM or a vault. Key, KeyBits and Curve of the options must not be set.
// The context reaches the signer if that is a [certtoken.ContextSigner]. A signer
// with an EC key may return an ASN.1 signature, as crypto.Signer asks for, or the
// two numbers one behind the other, as PKCS #11 and Key Vault do. Errors wrap
// [certtoken.ErrNoPrivateKey], [certtoken.ErrKeySize] or [certtoken.ErrUnsupported] for
// a key that [certtoken.NewKey] refuses, which isn't asked to sign, or the signer's error.
func For(ctx context.Context, signer crypto.Signer, opts Options) (*certtoken.Certificate, error) {
	p, err := opts.profileOf(signer, time.Now())
	if err != nil {
		return nil, err
	}
	return p.issue(ctx, signer)
}

// GenerateKey makes a key in memory as Key, KeyBits and Curve of the options say:
// an *[rsa.PrivateKey], an *[ecdsa.PrivateKey] or an [ed25519.PrivateKey].
func GenerateKey(opts Options) (crypto.Signer, error) {
	spec, err := opts.keySpec().resolve()
	if err != nil {
		return nil, fmt.Errorf("selfsigned: %w", err)
	}
	key, err := spec.generate()
	if err != nil {
		return nil, fmt.Errorf("selfsigned: %w", err)
	}
	return key, nil
}

// issue makes the certificate of a key.
func (p *profile) issue(ctx context.Context, key crypto.Signer) (*certtoken.Certificate, error) {
	pub := key.Public()
	id, err := keyID(pub)
	if err != nil {
		return nil, fmt.Errorf("selfsigned: %w", err)
	}
	usage := usageOf(pub)
	template := &x509.Certificate{
		SerialNumber: newSerial(),
		Subject:      p.subject,
		RawSubject:   p.rawSubject,
		NotBefore:    p.now.Add(-backdate),
		NotAfter:     p.notAfter,
		KeyUsage:     usage.key,
		ExtKeyUsage:  usage.extended,
		SubjectKeyId: id,
		DNSNames:     p.dnsNames,
		URIs:         p.uris,
	}
	der, err := usage.signed(func(alg x509.SignatureAlgorithm) ([]byte, error) {
		template.SignatureAlgorithm = alg
		return x509.CreateCertificate(rand.Reader, template, template, pub, &certSigner{ctx, key})
	})
	if err != nil {
		return nil, fmt.Errorf("selfsigned: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("selfsigned: %w", err)
	}
	return certtoken.NewCertificate(key, leaf, nil)
}

// newSerial is a random positive number of 127 bits (RFC 5280 §4.1.2.2).
func newSerial() *big.Int {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b[:])
}
