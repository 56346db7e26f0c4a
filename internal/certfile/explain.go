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
	accepted := slices.DeleteFunc(slices.Clone(r.keys), func(k privateKey) bool { return k.public == nil })
	if len(r.keys) > 0 && len(accepted) == 0 {
		return r.keys[0].unsupported()
	}
	if len(r.problems) > 0 {
		return r.problems[0]
	}
	if len(r.keys) > 0 && len(r.certs) > 0 {
		leaf := likelyLeaf(r)
		key := likelyKey(accepted, leaf)
		if _, err := key.open(); errors.Is(err, ErrFormat) {
			return err // damaged, so it belongs to no certificate
		}
		if public, _ := publicKeyOf(leaf); public == nil {
			// Whether the key belongs to it can't be said.
			return unsupportedCertificate("the certificate", leaf)
		}
		return fmt.Errorf("%w: certificate %s, %s", ErrKeyMismatch, nameOf(leaf), key)
	}
	return missing(r)
}

// unsupportedCertificate says of a certificate that its key is of a kind that isn't
// accepted.
func unsupportedCertificate(what string, cert *x509.Certificate) error {
	return fmt.Errorf("%w: %s %s has a key of the kind %s; %s",
		ErrUnsupported, what, nameOf(cert), keyKindOf(cert), keyAdvice)
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

// likelyKey is the key to name where none has a certificate: the first of the leaf's
// kind, if there is one.
func likelyKey(keys []privateKey, leaf *x509.Certificate) privateKey {
	kind := keyKindOf(leaf)
	for _, key := range keys {
		if key.kind == kind {
			return key
		}
	}
	return keys[0]
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
