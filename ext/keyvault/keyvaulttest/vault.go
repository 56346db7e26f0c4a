// Package keyvaulttest is an Azure Key Vault for tests of programs that use package keyvault.
// It answers what that package asks of a vault, and begins with the authentication challenge
// that a vault begins with.
//
//	vault := keyvaulttest.New(t, "my-app", certtokentest.NewCertificate(t))
//	source, err := keyvault.FromKey(vault.URL(), "my-app", vault.Credential(), vault.Option())
//
// [NewManagedHSM] is a managed HSM, which has keys only. There is no socket, so both work in a
// bubble of testing/synctest too. For a test over a connection of your own, serve
// [Vault.Handler].
package keyvaulttest

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/ext/keyvault"
)

// Tenant is the tenant that the vault's challenge names.
const Tenant = "00000000-0000-0000-0000-000000000001"

// What a vault and a managed HSM are under. Each domain is also what their tokens are for.
const (
	vaultDomain = "vault.azure.net"
	hsmDomain   = "managedhsm.azure.net"
)

// Vault is a vault with one certificate, in as many versions as were added, or a managed HSM
// with one key. It may be used from many goroutines.
type Vault struct {
	name   string
	domain string

	mu       sync.Mutex
	versions []*version
	signed   []string
	status   int // answers every request; 0: none does
}

// New makes a vault whose certificate has this name, with a version for each of certs, the
// newest last.
func New(t testing.TB, certificate string, certs ...*certtoken.Certificate) *Vault {
	t.Helper()
	return newVault(t, vaultDomain, certificate, certs)
}

// NewManagedHSM makes a managed HSM that has a key of this name, with a version for each of
// keys, the newest last: [certtoken.NewKey] makes one of a key alone, and of a certificate
// the key is taken. It has neither certificates nor secrets, and its keys are of the types
// RSA-HSM and EC-HSM.
//
//	hsm := keyvaulttest.NewManagedHSM(t, "my-key", cert)
//	source, err := keyvault.FromKey(hsm.URL(), "my-key", hsm.Credential(), hsm.Option(),
//		keyvault.WithCertificate(cert.Leaf))
func NewManagedHSM(t testing.TB, key string, keys ...*certtoken.Certificate) *Vault {
	t.Helper()
	return newVault(t, hsmDomain, key, keys)
}

func newVault(t testing.TB, domain, name string, certs []*certtoken.Certificate) *Vault {
	t.Helper()
	v := &Vault{name: name, domain: domain}
	for _, cert := range certs {
		v.Add(t, cert)
	}
	return v
}

// Add makes a certificate, or the key of one in a managed HSM, the newest version. The key is
// RSA, or EC on P-256, P-384 or P-521.
// If the key is in memory, it is exportable: the secret has it. The secret of any other signer
// has the certificate only, as that of a key that may not leave the vault.
func (v *Vault) Add(t testing.TB, cert *certtoken.Certificate) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	next, err := newVersion(len(v.versions)+1, cert, v.isHSM())
	if err != nil {
		t.Fatalf("keyvaulttest: %v", err)
	}
	v.versions = append(v.versions, next)
}

// Disable disables the newest version, or enables it again.
func (v *Vault) Disable(disabled bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if n := len(v.versions); n > 0 {
		v.versions[n-1].disabled = disabled
	}
}

// Refuse answers every request that has a token with an HTTP status from now on: 403 for a
// role that was taken away, 429 for a vault that throttles, 503 for one that is down. 0 ends it.
func (v *Vault) Refuse(status int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.status = status
}

// Signed returns the algorithm of each signature that the vault has made.
func (v *Vault) Signed() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.signed)
}

// URL is the vault's address.
func (v *Vault) URL() string { return "https://certtoken-test." + v.domain }

func (v *Vault) isHSM() bool { return v.domain == hsmDomain }

// Option lets a source ask this vault instead of one on the network. The SDK's retries wait
// for milliseconds.
func (v *Vault) Option() keyvault.Option {
	return keyvault.WithClientOptions(azcore.ClientOptions{
		Transport: transport{v.Handler(nil)},
		Retry:     policy.RetryOptions{MaxRetries: 1, RetryDelay: time.Millisecond, MaxRetryDelay: time.Second},
	})
}

// Credential is one that opens the vault. Any other does too: the vault looks at no token.
func (v *Vault) Credential() azcore.TokenCredential { return credential{} }

// Handler serves the vault at [Vault.URL]: requests without a token get the challenge, the
// others pass through guard, if there is one, and then get an answer. A guard that checks
// tokens is certtokentest's Server.Resource.
func (v *Vault) Handler(guard func(http.Handler) http.Handler) http.Handler {
	var next http.Handler = http.HandlerFunc(v.answer)
	if guard != nil {
		next = guard(next)
	}
	return v.challenge(next)
}

type credential struct{}

// GetToken implements [azcore.TokenCredential].
func (credential) GetToken(ctx context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	if len(options.Scopes) == 0 {
		return azcore.AccessToken{}, errors.New("keyvaulttest: no scope was asked for")
	}
	return azcore.AccessToken{Token: "keyvaulttest", ExpiresOn: time.Now().Add(time.Hour)}, ctx.Err()
}

// transport is the vault without a connection.
type transport struct{ vault http.Handler }

// Do implements [policy.Transporter].
func (t transport) Do(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	recorder := httptest.NewRecorder()
	t.vault.ServeHTTP(recorder, req)
	resp := recorder.Result()
	resp.Request = req
	return resp, nil
}
