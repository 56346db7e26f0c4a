package interop

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
)

const (
	glewlwydProgram = "/usr/bin/glewlwyd"
	glewlwydModules = "/usr/lib/glewlwyd"
	glewlwydSchema  = "/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3"
	glewlwydStart   = 10 * time.Minute
	glewlwydSession = 5 * time.Minute // an administrator's lasts for ten
)

// theGlewlwyd is Debian's Glewlwyd with an OIDC plugin.
var theGlewlwyd = &glewlwyd{places: make(chan struct{}, 1)}

type glewlwyd struct {
	url     string
	http    *http.Client // with an administrator's cookie
	tls     tlsCertificate
	folder  string // of its files
	process *held

	once sync.Once
	err  error

	places chan struct{} // for trials: its database takes one writer at a time, and tells others of an error

	mu     sync.Mutex
	before time.Time // when the session ends
}

func lacksGlewlwyd() error {
	for _, file := range []string{glewlwydProgram, glewlwydSchema} {
		if _, err := os.Stat(file); err != nil {
			return err
		}
	}
	_, err := exec.LookPath("sqlite3")
	return err
}

func (g *glewlwyd) String() string { return "Glewlwyd" }

func (g *glewlwyd) start() error {
	g.once.Do(func() {
		if g.err = lacksGlewlwyd(); g.err == nil {
			g.err = g.run()
		}
	})
	return g.err
}

func (g *glewlwyd) stop() (said string) {
	if g.process == nil {
		return ""
	}
	g.http.CloseIdleConnections()
	g.process.stop()
	said = g.process.log()
	_ = os.RemoveAll(g.folder)
	return said
}

func (g *glewlwyd) run() (err error) {
	if g.tls, err = makeTLSCertificate(); err != nil {
		return err
	}
	trusted, err := trustedClients()
	if err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	if g.folder, err = os.MkdirTemp("", "certtoken-glewlwyd-*"); err != nil {
		return err
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	g.url = "https://127.0.0.1:" + port
	g.http = &http.Client{Transport: trusting(g.tls.pool), Jar: jar, Timeout: programAnswer}
	for name, content := range map[string]string{
		"cert": g.tls.certPEM, "key": g.tls.keyPEM, "ca": trusted, "conf": g.configuration(port),
	} {
		if err := os.WriteFile(filepath.Join(g.folder, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	schema, err := os.Open(glewlwydSchema)
	if err != nil {
		return err
	}
	defer schema.Close()
	database := exec.Command("sqlite3", filepath.Join(g.folder, "database"))
	database.Stdin = schema
	if out, err := database.CombinedOutput(); err != nil {
		return fmt.Errorf("sqlite3: %w\n%s", err, out)
	}
	g.process, err = startHeld(g.folder, nil, glewlwydProgram, "--config-file="+filepath.Join(g.folder, "conf"))
	if err != nil {
		return err
	}
	if err := g.process.await(glewlwydStart, func() bool { return g.signIn() == nil }); err != nil {
		return err
	}
	return g.configure()
}

// configuration is the packaged one, on loopback and over TLS.
func (g *glewlwyd) configuration(port string) string {
	file := func(name string) string { return filepath.Join(g.folder, name) }
	return fmt.Sprintf(`port=%s
bind_address="127.0.0.1"
external_url="%s"
login_url="login.html"
api_prefix="api"
log_mode="console"
log_level="WARNING"
session_key="GLEWLWYD2_SESSION_ID"
session_expiration=2419200
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="%[3]s/user"
client_module_path="%[3]s/client"
user_auth_scheme_module_path="%[3]s/scheme"
plugin_module_path="%[3]s/plugin"
use_secure_connection=true
secure_connection_key_file="%[4]s"
secure_connection_pem_file="%[5]s"
secure_connection_ca_file="%[6]s"
hash_algorithm="SHA512"
database={type="sqlite3"; path="%[7]s";};
`, port, g.url, glewlwydModules, file("key"), file("cert"), file("ca"), file("database"))
}

// configure adds an OIDC plugin for the client credentials grant, with the properties of
// clients named as the console names them. How far exp may be ahead is left to it.
func (g *glewlwyd) configure() error {
	private, public, err := rsaKeyPEM()
	if err != nil {
		return err
	}
	parameters := map[string]any{
		"iss": g.issuer(), "jwt-type": "rsa", "jwt-key-size": "256", "key": private, "cert": public,
		"access-token-duration": 3600, "refresh-token-duration": 3600, "code-duration": 600,
		"auth-type-client-enabled": true, "allow-non-oidc": true, // without it there are no client credentials
		"request-parameter-allow": true, "client-jwks-parameter": "jwks", "client-jwks_uri-parameter": "jwks_uri",
		"request-uri-allow-https-non-secure": true, // the test's certificate is of no public CA
		"client-cert-source":                 "TLS", "client-cert-use-endpoint-aliases": true,
		"client-cert-self-signed-allowed": true, "oauth-dpop-allowed": true, "oauth-dpop-iat-duration": 600,
	}
	if _, err := g.administer(http.MethodPost, "/mod/plugin/", map[string]any{
		"module": "oidc", "name": "oidc", "display_name": "OIDC", "parameters": parameters,
		"order_rank": 0, "readonly": false,
	}); err != nil {
		return err
	}
	if err := g.knowSubjects(); err != nil {
		return err
	}
	for _, name := range []string{scope, otherScope, foreignScope} {
		if _, err := g.administer(http.MethodPost, "/scope/", map[string]any{
			"name": name, "display_name": name, "password_required": false, "scheme": map[string]any{},
		}); err != nil {
			return err
		}
	}
	return nil
}

// knowSubjects lets clients have the subject of a certificate (RFC 8705 §2.1.2), for which
// the module of clients has no field at first.
func (g *glewlwyd) knowSubjects() error {
	resp, err := g.http.Get(g.url + "/api/mod/client/database")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var module struct {
		Name       string         `json:"name"`
		Display    string         `json:"display_name"`
		Module     string         `json:"module"`
		Order      int            `json:"order_rank"`
		ReadOnly   bool           `json:"readonly"`
		Parameters map[string]any `json:"parameters"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&module); err != nil {
		return err
	}
	fields, ok := module.Parameters["data-format"].(map[string]any)
	if !ok {
		return errors.New("Glewlwyd's module of clients has no fields")
	}
	fields["tls_client_auth_subject_dn"] = map[string]bool{"multiple": false, "read": true, "write": true}
	for _, step := range []string{"", "/disable/", "/enable/"} { // it reads its fields when it is switched on
		if _, err := g.administer(http.MethodPut, "/mod/client/database"+step, module); err != nil {
			return err
		}
	}
	return nil
}

func (g *glewlwyd) issuer() string { return g.url + "/api/oidc" }

// signIn begins an administrator's session, with the password of a new database.
func (g *glewlwyd) signIn() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Now().Before(g.before) {
		return nil
	}
	_, err := g.send(http.MethodPost, "/auth/", map[string]string{"username": "admin", "password": "password"})
	if err == nil {
		g.before = time.Now().Add(glewlwydSession)
	}
	return err
}

func (g *glewlwyd) administer(method, path string, body any) (status int, err error) {
	if err := g.signIn(); err != nil {
		return 0, err
	}
	return g.send(method, path, body)
}

func (g *glewlwyd) send(method, path string, body any) (status int, err error) {
	data, err := json.Marshal(body)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequest(method, g.url+"/api"+path, bytes.NewReader(data))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := g.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, said)
	}
	return resp.StatusCode, err
}

// register makes a client, or replaces it. The error is a [*notRegistered].
func (g *glewlwyd) register(id string, own map[string]any) error {
	client := map[string]any{
		"client_id": id, "name": id, "confidential": true, "enabled": true, "scope": []string{scope, otherScope},
		"authorization_type": []string{"client_credentials"},
	}
	for name, value := range own {
		client[name] = value
	}
	status, err := g.administer(http.MethodPost, "/client/", client)
	if status == http.StatusBadRequest { // the client exists, perhaps
		if _, failed := g.administer(http.MethodPut, "/client/"+id, client); failed == nil {
			return nil
		}
	}
	if err != nil {
		return &notRegistered{err.Error()}
	}
	return nil
}

// glewlwydJudge is the server with clients that an administrator made.
func glewlwydJudge(t *testing.T) *judge {
	t.Helper()
	g := theGlewlwyd
	require.NoError(t, g.start())
	assertion := func(more map[string]any) map[string]any {
		more["token_endpoint_auth_method"] = []string{"private_key_jwt"}
		return more
	}
	return &judge{
		name:         "Glewlwyd " + packageVersion(t, "glewlwyd"),
		issuer:       g.issuer(),
		tokenURL:     g.issuer() + "/token",
		http:         g.tls.client(t),
		endpointOnly: true,
		needsKeyID:   true,
		oneLifetime:  true,
		silent:       true,
		places:       g.places,
		algorithms: []certtoken.Algorithm{
			certtoken.RS256, certtoken.RS384, certtoken.RS512,
			certtoken.PS256, certtoken.PS384, certtoken.PS512,
		},
		curves:  []certtoken.Algorithm{certtoken.ES256, certtoken.ES384, certtoken.ES512, certtoken.EdDSA},
		publish: g.tls.serve,
		register: func(t *testing.T, r registration) {
			t.Helper()
			require.NoError(t, g.register(r.id, assertion(map[string]any{"jwks": r.jwks()})))
		},
		registerSet: func(t *testing.T, r keySet) error {
			t.Helper()
			if r.url != "" {
				return g.register(r.id, assertion(map[string]any{"jwks_uri": r.url}))
			}
			return g.register(r.id, assertion(map[string]any{"jwks": json.RawMessage(r.set)}))
		},
		registerBound: func(t *testing.T, b binding, id string, cert *certtoken.Certificate) bool {
			t.Helper()
			client := map[string]any{"jwks": json.RawMessage(printedWithCertificate(t, cert))}
			switch b {
			case byCA:
				client = map[string]any{
					"token_endpoint_auth_method": []string{"tls_client_auth"},
					"tls_client_auth_subject_dn": boundSubject,
				}
			case bySelf:
				client["token_endpoint_auth_method"] = []string{"self_signed_tls_client_auth"}
			default:
				client = assertion(client)
			}
			require.NoError(t, g.register(id, client))
			return true
		},
	}
}

// packageVersion is that of a package of Debian's, without Debian's own part.
func packageVersion(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("dpkg-query", "-W", "-f=${Version}", name).Output()
	require.NoError(t, err)
	version, _, _ := strings.Cut(string(out), "-")
	return version
}
