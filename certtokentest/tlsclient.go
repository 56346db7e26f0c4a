package certtokentest

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"slices"
	"time"
)

// tokenPoP is the type of Entra ID's tokens that are bound to a certificate.
const tokenPoP = "mtls_pop"

// shownCert is the certificate that the client presented in the TLS handshake,
// which proved that it has the key; nil if there was none.
func shownCert(r *http.Request) []*x509.Certificate {
	if r.TLS == nil {
		return nil
	}
	return r.TLS.PeerCertificates
}

// confirmation is a certificate's cnf.x5t#S256 (RFC 8705 §3.1).
func confirmation(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// verifyTLS accepts a client by the certificate of its connection, without an
// assertion: a registered one (RFC 8705 §2.2), or one with a trusted subject and
// issuer (§2.1).
func verifyTLS(chain []*x509.Certificate, client *registration, now time.Time) *refusal {
	leaf := chain[0]
	if !slices.ContainsFunc(client.certs, leaf.Equal) {
		if refused := trustedChain(chain, client.trusts, now, "TLS"); refused != nil {
			return refused
		}
	}
	p := &proof{cert: leaf, now: now}
	return p.checkCertificate()
}

// trustedChain tells whether a chain leads to a CA that is trusted with its
// leaf's subject. from says where it came from.
func trustedChain(chain []*x509.Certificate, trusts []trust, now time.Time, from string) *refusal {
	leaf := chain[0]
	intermediates := x509.NewCertPool()
	for _, cert := range chain[1:] {
		intermediates.AddCert(cert)
	}
	named := false
	for _, t := range trusts {
		if t.subject != leaf.Subject.CommonName && t.subject != leaf.Subject.String() {
			continue
		}
		named = true
		_, err := leaf.Verify(x509.VerifyOptions{
			Roots:         t.roots,
			Intermediates: intermediates,
			CurrentTime:   clamp(now, leaf.NotBefore, leaf.NotAfter), // validity is checkCertificate's matter
			KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
		})
		if err == nil {
			return nil
		}
	}
	switch {
	case named:
		return refuse(700027, "The certificate in %s doesn't lead to a trusted issuer of '%s'.", from, leaf.Subject)
	case len(trusts) == 0:
		return refuse(700027, "The certificate in %s is not registered on application. [Reason - The key was not found., Thumbprint of key used by client: '%s'.]", from, thumbprint(leaf)).
			plainly("The certificate in %s is not registered for this client: '%s'.", from, thumbprint(leaf))
	}
	return refuse(700030, "Invalid certificate - subject name in certificate is not authorized. SubjectNames/SubjectAlternativeNames in certificate: '%s'.", leaf.Subject).
		plainly("The client is not registered with the subject of the certificate in %s, '%s'.", from, leaf.Subject)
}
