package certtoken_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// mirror grants tokens that say for whom they are: tenant, client, agent, user, parameters,
// scopes and certificate of the request, as they stood in the request. It is slow, fails and
// panics now and then.
type mirror struct {
	requests, panics, mixed atomic.Int64
}

// subject is for whom a token is.
type subject struct {
	tenant, client, agent, user string
	parameters                  url.Values
	scopes                      []string
	key                         string // SHA-256 of the certificate in TLS; "": none was shown
}

// mirrored is what such a token says. Scopes are sorted: they are a set.
func (s subject) mirrored() string {
	return strings.Join([]string{
		s.tenant, s.client, s.agent, s.user, s.parameters.Encode(),
		strings.Join(slices.Sorted(slices.Values(s.scopes)), "+"), s.key,
	}, "|")
}

// leg is what the token of an agent's first leg says.
func (s subject) leg() string {
	return strings.Join([]string{"leg", s.tenant, s.client, s.agent, s.key}, "|")
}

// subjectOf finds out for whom a token is asked. An agent shows a leg, and for a user of its
// own a token of its own, too; ok reports whether these are for the same agent, tenant and
// certificate.
func subjectOf(tenant string, form url.Values, key string) (s subject, ok bool) {
	s = subject{
		tenant: tenant, client: form.Get("client_id"), parameters: parametersOf(form), key: key,
		scopes: strings.Fields(form.Get("scope")), user: form.Get("username"),
	}
	if _, user, found := strings.Cut(form.Get("assertion"), ".user-"); found {
		s.user, _, _ = strings.Cut(user, ".")
	}
	if agent := form.Get("fmi_path"); agent != "" {
		s.agent = agent
		return s, true
	}
	if !strings.HasPrefix(s.client, "agent-") {
		return s, true
	}
	parts := strings.Split(form.Get("client_assertion"), "|")
	if len(parts) != 5 {
		return s, false
	}
	s.agent, s.client = s.client, parts[2]
	shown, _, _ := strings.Cut(form.Get("client_assertion"), "#")
	ok = shown == s.leg()
	if form.Get("grant_type") == "user_fic" {
		second := s
		second.user, second.parameters, second.scopes = "", nil, []string{exchangeAll}
		shown, _, _ = strings.Cut(form.Get("user_federated_identity_credential"), "#")
		ok = ok && shown == second.mirrored()
	}
	return s, ok
}

// parametersOf are the parameters of a form that only a Request gives.
func parametersOf(form url.Values) url.Values {
	given := make(url.Values)
	for name, values := range form {
		if strings.HasPrefix(name, "p") {
			given[name] = values
		}
	}
	return given
}

// randomParameters are none, or some of few values under few names, in any order.
func randomParameters() url.Values {
	if rand.IntN(2) == 0 {
		return nil
	}
	texts := []string{"a", "b", "a b", "a&p1=b"}
	parameters := make(url.Values)
	for range 1 + rand.IntN(2) {
		name := fmt.Sprint("p", rand.IntN(2))
		parameters[name] = append(parameters[name], texts[rand.IntN(len(texts))])
	}
	return parameters
}

func (m *mirror) RoundTrip(req *http.Request) (*http.Response, error) {
	n := m.requests.Add(1)
	select {
	case <-time.After(rand.N(4 * time.Millisecond)):
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	switch {
	case n%97 == 0:
		m.panics.Add(1)
		panic("the RoundTripper panics")
	case n%31 == 0:
		return nil, errors.New("the connection broke")
	}
	status, body, err := m.answer(n, req, "")
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(body)), Request: req,
	}, err
}

// ServeHTTP answers clients that present certificates.
func (m *mirror) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	n := m.requests.Add(1)
	time.Sleep(rand.N(4 * time.Millisecond))
	sum := sha256.Sum256(req.TLS.PeerCertificates[0].Raw)
	status, body, err := m.answer(n, req, base64.RawURLEncoding.EncodeToString(sum[:]))
	if err != nil {
		status = http.StatusBadRequest
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// answer grants what the n-th request asks for, or refuses it.
func (m *mirror) answer(n int64, req *http.Request, key string) (status int, body string, err error) {
	if err := req.ParseForm(); err != nil {
		return 0, "", err
	}
	if n%17 == 0 {
		return http.StatusBadRequest, `{"error":"invalid_grant","error_description":"not now"}`, nil
	}
	tenant, _, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/"), "/")
	s, ok := subjectOf(tenant, req.PostForm, key)
	if !ok {
		m.mixed.Add(1)
		return http.StatusBadRequest, `{"error":"invalid_client","error_description":"a leg of another"}`, nil
	}
	says := s.mirrored()
	if req.PostForm.Has("fmi_path") {
		says = s.leg()
	}
	return http.StatusOK, fmt.Sprintf(`{"access_token":"%s#%d","token_type":"%s","expires_in":%d,"refresh_in":1}`,
		says, n, cmp.Or(req.PostForm.Get("token_type"), "Bearer"), 2+n%3), nil
}

// stress is what the goroutines of an isolation test share.
type stress struct {
	t       *testing.T
	mirror  mirror
	cert    *certtoken.Certificate    // of clients that only sign
	keys    [2]*certtoken.Certificate // of those that present one
	tls     func() *http.Transport    // reaches the mirror by TLS
	store   certtoken.Store
	clients [6]atomic.Pointer[certtoken.Client] // each is closed and replaced again and again

	calls, granted, wrong, closed, late, panics atomic.Int64
}

// clientID of a client; three share one, so that they share tokens in the store.
func (s *stress) clientID(i int) string { return fmt.Sprintf("app-%d", i/3) }

// isBound reports whether a client's tokens are bound to its certificate: one of each three
// isn't. The others have two certificates in turn, never the same at one time, and see each
// other's tokens in the store.
func (s *stress) isBound(i int) bool { return i%3 != 0 }

// newClient makes a client that shares a store with all others. Its source panics now and
// then, and so do two of its hooks.
func (s *stress) newClient(i int) *certtoken.Client {
	now := func(n int64) func() {
		var calls atomic.Int64
		return func() {
			if calls.Add(1)%n == 0 {
				s.panics.Add(1)
				panic("a part of the user's panics")
			}
		}
	}
	source, end, failed := now(89), now(101), now(3)
	authority, over := certtoken.Entra("tenant-0.example"), http.RoundTripper(&s.mirror)
	cert := func() *certtoken.Certificate { return s.cert }
	if s.isBound(i) {
		authority, over = certtoken.Entra("tenant-0.example", certtoken.WithMTLSPoP()), s.tls()
		cert = func() *certtoken.Certificate { return s.keys[(time.Now().Unix()/2+int64(i))%2] }
	}
	client, err := certtoken.NewClient(
		authority,
		s.clientID(i),
		certtoken.CertSourceFunc(
			func(context.Context) (*certtoken.Certificate, error) { source(); return cert(), nil },
		),
		certtoken.WithHTTPClient(&http.Client{Transport: over}),
		certtoken.WithTenants("*"),
		certtoken.WithMaxConcurrentExchanges(8), // each takes a handshake, which takes most of the time
		certtoken.WithStore(s.store, []byte("a secret of 32 bytes for a test!")),
		certtoken.WithCacheLimit(64),
		certtoken.WithUserCacheLimit(16), // so that tokens are thrown out, too
		certtoken.WithHooks(certtoken.Hooks{
			RequestEnd:    func(context.Context, certtoken.Event) { end() },
			RenewalFailed: func(certtoken.Event) { failed() },
		}),
	)
	require.NoError(s.t, err)
	return client
}

// listen lets the mirror see the certificates of clients.
func (s *stress) listen() {
	server := httptest.NewUnstartedServer(&s.mirror)
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // callers leave in the middle of handshakes
	server.StartTLS()
	s.t.Cleanup(server.Close)
	roots := server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	s.tls = func() *http.Transport {
		return &http.Transport{
			TLSClientConfig:     &tls.Config{RootCAs: roots, ServerName: "example.com"},
			MaxIdleConnsPerHost: 8,
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
			},
		}
	}
}

// call asks a random client for a random tenant, agent, user, set of parameters and set of
// scopes, and looks at what it gets.
func (s *stress) call() {
	i := rand.IntN(len(s.clients))
	if rand.IntN(400) == 0 {
		if err := s.clients[i].Swap(s.newClient(i)).Close(); err != nil {
			s.late.Add(1) // its goroutines had no processor for 10 s
		}
		s.closed.Add(1)
	}
	tenant, user := fmt.Sprintf("tenant-%d.example", rand.IntN(3)), ""
	req := certtoken.Request{Tenant: tenant, Scopes: []string{fmt.Sprintf("api://%d/read", rand.IntN(4))}}
	if rand.IntN(2) == 0 {
		req.Agent = fmt.Sprint("agent-", rand.IntN(3))
	}
	switch rand.IntN(4) {
	case 0, 1:
		user = fmt.Sprint(rand.IntN(4))
		req.Grant = certtoken.OnBehalfOf("head.user-" + user + ".signature")
	case 2:
		if req.Agent != "" {
			user = fmt.Sprint("own-", rand.IntN(4))
			req.Grant = certtoken.AgentUser(user)
		}
	}
	if rand.IntN(4) == 0 {
		req.Scopes = append(req.Scopes, fmt.Sprintf("api://%d/read", 4+rand.IntN(3)))
		rand.Shuffle(len(req.Scopes), func(a, b int) { req.Scopes[a], req.Scopes[b] = req.Scopes[b], req.Scopes[a] })
	}
	req.Parameters = randomParameters()
	req.Fresh = rand.IntN(100) == 0
	if rand.IntN(100) == 0 {
		req.Claims = `{"access_token":{"nbf":{"essential":true}}}`
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(200))*time.Millisecond)
	defer cancel()
	s.calls.Add(1)
	access, key, err := s.ask(ctx, s.clients[i].Load(), s.isBound(i), req)
	if err != nil {
		return
	}
	s.granted.Add(1)
	says, _, _ := strings.Cut(access, "#")
	want := subject{tenant, s.clientID(i), req.Agent, user, req.Parameters, req.Scopes, key}.mirrored()
	if says != want {
		s.wrong.Add(1)
		s.t.Errorf("a token for another: got %s, want %s", says, want)
	}
}

// ask gets a token from the client or from a handle, with the certificate that the client
// says it is bound to. Now and then it refuses what it got.
func (s *stress) ask(
	ctx context.Context, client *certtoken.Client, bound bool, req certtoken.Request,
) (access, key string, err error) {
	if !bound && !req.Fresh && req.Claims == "" && rand.IntN(4) == 0 {
		source, err := client.TokenSourceFor(req)
		if err != nil { // some requests name two resources
			return "", "", err
		}
		for range rand.IntN(2) { // the second call is a hit, as a rule
			_, _ = source.TokenContext(ctx)
		}
		token, err := source.TokenContext(ctx)
		if err != nil {
			return "", "", err
		}
		return token.AccessToken, "", nil
	}
	token, err := client.Acquire(ctx, req)
	if err == nil && !req.Fresh && rand.IntN(20) == 0 {
		req.Refused = token
		token, err = client.Acquire(ctx, req)
	}
	if err != nil {
		return "", "", err
	}
	_, key = token.Confirmation()
	if (key != "") != bound {
		s.wrong.Add(1)
		s.t.Errorf("bound to %q by a client that binds: %v", key, bound)
	}
	return token.AccessToken(), key, nil
}

// No caller is given another's token: 64 goroutines ask for random tenants, agents, users,
// parameters and scopes of clients that share a store and have several certificates, while
// parts of the user's panic, requests fail, tokens expire, are refused and are thrown out,
// certificates are replaced, callers leave and clients are closed. It is quick by default.
// With CERTTOKEN_ISOLATION=280s and -race it is a stress:
//
//	CERTTOKEN_ISOLATION=280s go test -race -run TestIsolation -v -timeout 20m .
func TestIsolation(t *testing.T) {
	const goroutines, least = 64, 30 // calls of each
	long := time.Duration(0)
	if given := os.Getenv("CERTTOKEN_ISOLATION"); given != "" {
		var err error
		long, err = time.ParseDuration(given)
		require.NoError(t, err, "CERTTOKEN_ISOLATION is a duration such as 280s")
	}
	cert, err := certtokentest.MakeCertificate()
	require.NoError(t, err)
	zero, err := certtoken.NewCertificate(zeroSigner{cert.Signer.Public()}, cert.Leaf, nil)
	require.NoError(t, err)
	s := &stress{t: t, cert: zero, store: certtoken.NewMemoryStore()}
	s.listen()
	for i, name := range []string{"a", "b"} {
		s.keys[i] = certtokentest.NewCertificate(t, certtokentest.WithSharedKey(), certtokentest.WithSubject(name))
	}
	for i := range s.clients {
		s.clients[i].Store(s.newClient(i))
	}
	end := time.Now().Add(long)
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for n := 0; n < least || time.Now().Before(end) || s.granted.Load() == 0 && n < 100*least; n++ {
				s.call()
			}
		})
	}
	all.Wait()
	for i := range s.clients {
		if err := s.clients[i].Load().Close(); err != nil {
			s.late.Add(1)
		}
	}
	t.Logf("%d calls, %d tokens handed out, %d of them wrong; %d token requests; %d panics; %d clients closed, %d late",
		s.calls.Load(), s.granted.Load(), s.wrong.Load(), s.mirror.requests.Load(),
		s.panics.Load()+s.mirror.panics.Load(), s.closed.Load(), s.late.Load())
	assert.Zero(t, s.wrong.Load())
	assert.Zero(t, s.mirror.mixed.Load(), "an agent that showed another's leg")
	assert.Positive(t, s.granted.Load(), "a test of failures shows nothing")
}
