package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/console"
	"github.com/certtoken/certtoken/internal/jwk"
	"github.com/certtoken/certtoken/internal/jws"
	"github.com/certtoken/certtoken/selfsigned"
)

// jwksOf is a JWK Set of one key.
func jwksOf(t *testing.T, signer crypto.Signer, kid string) []byte {
	t.Helper()
	public, err := jwk.New(signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	public.KeyID = kid
	data, err := json.Marshal(jwk.Set{Keys: []jwk.Public{public}})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A client that is registered by a JWK Set, or by its URL, gets a token with its key.
func TestServedByKeys(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(file, jwksOf(t, ec, "mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(jwksOf(t, ed, "theirs"))
	}))
	defer app.Close()

	c := console.With(os.Stdin, io.Discard, io.Discard)
	clients, err := readServedClients(t.Context(), c, []string{"by-file=" + file}, []string{"by-url=" + app.URL})
	if err != nil {
		t.Fatal(err)
	}
	s := &serveCommand{console: c, issuer: "self", lifetime: duration(time.Hour)}
	endpoint, err := s.endpoint(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, client := range clients {
		if err := client.register(endpoint, false); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		id, kid, alg string
		signer       crypto.Signer
		status       int
	}{
		{"by-file", "mine", jws.ES384, ec, http.StatusOK},
		{"by-url", "theirs", jws.EdDSA, ed, http.StatusOK},
		{"by-url", "mine", jws.ES384, ec, http.StatusUnauthorized},
	} {
		part := func(v map[string]any) string {
			data, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			return base64.RawURLEncoding.EncodeToString(data)
		}
		input := part(map[string]any{"alg": c.alg, "kid": c.kid}) + "." + part(map[string]any{
			"iss": c.id, "sub": c.id, "aud": endpoint.Issuer(), "jti": c.id + c.kid,
			"exp": time.Now().Add(time.Minute).Unix(),
		})
		sig, err := jws.Sign(t.Context(), c.alg, c.signer, []byte(input))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := endpoint.Client().PostForm(endpoint.TokenURL(), url.Values{
			"grant_type":            {"client_credentials"},
			"client_id":             {c.id},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
			"client_assertion":      {input + "." + base64.RawURLEncoding.EncodeToString(sig)},
		})
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != c.status {
			t.Errorf("%s by %s: %d %s %v", c.id, c.kid, resp.StatusCode, body, err)
		}
		resp.Body.Close()
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

func TestServedKeysMistakes(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good, bad := filepath.Join(t.TempDir(), "good"), filepath.Join(t.TempDir(), "bad")
	for file, data := range map[string][]byte{good: jwksOf(t, key, "a"), bad: []byte(`{"keys":7}`)} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		specs, urls []string
		entra       bool
		err         string
	}{
		"nothing":          {nil, nil, false, "missing --client"},
		"Entra ID":         {[]string{"a=" + good}, nil, true, "Entra ID knows no JWK Set"},
		"Entra ID, by URL": {nil, []string{"a=https://app.example/jwks"}, true, "Entra ID knows no JWK Set"},
		"no set":           {[]string{"a=" + bad}, nil, false, `--client: ` + bad + `: JWK Set of client "a": `},
		"no URL":           {nil, []string{"a"}, false, "--jwks-uri \"a\": give ID=URL"},
		"plain http": {nil, []string{"a=http://app.example/jwks"}, false,
			"--jwks-uri: client \"a\": the jwks_uri"},
		"two sets":          {[]string{"a=" + good, "a=" + good}, nil, false, `client "a" has several JWK Sets`},
		"a set and its URL": {[]string{"a=" + good}, []string{"a=https://app.example/jwks"}, false, "several JWK Sets"},
	} {
		t.Run(name, func(t *testing.T) {
			console := console.With(os.Stdin, io.Discard, io.Discard)
			clients, err := readServedClients(t.Context(), console, c.specs, c.urls)
			s := &serveCommand{console: console, issuer: "self", lifetime: duration(time.Hour)}
			if c.entra {
				s.issuer = ""
			}
			endpoint, endpointErr := s.endpoint(nil)
			if endpointErr != nil {
				t.Fatal(endpointErr)
			}
			for _, client := range clients {
				if err == nil {
					err = client.register(endpoint, c.entra)
				}
			}
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%v", err)
			}
		})
	}
}

// The command that serve prints names the file that holds the client's key.
func TestPrivateFileOfAServedClient(t *testing.T) {
	cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
	pair, err := selfsigned.EncodePEM(cert)
	require.NoError(t, err)
	other, err := selfsigned.EncodePEM(certtokentest.NewCertificate(t, certtokentest.WithSharedKey()))
	require.NoError(t, err)
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Leaf.Raw})
	key := pem.EncodeToMemory(&pem.Block{Type: "TSS2 PRIVATE KEY", Bytes: []byte("x")})
	ofTPM := tpmPEM(cert, key)
	const client = "public.cer"
	for name, c := range map[string]struct {
		files map[string][]byte
		want  string // "": nothing is known, so it is a name alone
	}{
		"nothing":         {map[string][]byte{client: public}, ""},
		"a PFX":           {map[string][]byte{client: public, "private.pfx": {0}}, "private.pfx"},
		"a PFX and a PEM": {map[string][]byte{client: public, "private.pfx": {0}, "private.pem": pair}, "private.pfx"},
		"a PEM":           {map[string][]byte{client: public, "private.pem": pair}, "private.pem"},
		"another's PEM":   {map[string][]byte{client: public, "private.pem": other}, ""},
		"a TPM's":         {map[string][]byte{client: public, "private.tpm": ofTPM}, "private.tpm"},
		"a TPM's, and PFX": {map[string][]byte{client: public, "private.tpm": ofTPM, "private.pfx": {0}},
			"private.tpm"},
		"a TPM's key":     {map[string][]byte{client: public, "private.tpm": key}, ""},
		"the pair itself": {map[string][]byte{client: pair, "private.pfx": {0}}, client},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, data := range c.files {
				require.NoError(t, os.WriteFile(filepath.Join(dir, file), data, 0o600))
			}
			spec := "app=" + filepath.Join(dir, client)
			clients, err := readServedClients(t.Context(), &console.Console{}, []string{spec}, nil)
			require.NoError(t, err)
			want := "private.pfx"
			if c.want != "" {
				want = filepath.Join(dir, c.want)
			}
			assert.Equal(t, want, clients[0].private)
		})
	}
}
