package keyvaulttest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/ext/keyvault/internal/vaultsign"
	"github.com/certtoken/certtoken/selfsigned"
)

// maxBody bounds what is read of a request. A signature's digest has 64 bytes at most.
const maxBody = 64 << 10

// version is a version of the certificate, with its secret and its key.
type version struct {
	id          string
	cert        *certtoken.Certificate
	contentType string
	secret      string
	disabled    bool
}

func newVersion(number int, cert *certtoken.Certificate, keyOnly bool) (*version, error) {
	next := &version{id: fmt.Sprintf("%032d", number), cert: cert}
	switch {
	case keyOnly && cert != nil && cert.Signer != nil:
		_, err := publicJWK(cert.Signer.Public())
		return next, err
	case cert == nil || cert.Leaf == nil:
		return nil, fmt.Errorf("a version of a vault's certificate: %w", certtoken.ErrNoCertificate)
	}
	if pfx, err := selfsigned.EncodePFX(cert, "", selfsigned.PFXModern); err == nil {
		next.contentType, next.secret = "application/x-pkcs12", base64.StdEncoding.EncodeToString(pfx)
		return next, nil
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Leaf.Raw})
	next.contentType, next.secret = "application/x-pem-file", string(public)
	return next, nil
}

// challenge answers requests without a token as a vault does.
func (v *Vault) challenge(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(
			`Bearer authorization="https://login.microsoftonline.com/%s", resource="https://%s"`, Tenant, v.domain))
		refuse(w, http.StatusUnauthorized, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
	})
}

// answer is the vault to those who have a token.
func (v *Vault) answer(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.status != 0 {
		refuse(w, v.status, "Refused", "the test refuses every request")
		return
	}
	if r.URL.Query().Get("api-version") == "" {
		refuse(w, http.StatusBadRequest, "BadParameter", "api-version must be specified")
		return
	}
	kind, rest, _ := strings.Cut(strings.Trim(r.URL.Path, "/"), "/")
	name, rest, _ := strings.Cut(rest, "/")
	id, operation, _ := strings.Cut(rest, "/")
	if v.isHSM() && kind != "keys" {
		refuse(w, http.StatusNotFound, "NotFound", "a managed HSM has keys only")
		return
	}
	found := v.find(name, id)
	if found == nil {
		code, message := notFound(kind, name, id)
		refuse(w, http.StatusNotFound, code, message)
		return
	}
	switch strings.TrimSpace(r.Method + " " + kind + " " + operation) {
	case "GET secrets":
		if found.disabled {
			refuse(w, http.StatusForbidden, "SecretDisabled", "operation get is not allowed on a disabled secret")
			return
		}
		write(w, map[string]any{
			"id": v.id("secrets", found), "value": found.secret, "contentType": found.contentType,
			"attributes": map[string]any{"enabled": true},
		})
	case "GET certificates":
		write(w, map[string]any{
			"id": v.id("certificates", found), "kid": v.id("keys", found), "cer": found.cert.Leaf.Raw,
			"attributes": map[string]any{"enabled": !found.disabled},
		})
	case "GET keys":
		v.key(w, found)
	case "POST keys sign":
		if found.disabled {
			refuse(w, http.StatusForbidden, "KeyDisabled", "operation sign is not allowed on a disabled key")
			return
		}
		v.sign(w, r, found)
	default:
		refuse(w, http.StatusNotFound, "NotFound", "the fake vault has no such operation")
	}
}

// find is the version that is named, the newest by no name.
func (v *Vault) find(name, id string) *version {
	if name != v.name || len(v.versions) == 0 {
		return nil
	}
	if id == "" {
		return v.versions[len(v.versions)-1]
	}
	for _, known := range v.versions {
		if known.id == id {
			return known
		}
	}
	return nil
}

// notFound is the answer about what isn't there, in the service's words.
func notFound(kind, name, id string) (code, message string) {
	what := map[string]string{"keys": "Key", "secrets": "Secret", "certificates": "Certificate"}[kind]
	if what == "" {
		return "NotFound", "the fake vault has keys, secrets and certificates only"
	}
	return what + "NotFound", fmt.Sprintf("A %s with (name/id) %s was not found in this key vault.",
		strings.ToLower(what), strings.TrimSuffix(name+"/"+id, "/"))
}

func (v *Vault) id(kind string, found *version) string {
	return v.URL() + "/" + kind + "/" + v.name + "/" + found.id
}

// key is the public half of a version's key. A disabled one is shown too.
func (v *Vault) key(w http.ResponseWriter, found *version) {
	jwk, err := publicJWK(found.cert.Signer.Public())
	if err != nil {
		refuse(w, http.StatusInternalServerError, "InternalError", err.Error())
		return
	}
	if v.isHSM() {
		jwk["kty"] += "-HSM"
	}
	jwk["kid"] = v.id("keys", found)
	write(w, map[string]any{"key": jwk, "attributes": map[string]any{"enabled": !found.disabled}})
}

// publicJWK is a public key as a vault writes it (RFC 7517, with types of its own).
func publicJWK(pub crypto.PublicKey) (map[string]string, error) {
	encode := base64.RawURLEncoding.EncodeToString
	switch key := pub.(type) {
	case *rsa.PublicKey:
		e := big.NewInt(int64(key.E)).Bytes()
		return map[string]string{"kty": "RSA", "n": encode(key.N.Bytes()), "e": encode(e)}, nil
	case *ecdsa.PublicKey:
		point, err := key.Bytes()
		if err != nil {
			return nil, err
		}
		size := (len(point) - 1) / 2
		return map[string]string{"kty": "EC", "crv": key.Params().Name,
			"x": encode(point[1 : 1+size]), "y": encode(point[1+size:])}, nil
	}
	return nil, fmt.Errorf("a key of the type %T: %w", pub, certtoken.ErrUnsupported)
}

func (v *Vault) sign(w http.ResponseWriter, r *http.Request, found *version) {
	var params struct{ Alg, Value string }
	if err := json.NewDecoder(io.LimitReader(r.Body, maxBody)).Decode(&params); err != nil {
		refuse(w, http.StatusBadRequest, "BadParameter", "no JSON")
		return
	}
	digest, err := base64.RawURLEncoding.DecodeString(params.Value)
	if err != nil {
		refuse(w, http.StatusBadRequest, "BadParameter", "the digest is not base64url")
		return
	}
	signature, err := vaultsign.Sign(found.cert.Signer, params.Alg, digest)
	if err != nil {
		refuse(w, http.StatusBadRequest, "BadParameter", err.Error())
		return
	}
	v.signed = append(v.signed, params.Alg)
	write(w, map[string]any{
		"kid": v.id("keys", found), "value": base64.RawURLEncoding.EncodeToString(signature),
	})
}

func write(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(body) // the client may have left
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"code": code, "message": message}})
}
