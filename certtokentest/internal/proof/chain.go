package proof

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
)

// maxChain bounds what x5c may hold: a leaf and its issuers.
const maxChain = 10

// parseX5C reads the JSON array of RFC 7515 §4.1.6.
func parseX5C(header any) ([]*x509.Certificate, error) {
	list, ok := header.([]any)
	if !ok || len(list) == 0 || len(list) > maxChain {
		return nil, errors.New("it is no list of certificates")
	}
	var chain []*x509.Certificate
	for _, entry := range list {
		text, _ := entry.(string)
		der, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, errors.New("it is not in standard base64")
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		chain = append(chain, cert)
	}
	return chain, nil
}

// checkTrusted refuses a chain unless it leads to a CA that is trusted with its
// leaf's subject. from says where the chain came from.
func (c *Client) checkTrusted(chain []*x509.Certificate, now time.Time, from string) *refusal.Refusal {
	leaf := chain[0]
	intermediates := x509.NewCertPool()
	for _, cert := range chain[1:] {
		intermediates.AddCert(cert)
	}
	subjectKnown := false
	trusts := c.trusted()
	for _, t := range trusts {
		if !t.isOf(leaf) {
			continue
		}
		if t.isURI && issues(leaf) {
			return refusal.New(700027, "The certificate in %s is no X.509-SVID, although it has the client's SPIFFE ID: "+
				"it may sign certificates or revocation lists.", from)
		}
		subjectKnown = true
		_, err := leaf.Verify(x509.VerifyOptions{
			Roots:         t.roots,
			Intermediates: intermediates,
			CurrentTime:   clamp(now, leaf.NotBefore, leaf.NotAfter), // checkValidity has a refusal of its own
			KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
		})
		if err == nil {
			return nil
		}
	}
	switch {
	case subjectKnown:
		return refusal.New(
			700027,
			"The certificate in %s doesn't lead to a trusted issuer of '%s'.",
			from,
			leaf.Subject,
		)
	case len(trusts) == 0:
		return refusal.New(700027, "The certificate in %s is not registered on application. "+
			"[Reason - The key was not found., Thumbprint of key used by client: '%s'.]", from, Thumbprint(leaf)).
			Plainly("The certificate in %s is not registered for this client: '%s'.", from, Thumbprint(leaf))
	}
	return refusal.New(700030, "Invalid certificate - subject name in certificate is not authorized. "+
		"SubjectNames/SubjectAlternativeNames in certificate: '%s'.", leaf.Subject).
		Plainly("The client is not registered with the subject of the certificate in %s, '%s'.", from, leaf.Subject)
}

// issues reports whether a certificate is an authority's, which proves nobody (X509-SVID §5.2).
func issues(cert *x509.Certificate) bool {
	return cert.IsCA || cert.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0
}

func clamp(t, low, high time.Time) time.Time {
	if t.Before(low) {
		return low
	}
	if t.After(high) {
		return high
	}
	return t
}

// checkValidity refuses a certificate outside the time that it is made for. A key
// without one has no end.
func checkValidity(cert *x509.Certificate, now time.Time) *refusal.Refusal {
	if cert == nil {
		return nil
	}
	if now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return refusal.New(1000502, "The provided certificate is not within its specified validity window. "+
			"Thumbprint: '%s', valid from %s to %s, current time %s.",
			Thumbprint(cert), stamp(cert.NotBefore), stamp(cert.NotAfter), stamp(now))
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
