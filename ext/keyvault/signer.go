package keyvault

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certsource"
)

// keyMaker makes signers of a vault's keys.
type keyMaker struct {
	client   *azkeys.Client
	vault    string
	issuers  []*x509.Certificate
	timeout  time.Duration
	throttle *throttle
}

// signer is the signer of a version of a key.
func (m *keyMaker) signer(public crypto.PublicKey, key, version string) (*certsource.Signer, error) {
	inVault := &vaultKey{client: m.client, key: key, version: version, timeout: m.timeout, throttle: m.throttle}
	return certsource.NewSigner("keyvault: "+keyAddress(m.vault, key)+"/"+version, public, inVault.sign)
}

// withChain joins a key with its certificate, and with those of WithIssuers.
func (m *keyMaker) withChain(signer crypto.Signer, leaf *x509.Certificate) (*certtoken.Certificate, error) {
	cert, err := certtoken.NewCertificate(signer, leaf, m.issuers)
	if err == nil && len(m.issuers) > 0 && len(cert.Chain) == 0 {
		return nil, fmt.Errorf("none of the certificates of WithIssuers has issued it: its issuer is %q", leaf.Issuer)
	}
	return cert, err
}

// keyAddress names a key for people.
func keyAddress(vaultURL, key string) string {
	return strings.TrimRight(vaultURL, "/") + "/keys/" + key
}

// vaultKey is one version of a key in a vault.
type vaultKey struct {
	client   *azkeys.Client
	key      string
	version  string
	timeout  time.Duration
	throttle *throttle
}

// sign has the vault sign a digest. Its names of the algorithms are those of JSON Web
// Signature, and so is the form of its signatures.
func (k *vaultKey) sign(ctx context.Context, r certsource.SignRequest) ([]byte, error) {
	if err := k.throttle.check(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	alg := azkeys.SignatureAlgorithm(r.Algorithm)
	got, err := k.client.Sign(ctx, k.key, k.version, azkeys.SignParameters{Algorithm: &alg, Value: r.Digest}, nil)
	if err != nil {
		return nil, k.throttle.note(explain(signDigest, err))
	}
	return got.Result, nil
}

// trySigning has the key sign something that is no assertion.
func trySigning(ctx context.Context, signer crypto.Signer) error {
	digest := sha256.Sum256([]byte("certtoken: does this key sign?"))
	_, err := signer.(certtoken.ContextSigner).SignContext(ctx, digest[:], crypto.SHA256)
	return err
}

// parseKeyID takes a key's id apart, which is its URL and must name the vault
// that it came from.
func parseKeyID(vaultURL, id string) (key, version string, err error) {
	vault, err := url.Parse(vaultURL)
	if err != nil {
		return "", "", errors.New("the vault isn't a URL")
	}
	u, err := url.Parse(id)
	if err != nil || !strings.EqualFold(u.Hostname(), vault.Hostname()) {
		return "", "", fmt.Errorf("the key %q isn't in this vault", certsource.Text(id, maxName))
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	if len(parts) != 3 || parts[0] != "keys" || !namePattern.MatchString(parts[1]) ||
		!versionPattern.MatchString(parts[2]) {
		return "", "", fmt.Errorf("the key %q isn't a version of a key", certsource.Text(id, maxName))
	}
	return parts[1], parts[2], nil
}
