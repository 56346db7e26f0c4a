package interop

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// library is a client that other people wrote, as one of certtokentest's servers
// sees it.
type library struct {
	name    string
	version func(*testing.T) string
	variant string
	setup   setup             // what of it differs from library to library
	generic bool              // the server is none of Entra ID's
	start   func(*stage) user // may skip the test
	fresh   bool              // it has no cache
	signsIn bool              // it does nothing but sign users in
	simple  bool              // it can't be told of a claims challenge
	loses   bool              // it has a cache, and doesn't find its token there
}

// setup is what a client is told about itself.
type setup struct {
	Op        string `json:"op"`
	Authority string `json:"authority"`
	Known     bool   `json:"known"` // the authority is not to be asked about
	Entra     bool   `json:"entra"`
	ClientID  string `json:"clientID"`
	Alg       string `json:"alg"`
	Header    string `json:"header"` // by which the assertion names the certificate
	Chain     bool   `json:"chain"`  // send x5c
	Key       string `json:"key"`
	Cert      string `json:"cert"`
	SHA1      string `json:"sha1"` // thumbprints as the clients want them
	SHA256    string `json:"sha256"`
	X5T       string `json:"x5t"`
	X5TS256   string `json:"x5tS256"`
	KeyID     string `json:"kid"` // that the server knows the key by

	certificate *certtoken.Certificate
}

// job is what a client is asked to do.
type job struct {
	Op          string `json:"op"`
	Scope       string `json:"scope"`
	Claims      string `json:"claims,omitempty"`
	Assertion   string `json:"assertion,omitempty"`
	RedirectURI string `json:"redirectURI,omitempty"`
	URL         string `json:"url,omitempty"` // of an API
}

// result is what came of it.
type result struct {
	Token       string `json:"token"`
	Error       string `json:"error"`
	Unsupported bool   `json:"unsupported"`
}

// user is a program that uses a library, or this one that does.
type user interface {
	setup(*testing.T, setup)
	do(*testing.T, job) result
}

// stage is a server and the program that is its client.
type stage struct {
	*testing.T
	library *library
	server  *certtokentest.Server
	user    user
	ca      string               // the file with the server's CA; "": not written yet
	proxy   *certtokentest.Proxy // for programs in a network of their own; nil: not needed yet
	ways    string               // by which they reach it and the server
}

const (
	clientTenant   = "contoso.onmicrosoft.com"
	clientResource = "https://graph.microsoft.com"
	clientClaims   = `{"access_token":{"nbf":{"essential":true,"value":"1900000000"}}}`
	redirectURI    = "https://app.example/callback"
)

func (s *stage) scope() string {
	if s.library.generic {
		return "read"
	}
	return clientResource + "/.default"
}

func (s *stage) userScope() string {
	if s.library.generic {
		return "read"
	}
	return clientResource + "/User.Read"
}

// newClient registers a client by a certificate and sets the program up with
// another one, or with the same.
func (s *stage) newClient(id, registered, own string) {
	cert := newCertificate(s.T, own)
	known := newCertificate(s.T, registered)
	s.server.Register(id, known.Leaf)
	set := s.library.setup
	set.Op, set.ClientID, set.Entra = "setup", id, !s.library.generic
	switch {
	case s.library.generic:
		set.Authority = s.server.Issuer()
	case set.Known:
		set.Authority = s.server.URL() + "/" + clientTenant
	default:
		set.Authority = "https://login.microsoftonline.com/" + clientTenant
	}
	set.certificate, set.KeyID = cert, "key-of-"+id
	if set.Header == "kid" {
		s.server.RegisterKeyID(id, set.KeyID, known.Leaf)
	}
	set.Key = string(privatePEM(s.T, cert))
	set.Cert = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Leaf.Raw}))
	one, two := sha1.Sum(cert.Leaf.Raw), sha256.Sum256(cert.Leaf.Raw)
	set.SHA1, set.SHA256 = hex.EncodeToString(one[:]), hex.EncodeToString(two[:])
	set.X5T, set.X5TS256 = base64.RawURLEncoding.EncodeToString(one[:]), base64.RawURLEncoding.EncodeToString(two[:])
	s.user.setup(s.T, set)
}

// privatePEM is a certificate's key.
func privatePEM(t *testing.T, cert *certtoken.Certificate) []byte {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(cert.Signer)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
}

// TestClients lets clients of other people get tokens from certtokentest over
// TLS. README.md holds what each got.
func TestClients(t *testing.T) {
	t.Parallel()
	rows := make([]string, len(libraries))
	places := make(chan struct{}, 4) // more programs at once would wait for the processor
	t.Run("client", func(t *testing.T) {
		for i := range libraries {
			l := &libraries[i]
			t.Run(l.name+"/"+l.variant, func(t *testing.T) {
				t.Parallel()
				places <- struct{}{}
				t.Cleanup(func() { <-places })
				rows[i] = newStage(t, l).row()
			})
		}
	})
	for _, row := range rows {
		if t.Failed() {
			return
		}
		if row == "" {
			t.Skip("a client is missing: the table is not compared")
		}
	}
	var table strings.Builder
	table.WriteString(
		"| client | as | asks for | token | again | wrong key | throttled for 3 s | claims | on behalf of | code | " +
			"refresh |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
	)
	for _, row := range rows {
		table.WriteString(row)
	}
	compareTable(t, "clients", table.String())
}

func newStage(t *testing.T, l *library) *stage {
	var opts []certtokentest.Option
	if l.generic {
		opts = []certtokentest.Option{certtokentest.WithIssuer(""), certtokentest.WithLooseAudience()}
	}
	s := &stage{T: t, library: l, server: certtokentest.NewServer(t, opts...)}
	s.user = l.start(s)
	return s
}

// row tries everything and writes the table's line.
func (s *stage) row() string {
	cells := []string{
		s.library.name + " " + s.library.version(s.T), s.library.variant,
		"", // known after the first token
		s.token(), s.again(), s.wrongKey(), s.throttled(), s.claims(), s.onBehalfOf(), s.code(), s.refresh(),
	}
	cells[2] = s.asked()
	return "| " + strings.Join(cells, " | ") + " |\n"
}

// first is what the client is asked for where any token will do.
func (s *stage) first() job {
	if s.library.signsIn {
		return job{Op: "code", Scope: s.userScope(), RedirectURI: redirectURI}
	}
	return job{Op: "token", Scope: s.scope()}
}

func (s *stage) token() string {
	s.newClient("app", "client", "client")
	cell := s.granted(s.first())
	if s.library.signsIn {
		return "–"
	}
	return cell
}

// granted wants the job's token to be the server's last.
func (s *stage) granted(j job) string {
	s.Helper()
	r := s.user.do(s.T, j)
	if r.Unsupported {
		return "–"
	}
	last := s.server.LastRequest()
	require.Empty(s, r.Error)
	require.NotEmpty(s, r.Token)
	require.True(s, last.AccessToken == r.Token, "the token is not the one that the server granted last")
	require.True(s, newCertificate(s.T, "client").Leaf.Equal(last.Certificate))
	return "✓"
}

// asked is what the server saw of the first request.
func (s *stage) asked() string {
	first := s.server.Requests()[0]
	alg, _ := first.AssertionHeader["alg"].(string)
	words := []string{alg}
	for _, name := range []string{"x5t", "x5t#S256", "kid", "x5c"} {
		if _, ok := first.AssertionHeader[name]; ok {
			words = append(words, "`"+name+"`")
		}
	}
	if s.library.generic {
		words = append(words, s.audienceOf(first.AssertionClaims["aud"]))
	}
	if s.library.setup.Alg != "" {
		require.Equal(s, s.library.setup.Alg, alg)
	}
	if name := s.library.setup.Header; name != "" {
		require.Contains(s, first.AssertionHeader, name)
	}
	return strings.Join(words, ", ")
}

// audienceOf names what an assertion is for.
func (s *stage) audienceOf(aud any) string {
	if list, ok := aud.([]any); ok {
		require.Equal(s, []any{s.server.Issuer()}, list)
		return "`aud`: a list of the issuer"
	}
	if aud == s.server.Issuer() {
		return "`aud`: the issuer"
	}
	require.Equal(s, s.server.TokenURL(), aud)
	return "`aud`: the token URL"
}

// again asks twice: from the client's cache, where it has one.
func (s *stage) again() string {
	if s.library.signsIn {
		return "–"
	}
	before := s.server.Count()
	require.Empty(s, s.user.do(s.T, job{Op: "token", Scope: s.scope()}).Error)
	asked := s.server.Count() - before
	if s.library.fresh || s.library.loses {
		require.Equal(s, 1, asked)
		return "asks again"
	}
	require.Zero(s, asked)
	return "cached"
}

// wrongKey signs with a key that isn't registered. What its user reads must
// hold what the server said.
func (s *stage) wrongKey() string {
	s.newClient("stranger", "other", "client")
	r := s.user.do(s.T, s.first())
	last := s.server.LastRequest()
	require.Empty(s, r.Token)
	require.Equal(s, 700027, last.Code)
	if s.library.generic {
		require.Contains(s, r.Error, "invalid_client")
		return "invalid_client"
	}
	require.Contains(s, r.Error, "AADSTS700027")
	return "AADSTS700027"
}

// throttled tells one request to wait, and asks once more if that is an error.
func (s *stage) throttled() string {
	s.newClient("throttled", "client", "client")
	s.server.Fail(certtokentest.Throttle(3 * time.Second))
	before, began := s.server.Count(), time.Now()
	r := s.user.do(s.T, s.first())
	asked := s.server.Count() - before
	if r.Error == "" {
		require.NotEmpty(s, r.Token)
		require.Equal(s, 2, asked)
		if time.Since(began) >= 3*time.Second {
			return "waits, ✓"
		}
		return "asks at once, ✓"
	}
	require.Equal(s, 1, asked)
	return s.throttledAgain()
}

// throttledAgain tells a client which doesn't wait to do so for longer than it is watched.
func (s *stage) throttledAgain() string {
	s.newClient("throttled-long", "client", "client")
	s.server.Fail(certtokentest.Throttle(10 * time.Minute))
	before := s.server.Count()
	require.NotEmpty(s, s.user.do(s.T, s.first()).Error)
	require.Equal(s, before+1, s.server.Count())
	r := s.user.do(s.T, s.first())
	if s.server.Count() == before+1 {
		require.NotEmpty(s, r.Error)
		return "error, kept"
	}
	require.Empty(s, r.Error)
	return "error, then ✓"
}

// claims come from a resource's challenge, and go past the cache.
func (s *stage) claims() string {
	if s.library.fresh || s.library.simple { // the first kind sends what it is told to
		return "–"
	}
	s.newClient("claims", "client", "client")
	require.Empty(s, s.user.do(s.T, job{Op: "token", Scope: s.scope()}).Error)
	before := s.server.Count()
	r := s.user.do(s.T, job{Op: "token", Scope: s.scope(), Claims: clientClaims})
	if s.server.Count() == before { // it knows no claims
		return "–"
	}
	require.Empty(s, r.Error)
	require.Contains(s, s.server.LastRequest().Form.Get("claims"), "1900000000")
	api := s.server.Resource(clientResource, nil)
	api.Challenge(clientClaims)
	s.server.Handle("graph.microsoft.com/", api)
	req, err := http.NewRequestWithContext(s.Context(), http.MethodGet, clientResource+"/me", nil)
	require.NoError(s, err)
	req.Header.Set("Authorization", "Bearer "+r.Token)
	resp, err := s.server.Client().Do(req)
	require.NoError(s, err)
	require.NoError(s, resp.Body.Close())
	require.Equal(s, http.StatusOK, resp.StatusCode, "the API that asked for the claims takes the token")
	return "✓"
}

func (s *stage) onBehalfOf() string {
	s.newClient("middle", "client", "client")
	return s.granted(job{Op: "obo", Scope: s.userScope(), Assertion: s.server.UserToken("ada@contoso.com", "middle")})
}

func (s *stage) code() string {
	s.newClient("web", "client", "client")
	s.server.SetLifetime(time.Minute) // which is over in the eyes of a client with a cache: it refreshes
	return s.granted(job{Op: "code", Scope: s.userScope(), RedirectURI: redirectURI})
}

func (s *stage) refresh() string {
	if s.server.LastRequest().Form.Get("grant_type") != "authorization_code" {
		return "–"
	}
	if s.library.loses { // it asks at the address without the port
		r := s.user.do(s.T, job{Op: "refresh", Scope: s.userScope()})
		require.Contains(s, r.Error, "AADSTS700023")
		return "asks elsewhere"
	}
	cell := s.granted(job{Op: "refresh", Scope: s.userScope()})
	require.Equal(
		s,
		"refresh_token",
		s.server.LastRequest().Form.Get("grant_type"),
		fmt.Sprint("refreshing by ", s.library.name),
	)
	return cell
}
