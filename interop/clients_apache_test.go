package interop

import (
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// lacksModule returns an error if Debian's Apache is without a module.
func lacksModule(name string) error {
	if err := lacksApache(); err != nil {
		return err
	}
	_, err := os.Stat(filepath.Join(apacheModules, "mod_"+name+".so"))
	return err
}

// signInByApache is mod_auth_openidc: a web server that signs users in, and proves
// itself at the token endpoint by its key.
type signInByApache struct {
	stage   *stage
	url     string
	log     string // the file
	browser *http.Client
}

func modAuthOpenIDC(s *stage) user {
	lacks(s.T, lacksModule("auth_openidc"), "Debian's libapache2-mod-auth-openidc is not installed")
	return &signInByApache{stage: s}
}

// setup starts a server. The application behind it answers the user's token.
func (a *signInByApache) setup(t *testing.T, s setup) {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "token "+r.Header.Get("OIDC_access_token"))
	}))
	t.Cleanup(app.Close)
	folder := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	a.log = write("apache.log", "")
	own := newTLSCertificate(t)
	a.url = startApache(t, own, []string{"authn_core", "authz_user", "proxy", "proxy_http", "auth_openidc"},
		"ErrorLog "+a.log,
		"LogLevel auth_openidc:warn",
		"OIDCProviderMetadataURL "+s.Authority+"/.well-known/openid-configuration",
		"OIDCCABundlePath "+readableByAll(t, a.stage.server.CAPEM()),
		"OIDCClientID "+s.ClientID,
		"OIDCPrivateKeyFiles "+s.KeyID+"#"+write("private.pem", s.Key),
		"OIDCPublicKeyFiles "+s.KeyID+"#"+write("public.pem", s.Cert),
		"OIDCProviderTokenEndpointAuth private_key_jwt", // which wants the keys before it
		"OIDCPKCEMethod S256",
		`OIDCScope "openid offline_access read"`,
		"OIDCRedirectURI /signed-in",
		"OIDCCryptoPassphrase 0123456789abcdef",
		"OIDCSessionType client-cookie",
		"OIDCPassClaimsAs headers",
		"<Location />", "AuthType openid-connect", "Require valid-user", "</Location>",
		"ProxyPass /signed-in !",
		"ProxyPass / "+app.URL+"/")
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	pool := own.pool.Clone()
	require.True(t, pool.AppendCertsFromPEM(a.stage.server.CAPEM()))
	transport := trusting(pool)
	t.Cleanup(transport.CloseIdleConnections)
	a.browser = &http.Client{Transport: transport, Jar: jar}
}

// readableByAll is a file that Apache's own user can read.
func readableByAll(t *testing.T, data []byte) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "certtoken-*")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	require.NoError(t, os.Chmod(folder, 0o755))
	file := filepath.Join(folder, "ca.pem")
	require.NoError(t, os.WriteFile(file, data, 0o644))
	require.NoError(t, os.Chmod(file, 0o644)) // whatever the umask
	return file
}

func (a *signInByApache) do(t *testing.T, j job) result {
	t.Helper()
	page := a.url + "/page"
	switch j.Op {
	case "code":
	case "refresh":
		token, _ := a.open(t, page)
		page = a.url + "/signed-in?" + url.Values{"refresh": {page}, "access_token": {token}}.Encode()
	default:
		return result{Unsupported: true}
	}
	token, problem := a.open(t, page)
	if token == "" {
		log, err := os.ReadFile(a.log)
		require.NoError(t, err)
		return result{Error: problem + "\n" + string(log)} // users see little of it, and the log has it all
	}
	return result{Token: token}
}

// open is what the browser shows: the token that the application behind the server got.
func (a *signInByApache) open(t *testing.T, page string) (token, problem string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, page, nil)
	require.NoError(t, err)
	req.Header.Set("Accept", "text/html,*/*") // what isn't a browser gets an empty 401
	resp, err := a.browser.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	token, ok := strings.CutPrefix(string(body), "token ")
	if resp.StatusCode != http.StatusOK || !ok {
		return "", resp.Status + " " + string(body)
	}
	return token, ""
}

// An API behind mod_oauth2 takes tokens of certtokentest by its metadata and its JWK Set:
// Bearer tokens, and those that are bound to a key (RFC 9449) or to the certificate in TLS
// (RFC 8705). It refuses what it should.
func TestModOAuth2(t *testing.T) {
	t.Parallel()
	lacks(t, lacksModule("oauth2"), "Debian's libapache2-mod-oauth2 is not installed")
	cert := newCertificate(t, "client")
	own := newTLSCertificate(t)
	pool := own.pool.Clone()
	server := func(opts ...certtokentest.Option) *certtokentest.Server {
		s := certtokentest.NewServer(t, append(opts, certtokentest.WithIssuer(""))...)
		s.Register("app", cert.Leaf)
		require.True(t, pool.AppendCertsFromPEM(s.CAPEM()))
		return s
	}
	plain, proving := server(), server(certtokentest.WithDPoP(certtokentest.DPoPRules{Required: true}))
	late := server(certtokentest.WithClockOffset(-4*time.Minute), certtokentest.WithTokenLifetime(time.Minute))
	api := modOAuth2(t, own, map[string]string{
		"/bearer": plain.Issuer(), "/mtls": plain.Issuer() + " &type=mtls&mtls.policy=required",
		"/dpop": proving.Issuer() + " &type=dpop",
	})
	status := func(over http.RoundTripper, path string) int {
		resp, err := (&http.Client{Transport: over}).Get(api + path)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, resp.StatusCode == http.StatusOK, string(body) == "from the API")
		return resp.StatusCode
	}
	base := trusting(pool)
	t.Cleanup(base.CloseIdleConnections)
	client := func(s *certtokentest.Server, opts ...certtoken.AuthorityOption) *certtoken.Client {
		hc := &http.Client{Transport: base}
		c, err := certtoken.NewClient(s.Authority(opts...), "app", cert, certtoken.WithHTTPClient(hc), patient)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, c.Close()) })
		return c
	}
	with := func(header ...string) http.RoundTripper {
		h := http.Header{}
		for i := 0; i < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return withHeader{base, h}
	}

	ours := client(plain)
	token, err := ours.Token(t.Context(), "read")
	require.NoError(t, err)
	value := token.AccessToken()
	over, err := client(late).Token(t.Context(), "read") // signed by the same key, as all servers here do
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, status(ours.Transport(base, "read"), "/bearer"))
	assert.Equal(t, http.StatusUnauthorized, status(base, "/bearer"), "no token")
	assert.Equal(t, http.StatusUnauthorized, status(with("Authorization", "Bearer "+over.AccessToken()), "/bearer"))
	assert.Equal(t, http.StatusUnauthorized, status(with("Authorization", "Bearer "+spoiled(value)), "/bearer"))

	prover := client(proving, certtoken.WithDPoP())
	bound, err := prover.Token(t.Context(), "read")
	require.NoError(t, err)
	proof, err := prover.Proof(bound, http.MethodGet, api+"/dpop/other")
	require.NoError(t, err)
	assert.NoError(t, promptly(t, func() error { // a proof is good for a moment
		if code := status(prover.Transport(base, "read"), "/dpop/"); code != http.StatusOK {
			return errors.New(http.StatusText(code))
		}
		return nil
	}))
	assert.Equal(t, http.StatusUnauthorized,
		status(with("Authorization", "DPoP "+bound.AccessToken()), "/dpop/"), "no proof")
	assert.Equal(t, http.StatusUnauthorized,
		status(with("Authorization", "DPoP "+bound.AccessToken(), "DPoP", proof), "/dpop/"), "a proof for another URL")

	presenting := client(plain, certtoken.WithCertificateBoundTokens())
	assert.Equal(t, http.StatusOK, status(presenting.Transport(base, "read"), "/mtls"))
	stolen, err := presenting.Token(t.Context(), "read")
	require.NoError(t, err)
	assert.Equal(t, http.StatusUnauthorized, status(with("Authorization", "Bearer "+stolen.AccessToken()), "/mtls"))
}

// modOAuth2 is an API at several paths, each with the issuer of its tokens and further
// options of mod_oauth2's.
func modOAuth2(t *testing.T, own tlsCertificate, paths map[string]string) string {
	t.Helper()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "from the API")
	}))
	t.Cleanup(app.Close)
	lines := []string{"SSLVerifyClient optional_no_ca", "SSLOptions +ExportCertData", "ProxyPass / " + app.URL + "/"}
	for path, spec := range paths {
		issuer, options, _ := strings.Cut(spec, " ")
		scheme := "Bearer"
		if strings.Contains(options, "dpop") {
			scheme = "DPoP" // of its own accord it knows a draft's Bearer beside the proof
		}
		lines = append(lines, "<Location "+path+">", "AuthType oauth2", "Require valid-user",
			"OAuth2TokenVerify metadata "+issuer+"/.well-known/openid-configuration "+
				"metadata.ssl_verify=false&jwks_uri.ssl_verify=false"+options,
			"OAuth2AcceptTokenIn header name=Authorization&type="+scheme, "</Location>")
	}
	return startApache(t, own, []string{"authn_core", "authz_user", "proxy", "proxy_http", "oauth2"}, lines...)
}

// spoiled is a JWT with another signature.
func spoiled(token string) string {
	i := strings.LastIndex(token, ".") + 1
	if token[i] == 'A' {
		return token[:i] + "B" + token[i+1:]
	}
	return token[:i] + "A" + token[i+1:]
}
