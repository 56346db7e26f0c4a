package keyvault

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strings"
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
// permission doesn't replace a good one. Keys that aren't RSA are refused with
// an error that wraps [certtoken.ErrNotRSA] and [errors.ErrUnsupported]; a
// signature that doesn't verify with the certificate is an error that wraps
// [certtoken.ErrKeyMismatch].
//
// It does no I/O, and its error holds every mistake at once.
func FromKey(vaultURL, certificate string, credential azcore.TokenCredential, opts ...Option) (*Source, error) {
	cfg := newConfig(opts)
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
	certs, err := newCertificates(vaultURL, credential, cfg)
	if err != nil {
		return nil, fmt.Errorf("keyvault: %w", err)
	}
	pause := &throttle{}
	return newSource(vaultURL, certificate, cfg, pause, &keyLoader{
		certs:    certs,
		keys:     keys,
		name:     certificate,
		version:  cfg.version,
		vault:    vaultURL,
		address:  address(vaultURL, certificate),
		issuers:  cfg.issuers,
		timeout:  cfg.timeout,
		throttle: pause,
	}), nil
}

// keyLoader reads the public certificate and joins it with the vault's key.
type keyLoader struct {
	certs    *certificates
	keys     *azkeys.Client
	name     string
	version  string // "" is the newest
	vault    string
	address  string
	issuers  []*x509.Certificate
	timeout  time.Duration
	throttle *throttle
}

func (l *keyLoader) load(ctx context.Context, known *pair) (*pair, error) {
	got, err := l.certs.get(ctx, l.name, l.version)
	if err != nil {
		return nil, l.throttle.note(explain(readCertificate, l.address, err))
	}
	version := lastSegment(got.ID)
	if enabled := got.Attributes.Enabled; enabled != nil && !*enabled {
		return nil, fmt.Errorf("keyvault: %s: version %s is %w", l.address, versionName(version), ErrDisabled)
	}
	if known != nil && known.version == version {
		return known, nil
	}
	cert, err := l.join(got)
	if err == nil && known != nil && validity(cert, time.Now()) == nil {
		err = trySigning(ctx, cert.Signer)
	}
	if err != nil {
		return nil, fmt.Errorf("keyvault: %s: version %s: %w", l.address, versionName(version), err)
	}
	return newPair(version, cert), nil
}

// join makes the pair of a certificate and the key that it names.
func (l *keyLoader) join(got bundle) (*certtoken.Certificate, error) {
	leaf, err := x509.ParseCertificate(got.CER)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", certtoken.ErrFormat, err)
	}
	public, ok := leaf.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf(
			"%w: the key is %v (%w)",
			certtoken.ErrNotRSA,
			leaf.PublicKeyAlgorithm,
			errors.ErrUnsupported,
		)
	}
	key, version, err := parseKeyID(l.vault, got.KID)
	if err != nil {
		return nil, err
	}
	cert, err := certtoken.NewCertificate(&vaultKey{
		client:   l.keys,
		key:      key,
		version:  version,
		public:   public,
		address:  strings.TrimRight(l.vault, "/") + "/keys/" + key + "/" + version,
		timeout:  l.timeout,
		throttle: l.throttle,
	}, leaf, l.issuers)
	if err == nil && len(l.issuers) > 0 && len(cert.Chain) == 0 {
		return nil, fmt.Errorf("none of the certificates of WithIssuers has issued it: its issuer is %q", leaf.Issuer)
	}
	return cert, err
}

// trySigning has the key sign something that is no assertion.
func trySigning(ctx context.Context, signer crypto.Signer) error {
	digest := sha256.Sum256([]byte("certtoken: does this key sign?"))
	_, err := signer.(certtoken.ContextSigner).SignContext(ctx, digest[:], crypto.SHA256)
	return err
}

// parseKeyID takes a key's id apart, which is its URL and must name the vault
// that the certificate came from.
func parseKeyID(vaultURL, id string) (key, version string, err error) {
	vault, err := url.Parse(vaultURL)
	if err != nil {
		return "", "", errors.New("the vault isn't a URL")
	}
	u, err := url.Parse(id)
	if err != nil || !strings.EqualFold(u.Hostname(), vault.Hostname()) {
		return "", "", fmt.Errorf("the certificate's key %q isn't in this vault", shorten(id))
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	if len(parts) != 3 || parts[0] != "keys" || !namePattern.MatchString(parts[1]) ||
		!versionPattern.MatchString(parts[2]) {
		return "", "", fmt.Errorf("the certificate's key %q isn't a version of a key", shorten(id))
	}
	return parts[1], parts[2], nil
}
