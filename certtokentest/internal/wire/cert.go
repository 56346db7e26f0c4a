package wire

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/ids"
)

// tlsIssuer is the CA of one server. It makes a certificate for each name that
// the server is called by.
type tlsIssuer struct {
	ca     *x509.Certificate
	ips    []net.IP // in every certificate
	names  []string
	caKey  *ecdsa.PrivateKey
	key    *ecdsa.PrivateKey // of every server certificate
	mu     sync.Mutex
	byName map[string]*tls.Certificate
}

const (
	maxTLSNames = 1000
	maxDNSName  = 253
)

// newTLSIssuer makes a CA. The extra names are hosts and IP addresses.
func newTLSIssuer(extra []string) (*tlsIssuer, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          ids.Serial(),
		Subject:               pkix.Name{CommonName: "certtokentest CA"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().AddDate(1, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, caKey.Public(), caKey)
	if err != nil {
		return nil, err
	}
	ca, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	i := &tlsIssuer{
		ca:     ca,
		ips:    []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		names:  []string{"localhost"},
		caKey:  caKey,
		key:    key,
		byName: make(map[string]*tls.Certificate),
	}
	for _, name := range extra {
		if ip := net.ParseIP(name); ip != nil {
			i.ips = append(i.ips, ip)
		} else {
			i.names = append(i.names, name)
		}
	}
	return i, nil
}

// certificate is a tls.Config's GetCertificate. A client that gives no name is
// called at an address.
func (i *tlsIssuer) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if cert := i.byName[hello.ServerName]; cert != nil {
		return cert, nil
	}
	if len(i.byName) >= maxTLSNames || len(hello.ServerName) > maxDNSName {
		return nil, errors.New("certtokentest: too many names")
	}
	cert, err := i.issue(hello.ServerName)
	if err != nil {
		return nil, err
	}
	i.byName[hello.ServerName] = cert
	return cert, nil
}

func (i *tlsIssuer) issue(name string) (*tls.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: ids.Serial(),
		Subject:      pkix.Name{CommonName: "certtokentest"},
		NotBefore:    i.ca.NotBefore,
		NotAfter:     i.ca.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses:  i.ips,
		DNSNames:     slices.Clone(i.names),
	}
	if name != "" && !slices.Contains(i.names, name) {
		template.DNSNames = append(template.DNSNames, name)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, i.ca, i.key.Public(), i.caKey)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der, i.ca.Raw}, PrivateKey: i.key}, nil
}
