package keyvault

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"strconv"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certsource"
)

// The content types by which a vault says how a certificate's secret is written.
const (
	typePFX = "application/x-pkcs12"   // base64, with an empty password
	typePEM = "application/x-pem-file" // without one
)

// FromSecret is the source of a certificate whose private key is exportable. It
// reads certificate, chain and key with one request, so that they are always of
// one version, from the secret of the certificate's name; the credential needs
// secrets/get on that (role Key Vault Secrets User). The key is in this
// program's memory from then on.
//
// It does no I/O, and its error holds every mistake at once.
func FromSecret(vaultURL, certificate string, credential azcore.TokenCredential, opts ...Option) (*Source, error) {
	cfg := newConfig(opts)
	if len(cfg.issuers) > 0 {
		cfg.fail("WithIssuers is for FromKey: the secret has the chain")
	}
	if isManagedHSM(vaultURL) {
		cfg.fail("a managed HSM has no secrets: use FromKey")
	} else if cfg.alone {
		cfg.fail("WithCertificate and WithoutCertificate are for FromKey: the secret has the certificate")
	}
	if err := cfg.validate(vaultURL, certificate, credential); err != nil {
		return nil, err
	}
	client, err := azsecrets.NewClient(vaultURL, credential, &azsecrets.ClientOptions{
		ClientOptions:                        cfg.client,
		DisableChallengeResourceVerification: cfg.anyChallenge,
	})
	if err != nil {
		return nil, fmt.Errorf("keyvault: %w", err)
	}
	pause := &throttle{}
	return newSource(address(vaultURL, certificate), cfg, pause, &secretLoader{
		client:   client,
		name:     certificate,
		version:  cfg.version,
		throttle: pause,
	})
}

// secretLoader reads the pair from a certificate's secret.
type secretLoader struct {
	client   *azsecrets.Client
	name     string
	version  string // "" is the newest
	throttle *throttle
}

func (l *secretLoader) load(ctx context.Context, known *pair) (*pair, error) {
	got, err := l.client.GetSecret(ctx, l.name, l.version, nil)
	if err != nil {
		return nil, l.throttle.note(explain(readSecret, err))
	}
	secret := got.Secret
	if secret.Attributes != nil && secret.Attributes.Enabled != nil && !*secret.Attributes.Enabled {
		return nil, fmt.Errorf("the secret is %w", ErrDisabled)
	}
	version := l.version
	if secret.ID != nil {
		version = lastSegment(string(*secret.ID))
	}
	if known != nil && known.version == version {
		return known, nil
	}
	cert, err := parseSecret(secret)
	if err != nil {
		return nil, fmt.Errorf("version %s: %w", versionName(version), err)
	}
	return &pair{version, cert}, nil
}

// parseSecret reads the pair in a secret by its content type. A secret without
// one was put there by hand, and is read by its content.
func parseSecret(secret azsecrets.Secret) (*certtoken.Certificate, error) {
	var value, contentType string
	if secret.Value != nil {
		value = *secret.Value
	}
	if secret.ContentType != nil {
		contentType = *secret.ContentType
	}
	var opts []certtoken.CertOption
	switch mediaType(contentType) {
	case typePFX:
		opts = append(opts, certtoken.WithPassword(""))
	case typePEM, "":
	default:
		return nil, fmt.Errorf("%w: the secret's content type is %q, not that of a certificate (%s, %s)",
			certtoken.ErrFormat, certsource.Text(contentType, maxName), typePFX, typePEM)
	}
	cert, err := certtoken.ParseCertificate([]byte(value), opts...)
	if errors.Is(err, certtoken.ErrNoPrivateKey) {
		return nil, fmt.Errorf("%w; its key isn't exportable: use keyvault.FromKey, which signs in the vault", err)
	}
	return cert, err
}

// mediaType is a content type without its parameters, in lower case.
func mediaType(contentType string) string {
	if t, _, err := mime.ParseMediaType(contentType); err == nil {
		return t
	}
	return strings.ToLower(strings.TrimSpace(contentType))
}

// lastSegment is the version in the id of a secret, key or certificate.
func lastSegment(id string) string { return id[strings.LastIndexByte(id, '/')+1:] }

// versionName is a version for people. What the vault gave as one may be
// anything.
func versionName(version string) string {
	if !versionPattern.MatchString(version) {
		return strconv.Quote(certsource.Text(version, maxName))
	}
	return version
}
