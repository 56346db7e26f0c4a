package keyvault

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
	"github.com/certtoken/certtoken"
)

// FromKey is the source of a certificate whose private key stays in the vault,
// exportable or not, in software or an HSM. It reads the public certificate, and
// each assertion is one signing operation of the vault, with the key of the
// certificate's own version; a client asks for one only when it has to get a
// token. The credential needs certificates/get and keys/sign (roles Key Vault
// Reader and Key Vault Crypto User).
//
// A renewed version is taken up once its key has signed, so that a key without
// permission doesn't replace a good one. The key is RSA, or EC on P-256, P-384 or P-521,
// which Entra ID and ADFS don't take but other servers do; an error for P-256K wraps
// [certtoken.ErrUnsupported]. A signature that doesn't verify with the certificate is an
// error that wraps [certtoken.ErrKeyMismatch].
//
// With [WithCertificate] or [WithoutCertificate] it is the source of a key that has no
// certificate in the vault, as every key of a managed HSM, and certificate is the key's name.
// Then the credential needs keys/get and keys/sign (role Key Vault Crypto User, or Managed
// HSM Crypto User).
//
// It does no I/O, and its error holds every mistake at once.
func FromKey(vaultURL, certificate string, credential azcore.TokenCredential, opts ...Option) (*Source, error) {
	cfg := newConfig(opts)
	if isManagedHSM(vaultURL) && !cfg.alone {
		cfg.fail("a managed HSM has keys without certificates: give WithCertificate or WithoutCertificate")
	}
	if err := cfg.validate(vaultURL, certificate, credential); err != nil {
		return nil, err
	}
	keys, err := azkeys.NewClient(vaultURL, credential, &azkeys.ClientOptions{
		ClientOptions:                        cfg.client,
		DisableChallengeResourceVerification: cfg.anyChallenge,
	})
	if err != nil {
		return nil, fmt.Errorf("keyvault: %w", err)
	}
	pause := &throttle{}
	maker := keyMaker{client: keys, vault: vaultURL, issuers: cfg.issuers, timeout: cfg.timeout, throttle: pause}
	if cfg.alone {
		return newSource(keyAddress(vaultURL, certificate), cfg, pause,
			&aloneLoader{keyMaker: maker, name: certificate, version: cfg.version, leaf: cfg.leaf})
	}
	certs, err := newCertificates(vaultURL, credential, cfg)
	if err != nil {
		return nil, fmt.Errorf("keyvault: %w", err)
	}
	return newSource(address(vaultURL, certificate), cfg, pause,
		&keyLoader{keyMaker: maker, certs: certs, name: certificate, version: cfg.version})
}

// keyLoader reads the public certificate and joins it with the vault's key.
type keyLoader struct {
	keyMaker

	certs   *certificates
	name    string
	version string // "" is the newest
}

func (l *keyLoader) load(ctx context.Context, known *pair) (*pair, error) {
	got, err := l.certs.get(ctx, l.name, l.version)
	if err != nil {
		return nil, l.throttle.note(explain(readCertificate, err))
	}
	version := lastSegment(got.ID)
	if enabled := got.Attributes.Enabled; enabled != nil && !*enabled {
		return nil, fmt.Errorf("version %s is %w", versionName(version), ErrDisabled)
	}
	if known != nil && known.version == version {
		return known, nil
	}
	cert, err := l.join(got)
	if err == nil && known != nil && cert.Valid(time.Now()) == nil {
		err = trySigning(ctx, cert.Signer)
	}
	if err != nil {
		return nil, fmt.Errorf("version %s: %w", versionName(version), err)
	}
	return &pair{version, cert}, nil
}

// join makes the pair of a certificate and the key that it names.
func (l *keyLoader) join(got bundle) (*certtoken.Certificate, error) {
	leaf, err := parseLeaf(got.CER)
	if err != nil {
		return nil, err
	}
	if err := checkKey(leaf.PublicKey); err != nil {
		return nil, err
	}
	key, version, err := parseKeyID(l.vault, got.KID)
	if err != nil {
		return nil, err
	}
	signer, err := l.signer(leaf.PublicKey, key, version)
	if err != nil {
		return nil, err
	}
	return l.withChain(signer, leaf)
}

// parseLeaf reads a certificate. A vault makes keys on a curve that crypto/x509 doesn't
// know, so its error wouldn't say what to do.
func parseLeaf(der []byte) (*x509.Certificate, error) {
	leaf, err := x509.ParseCertificate(der)
	switch {
	case err == nil:
		return leaf, nil
	case bytes.Contains(der, secp256k1):
		return nil, fmt.Errorf("%w: the key is on P-256K (secp256k1): make the certificate with P-256, P-384 or P-521",
			certtoken.ErrUnsupported)
	}
	return nil, fmt.Errorf("%w: %w", certtoken.ErrFormat, err)
}

// secp256k1 is the DER of the curve's OID in a certificate's key (SEC 2 §2.4.1).
var secp256k1 = []byte{0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a}
