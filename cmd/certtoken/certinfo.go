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
	"fmt"
	"slices"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/times"
	"github.com/certtoken/certtoken/internal/certfile"
)

// shownCert is a certificate to be shown, with or without its key.
type shownCert struct {
	leaf       *x509.Certificate
	chain      []*x509.Certificate
	format     string
	deviations []string               // what crypto/x509 refuses about it
	pair       *certtoken.Certificate // nil without the private key
}

func shownPair(cert *certtoken.Certificate, format string, deviations []string) *shownCert {
	return &shownCert{leaf: cert.Leaf, chain: cert.Chain, format: format, deviations: deviations, pair: cert}
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

// remaining says for people how long the certificate is still valid.
func (s *shownCert) remaining(now time.Time) string {
	switch {
	case now.Before(s.leaf.NotBefore):
		return "not valid yet"
	case now.After(s.leaf.NotAfter):
		return "expired " + times.Relative(s.leaf.NotAfter.Sub(now))
	}
	return times.Days(s.leaf.NotAfter.Sub(now)) + " left"
}

// keyKind names the public key's algorithm and its length in bits.
func (s *shownCert) keyKind() (name string, bits int) {
	if name, bits = keyKind(s.leaf.PublicKey); name == "" {
		name = s.leaf.PublicKeyAlgorithm.String()
	}
	return name, bits
}

// keyKind names the algorithm of a public key and its length in bits. The name of any other
// than RSA, EC and Ed25519 is "".
func keyKind(public any) (name string, bits int) {
	switch key := public.(type) {
	case *rsa.PublicKey:
		return "RSA", key.N.BitLen()
	case *ecdsa.PublicKey:
		return "EC " + key.Params().Name, key.Params().BitSize
	case ed25519.PublicKey:
		return "Ed25519", 8 * len(key)
	}
	return "", 0
}

// keySize is a kind of key with its length.
func keySize(name string, bits int) string {
	if bits == 0 {
		return name
	}
	return fmt.Sprintf("%s, %d bits", name, bits)
}

func (s *shownCert) keyText() string {
	text := keySize(s.keyKind())
	if s.pair != nil {
		return text + ", with the private key"
	}
	return text + ", no private key"
}

// nameRows are the certificate's names beside its subject.
func (s *shownCert) nameRows() []row {
	var rows []row
	label := "Names"
	for _, name := range slices.Concat(s.leaf.DNSNames, s.uris()) {
		rows = append(rows, row{label, name})
		label = ""
	}
	return rows
}

func (s *shownCert) uris() []string {
	var uris []string
	for _, uri := range s.leaf.URIs {
		uris = append(uris, uri.String())
	}
	return uris
}

// modulusSHA256 identifies an RSA key. It is "" for other kinds of keys.
func (s *shownCert) modulusSHA256() string {
	key, ok := s.leaf.PublicKey.(*rsa.PublicKey)
	if !ok {
		return ""
	}
	sum := sha256.Sum256(key.N.Bytes())
	return hex.EncodeToString(sum[:])
}

// sha1Of is the thumbprint that the portal shows. It only names the certificate
// and protects nothing, so it is computed in FIPS mode too.
func sha1Of(cert *x509.Certificate) (sum [sha1.Size]byte) {
	fips140.WithoutEnforcement(func() { sum = sha1.Sum(cert.Raw) })
	return sum
}

// row is a line of an aligned list.
type row struct{ label, text string }

func printRows(c *console.Console, rows []row) {
	for _, r := range rows {
		c.Printf("%s %s\n", c.Styled(console.Dim, fmt.Sprintf("%-12s", r.label)), console.Printable(r.text))
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

// rows describes the certificate, a property in each row.
func (s *shownCert) rows(file string, now time.Time) []row {
	rows := []row{
		{"File", file + ", " + s.format},
		{"Subject", s.subject()},
	}
	rows = append(rows, s.nameRows()...)
	rows = append(rows,
		row{"Issuer", s.issuer()},
		row{"Valid from", s.leaf.NotBefore.Local().Format("2006-01-02 15:04 MST")},
		row{"Valid until", s.validUntil(now)},
		row{"Key", s.keyText()},
	)
	rows = append(rows, s.thumbprintRows()...)
	label := "Chain"
	for _, issuer := range s.chain {
		sum := sha256.Sum256(issuer.Raw)
		rows = append(rows, row{label, issuer.Subject.String()}, row{"", hex.EncodeToString(sum[:])})
		label = ""
	}
	for _, deviation := range s.deviations {
		rows = append(rows, row{"Deviates", deviation})
	}
	return rows
}

type certJSON struct {
	Format     string       `json:"format"`
	Subject    string       `json:"subject"`
	DNSNames   []string     `json:"dns_names,omitempty"`
	URIs       []string     `json:"uris,omitempty"`
	Issuer     string       `json:"issuer"`
	NotBefore  string       `json:"not_before"`
	NotAfter   string       `json:"not_after"`
	KeyType    string       `json:"key_type"`
	KeyBits    int          `json:"key_bits"`
	PrivateKey bool         `json:"private_key"`
	SHA1       string       `json:"sha1"`
	SHA256     string       `json:"sha256"`
	X5T        string       `json:"x5t"`
	X5TS256    string       `json:"x5t_s256"`
	Modulus    string       `json:"key_modulus_sha256,omitempty"`
	Chain      []issuerJSON `json:"chain"`
	Deviations []string     `json:"deviations,omitempty"`
}

// issuerJSON is a certificate of the chain, in which the first one isn't.
type issuerJSON struct {
	Subject string `json:"subject"`
	SHA256  string `json:"sha256"`
}

func newCertJSON(s *shownCert) certJSON {
	one, two := sha1Of(s.leaf), sha256.Sum256(s.leaf.Raw)
	kind, bits := s.keyKind()
	j := certJSON{
		Format:     s.format,
		Subject:    s.subject(),
		DNSNames:   s.leaf.DNSNames,
		URIs:       s.uris(),
		Issuer:     s.leaf.Issuer.String(),
		NotBefore:  s.leaf.NotBefore.UTC().Format(time.RFC3339),
		NotAfter:   s.leaf.NotAfter.UTC().Format(time.RFC3339),
		KeyType:    kind,
		KeyBits:    bits,
		PrivateKey: s.pair != nil,
		SHA1:       fmt.Sprintf("%X", one), // as in the portal
		SHA256:     hex.EncodeToString(two[:]),
		X5T:        base64.RawURLEncoding.EncodeToString(one[:]),
		X5TS256:    base64.RawURLEncoding.EncodeToString(two[:]),
		Modulus:    s.modulusSHA256(),
		Chain:      []issuerJSON{},
		Deviations: s.deviations,
	}
	for _, issuer := range s.chain {
		sum := sha256.Sum256(issuer.Raw)
		j.Chain = append(j.Chain, issuerJSON{issuer.Subject.String(), hex.EncodeToString(sum[:])})
	}
	return j
}

// parsePublic reads a certificate without its key. A thumbprint selects one of
// several.
func parsePublic(data []byte, thumbprint string) (*shownCert, error) {
	pair, err := certfile.ParseWithoutKey(data, thumbprint)
	if err != nil {
		return nil, err
	}
	return &shownCert{leaf: pair.Leaf, chain: pair.Chain, format: pair.Format, deviations: pair.Deviations}, nil
}
