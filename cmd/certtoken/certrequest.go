package main

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"slices"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
)

// madeRequest is a certificate signing request that was made.
type madeRequest struct{ *x509.CertificateRequest }

func (m *madeRequest) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: m.Raw})
}

// shown is the request in the form of a certificate, of which it has the subject, the
// names and the public key.
func (m *madeRequest) shown() *shownCert {
	return &shownCert{leaf: &x509.Certificate{
		Subject:            m.Subject,
		DNSNames:           m.DNSNames,
		URIs:               m.URIs,
		PublicKey:          m.PublicKey,
		PublicKeyAlgorithm: m.PublicKeyAlgorithm,
	}}
}

func (m *madeRequest) rows() []row {
	shown := m.shown()
	name, bits := shown.keyKind()
	return slices.Concat([]row{{"Subject", shown.subject()}}, shown.nameRows(), []row{{"Key", keySize(name, bits)}})
}

type requestJSON struct {
	Subject  string            `json:"subject"`
	DNSNames []string          `json:"dns_names,omitempty"`
	URIs     []string          `json:"uris,omitempty"`
	KeyType  string            `json:"key_type"`
	KeyBits  int               `json:"key_bits"`
	PEM      string            `json:"pem"`
	Files    map[string]string `json:"files,omitempty"`
}

func (m *madeRequest) json(files map[string]string) requestJSON {
	shown := m.shown()
	kind, bits := shown.keyKind()
	return requestJSON{shown.subject(), m.DNSNames, shown.uris(), kind, bits, string(m.pem()), files}
}

// keyPEM is the file of a private key alone, in PKCS #8.
func keyPEM(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, failure.Errorf("%w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
