package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/internal/leaktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(leaktest.Patient(m, goleak.Find)) }

const (
	goodSecret  = "0123456789abcdef0123456789abcdef"
	otherSecret = "fedcba9876543210fedcba9876543210"
	wrong       = "ffffffff76543210fedcba9876543210"

	graph = "https://graph.microsoft.com"
)

// buffer is a log that may be written and read at once.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// records are the log's lines.
func (b *buffer) records(t *testing.T) []map[string]any {
	t.Helper()
	var list []map[string]any
	for line := range strings.Lines(b.String()) {
		var record map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &record), line)
		list = append(list, record)
	}
	return list
}

// house is an agent with the token endpoint behind it. It has no sockets, so that it
// works in a bubble of package synctest.
type house struct {
	*Agent
	endpoint *certtokentest.Server
	client   *certtoken.Client
	cert     *certtoken.Certificate
	log      *buffer
}

func newHouse(t *testing.T, opts ...certtokentest.Option) *house {
	t.Helper()
	h := &house{
		endpoint: certtokentest.New(opts...), log: &buffer{},
		cert: certtokentest.NewCertificate(t, certtokentest.WithSharedKey()),
	}
	h.endpoint.Register("app-1", h.cert.Leaf)
	h.client = h.newClient(t, "app-1")
	var err error
	h.Agent, err = New(Config{Identities: []Identity{h.identity()}, Audit: slog.New(slog.NewJSONHandler(h.log, nil))})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	return h
}

func (h *house) newClient(t *testing.T, id string) *certtoken.Client {
	t.Helper()
	client, err := certtoken.NewClient(h.endpoint.Authority(), id, h.cert,
		certtoken.WithHTTPClient(h.endpoint.Client()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

func (h *house) identity() Identity {
	return Identity{
		Name: "billing", ClientID: "app-1", Client: h.client, Certificate: h.cert,
		Scopes:  []string{graph + "/.default", "https://*.vault.azure.net/.default"},
		Callers: []Caller{Secret("app", goodSecret)},
	}
}

// appServiceRequest is what an SDK sends.
func appServiceRequest(secret, resource string) *http.Request {
	query := url.Values{"api-version": {"2019-08-01"}, "resource": {resource}}
	r := newRequest(http.MethodGet, "/msi/token?"+query.Encode(), "")
	r.Header.Set("X-IDENTITY-HEADER", secret)
	return r
}

func oauthRequest(form url.Values) *http.Request {
	r := newRequest(http.MethodPost, "/oauth2/token", form.Encode())
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// newRequest is a request as it comes over TCP on loopback.
func newRequest(method, target, body string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "127.0.0.1:40400"
	r.RemoteAddr = "127.0.0.1:55555"
	local := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40400}
	return r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, net.Addr(local)))
}

// overSocket makes it one over a Unix socket.
func overSocket(r *http.Request, peer *Peer) *http.Request {
	r.RemoteAddr = "@"
	c := &connection{unix: true, peer: peer, trust: func() {}}
	return r.WithContext(context.WithValue(r.Context(), connectionKey{}, c))
}

// ask sends a request and returns status and body.
func (h *house) ask(t *testing.T, r *http.Request) (int, map[string]any) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	require.Empty(t, w.Header().Get("Access-Control-Allow-Origin"))
	require.Empty(t, w.Header().Get("Location"))
	var body map[string]any
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body), w.Body.String())
	return w.Code, body
}

// failWith makes every token request fail, or none with nil.
func (h *house) failWith(fault *certtokentest.Fault) {
	h.endpoint.FailFunc(func(*certtokentest.Request) *certtokentest.Fault { return fault })
}

// blockOn is for FailFunc: it says that a request came, and holds it.
func blockOn(begun, release chan struct{}) func(*certtokentest.Request) *certtokentest.Fault {
	return func(*certtokentest.Request) *certtokentest.Fault {
		close(begun)
		<-release
		return nil
	}
}
