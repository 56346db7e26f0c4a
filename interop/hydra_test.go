package interop

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
)

const (
	hydraVersion = "2.3.0"
	// Hydra's own go.mod replaces a module, which is not so where Hydra is required.
	hydraReplaces = "github.com/gobuffalo/pop/v6=github.com/ory/pop/v6@v6.2.1-0.20241121111754-e5dfc0f3344b"
	hydraStart    = 10 * time.Minute
)

// theHydra is Ory Hydra with its database in memory.
var theHydra = &hydra{places: make(chan struct{}, 1)}

type hydra struct {
	url, admin string
	http       *http.Client
	tls        tlsCertificate
	folder     string // of its files
	process    *held

	places chan struct{} // for trials: its database in memory refuses a second writer

	once sync.Once
	err  error
}

var builtHydra = sync.OnceValues(buildHydra)

// lacksHydra returns what is missing for Hydra. The first call compiles it.
func lacksHydra() error {
	_, err := builtHydra()
	return err
}

// buildHydra compiles Hydra, in a module of its own, and keeps it in the user's cache.
func buildHydra() (string, error) {
	folder, err := kept("hydra-built-"+hydraVersion, func(folder string) error {
		module, err := os.MkdirTemp(folder, "module-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(module)
		env := []string{"GOWORK=off", "GOFLAGS=-mod=mod"}
		for _, args := range [][]string{
			{"mod", "init", "hydra"},
			{"mod", "edit", "-replace", hydraReplaces},
		} {
			if err := run(module, env, "go", args...); err != nil {
				return err
			}
		}
		for _, args := range [][]string{
			{"get", "-tool", "github.com/ory/hydra/v2@v" + hydraVersion},
			{
				"build", "-tags", "sqlite,sqlite_omit_load_extension", "-o", filepath.Join(folder, "hydra"),
				"github.com/ory/hydra/v2",
			},
		} {
			if err := download(module, env, "go", args...); err != nil {
				return err
			}
		}
		return nil
	})
	return filepath.Join(folder, "hydra"), err
}

func (h *hydra) String() string { return "Hydra" }

func (h *hydra) start() error {
	h.once.Do(func() { h.err = h.run() })
	return h.err
}

func (h *hydra) stop() (said string) {
	if h.process == nil {
		return ""
	}
	h.http.CloseIdleConnections()
	h.process.stop()
	said = h.process.log()
	_ = os.RemoveAll(h.folder)
	return said
}

func (h *hydra) run() error {
	program, err := builtHydra()
	if err != nil {
		return err
	}
	if h.tls, err = makeTLSCertificate(); err != nil {
		return err
	}
	public, err := freePort()
	if err != nil {
		return err
	}
	admin, err := freePort()
	if err != nil {
		return err
	}
	if h.folder, err = os.MkdirTemp("", "certtoken-hydra-*"); err != nil {
		return err
	}
	h.url, h.admin = "https://127.0.0.1:"+public, "https://127.0.0.1:"+admin
	h.http = &http.Client{Transport: trusting(h.tls.pool), Timeout: programAnswer}
	file := func(name string) string { return filepath.Join(h.folder, name) }
	side := func(port string) map[string]any {
		return map[string]any{"host": "127.0.0.1", "port": json.Number(port), "tls": map[string]any{
			"enabled": true, "cert": map[string]string{"path": file("cert")},
			"key": map[string]string{"path": file("key")},
		}}
	}
	conf, err := json.Marshal(map[string]any{
		"dsn": "memory", "urls": map[string]any{"self": map[string]string{"issuer": h.url}},
		"secrets": map[string]any{"system": []string{"only on loopback, of 32 characters"}},
		"serve":   map[string]any{"public": side(public), "admin": side(admin)},
		"log":     map[string]string{"level": "error"},
	})
	if err != nil {
		return err
	}
	for name, content := range map[string]string{
		"cert": h.tls.certPEM, "key": h.tls.keyPEM, "conf.json": string(conf),
	} {
		err = errors.Join(err, os.WriteFile(file(name), []byte(content), 0o600))
	}
	if err != nil {
		return err
	}
	// A client's keys are fetched over connections that trust the test's certificate.
	h.process, err = startHeld(h.folder, []string{"SSL_CERT_FILE=" + file("cert")},
		program, "serve", "all", "--sqa-opt-out", "--config", file("conf.json"))
	if err != nil {
		return err
	}
	return h.process.await(hydraStart, func() bool {
		resp, err := h.http.Get(h.url + "/health/ready")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// register makes a client, or replaces it. The error is a [*notRegistered].
func (h *hydra) register(id string, own map[string]any) error {
	client := map[string]any{
		"client_id": id, "grant_types": []string{"client_credentials"}, "scope": scope + " " + otherScope,
		"token_endpoint_auth_method": "private_key_jwt",
	}
	for name, value := range own {
		client[name] = value
	}
	status, err := h.send(http.MethodPost, "/admin/clients", client)
	if status == http.StatusConflict {
		_, err = h.send(http.MethodPut, "/admin/clients/"+url.PathEscape(id), client)
	}
	if err != nil {
		return &notRegistered{err.Error()}
	}
	return nil
}

func (h *hydra) send(method, path string, body any) (status int, err error) {
	data, err := json.Marshal(body)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequest(method, h.admin+path, bytes.NewReader(data))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := h.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode >= http.StatusMultipleChoices {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, said)
	}
	return resp.StatusCode, err
}

func hydraJudge(t *testing.T) *judge {
	t.Helper()
	h := theHydra
	require.NoError(t, h.start())
	return &judge{
		name: "Hydra " + hydraVersion, issuer: h.url, tokenURL: h.url + "/oauth2/token", http: h.tls.client(t),
		endpointOnly: true,
		places:       h.places,
		algorithms: []certtoken.Algorithm{
			certtoken.RS256, certtoken.RS384, certtoken.RS512,
			certtoken.PS256, certtoken.PS384, certtoken.PS512,
		},
		curves:  []certtoken.Algorithm{certtoken.ES256, certtoken.ES384, certtoken.ES512},
		publish: h.tls.serve,
		register: func(t *testing.T, r registration) {
			t.Helper()
			own := map[string]any{"token_endpoint_auth_signing_alg": r.algorithm, "jwks": r.jwks()}
			if r.lifetime > 0 {
				own["client_credentials_grant_access_token_lifespan"] = r.lifetime.String()
			}
			require.NoError(t, h.register(r.id, own))
		},
		registerSet: func(t *testing.T, r keySet) error {
			t.Helper()
			own := map[string]any{"token_endpoint_auth_signing_alg": r.algorithm}
			if r.url != "" {
				own["jwks_uri"] = r.url
			} else {
				own["jwks"] = json.RawMessage(r.set)
			}
			return h.register(r.id, own)
		},
	}
}
