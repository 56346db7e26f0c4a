// Package restvault is a vault over HTTP for tests that want a real connection:
// the three operations that this module asks of a vault, and the challenge that
// a vault begins with. Who may ask is for another handler to say.
package restvault

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/selfsigned"
)

const api = "api-version"

// Vault holds one certificate, whose newest version is the last one that was set.
type Vault struct {
	url, name string

	mu      sync.Mutex
	version int
	cert    *certtoken.Certificate
	pfx     string
}

// New makes a vault that is reached under a URL.
func New(url, name string) *Vault { return &Vault{url: url, name: name} }

// Set makes a certificate the newest version.
func (v *Vault) Set(cert *certtoken.Certificate) error {
	pfx, err := selfsigned.EncodePFX(cert, "", selfsigned.PFXModern)
	if err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.version++
	v.cert, v.pfx = cert, base64.StdEncoding.EncodeToString(pfx)
	return nil
}

// Challenge answers requests without a token as a vault does, and passes the
// others on.
func Challenge(tenant string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(
			`Bearer authorization="https://login.microsoftonline.com/%s", resource="https://vault.azure.net"`, tenant))
		refuse(w, http.StatusUnauthorized, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
	})
}

// ServeHTTP implements [http.Handler].
func (v *Vault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if r.URL.Query().Get(api) == "" {
		refuse(w, http.StatusBadRequest, "BadParameter", api+" must be specified")
		return
	}
	id := fmt.Sprintf("%032d", v.version)
	switch r.Method + " " + r.URL.Path {
	case "GET /secrets/" + v.name, "GET /secrets/" + v.name + "/", "GET /secrets/" + v.name + "/" + id:
		write(
			w,
			map[string]any{
				"id":          v.url + "/secrets/" + v.name + "/" + id,
				"value":       v.pfx,
				"contentType": "application/x-pkcs12",
				"attributes":  map[string]any{"enabled": true},
			},
		)
	case "GET /certificates/" + v.name, "GET /certificates/" + v.name + "/" + id:
		write(
			w,
			map[string]any{
				"id":         v.url + "/certificates/" + v.name + "/" + id,
				"kid":        v.url + "/keys/" + v.name + "/" + id,
				"cer":        v.cert.Leaf.Raw,
				"attributes": map[string]any{"enabled": true},
			},
		)
	case "POST /keys/" + v.name + "/" + id + "/sign":
		v.sign(w, r, id)
	default:
		refuse(w, http.StatusNotFound, "NotFound", "there is no such version")
	}
}

func (v *Vault) sign(w http.ResponseWriter, r *http.Request, id string) {
	var params struct{ Alg, Value string }
	if err := json.NewDecoder(r.Body).Decode(&params); err != nil {
		refuse(w, http.StatusBadRequest, "BadParameter", "no JSON")
		return
	}
	opts := map[string]crypto.SignerOpts{
		"RS256": crypto.SHA256,
		"PS256": &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256},
	}[params.Alg]
	digest, err := base64.RawURLEncoding.DecodeString(params.Value)
	if err != nil || opts == nil {
		refuse(w, http.StatusBadRequest, "BadParameter", "algorithm or digest")
		return
	}
	signature, err := v.cert.Signer.Sign(rand.Reader, digest, opts)
	if err != nil {
		refuse(w, http.StatusBadRequest, "BadParameter", "digest")
		return
	}
	write(
		w,
		map[string]any{
			"kid":   v.url + "/keys/" + v.name + "/" + id,
			"value": base64.RawURLEncoding.EncodeToString(signature),
		},
	)
}

func write(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(body) // the client may have left
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).
		Encode(map[string]any{"error": map[string]any{"code": code, "message": message}})
	// the client may have left
}
