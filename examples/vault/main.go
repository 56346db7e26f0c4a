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
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certsource"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "vault:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	secret := &vaultSecret{
		url:   os.Getenv("VAULT_ADDR") + "/v1/" + os.Getenv("VAULT_PATH"),
		token: func() string { return os.Getenv("VAULT_TOKEN") },
		http:  &http.Client{Timeout: 10 * time.Second},
	}
	source, err := secret.source()
	if err != nil {
		return err
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

// vaultSecret is where in the vault the pair is.
type vaultSecret struct {
	url   string
	token func() string
	http  *http.Client
}

// source fetches the pair when it is first asked, every 5 minutes, and when the token
// endpoint refuses the certificate. The last good pair survives an outage of the vault.
func (s *vaultSecret) source() (*certsource.Source, error) {
	return certsource.New("the vault", s.fetch, certsource.WithRefreshInterval(5*time.Minute))
}

func (s *vaultSecret) fetch(ctx context.Context, _ *certtoken.Certificate) (*certtoken.Certificate, error) {
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
