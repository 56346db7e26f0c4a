// Command vault takes its certificate from HashiCorp Vault's key-value store
// (version 2), through the HTTP API alone.
//
//	VAULT_ADDR=https://vault.example:8200 VAULT_TOKEN=… VAULT_PATH=secret/data/my-service \
//	TENANT=contoso.onmicrosoft.com CLIENT_ID=… go run ./examples/vault
//
// The secret has the fields certificate (PEM, with its chain) and private_key
// (PEM).
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/certtoken/certtoken"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "vault:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	source := &vaultSource{
		url:   os.Getenv("VAULT_ADDR") + "/v1/" + os.Getenv("VAULT_PATH"),
		token: func() string { return os.Getenv("VAULT_TOKEN") },
		http:  &http.Client{Timeout: 10 * time.Second},
	}
	client, err := certtoken.NewClient(certtoken.Entra(os.Getenv("TENANT")), os.Getenv("CLIENT_ID"), source)
	if err != nil {
		return err
	}
	defer client.Close()
	token, err := client.Token(ctx, "https://graph.microsoft.com/.default")
	if err != nil {
		return err
	}
	fmt.Println(token)
	return nil
}

// keepFor is how long a pair is used before the vault is asked again.
const keepFor = 5 * time.Minute

// vaultSource is a certtoken.CertSource, and a Reloader: a certificate that the
// token endpoint refused is fetched anew at once.
type vaultSource struct {
	url   string
	token func() string
	http  *http.Client

	mu      sync.Mutex // guards what follows, and is never held while the vault is asked
	cert    *certtoken.Certificate
	fetched time.Time
}

var _ certtoken.Reloader = (*vaultSource)(nil)

func (s *vaultSource) Certificate(ctx context.Context) (*certtoken.Certificate, error) {
	s.mu.Lock()
	cert, fresh := s.cert, time.Since(s.fetched) < keepFor
	s.mu.Unlock()
	if fresh {
		return cert, nil
	}
	if err := s.Reload(ctx, cert); err != nil && cert == nil {
		return nil, err // with a last good pair, an outage of the vault is survived
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cert, nil
}

func (s *vaultSource) Reload(ctx context.Context, _ *certtoken.Certificate) error {
	cert, err := s.fetch(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cert, s.fetched = cert, time.Now()
	return nil
}

func (s *vaultSource) fetch(ctx context.Context) (*certtoken.Certificate, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Vault-Token", s.token())
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the vault answered %s", resp.Status)
	}
	var secret struct {
		Data struct {
			Data struct {
				Certificate string `json:"certificate"`
				PrivateKey  string `json:"private_key"`
			} `json:"data"`
		} `json:"data"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&secret); err != nil {
		return nil, fmt.Errorf("the vault's answer can't be read: %w", err)
	}
	pair := secret.Data.Data
	return certtoken.ParseCertificate([]byte(pair.Certificate + "\n" + pair.PrivateKey))
}
