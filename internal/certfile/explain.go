package certfile

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// blocked is the first password error: what it hides could be anything.
func blocked(r *reader) error {
	for _, err := range r.problems {
		if errors.Is(err, ErrPasswordRequired) || errors.Is(err, ErrWrongPassword) {
			return err
		}
	}
	return nil
}

// explain says why there is no pair: the most useful reason first.
func explain(r *reader) error {
	if err := blocked(r); err != nil {
		return err
	}
	rsaKeys := slices.DeleteFunc(slices.Clone(r.keys), func(k privateKey) bool { return k.algorithm != algorithmRSA })
	if len(r.keys) > 0 && len(rsaKeys) == 0 {
		return fmt.Errorf("%w: the private key is of the kind %s; Entra ID takes RSA only",
			ErrNotRSA, r.keys[0].algorithm)
	}
	if len(r.problems) > 0 {
		return r.problems[0]
	}
	if len(r.keys) > 0 && len(r.certs) > 0 {
		if _, err := rsaKeys[0].open(); errors.Is(err, ErrFormat) {
			return err // damaged, and therefore nobody's
		}
		leaf := likelyLeaf(r)
		if public, _ := publicKeyOf(leaf); public == nil && leaf.PublicKey == nil {
			// Whether the key belongs to it can't be said.
			return fmt.Errorf("%w: the certificate %s has a key of the kind %s, which can't be read here; "+
				"make a certificate with a plain RSA key (rsaEncryption)", ErrNotRSA, nameOf(leaf), keyKindOf(leaf))
		}
		return fmt.Errorf("%w: certificate %s, %s", ErrKeyMismatch, nameOf(leaf), rsaKeys[0])
	}
	return missing(r)
}

// missing is the error for files that lack the key, the certificate, or both.
// What else is in them explains it.
func missing(r *reader) error {
	also := strings.Join(r.notes, "; and ")
	if len(r.certs)+len(r.keys) == 0 {
		text := "nothing in it is a certificate or a key"
		if also != "" {
			text = "it is " + also
		}
		kinds := []error{ErrFormat, ErrNoPrivateKey, ErrNoCertificate}
		return &detailError{fmt.Sprintf("%v: %s", ErrFormat, text), kinds}
	}
	e := &detailError{kinds: []error{ErrNoPrivateKey}}
	advice := "; use the PFX, or give the file with the key too"
	if len(r.certs) > 0 {
		e.text = fmt.Sprintf("%v: only the certificate %s", ErrNoPrivateKey, nameOf(likelyLeaf(r)))
	} else {
		e.kinds = []error{ErrNoCertificate}
		e.text = fmt.Sprintf("%v: only a private key", ErrNoCertificate)
		advice = "; give the file with the certificate too"
	}
	if also == "" {
		e.text += advice
		return e
	}
	// What else there is comes with its own advice.
	e.kinds = append(e.kinds, ErrFormat)
	e.text += "; there is also " + also
	return e
}

// likelyLeaf is the certificate to name where none has a key.
func likelyLeaf(r *reader) *x509.Certificate {
	for _, cert := range r.certs {
		if !cert.IsCA {
			return cert
		}
	}
	return r.certs[0]
}
