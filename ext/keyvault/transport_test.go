package keyvault

import (
	"bytes"
	"context"
	"crypto"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// huge is a body of blanks, with which JSON may begin. It has an end so that the tests fail,
// and don't take all memory, where nothing bounds it.
type huge struct {
	read   int
	closed bool
}

func (h *huge) Read(p []byte) (int, error) {
	n := min(len(p), 8*maxAnswer-h.read)
	if n == 0 {
		return 0, io.EOF
	}
	for i := range n {
		p[i] = ' '
	}
	h.read += n
	return n, nil
}

func (h *huge) Close() error {
	h.closed = true
	return nil
}

// A huge answer is given up, whatever was asked and however it is answered, and isn't asked
// for again.
func TestLargeAnswers(t *testing.T) {
	key, err := os.ReadFile(filepath.Join("testdata", "key", "p256"))
	require.NoError(t, err)
	// A method other than this one is answered by a key.
	options := func(method string, status int, length int64, body *huge, requests *int) Option {
		return WithClientOptions(azcore.ClientOptions{
			Retry: policy.RetryOptions{MaxRetries: 2, RetryDelay: time.Millisecond},
			Transport: transport(func(req *http.Request) (*http.Response, error) {
				resp := &http.Response{StatusCode: status, Request: req, Header: http.Header{}}
				if resp.Body, resp.ContentLength = body, length; req.Method != method {
					resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(key)), int64(len(key))
				}
				*requests++
				return resp, nil
			}),
		})
	}
	read := func(source *Source, err error) error {
		require.NoError(t, err)
		_, err = source.Certificate(t.Context())
		return err
	}
	sign := func(source *Source, err error) error {
		require.NoError(t, err)
		cert, err := source.Certificate(t.Context())
		require.NoError(t, err)
		_, err = cert.Signer.Sign(nil, make([]byte, 32), crypto.SHA256)
		return err
	}
	secret := func(o Option) error { return read(FromSecret(fuzzedVault, "app", bearer{}, o)) }
	for name, tt := range map[string]struct {
		ask    func(Option) error
		method string
		status int
	}{
		"a secret":    {secret, http.MethodGet, 200},
		"a challenge": {secret, http.MethodGet, 401},
		"a refusal":   {secret, http.MethodGet, 403},
		"a failure":   {secret, http.MethodGet, 503},
		"a certificate": {func(o Option) error {
			return read(FromKey(fuzzedVault, "app", bearer{}, o))
		}, http.MethodGet, 200},
		"a key": {func(o Option) error {
			return read(FromKey(fuzzedVault, "app", bearer{}, o, WithoutCertificate()))
		}, http.MethodGet, 200},
		"a signature": {func(o Option) error {
			return sign(FromKey(fuzzedVault, "app", bearer{}, o, WithoutCertificate()))
		}, http.MethodPost, 200},
	} {
		for _, length := range []int64{-1, maxAnswer + 1} {
			t.Run(fmt.Sprintf("%s of the length %d", name, length), func(t *testing.T) {
				body, requests, want := &huge{}, 0, 1
				if tt.method == http.MethodPost {
					want = 2 // the key is read before
				}
				err := tt.ask(options(tt.method, tt.status, length, body, &requests))
				require.ErrorContains(t, err, "has more than 1048576 bytes: is it a vault?")
				require.ErrorContains(t, err, http.StatusText(tt.status))
				oneLine(t, err.Error())
				assert.Equal(t, want, requests, "it isn't repeated")
				assert.True(t, body.closed)
				if length > 0 {
					assert.Zero(t, body.read)
				} else {
					assert.Equal(t, maxAnswer+1, body.read)
				}
			})
		}
	}
}

// The largest body passes whole.
func TestLargestAnswer(t *testing.T) {
	for size, whole := range map[int]bool{0: true, 1: true, maxAnswer - 1: true, maxAnswer: true,
		maxAnswer + 1: false} {
		resp, err := limit(transport(func(*http.Request) (*http.Response, error) {
			return &http.Response{Body: io.NopCloser(strings.NewReader(strings.Repeat("x", size))),
				ContentLength: -1}, nil
		})).Do(nil)
		require.NoError(t, err)
		got, err := io.ReadAll(resp.Body)
		assert.Equal(t, whole, err == nil, "%d: %v", size, err)
		assert.Len(t, got, min(size, maxAnswer))
	}
}

// The connections that are used without any options have the limit too.
func TestDefaultTransport(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.CopyN(w, &huge{}, 4*maxAnswer) // the client goes away
	}))
	t.Cleanup(server.Close)
	t.Cleanup(defaultClient.CloseIdleConnections)
	for name, opts := range map[string][]Option{
		"no options": nil, "options without a transport": {WithClientOptions(azcore.ClientOptions{})},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := newConfig(opts)
			require.NotNil(t, cfg.client.Transport)
			req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, server.URL, nil)
			require.NoError(t, err)
			resp, err := cfg.client.Transport.Do(req)
			require.NoError(t, err)
			defer resp.Body.Close()
			_, err = io.ReadAll(resp.Body)
			assert.ErrorContains(t, err, `(200 OK) has more than 1048576 bytes`)
		})
	}
}
