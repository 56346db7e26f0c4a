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
	"github.com/certtoken/certtoken/certsource"
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
	remote := &remoteKey{url: service.URL, http: service.Client()}
	signer, err := certsource.NewSigner("the signing service", cert.Leaf.PublicKey, remote.sign)
	if err != nil {
		return err
	}
	source, err := certtoken.NewCertificate(signer, cert.Leaf, nil)
	if err != nil {
		return err
	}
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

// remoteKey is a key that the service holds.
type remoteKey struct {
	url  string
	http *http.Client
}

// signRequest is what the service is asked for.
type signRequest struct {
	Algorithm certtoken.Algorithm `json:"algorithm"`
	Digest    []byte              `json:"digest"`
}

// sign asks the service. Its work ends with the token request, and the signature that it
// returns is checked before it is used.
func (k *remoteKey) sign(ctx context.Context, r certsource.SignRequest) ([]byte, error) {
	body, err := json.Marshal(signRequest{r.Algorithm, r.Digest})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, k.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := k.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	signature, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	switch {
	case err != nil:
		return nil, err
	case resp.StatusCode == http.StatusNotImplemented:
		return nil, fmt.Errorf("it can't do %s: %w", r.Algorithm, errors.ErrUnsupported)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("it answered %s", resp.Status)
	}
	return signature, nil
}

// signingService stands for the HSM, agent or vault. Its key is RSA, and signs by two
// algorithms.
func signingService(key crypto.Signer) http.Handler {
	algorithms := map[certtoken.Algorithm]crypto.SignerOpts{
		certtoken.RS256: crypto.SHA256,
		certtoken.PS256: &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var req signRequest
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096)).Decode(&req); err != nil {
			http.Error(w, "bad request", http.StatusBadRequest)
			return
		}
		opts, ok := algorithms[req.Algorithm]
		if !ok {
			http.Error(w, "no such algorithm", http.StatusNotImplemented)
			return
		}
		signature, err := key.Sign(rand.Reader, req.Digest, opts)
		if err != nil {
			http.Error(w, "can't sign", http.StatusBadRequest)
			return
		}
		_, _ = w.Write(signature)
	})
}
