// Package selfsigned makes the certificate that an application proves itself
// with: self-signed, as PowerShell's New-SelfSignedCertificate makes it, and
// written as a public .cer, which is uploaded to the app registration, and a
// private .pfx with a password.
//
//	cert, err := selfsigned.New(selfsigned.Options{Subject: "my-app"})
//	files, err := selfsigned.WriteFiles(".", cert, password, selfsigned.WriteOptions{})
//
// Nothing here checks or uses a certificate; that is package certtoken's.
package selfsigned

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/certtoken/certtoken"
)

// Bounds and defaults of [Options].
const (
	defaultSubject = "certtoken"
	maxSubject     = 64 // characters of a common name (RFC 5280, ub-common-name)
	defaultKeyBits = 2048
	minKeyBits     = 2048
	maxKeyBits     = 8192 // more takes minutes to make
	minValidity    = time.Hour
	maxValidity    = 100 * 366 * 24 * time.Hour
	backdate       = 10 * time.Minute // from NotBefore to now, against drifting clocks
)

// Options are a certificate's properties. The zero value means what
// New-SelfSignedCertificate means by default.
type Options struct {
	Subject  string        // common name, up to 64 characters; default certtoken
	Validity time.Duration // from now; an hour to a hundred years, default one calendar year
	KeyBits  int           // length of the RSA key, 2048 to 8192; default 2048
}

// New makes an RSA key and a certificate that it signs itself: SHA-256, valid
// from ten minutes ago, for digital signature and key encipherment, client and
// server authentication. Errors name every option that is out of its bounds.
func New(opts Options) (*certtoken.Certificate, error) {
	now := time.Now()
	opts, notAfter, err := opts.resolve(now)
	if err != nil {
		return nil, err
	}
	key, err := rsa.GenerateKey(rand.Reader, opts.KeyBits)
	if err != nil {
		return nil, fmt.Errorf("selfsigned: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber:       newSerial(),
		Subject:            pkix.Name{CommonName: opts.Subject},
		NotBefore:          now.Add(-backdate),
		NotAfter:           notAfter,
		SignatureAlgorithm: x509.SHA256WithRSA,
		KeyUsage:           x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:        []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		SubjectKeyId:       keyID(&key.PublicKey),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("selfsigned: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("selfsigned: %w", err)
	}
	return certtoken.NewCertificate(key, leaf, nil)
}

// resolve fills in the defaults and reports every mistake at once.
func (o Options) resolve(now time.Time) (Options, time.Time, error) {
	if o.Subject == "" {
		o.Subject = defaultSubject
	}
	if o.KeyBits == 0 {
		o.KeyBits = defaultKeyBits
	}
	notAfter := now.AddDate(1, 0, 0)
	if o.Validity != 0 {
		notAfter = now.Add(o.Validity)
	}
	var errs []error
	if !isCommonName(o.Subject) {
		errs = append(
			errs,
			fmt.Errorf("selfsigned: subject %q is not a name of 1 to %d printable characters", o.Subject, maxSubject),
		)
	}
	if o.KeyBits < minKeyBits || o.KeyBits > maxKeyBits {
		errs = append(
			errs,
			fmt.Errorf("selfsigned: key of %d bits is not within %d and %d", o.KeyBits, minKeyBits, maxKeyBits),
		)
	}
	if o.Validity != 0 && (o.Validity < minValidity || o.Validity > maxValidity) {
		errs = append(
			errs,
			fmt.Errorf("selfsigned: validity %v is not within %v and %v", o.Validity, minValidity, maxValidity),
		)
	}
	return o, notAfter, errors.Join(errs...)
}

func isCommonName(s string) bool {
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > maxSubject {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return s != ""
}

// keyID names the key by 160 bits of its SHA-256 (RFC 7093 §2).
func keyID(pub *rsa.PublicKey) []byte {
	sum := sha256.Sum256(x509.MarshalPKCS1PublicKey(pub))
	return sum[:20]
}

// newSerial is a random positive number of 127 bits (RFC 5280 §4.1.2.2).
func newSerial() *big.Int {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b[:])
}
