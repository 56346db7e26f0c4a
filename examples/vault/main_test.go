package main

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// fakeVault answers as Vault's key-value store does.
func fakeVault(t *testing.T, cert *certtoken.Certificate, down *atomic.Bool) *vaultSource {
	key, err := x509.MarshalPKCS8PrivateKey(cert.Signer)
	require.NoError(t, err)
	pair := map[string]string{
		"certificate": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Leaf.Raw})),
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
	}
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down.Load() || r.Header.Get("X-Vault-Token") != "t" {
			http.Error(w, "no", http.StatusServiceUnavailable)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{"data": pair}})
	}))
	t.Cleanup(srv.Close)
	return &vaultSource{url: srv.URL, token: func() string { return "t" }, http: srv.Client()}
}

func TestVaultSource(t *testing.T) {
	certtokentest.TestCertSource(t, func(t *testing.T) certtoken.CertSource {
		return fakeVault(t, certtokentest.NewCertificate(t), new(atomic.Bool))
	})
}

func TestVaultSourceSurvivesAnOutage(t *testing.T) {
	var down atomic.Bool
	cert := certtokentest.NewCertificate(t)
	source := fakeVault(t, cert, &down)
	down.Store(true)
	_, err := source.Certificate(t.Context())
	require.ErrorContains(t, err, "503")
	down.Store(false)
	_, err = source.Certificate(t.Context())
	require.NoError(t, err)
	down.Store(true)
	source.fetched = source.fetched.Add(-2 * keepFor)
	again, err := source.Certificate(t.Context())
	require.NoError(t, err)
	require.True(t, cert.Leaf.Equal(again.Leaf))
}
