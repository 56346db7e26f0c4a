package selfsigned

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/bits"
	"time"
)

// Request makes a certificate signing request (PKCS #10, RFC 2986) for a key that
// exists, in memory, an HSM, a TPM or a vault; [GenerateKey] makes one. It asks for
// the subject, the names and the key usage that For writes into a certificate. A CA
// may give less. How long the certificate is valid is the CA's decision, so
// Validity must not be set, nor may Key, KeyBits and Curve. The signer is what For
// takes.
//
// Raw of the result is the DER form; in PEM it is a CERTIFICATE REQUEST.
func Request(ctx context.Context, signer crypto.Signer, opts Options) (*x509.CertificateRequest, error) {
	var errs []error
	if opts.Validity != 0 {
		errs = append(errs, errors.New("selfsigned: Validity is not part of a request: the CA decides it"))
		opts.Validity = 0
	}
	p, err := opts.profileOf(signer, time.Now())
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	pub := signer.Public()
	usage := usageOf(pub)
	extensions, err := usage.extensions()
	if err != nil {
		return nil, fmt.Errorf("selfsigned: %w", err)
	}
	template := &x509.CertificateRequest{
		Subject:         p.subject,
		RawSubject:      p.rawSubject,
		DNSNames:        p.dnsNames,
		URIs:            p.uris,
		ExtraExtensions: extensions,
	}
	der, err := usage.signed(func(alg x509.SignatureAlgorithm) ([]byte, error) {
		template.SignatureAlgorithm = alg
		return x509.CreateCertificateRequest(rand.Reader, template, &certSigner{ctx, signer})
	})
	if err != nil {
		return nil, fmt.Errorf("selfsigned: %w", err)
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("selfsigned: %w", err)
	}
	return request, nil
}

// Extensions of a certificate (RFC 5280 §4.2.1.3, §4.2.1.12). crypto/x509 writes
// them into certificates, not into requests.
var (
	oidKeyUsage    = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidExtKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidsExtended   = map[x509.ExtKeyUsage]asn1.ObjectIdentifier{
		x509.ExtKeyUsageServerAuth: {1, 3, 6, 1, 5, 5, 7, 3, 1},
		x509.ExtKeyUsageClientAuth: {1, 3, 6, 1, 5, 5, 7, 3, 2},
	}
)

// extensions are the usage in the form in which a request asks for it.
func (u usage) extensions() ([]pkix.Extension, error) {
	// Bit 0 is the first bit of a BIT STRING, and the last bit of crypto/x509's
	// number. All usages that are asked for are within the first eight.
	reversed := bits.Reverse8(byte(u.key))
	key, err := asn1.Marshal(asn1.BitString{
		Bytes:     []byte{reversed},
		BitLength: 8 - bits.TrailingZeros8(reversed),
	})
	if err != nil {
		return nil, err
	}
	var oids []asn1.ObjectIdentifier
	for _, extended := range u.extended {
		oids = append(oids, oidsExtended[extended])
	}
	extended, err := asn1.Marshal(oids)
	if err != nil {
		return nil, err
	}
	return []pkix.Extension{
		{Id: oidKeyUsage, Critical: true, Value: key},
		{Id: oidExtKeyUsage, Value: extended},
	}, nil
}
