package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"time"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/internal/lazyregexp"
)

// checkTLSNames refuses what can't be a name in a certificate.
func checkTLSNames(names []string) error {
	for _, name := range names {
		if net.ParseIP(name) == nil && !dnsName().MatchString(name) {
			return failure.Usagef("--tls-name %q: give a host's name or an IP address, without scheme and port", name)
		}
	}
	return nil
}

// dnsName is what clients compare a certificate's names with (RFC 6125 §6.4).
var dnsName = lazyregexp.New(`^(\*\.)?[0-9A-Za-z_]([0-9A-Za-z_-]{0,62}\.)*[0-9A-Za-z_-]{0,62}$`)

// newServeTLS makes a CA, in PEM, and a configuration with a certificate of it
// for the address that the server listens on, localhost and further names. The
// CA's key is not kept, so nobody can issue another certificate with it.
func newServeTLS(address net.Addr, names []string) (caPEM []byte, config *tls.Config, err error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber:          big.NewInt(now.UnixNano()),
		Subject:               pkix.Name{CommonName: "certtoken serve CA"},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.AddDate(1, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return nil, nil, err
	}
	if ca, err = x509.ParseCertificate(caDER); err != nil {
		return nil, nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano() + 1),
		Subject:      pkix.Name{CommonName: "certtoken serve"},
		NotBefore:    ca.NotBefore,
		NotAfter:     ca.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback, ipOf(address)},
		DNSNames:     []string{"localhost"},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, name)
		}
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), caKey)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}), &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{leafDER}, PrivateKey: key}},
		ClientAuth:   tls.RequestClientCert, // which may be the client's proof (RFC 8705)
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"http/1.1"}, // faults take over the connection, which HTTP/2 can't
	}, nil
}

func ipOf(address net.Addr) net.IP {
	if tcp, ok := address.(*net.TCPAddr); ok {
		return tcp.IP
	}
	return net.IPv6loopback
}
