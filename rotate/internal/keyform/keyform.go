// Package keyform writes a certificate with its key in the form of the file that it
// replaces: PEM, DER, PFX or JWK, in one file or two, encrypted or not, and in base64 where
// that was. It does no I/O.
//
//	keyform.go  the form of one or two files, and files of the same form
//	detect.go   the form of one file's bytes
//	key.go      private keys in PKCS #8, in the older forms, and as a JWK
//	encrypt.go  encrypted PKCS #8
package keyform

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/selfsigned"
)

// Files are the contents of the file that holds a pair, and of its key file.
type Files struct {
	Main []byte
	Key  []byte // nil: there is no key file
}

// Form is how files are written.
type Form struct {
	main, key file
	twoFiles  bool
}

// Of finds out in which form files are. They must be files that [certtoken.ParseCertificate]
// reads or, if bareKey is set, [certtoken.ParseKey].
func Of(files Files, bareKey bool) (Form, error) {
	main, err := detect(files.Main)
	if err != nil {
		return Form{}, err
	}
	form := Form{main: main}
	if files.Key != nil {
		form.twoFiles = true
		if form.key, err = detect(files.Key); err != nil {
			return Form{}, fmt.Errorf("key file: %w", err)
		}
		if form.main.kind == kindPFX || form.key.kind == kindPFX {
			return Form{}, errors.New("a PFX together with a key file can't be written again; put the pair into one file")
		}
	}
	if !bareKey && form.main.kind == kindJWK {
		return Form{}, errors.New("a JWK has no certificate")
	}
	return form, nil
}

// Encode writes a pair, or a bare key, in this form. The password is used where the old
// files were encrypted.
func (f Form) Encode(cert *certtoken.Certificate, password string) (Files, error) {
	if !f.twoFiles {
		data, err := f.main.encode(cert, true, password)
		return Files{Main: data}, err
	}
	main, err := f.main.encode(cert, false, password)
	if err != nil {
		return Files{}, err
	}
	key, err := f.key.encode(&certtoken.Certificate{Signer: cert.Signer, KeyID: cert.KeyID}, true, password)
	return Files{Main: main, Key: key}, err
}

// EncodeCertificate writes a certificate without a key.
func (f Form) EncodeCertificate(cert *certtoken.Certificate) ([]byte, error) {
	return f.main.encode(cert, false, "")
}

// Beside joins two files of certificates, so that whichever key stands in the key file finds
// its certificate. It returns nil where the first one's form has no place for two.
func Beside(first, second []byte) []byte {
	form, err := detect(first)
	if err != nil || form.kind != kindPEM || form.base64 || bytes.IndexByte(first, 0) >= 0 {
		return nil
	}
	return append(append(bytes.Clone(bytes.TrimRight(first, "\r\n")), '\n'), second...)
}

// encode writes the leaf and its chain, where there is one, and the key, where that is asked for.
func (f file) encode(cert *certtoken.Certificate, withKey bool, password string) ([]byte, error) {
	data, err := f.plain(cert, withKey, password)
	if err != nil || !f.base64 {
		return data, err
	}
	return append([]byte(base64.StdEncoding.EncodeToString(data)), '\n'), nil
}

func (f file) plain(cert *certtoken.Certificate, withKey bool, password string) ([]byte, error) {
	switch f.kind {
	case kindPFX:
		form := selfsigned.PFXModern
		if f.legacy {
			form = selfsigned.PFXLegacy
		}
		return selfsigned.EncodePFX(cert, password, form)
	case kindJWK:
		return encodeJWK(cert, f.algorithm)
	case kindDER:
		if !withKey {
			return cert.Leaf.Raw, nil
		}
		_, der, err := f.encodeKey(cert.Signer, password)
		return der, err
	}
	return f.pem(cert, withKey, password)
}

func (f file) pem(cert *certtoken.Certificate, withKey bool, password string) ([]byte, error) {
	var certs, key []*pem.Block
	if cert.Leaf != nil {
		for _, c := range append([]*x509.Certificate{cert.Leaf}, cert.Chain...) {
			certs = append(certs, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
		}
	}
	if withKey {
		label, der, err := f.encodeKey(cert.Signer, password)
		if err != nil {
			return nil, err
		}
		key = []*pem.Block{{Type: label, Bytes: der}}
	}
	blocks := append(key, certs...)
	if f.certFirst {
		blocks = append(certs, key...)
	}
	var out bytes.Buffer
	for _, block := range blocks {
		if err := pem.Encode(&out, block); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}
