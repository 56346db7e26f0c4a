package keyvault

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/certtoken/certtoken/certsource"
)

const (
	defaultInterval = 15 * time.Minute
	defaultTimeout  = 20 * time.Second // less than a certtoken.Client waits for a token
	minInterval     = time.Second
	maxTimeout      = 5 * time.Minute
)

// Option changes a [Source] from its defaults.
type Option func(*config)

type config struct {
	version      string
	interval     time.Duration
	timeout      time.Duration
	client       azcore.ClientOptions
	issuers      []*x509.Certificate
	anyChallenge bool
	alone        bool              // the key has no certificate in the vault
	leaf         *x509.Certificate // the one that was given; nil: none
	errs         []error
}

func newConfig(opts []Option) config {
	cfg := config{interval: defaultInterval, timeout: defaultTimeout}
	for _, opt := range opts {
		if opt != nil {
			opt(&cfg)
		}
	}
	// A secret's body is a private key: it is in no log, whatever the user's
	// options for other services say.
	cfg.client.Logging.IncludeBody = false
	cfg.client.Transport = limit(cfg.client.Transport)
	cfg.client.PerRetryPolicies = append(
		[]policy.Policy{challengeGuard{anyResource: cfg.anyChallenge}},
		cfg.client.PerRetryPolicies...)
	return cfg
}

func (c *config) fail(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("keyvault: "+format, args...))
}

// WithVersion takes this version of the certificate and no other. A pinned
// version is read once. Two sources, one of them pinned to the version before,
// are joined by certtoken.NewestValid for the time in which a new certificate
// isn't registered everywhere.
func WithVersion(version string) Option {
	return func(c *config) {
		if !versionPattern.MatchString(version) {
			c.fail("WithVersion: %q is no version of a certificate", certsource.Text(version, maxName))
		}
		c.version = version
	}
}

// WithRefreshInterval sets how often the vault is asked for a renewed version,
// at most, and only while there are callers: 1 s or more, by default 15 minutes.
func WithRefreshInterval(d time.Duration) Option {
	return func(c *config) {
		if d < minInterval {
			c.fail("WithRefreshInterval: %v is less than %v", d, minInterval)
		}
		c.interval = d
	}
}

// WithTimeout limits one reading of the certificate and one signature, each with
// its retries: up to 5 minutes, by default 20 s. It adds to the caller's context.
func WithTimeout(d time.Duration) Option {
	return func(c *config) {
		if d <= 0 || d > maxTimeout {
			c.fail("WithTimeout: %v is not within 0 and %v", d, maxTimeout)
		}
		c.timeout = d
	}
}

// WithClientOptions sets what the vault's clients have in common with all others
// of the Azure SDK: transport, retries, tracing, further policies. Bodies are
// never logged, whatever Logging.IncludeBody says, and an answer's body of more than
// 1 MiB is an error, whatever the transport is.
func WithClientOptions(options azcore.ClientOptions) Option {
	return func(c *config) { c.client = options }
}

// WithIssuers gives the certificates of the authorities that issue the one in
// the vault, in any order, for [FromKey]: without the secret the vault shows the
// leaf alone, and subject-name/issuer trust may want the chain. [FromSecret]
// reads the chain from the vault.
func WithIssuers(issuers ...*x509.Certificate) Option {
	return func(c *config) {
		for _, issuer := range issuers {
			if issuer == nil {
				c.fail("WithIssuers: nil certificate")
				return
			}
		}
		c.issuers = append(c.issuers, issuers...)
	}
}

// WithCertificate gives the certificate of a key that has none in the vault, for [FromKey]:
// every key of a managed HSM. [WithVersion] names the key's version; without it the newest
// must be the certificate's. For a renewed certificate make a new source.
func WithCertificate(leaf *x509.Certificate) Option {
	return func(c *config) {
		if leaf == nil {
			c.fail("WithCertificate: nil certificate")
		}
		if c.alone {
			c.fail("only one of WithCertificate and WithoutCertificate, once")
		}
		c.alone, c.leaf = true, leaf
	}
}

// WithoutCertificate hands out the key alone, for [FromKey] and servers that know their
// clients by registered keys (see [certtoken.NewKey]; print what to register by package
// jwks), and for keys that have no certificate yet: the Signer is what selfsigned.Request
// and selfsigned.For take. A new version of the key is taken up as a new version of a
// certificate is. Entra ID and ADFS don't take keys alone.
func WithoutCertificate() Option {
	return func(c *config) {
		if c.alone {
			c.fail("only one of WithCertificate and WithoutCertificate, once")
		}
		c.alone = true
	}
}

// DangerouslyAllowAnyChallenge lets the vault name any https host as the resource in
// its authentication challenge, as an emulator on this machine or a vault of Azure
// Stack Hub does. Without it the resource must be the domain of the vault and one of
// Azure's public, China and US Government clouds, so that a host that only poses as a
// vault can't get a token for something else.
func DangerouslyAllowAnyChallenge() Option {
	return func(c *config) { c.anyChallenge = true }
}

var (
	namePattern    = regexp.MustCompile(`^[0-9A-Za-z-]{1,127}$`)
	versionPattern = regexp.MustCompile(`^[0-9A-Za-z]{1,64}$`)
)

// validate reports every mistake at once.
func (c *config) validate(vaultURL, certificate string, credential azcore.TokenCredential) error {
	errs := append(c.errs, checkVault(vaultURL))
	if c.alone && c.leaf == nil && len(c.issuers) > 0 {
		errs = append(errs, errors.New("keyvault: WithIssuers is for a certificate, and there is none"))
	}
	if !namePattern.MatchString(certificate) {
		errs = append(
			errs,
			fmt.Errorf("keyvault: %q is no name of a certificate or key: letters, digits and hyphens",
				certsource.Text(certificate, maxName)),
		)
	}
	if credential == nil {
		errs = append(
			errs,
			errors.New(
				"keyvault: no credential for the vault: a managed identity, or any other azcore.TokenCredential",
			),
		)
	}
	return errors.Join(errs...)
}

// checkVault accepts the https origin of a vault.
func checkVault(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Hostname() == "":
		return errors.New("keyvault: the vault isn't a URL such as https://contoso.vault.azure.net")
	case u.User != nil:
		return errors.New("keyvault: the vault's URL must not hold a user or password")
	case u.Scheme != "https":
		return fmt.Errorf("keyvault: %q is not https", certsource.Text(raw, maxName))
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf(
			"keyvault: %q is more than the vault: give https://%s and the certificate's name",
			certsource.Text(raw, maxName),
			u.Host,
		)
	}
	return nil
}
