package keyvault

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certsource"
)

const fuzzedVault = "https://contoso.vault.azure.net"

// seeds gives each file to add, and fails if they are gone: a fuzzer without
// seeds finds nothing and passes.
func seeds(f *testing.F, pattern string, add func(data []byte)) {
	f.Helper()
	files, err := filepath.Glob(pattern)
	require.NoError(f, err)
	require.NotEmpty(f, files, "the seeds are missing")
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(f, err)
		add(data)
	}
}

// FuzzKeyID: what a vault names as its key is taken only if it is of this vault.
func FuzzKeyID(f *testing.F) {
	const vault = fuzzedVault
	for _, seed := range []string{
		vault + "/keys/app/0123456789abcdef", "https://evil.example/keys/app/1", vault + "@evil.example/keys/app/1",
		vault + "/keys/app", vault + "/keys/../secrets/app/1", "", "%zz",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, id string) {
		key, version, err := parseKeyID(vault, id)
		if err != nil {
			oneLine(t, err.Error())
			return
		}
		if key == "" || version == "" || strings.ContainsAny(key+version, "/?#\n\r") {
			t.Fatalf("%q: key %q, version %q", id, key, version)
		}
	})
}

// FuzzSecret: whatever a vault answers as the secret, there is a pair that fits
// or an error in one line that repeats nothing of the value.
func FuzzSecret(f *testing.F) {
	seeds(f, "testdata/secret/*", func(data []byte) { f.Add(data) })
	f.Fuzz(func(t *testing.T, body []byte) {
		source, err := FromSecret(fuzzedVault, "app", bearer{}, answering(http.StatusOK, body))
		require.NoError(t, err)
		judge(t, source, secretIn(body))
	})
}

// FuzzBundle: so it is with what it answers as the certificate, whose key must
// be of this vault.
func FuzzBundle(f *testing.F) {
	seeds(f, "testdata/bundle/*", func(data []byte) { f.Add(data) })
	f.Fuzz(func(t *testing.T, body []byte) {
		source, err := FromKey(fuzzedVault, "app", bearer{}, answering(http.StatusOK, body))
		require.NoError(t, err)
		if cert := judge(t, source, nil); cert != nil {
			assert.True(
				t,
				strings.HasPrefix(fmt.Sprint(cert.Signer), "certsource.Signer(keyvault: "+fuzzedVault+"/keys/"),
			)
		}
	})
}

// FuzzKey: and so it is with what it answers as a key that has no certificate.
func FuzzKey(f *testing.F) {
	seeds(f, "testdata/key/*", func(data []byte) { f.Add(data) })
	f.Fuzz(func(t *testing.T, body []byte) {
		source, err := FromKey(fuzzedVault, "app", bearer{}, answering(http.StatusOK, body), WithoutCertificate())
		require.NoError(t, err)
		cert, err := source.Certificate(t.Context())
		if err != nil {
			oneLine(t, err.Error())
			return
		}
		assert.True(t, strings.HasPrefix(fmt.Sprint(cert.Signer), "certsource.Signer(keyvault: "+fuzzedVault+"/keys/"))
		_, err = x509.MarshalPKIXPublicKey(cert.Signer.Public())
		assert.NoError(t, err)
	})
}

// FuzzRefusal: a refusal is told in one line of bounded length, without any token.
func FuzzRefusal(f *testing.F) {
	seeds(f, "testdata/refusal/*", func(data []byte) {
		for _, status := range []int{400, 401, 403, 404, 429, 503} {
			f.Add(status, "", data)
		}
		f.Add(429, "4294967296", data)
		f.Add(503, "Thu, 01 Jan 2099 00:00:00 GMT", data)
	})
	f.Fuzz(func(t *testing.T, status int, retryAfter string, body []byte) {
		if status < 300 || status > 599 {
			t.Skip("no refusal: ", status)
		}
		req, err := http.NewRequest(http.MethodGet, fuzzedVault+"/secrets/app", nil)
		require.NoError(t, err)
		refused := runtime.NewResponseError(&http.Response{
			StatusCode: status, Request: req, Header: http.Header{"Retry-After": {retryAfter}},
			Body: io.NopCloser(bytes.NewReader(body)),
		})
		pause := &throttle{}
		err = pause.note(explain(readSecret, refused))
		oneLine(t, err.Error())
		assert.Less(t, len(err.Error()), 4*maxMessage)
		assert.Equal(t, err.Error(), certsource.Text(err.Error(), 4*maxMessage), "no token, no control character")
		var same *azcore.ResponseError
		require.ErrorAs(t, err, &same)
		if held := pause.check(); held != nil {
			assert.ErrorIs(t, held, err)
			oneLine(t, held.Error())
		}
	})
}

// FuzzChallenge: whatever a vault answers, it gets a token for its own domain or
// none, from the clients of the SDK too, which read challenges in another way.
func FuzzChallenge(f *testing.F) {
	seeds(f, "testdata/challenge/*", func(data []byte) { f.Add(string(data), true) })
	f.Fuzz(func(t *testing.T, header string, secret bool) {
		if asked, err := parseChallenge([]string{header}, "contoso.vault.azure.net", false); err != nil {
			oneLine(t, err.Error())
		} else if asked.resource != "" {
			assert.Equal(t, "https://vault.azure.net", asked.resource)
			again, err := parseChallenge([]string{asked.header()}, "contoso.vault.azure.net", false)
			assert.NoError(t, err)
			assert.Equal(t, asked, again, "what the SDK is given says the same")
		}

		credential, from := &recording{}, FromKey
		if secret {
			from = FromSecret
		}
		source, err := from(fuzzedVault, "app", credential, challenging(header))
		require.NoError(t, err)
		_, err = source.Certificate(context.Background())
		oneLine(t, err.Error())
		assert.NotContains(t, err.Error(), "panicked")
		for _, asked := range credential.asked {
			assert.Equal(t, []string{"https://vault.azure.net/.default"}, asked.Scopes)
			assert.Regexp(t, `^[0-9A-Za-z.-]*$`, asked.TenantID)
		}
	})
}

// recording is a credential that records what it is asked for.
type recording struct{ asked []policy.TokenRequestOptions }

func (r *recording) GetToken(_ context.Context, options policy.TokenRequestOptions) (azcore.AccessToken, error) {
	r.asked = append(r.asked, options)
	return azcore.AccessToken{Token: "token", ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// challenging gives a source a vault that answers every request with a challenge.
func challenging(header string) Option {
	return WithClientOptions(azcore.ClientOptions{
		Retry: policy.RetryOptions{MaxRetries: -1},
		Transport: transport(func(req *http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: http.StatusUnauthorized, Request: req, Body: http.NoBody,
				Header: http.Header{"Www-Authenticate": {header}},
			}, nil
		}),
	})
}

// secretIn returns the pieces of a secret's value that stand nowhere else in the
// vault's answer. What isn't a JSON object has no value.
func secretIn(body []byte) []string {
	var fields map[string]json.RawMessage
	var value string
	if json.Unmarshal(body, &fields) != nil || json.Unmarshal(fields["value"], &value) != nil {
		return nil
	}
	delete(fields, "value")
	var elsewhere strings.Builder
	for name, field := range fields {
		var decoded any
		_ = json.Unmarshal(field, &decoded) // a part of what was decoded above
		fmt.Fprintln(&elsewhere, name, decoded)
	}
	var pieces []string
	for _, run := range secretRun.FindAllString(value, -1) {
		for at := 0; at+24 <= len(run); at += 12 {
			if piece := run[at : at+24]; !strings.Contains(elsewhere.String(), piece) {
				pieces = append(pieces, piece)
			}
		}
	}
	return pieces
}

// judge asks a source once.
func judge(t *testing.T, source *Source, secret []string) *certtoken.Certificate {
	t.Helper()
	cert, err := source.Certificate(context.Background())
	if err == nil {
		_, err = certtoken.NewCertificate(cert.Signer, cert.Leaf, cert.Chain)
		require.NoError(t, err, "a pair that doesn't fit")
		return cert
	}
	oneLine(t, err.Error())
	for _, piece := range secret {
		assert.False(t, strings.Contains(err.Error(), piece), "a piece of the value: %v", err)
	}
	return nil
}

// secretRun is what a key looks like in a secret's value.
var secretRun = regexp.MustCompile(`[A-Za-z0-9+/=]{24,}`)

// bearer is a credential that is never asked, as there is no challenge.
type bearer struct{}

func (bearer) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{}, errors.New("no token")
}

// answering gives a source a vault that always answers the same.
func answering(status int, body []byte) Option {
	return WithClientOptions(azcore.ClientOptions{
		Retry: policy.RetryOptions{MaxRetries: -1},
		Transport: transport(func(req *http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: status,
				Request:    req,
				Header:     http.Header{"Content-Type": {"application/json"}},
				Body:       io.NopCloser(bytes.NewReader(body)),
			}, nil
		}),
	})
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) Do(req *http.Request) (*http.Response, error) { return f(req) }

func oneLine(t *testing.T, text string) {
	t.Helper()
	assert.False(t, strings.ContainsAny(text, "\n\r\x00\x1b\u2028\u2029\u202e"), "%q", text)
	assert.True(t, utf8.ValidString(text), "%q", text)
}
