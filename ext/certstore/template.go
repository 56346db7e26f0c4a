package certstore

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"
)

var (
	// templateName is szOID_ENROLL_CERTTYPE_EXTENSION: the name of a template of version 1.
	templateName = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2}

	// templateID is szOID_CERTIFICATE_TEMPLATE: the identifier of a newer template, with the
	// version that the certificate was issued from.
	templateID = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 21, 7}
)

// checkTemplate refuses what no certificate can have: no text, and an identifier with a
// mistake in it. A name has a letter.
func checkTemplate(template string) error {
	if template == "" {
		return errors.New("no template")
	}
	if strings.Trim(template, "0123456789.") != "" {
		return nil
	}
	if _, err := x509.ParseOID(template); err != nil {
		return fmt.Errorf("%q is no object identifier", template)
	}
	return nil
}

// hasTemplate reports whether a certificate was issued from a template. An extension that
// can't be read names none.
func hasTemplate(cert *x509.Certificate, template string) bool {
	for _, extension := range cert.Extensions {
		switch {
		case extension.Id.Equal(templateName):
			var name string
			if rest, err := asn1.Unmarshal(extension.Value, &name); err == nil && len(rest) == 0 &&
				strings.EqualFold(name, template) {
				return true
			}
		case extension.Id.Equal(templateID):
			var info struct {
				ID           asn1.ObjectIdentifier
				Major, Minor int64 `asn1:"optional"`
			}
			if rest, err := asn1.Unmarshal(extension.Value, &info); err == nil && len(rest) == 0 &&
				info.ID.String() == template {
				return true
			}
		}
	}
	return false
}
