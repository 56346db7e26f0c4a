package keyform

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/internal/jwk"
	"github.com/certtoken/certtoken/internal/jws"
)

var errNotInMemory = errors.New("the key isn't in memory, so it can't be written into a file")

// encodeKey writes a private key with its PEM label.
func (f file) encodeKey(signer crypto.Signer, password string) (label string, der []byte, err error) {
	key := value(signer)
	if f.older {
		switch key := key.(type) {
		case *rsa.PrivateKey:
			return "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key), nil
		case *ecdsa.PrivateKey:
			der, err = x509.MarshalECPrivateKey(key)
			return "EC PRIVATE KEY", der, err
		}
	}
	switch key.(type) {
	case *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey:
	default:
		return "", nil, errNotInMemory
	}
	if der, err = x509.MarshalPKCS8PrivateKey(key); err != nil || !f.encrypted {
		return "PRIVATE KEY", der, err
	}
	der, err = encrypt(der, password)
	return "ENCRYPTED PRIVATE KEY", der, err
}

// value is a key in the form that crypto/x509 takes.
func value(signer crypto.Signer) crypto.Signer {
	if key, ok := signer.(*ed25519.PrivateKey); ok && key != nil {
		return *key
	}
	return signer
}

// private are the members of a private JWK (RFC 7518 §6.2.2 and §6.3.2, RFC 8037 §2).
type private struct {
	jwk.Public
	D  string `json:"d"`
	P  string `json:"p,omitempty"`
	Q  string `json:"q,omitempty"`
	DP string `json:"dp,omitempty"`
	DQ string `json:"dq,omitempty"`
	QI string `json:"qi,omitempty"`
}

// encodeJWK writes a private key as a JWK. It has the old one's alg if that fits it.
func encodeJWK(cert *certtoken.Certificate, alg string) ([]byte, error) {
	pub := cert.Signer.Public()
	if jws.Fits(alg, pub) != nil {
		alg = ""
	}
	public, err := jwk.ForSigning(pub, cert.KeyID, alg)
	if err != nil {
		return nil, err
	}
	k := private{Public: public}
	switch key := value(cert.Signer).(type) {
	case *rsa.PrivateKey:
		if len(key.Primes) != 2 {
			return nil, fmt.Errorf("an RSA key of %d primes has no form as a JWK here", len(key.Primes))
		}
		key.Precompute()
		k.D, k.P, k.Q = number(key.D), number(key.Primes[0]), number(key.Primes[1])
		k.DP, k.DQ, k.QI = number(key.Precomputed.Dp), number(key.Precomputed.Dq), number(key.Precomputed.Qinv)
	case *ecdsa.PrivateKey:
		d, err := key.Bytes()
		if err != nil {
			return nil, err
		}
		k.D = base64.RawURLEncoding.EncodeToString(d)
	case ed25519.PrivateKey:
		k.D = base64.RawURLEncoding.EncodeToString(key.Seed())
	default:
		return nil, errNotInMemory
	}
	data, err := json.MarshalIndent(k, "", "  ")
	return append(data, '\n'), err
}

func number(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }
