package keyvault_test

import (
	"bytes"
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	azfake "github.com/Azure/azure-sdk-for-go/sdk/azcore/fake"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
	fakekeys "github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys/fake"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
	fakesecrets "github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets/fake"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/ext/keyvault"
	"github.com/certtoken/certtoken/ext/keyvault/internal/vaultsign"
	"github.com/certtoken/certtoken/selfsigned"
)

const (
	vaultURL = "https://contoso.vault.azure.net"
	pfxType  = "application/x-pkcs12"
	pemType  = "application/x-pem-file"
)

// vault is a fake vault: the SDK's own fake servers for secrets and keys, which
// begin with the authentication challenge, and "Get Certificate" besides.
type vault struct {
	secrets, keys policy.Transporter

	mu       sync.Mutex
	versions []*version                                  // of the certificate "app", oldest first
	count    map[string]int                              // of authorized requests, by what they ask for
	signed   []string                                    // "key/version algorithm" of each signature
	fail     func(*http.Request) (*http.Response, error) // answers instead, where it returns something
	domain   string                                      // of the certificates' challenge
}

// version is one version of the certificate, its secret and its key.
type version struct {
	id          string
	cert        *certtoken.Certificate
	signer      crypto.Signer // cert's, unless the test says otherwise
	contentType string
	value       string // of the secret
	disabled    bool
	kid         string
}

func newVault(t *testing.T, certs ...*certtoken.Certificate) *vault {
	v := &vault{count: make(map[string]int), domain: "https://vault.azure.net"}
	v.secrets = fakesecrets.NewServerTransport(&fakesecrets.Server{GetSecret: v.getSecret})
	v.keys = fakekeys.NewServerTransport(&fakekeys.Server{Sign: v.sign})
	for _, cert := range certs {
		v.add(t, cert)
	}
	return v
}

// add makes a certificate the vault's newest version.
func (v *vault) add(t *testing.T, cert *certtoken.Certificate) *version {
	t.Helper()
	pfx := encodePFX(t, cert)
	v.mu.Lock()
	defer v.mu.Unlock()
	id := fmt.Sprintf("%032d", len(v.versions)+1)
	next := &version{
		id:          id,
		cert:        cert,
		signer:      cert.Signer,
		contentType: pfxType,
		value:       base64.StdEncoding.EncodeToString(pfx),
		kid:         vaultURL + "/keys/app/" + id,
	}
	v.versions = append(v.versions, next)
	return next
}

var encoded sync.Map // PFX by certificate: writing one takes long

// encodePFX writes a PFX whose password is hashed a few times only: what is tested here is
// the source, which reads one whenever it loads.
func encodePFX(t *testing.T, cert *certtoken.Certificate) []byte {
	t.Helper()
	if pfx, ok := encoded.Load(cert); ok {
		return pfx.([]byte)
	}
	pfx, err := selfsigned.EncodePFX(cert, "", selfsigned.PFXLegacy)
	require.NoError(t, err)
	encoded.Store(cert, pfx)
	return pfx
}

// change changes the vault while sources may be asking it.
func (v *vault) change(f func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f()
}

func (v *vault) find(name, id string) *version {
	v.mu.Lock()
	defer v.mu.Unlock()
	if name != "app" || len(v.versions) == 0 {
		return nil
	}
	if id == "" {
		return v.versions[len(v.versions)-1]
	}
	for _, known := range v.versions {
		if known.id == id {
			return known
		}
	}
	return nil
}

// asked is how often the vault gave or was to give a secret or certificate.
func (v *vault) asked() int { return v.counted("secrets") + v.counted("certificates") }

func (v *vault) counted(what string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.count[what]
}

// Do is the vault as a transport of the SDK.
func (v *vault) Do(req *http.Request) (*http.Response, error) {
	what, _, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/"), "/")
	v.mu.Lock()
	if req.Header.Get("Authorization") != "" {
		v.count[what]++
	}
	fail := v.fail
	v.mu.Unlock()
	if fail != nil {
		if resp, err := fail(req); resp != nil || err != nil {
			return resp, err
		}
	}
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	// The fake servers don't survive a context that ends while they answer.
	req = req.WithContext(context.WithoutCancel(req.Context()))
	switch what {
	case "secrets":
		return v.secrets.Do(req)
	case "keys":
		return v.keys.Do(req)
	}
	return v.getCertificate(req)
}

func (v *vault) getSecret(
	_ context.Context,
	name, id string,
	_ *azsecrets.GetSecretOptions,
) (resp azfake.Responder[azsecrets.GetSecretResponse], errResp azfake.ErrorResponder) {
	found := v.find(name, id)
	switch {
	case found == nil:
		errResp.SetResponseError(http.StatusNotFound, "SecretNotFound")
	case found.disabled:
		errResp.SetResponseError(http.StatusForbidden, "SecretDisabled")
	default:
		secretID := azsecrets.ID(vaultURL + "/secrets/app/" + found.id)
		value, contentType := found.value, found.contentType
		resp.SetResponse(http.StatusOK, azsecrets.GetSecretResponse{Secret: azsecrets.Secret{
			ID: &secretID, Value: &value, ContentType: &contentType,
		}}, nil)
	}
	return resp, errResp
}

func (v *vault) getCertificate(req *http.Request) (*http.Response, error) {
	if req.Header.Get("Authorization") == "" {
		resp := answer(req, http.StatusUnauthorized, "")
		resp.Header.Set("WWW-Authenticate", fmt.Sprintf(
			`Bearer authorization="https://login.microsoftonline.com/00000000-0000-0000-0000-000000000001", resource=%q`,
			v.domain,
		))
		return resp, nil
	}
	if req.URL.Query().Get("api-version") == "" {
		return answer(
			req,
			http.StatusBadRequest,
			`{"error":{"code":"BadParameter","message":"api-version must be specified"}}`,
		), nil
	}
	name, id, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/certificates/"), "/")
	found := v.find(name, id)
	if found == nil {
		return answer(
			req,
			http.StatusNotFound,
			`{"error":{"code":"CertificateNotFound","message":"A certificate with (name/id) was not found"}}`,
		), nil
	}
	body, err := json.Marshal(map[string]any{
		"id":         vaultURL + "/certificates/app/" + found.id,
		"kid":        found.kid,
		"cer":        found.cert.Leaf.Raw,
		"attributes": map[string]any{"enabled": !found.disabled},
	})
	if err != nil {
		return nil, err
	}
	return answer(req, http.StatusOK, string(body)), nil
}

func (v *vault) sign(
	_ context.Context,
	name, id string,
	params azkeys.SignParameters,
	_ *azkeys.SignOptions,
) (resp azfake.Responder[azkeys.SignResponse], errResp azfake.ErrorResponder) {
	if id == "" { // the fake server takes name and version for one
		name, id, _ = strings.Cut(name, "/")
	}
	found := v.find(name, id)
	switch {
	case found == nil || id == "":
		errResp.SetResponseError(http.StatusNotFound, "KeyNotFound")
		return resp, errResp
	case found.disabled:
		errResp.SetResponseError(http.StatusForbidden, "KeyDisabled")
		return resp, errResp
	}
	signature, err := vaultsign.Sign(found.signer, string(*params.Algorithm), params.Value)
	if err != nil {
		errResp.SetResponseError(http.StatusBadRequest, "BadParameter")
		return resp, errResp
	}
	v.change(func() { v.signed = append(v.signed, fmt.Sprintf("%s/%s %s", name, id, *params.Algorithm)) })
	kid := azkeys.ID(vaultURL + "/keys/" + name + "/" + id)
	resp.SetResponse(
		http.StatusOK,
		azkeys.SignResponse{KeyOperationResult: azkeys.KeyOperationResult{KID: &kid, Result: signature}},
		nil,
	)
	return resp, errResp
}

// answer is a response of the vault.
func answer(req *http.Request, status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status,
		Status:     fmt.Sprintf("%d %s", status, http.StatusText(status)),
		Header:     http.Header{"Content-Type": {"application/json; charset=utf-8"}},
		Body:       io.NopCloser(bytes.NewBufferString(body)),
		Request:    req,
	}
}

// down makes the vault fail every request with a status, until up.
func (v *vault) down(status int, header http.Header) {
	v.change(func() {
		v.fail = func(req *http.Request) (*http.Response, error) {
			resp := answer(req, status, `{"error":{"code":"Unavailable","message":"try later"}}`)
			for name, values := range header {
				resp.Header[name] = values
			}
			return resp, nil
		}
	})
}

func (v *vault) up() { v.change(func() { v.fail = nil }) }

// credential is any azcore.TokenCredential, and notes what it was asked for.
type credential struct {
	mu    sync.Mutex
	asked []policy.TokenRequestOptions
	err   error
}

const bearer = "vault-bearer-secret"

func (c *credential) GetToken(_ context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, options)
	return azcore.AccessToken{Token: bearer, ExpiresOn: time.Now().Add(24 * time.Hour)}, c.err
}

// quick makes the SDK retry without waiting for seconds.
var quick = policy.RetryOptions{MaxRetries: 1, RetryDelay: time.Millisecond, MaxRetryDelay: time.Minute}

// at lets a source ask this vault.
func (v *vault) at(retry policy.RetryOptions) keyvault.Option {
	return keyvault.WithClientOptions(azcore.ClientOptions{Transport: v, Retry: retry})
}

// maker makes a source of the certificate "app".
type maker func(*testing.T, *vault, ...keyvault.Option) *keyvault.Source

func fromSecret(t *testing.T, v *vault, opts ...keyvault.Option) *keyvault.Source {
	t.Helper()
	source, err := keyvault.FromSecret(
		vaultURL,
		"app",
		&credential{},
		append([]keyvault.Option{v.at(quick)}, opts...)...)
	require.NoError(t, err)
	return source
}

func fromKey(t *testing.T, v *vault, opts ...keyvault.Option) *keyvault.Source {
	t.Helper()
	source, err := keyvault.FromKey(vaultURL, "app", &credential{}, append([]keyvault.Option{v.at(quick)}, opts...)...)
	require.NoError(t, err)
	return source
}

// both runs a test with either kind of source.
func both(t *testing.T, test func(*testing.T, maker)) {
	t.Run("FromSecret", func(t *testing.T) { test(t, fromSecret) })
	t.Run("FromKey", func(t *testing.T) { test(t, fromKey) })
}

// Certificates that are made once: a key takes long to make.
var (
	made1 = sync.OnceValues(func() (*certtoken.Certificate, error) { return certtokentest.MakeCertificate() })
	made2 = sync.OnceValues(func() (*certtoken.Certificate, error) { return certtokentest.MakeCertificate() })
)

func firstCert(t *testing.T) *certtoken.Certificate {
	t.Helper()
	cert, err := made1()
	require.NoError(t, err)
	return cert
}

func secondCert(t *testing.T) *certtoken.Certificate {
	t.Helper()
	cert, err := made2()
	require.NoError(t, err)
	return cert
}
