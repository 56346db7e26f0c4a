package main

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certsource"
	"github.com/certtoken/certtoken/certtokentest"
)

// fakeVault answers as Vault's key-value store does, without a socket.
type fakeVault struct {
	secret []byte
	down   bool
}

func (v *fakeVault) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	status, body := http.StatusOK, v.secret
	if v.down || r.Header.Get("X-Vault-Token") != "t" {
		status, body = http.StatusServiceUnavailable, nil
	}
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Request: r, Body: io.NopCloser(bytes.NewReader(body)),
	}, nil
}

func newVault(t *testing.T, cert *certtoken.Certificate) (*fakeVault, *certsource.Source) {
	key, err := x509.MarshalPKCS8PrivateKey(cert.Signer)
	require.NoError(t, err)
	pair := map[string]string{
		"certificate": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Leaf.Raw})),
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
	}
	secret, err := json.Marshal(map[string]any{"data": map[string]any{"data": pair}})
	require.NoError(t, err)
	vault := &fakeVault{secret: secret}
	at := &vaultSecret{
		url: "https://vault.example/v1/x", token: func() string { return "t" }, http: &http.Client{Transport: vault},
	}
	source, err := at.source()
	require.NoError(t, err)
	return vault, source
}

func TestVaultSource(t *testing.T) {
	certtokentest.TestCertSource(t, func(t *testing.T) certtoken.CertSource {
		_, source := newVault(t, certtokentest.NewCertificate(t, certtokentest.WithSharedKey()))
		return source
	})
}

func TestVaultSourceSurvivesAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cert := certtokentest.NewCertificate(t, certtokentest.WithSharedKey())
		vault, source := newVault(t, cert)
		vault.down = true
		_, err := source.Certificate(t.Context())
		require.ErrorContains(t, err, "Service Unavailable")
		vault.down = false
		time.Sleep(time.Second)
		_, err = source.Certificate(t.Context())
		require.NoError(t, err)
		vault.down = true
		time.Sleep(5 * time.Minute)
		_, err = source.Certificate(t.Context())
		require.NoError(t, err)
		synctest.Wait()
		assert.ErrorContains(t, source.Health(), "Service Unavailable")
		again, err := source.Certificate(t.Context())
		require.NoError(t, err)
		assert.True(t, cert.Leaf.Equal(again.Leaf))
	})
}
