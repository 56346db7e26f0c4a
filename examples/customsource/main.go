// Command customsource shows a source of one's own: the private key is held by
// another program, a signing service, and this one only has the certificate.
//
//	go run ./examples/customsource
//
// Service and token endpoint run on this machine here, so that there is
// something to see.
package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "customsource:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	cert, err := certtokentest.MakeCertificate()
	if err != nil {
		return err
	}
	service := httptest.NewTLSServer(signingService(cert.Signer))
	defer service.Close()
	server, err := certtokentest.Start()
	if err != nil {
		return err
	}
	defer server.Close()
	server.Register("my-service", cert.Leaf)

	// From here on it is what a program with such a key would write.
	signer := &remoteSigner{public: cert.Leaf.PublicKey, url: service.URL, http: service.Client()}
	source := certtoken.CertSourceFunc(func(context.Context) (*certtoken.Certificate, error) {
		return certtoken.NewCertificate(signer, cert.Leaf, nil)
	})
	client, err := certtoken.NewClient(server.Authority(), "my-service", source, certtoken.WithHTTPClient(server.Client()))
	if err != nil {
		return err
	}
	defer client.Close()
	token, err := client.Token(ctx, "https://api.example/.default")
	if err != nil {
		return err
	}
	fmt.Println("The key is elsewhere, and yet there is a token:", token)
	return nil
}

// remoteSigner signs by asking the service. It is a crypto.Signer, and as a
// certtoken.ContextSigner its work ends with the token request.
type remoteSigner struct {
	public crypto.PublicKey
	url    string
	http   *http.Client
}

var _ certtoken.ContextSigner = (*remoteSigner)(nil)

// signRequest is what the service is asked for.
type signRequest struct {
	Digest []byte      `json:"digest"`
	Hash   crypto.Hash `json:"hash"`
	PSS    bool        `json:"pss"`
}

func (s *remoteSigner) Public() crypto.PublicKey { return s.public }

func (s *remoteSigner) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.SignContext(context.Background(), digest, opts)
}

func (s *remoteSigner) SignContext(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	_, pss := opts.(*rsa.PSSOptions)
	body, err := json.Marshal(signRequest{Digest: digest, Hash: opts.HashFunc(), PSS: pss})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	signature, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	switch {
	case err != nil:
		return nil, err
	case resp.StatusCode == http.StatusNotImplemented:
		return nil, fmt.Errorf("the signing service can't do this: %w", errors.ErrUnsupported)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the signing service answered %s", resp.Status)
	}
	return signature, nil
}

// signingService stands for the HSM, agent or vault.
func signingService(key crypto.Signer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var req signRequest
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096)).Decode(&req); err != nil {
			http.Error(w, "bad request", http.StatusBadRequest)
			return
		}
		var opts crypto.SignerOpts = req.Hash
		if req.PSS {
			opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: req.Hash}
		}
		signature, err := key.Sign(rand.Reader, req.Digest, opts)
		if err != nil {
			http.Error(w, "can't sign", http.StatusBadRequest)
			return
		}
		_, _ = w.Write(signature)
	})
}
