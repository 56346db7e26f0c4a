package proof

import (
	"crypto/fips140"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// Thumbprint is a certificate's SHA-256 in hex, by which messages name it.
func Thumbprint(cert *x509.Certificate) string {
	return strings.ToUpper(hex.EncodeToString([]byte(sum256(cert))))
}

// Confirmation is a certificate's cnf.x5t#S256 (RFC 8705 §3.1).
func Confirmation(cert *x509.Certificate) string {
	return base64.RawURLEncoding.EncodeToString([]byte(sum256(cert)))
}

func sum256(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return string(sum[:])
}

// sum1 names a certificate and protects nothing, so FIPS mode has no say in it.
func sum1(cert *x509.Certificate) string {
	var sum [sha1.Size]byte
	fips140.WithoutEnforcement(func() { sum = sha1.Sum(cert.Raw) })
	return string(sum[:])
}

// decodeKeyID reads a kid that is one of the certificate's thumbprints, as
// Entra ID's are: in hex, or as x5t and x5t#S256 write them.
func decodeKeyID(kid string) string {
	if raw, err := hex.DecodeString(kid); err == nil {
		return string(raw)
	}
	return decodeThumbprint(kid)
}

// decodeThumbprint also reads the padded and the standard alphabet: widespread
// clients send x5t#S256 in it, and Entra ID takes it.
func decodeThumbprint(id string) string {
	id = strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(id, "="))
	raw, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil {
		return ""
	}
	return string(raw)
}
