package keyvault_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	azlog "github.com/Azure/azure-sdk-for-go/sdk/azcore/log"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/ext/keyvault"
	"github.com/certtoken/certtoken/internal/secrettest"
)

// The chain comes with the pair.
func TestSecretChain(t *testing.T) {
	ca := certtokentest.NewCertificate(
		t,
		certtokentest.WithSharedKey(),
		certtokentest.AsCA(),
		certtokentest.WithSubject("CA"),
	)
	v := newVault(t, certtokentest.NewCertificate(t, certtokentest.WithSharedKey(), certtokentest.SignedBy(ca)))
	cert := load(t, fromSecret(t, v))
	require.Len(t, cert.Chain, 1)
	assert.True(t, cert.Chain[0].Equal(ca.Leaf))
}

func TestSecretContent(t *testing.T) {
	cert, other := firstCert(t), secondCert(t)
	publicOnly := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Leaf.Raw}))
	pfx := newVault(t, cert).versions[0].value
	keyPEM, otherPEM := pemVault(t, cert).versions[0].value, pemVault(t, other).versions[0].value
	const begin = "-----BEGIN CERTIFICATE"
	mixed := keyPEM[:strings.Index(keyPEM, begin)] + otherPEM[strings.Index(otherPEM, begin):]

	for _, test := range []struct {
		name, contentType, value string
		want                     error
		says                     string
	}{
		{"PFX", pfxType, pfx, nil, ""},
		{"with a parameter", "Application/X-PKCS12; charset=utf-8", pfx, nil, ""},
		{"PEM", pemType, keyPEM, nil, ""},
		{"by hand, without content type", "", pfx, nil, ""},
		{"a password", "text/plain", "hunter2", certtoken.ErrFormat, `content type is "text/plain"`},
		{"not exportable", pemType, publicOnly, certtoken.ErrNoPrivateKey, "use keyvault.FromKey"},
		{"mismatch", pemType, mixed, certtoken.ErrKeyMismatch, ""},
		{"cut off", pfxType, pfx[:len(pfx)/2], certtoken.ErrFormat, ""},
		{"empty", pfxType, "", certtoken.ErrFormat, ""},
		{"no base64", pfxType, "%%%", certtoken.ErrFormat, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := newVault(t, cert)
			v.versions[0].contentType, v.versions[0].value = test.contentType, test.value
			got, err := fromSecret(t, v).Certificate(t.Context())
			if test.want == nil {
				require.NoError(t, err)
				assert.True(t, got.Leaf.Equal(cert.Leaf))
				return
			}
			require.ErrorIs(t, err, test.want)
			assert.ErrorContains(t, err, test.says)
			assert.NotContains(t, err.Error(), "hunter2")
		})
	}
}

// A refusal is told in one line, with what to do.
func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		status     int
		body, says string
	}{
		{
			http.StatusForbidden,
			`{"error":{"code":"Forbidden","message":"Caller is not authorized","innererror":{"code":"ForbiddenByRbac"}}}`,
			"(ForbiddenByRbac)",
		},
		{http.StatusForbidden, `{"error":{"code":"Forbidden","message":"no"}}`, "/get (role Key Vault "},
		{
			http.StatusForbidden, `{"error":{"code":"Forbidden","innererror":{"code":"ForbiddenByFirewall"}}}`,
			"firewall",
		},
		{
			http.StatusForbidden, `{"error":{"code":"Forbidden","innererror":{"code":"ForbiddenByConnection"}}}`,
			"private connections",
		},
		{http.StatusForbidden, `<html>proxy</html>`, "403 Forbidden"},
		{http.StatusNotFound, `{"error":{"code":"SecretNotFound","message":"not here"}}`, "check the name"},
		{http.StatusUnauthorized, ``, "tenant and cloud"},
		{
			http.StatusBadRequest,
			"{\"error\":{\"code\":\"Bad\\nCode\",\"message\":\"line\\nline eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2ln " +
				strings.Repeat("x", 4000) + "\"}}",
			"[removed]",
		},
	} {
		both(t, func(t *testing.T, from maker) {
			v := newVault(t, firstCert(t))
			source := from(t, v)
			v.fail = func(req *http.Request) (*http.Response, error) {
				if req.Header.Get("Authorization") == "" {
					return nil, nil
				}
				return answer(req, test.status, test.body), nil
			}
			_, err := source.Certificate(t.Context())
			require.ErrorContains(t, err, test.says)
			assert.NotContains(t, err.Error(), "\n")
			assert.False(t, secrettest.BeginsJWT(err.Error()), "the beginning of a JWT")
			assert.Less(t, len(err.Error()), 1000)
			var refused *azcore.ResponseError
			require.ErrorAs(t, err, &refused)
			assert.Equal(t, test.status, refused.StatusCode)
		})
	}
}

// Whatever is logged and printed, it holds neither the key nor the bearer.
func TestSecrecy(t *testing.T) {
	cert := firstCert(t)
	v := newVault(t, cert)
	var mu sync.Mutex
	var log strings.Builder
	azlog.SetListener(func(event azlog.Event, text string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(&log, event, text)
	})
	defer azlog.SetListener(nil)
	options := keyvault.WithClientOptions(
		azcore.ClientOptions{Transport: v, Retry: quick, Logging: policy.LogOptions{IncludeBody: true}},
	)
	for _, from := range []maker{fromSecret, fromKey} {
		source := from(t, v, options)
		got := load(t, source)
		signs(t, got)
		var printed bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			for _, value := range []any{source, got, got.Signer, struct{ s *keyvault.Source }{source},
				struct{ S any }{source}} {
				// An *rsa.PrivateKey itself prints its key.
				if _, inMemory := value.(interface{ Validate() error }); !inMemory {
					fmt.Fprintf(&printed, verb+"\n", value)
				}
			}
		}
		slog.New(slog.NewTextHandler(&printed, nil)).Info("x", "source", source, "cert", got)
		if from, ok := got.Signer.(slog.LogValuer); ok { // an *rsa.PrivateKey is its owner's to keep out of logs
			slog.New(slog.NewTextHandler(&printed, nil)).Info("x", "key", from)
		}
		data, err := json.Marshal(map[string]any{"source": source, "cert": got})
		require.NoError(t, err)
		printed.Write(data)
		secretFree(t, printed.String(), v)
		assert.Contains(t, printed.String(), "keyvault.Source(https://contoso.vault.azure.net/certificates/app)")
	}
	mu.Lock()
	defer mu.Unlock()
	require.NotEmpty(t, log.String(), "the SDK logs")
	secretFree(t, log.String(), v)
}

func secretFree(t *testing.T, text string, v *vault) {
	t.Helper()
	assert.NotContains(t, text, bearer)
	assert.NotContains(t, text, v.versions[0].value[:60])
	der, err := base64.StdEncoding.DecodeString(v.versions[0].value)
	require.NoError(t, err)
	assert.NotContains(t, text, string(der[:60]))
}
