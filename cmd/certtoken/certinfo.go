package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/fips140"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/certtoken/certtoken"
)

// shownCert is a certificate to look at, with or without its key.
type shownCert struct {
	leaf    *x509.Certificate
	chain   []*x509.Certificate
	format  string
	private bool
}

func certOf(cert *certtoken.Certificate) *shownCert {
	return &shownCert{leaf: cert.Leaf, chain: cert.Chain, format: cert.FileFormat(), private: true}
}

func (s *shownCert) subject() string { return s.leaf.Subject.String() }

func (s *shownCert) issuer() string {
	if bytes.Equal(s.leaf.RawSubject, s.leaf.RawIssuer) {
		return s.leaf.Issuer.String() + " (itself)"
	}
	return s.leaf.Issuer.String()
}

func (s *shownCert) validUntil(now time.Time) string {
	return s.leaf.NotAfter.Local().Format("2006-01-02 15:04 MST") + ", " + s.remaining(now)
}

// remaining is the validity's state for people.
func (s *shownCert) remaining(now time.Time) string {
	switch {
	case now.Before(s.leaf.NotBefore):
		return "not valid yet"
	case now.After(s.leaf.NotAfter):
		return "expired " + relative(s.leaf.NotAfter.Sub(now))
	}
	return daysLeft(s.leaf.NotAfter.Sub(now)) + " left"
}

// daysLeft rounds to whole days: a certificate for a year that was just made has
// 365. Of the last two the hours count.
func daysLeft(d time.Duration) string {
	const day = 24 * time.Hour
	if d < 2*day {
		return span(d)
	}
	return plural(int64(d.Round(day)/day), "day")
}

// keyKind names the public key's algorithm and its length in bits.
func (s *shownCert) keyKind() (name string, bits int) {
	switch key := s.leaf.PublicKey.(type) {
	case *rsa.PublicKey:
		return "RSA", key.N.BitLen()
	case *ecdsa.PublicKey:
		return "EC " + key.Params().Name, key.Params().BitSize
	case ed25519.PublicKey:
		return "Ed25519", 8 * len(key)
	}
	return s.leaf.PublicKeyAlgorithm.String(), 0
}

func (s *shownCert) keyText() string {
	name, bits := s.keyKind()
	text := name
	if bits > 0 {
		text = fmt.Sprintf("%s, %d bits", name, bits)
	}
	if s.private {
		return text + ", with the private key"
	}
	return text + ", no private key"
}

// modulusSHA256 identifies an RSA key, "" for other kinds.
func (s *shownCert) modulusSHA256() string {
	key, ok := s.leaf.PublicKey.(*rsa.PublicKey)
	if !ok {
		return ""
	}
	sum := sha256.Sum256(key.N.Bytes())
	return hex.EncodeToString(sum[:])
}

// sha1Of is a thumbprint as the portal shows it. It names the certificate and
// protects nothing, so FIPS mode has no say in it.
func sha1Of(cert *x509.Certificate) (sum [sha1.Size]byte) {
	fips140.WithoutEnforcement(func() { sum = sha1.Sum(cert.Raw) })
	return sum
}

// row is a line of an aligned list.
type row struct{ label, text string }

func printRows(c *console, rows []row) {
	for _, r := range rows {
		c.printf("%s %s\n", paint(c.colourOut, dim, fmt.Sprintf("%-12s", r.label)), printable(r.text))
	}
}

func (s *shownCert) thumbprintRows() []row {
	one, two := sha1Of(s.leaf), sha256.Sum256(s.leaf.Raw)
	return []row{
		{"SHA-1", fmt.Sprintf("%X  (the portal's thumbprint)", one)},
		{"x5t", base64.RawURLEncoding.EncodeToString(one[:])},
		{"SHA-256", hex.EncodeToString(two[:])},
		{"x5t#S256", base64.RawURLEncoding.EncodeToString(two[:])},
	}
}

// rows is everything about the certificate for people.
func (s *shownCert) rows(file string, now time.Time) []row {
	rows := []row{
		{"File", file + ", " + s.format},
		{"Subject", s.subject()},
		{"Issuer", s.issuer()},
		{"Valid from", s.leaf.NotBefore.Local().Format("2006-01-02 15:04 MST")},
		{"Valid until", s.validUntil(now)},
		{"Key", s.keyText()},
	}
	rows = append(rows, s.thumbprintRows()...)
	label := "Chain"
	for _, issuer := range s.chain {
		sum := sha256.Sum256(issuer.Raw)
		rows = append(rows, row{label, issuer.Subject.String()}, row{"", hex.EncodeToString(sum[:])})
		label = ""
	}
	return rows
}

type certJSON struct {
	Format     string   `json:"format"`
	Subject    string   `json:"subject"`
	Issuer     string   `json:"issuer"`
	NotBefore  string   `json:"not_before"`
	NotAfter   string   `json:"not_after"`
	KeyType    string   `json:"key_type"`
	KeyBits    int      `json:"key_bits"`
	PrivateKey bool     `json:"private_key"`
	SHA1       string   `json:"sha1"`
	SHA256     string   `json:"sha256"`
	X5T        string   `json:"x5t"`
	X5TS256    string   `json:"x5t_s256"`
	Modulus    string   `json:"key_modulus_sha256,omitempty"`
	Chain      []string `json:"chain"`
}

func newCertJSON(s *shownCert) certJSON {
	one, two := sha1Of(s.leaf), sha256.Sum256(s.leaf.Raw)
	kind, bits := s.keyKind()
	j := certJSON{
		Format:     s.format,
		Subject:    s.subject(),
		Issuer:     s.leaf.Issuer.String(),
		NotBefore:  s.leaf.NotBefore.UTC().Format(time.RFC3339),
		NotAfter:   s.leaf.NotAfter.UTC().Format(time.RFC3339),
		KeyType:    kind,
		KeyBits:    bits,
		PrivateKey: s.private,
		SHA1:       hex.EncodeToString(one[:]),
		SHA256:     hex.EncodeToString(two[:]),
		X5T:        base64.RawURLEncoding.EncodeToString(one[:]),
		X5TS256:    base64.RawURLEncoding.EncodeToString(two[:]),
		Modulus:    s.modulusSHA256(),
		Chain:      []string{hex.EncodeToString(two[:])},
	}
	for _, issuer := range s.chain {
		sum := sha256.Sum256(issuer.Raw)
		j.Chain = append(j.Chain, hex.EncodeToString(sum[:]))
	}
	return j
}

var errNotOnlyCertificates = errors.New("not a file of certificates")

// parsePublic reads a file that holds certificates and nothing else: .cer as DER
// or PEM, or base64 of them. The library doesn't, as it wants a key.
func parsePublic(data []byte, selected string) (*shownCert, error) {
	certs, format, err := readCertificates(data)
	if err != nil {
		return nil, err
	}
	leaf, err := chooseLeaf(certs, selected)
	if err != nil {
		return nil, err
	}
	return &shownCert{leaf: leaf, chain: chainOf(leaf, certs), format: format}, nil
}

func readCertificates(data []byte) (certs []*x509.Certificate, format string, err error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if bytes.Contains(data, []byte("-----BEGIN ")) {
		certs, err = readPEMCertificates(data)
		return certs, "PEM", err
	}
	if certs, err := x509.ParseCertificates(data); err == nil && len(certs) > 0 {
		return certs, "DER", nil
	}
	text := strings.Join(strings.Fields(string(data)), "")
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(der) == 0 {
		return nil, "", errNotOnlyCertificates
	}
	if certs, err = x509.ParseCertificates(der); err != nil || len(certs) == 0 {
		return nil, "", errNotOnlyCertificates
	}
	return certs, "DER", nil
}

func readPEMCertificates(data []byte) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		switch block.Type {
		case "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE":
		default:
			return nil, errNotOnlyCertificates
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, errNotOnlyCertificates
	}
	return certs, nil
}

// chooseLeaf finds the certificate that issued none of the others.
func chooseLeaf(certs []*x509.Certificate, selected string) (*x509.Certificate, error) {
	var leaves []*x509.Certificate
	for _, cert := range certs {
		if selected != "" {
			if hasThumbprint(cert, selected) {
				return cert, nil
			}
			continue
		}
		if !issuedAny(cert, certs) {
			leaves = append(leaves, cert)
		}
	}
	if len(leaves) == 1 {
		return leaves[0], nil
	}
	if selected == "" && len(leaves) == 0 { // each issued another: a circle
		return certs[0], nil
	}
	var names []string
	for _, cert := range certs {
		names = append(names, fmt.Sprintf("%X  %s", sha1Of(cert), printable(cert.Subject.String())))
	}
	if selected != "" {
		return nil, failf("no certificate has this thumbprint").advise(names...)
	}
	return nil, failf("several certificates: choose one with --select THUMBPRINT").advise(names...)
}

func issuedAny(issuer *x509.Certificate, certs []*x509.Certificate) bool {
	for _, cert := range certs {
		if cert != issuer && issued(issuer, cert) {
			return true
		}
	}
	return false
}

func issued(issuer, cert *x509.Certificate) bool {
	return bytes.Equal(cert.RawIssuer, issuer.RawSubject) &&
		!bytes.Equal(cert.Raw, issuer.Raw) && cert.CheckSignatureFrom(issuer) == nil
}

// chainOf are the issuers of leaf, nearest first.
func chainOf(leaf *x509.Certificate, certs []*x509.Certificate) []*x509.Certificate {
	var chain []*x509.Certificate
	for at := leaf; len(chain) < len(certs); {
		var next *x509.Certificate
		for _, cert := range certs {
			if issued(cert, at) {
				next = cert
				break
			}
		}
		if next == nil {
			break
		}
		chain = append(chain, next)
		at = next
	}
	return chain
}

// hasThumbprint compares with SHA-1 or SHA-256, in hex or base64url.
func hasThumbprint(cert *x509.Certificate, text string) bool {
	one, two := sha1Of(cert), sha256.Sum256(cert.Raw)
	clean := strings.NewReplacer(":", "", " ", "").Replace(text)
	for _, sum := range [][]byte{one[:], two[:]} {
		if strings.EqualFold(clean, hex.EncodeToString(sum)) || text == base64.RawURLEncoding.EncodeToString(sum) {
			return true
		}
	}
	return false
}
