package certtokentest_test

import (
	"crypto/fips140"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/internal/leaktest"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(leaktest.Patient(m, goleak.Find)) }

const (
	clientID   = "6731de76-14a6-49ae-97bc-6eba6914391e"
	graphScope = "https://graph.microsoft.com/.default"
	kind       = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

// fixture is a server with one registered client.
type fixture struct {
	t    *testing.T
	srv  *certtokentest.Server
	cert *certtoken.Certificate
}

func newFixture(t *testing.T, opts ...certtokentest.Option) *fixture {
	t.Helper()
	f := &fixture{t, certtokentest.New(opts...), certtokentest.NewCertificate(t, certtokentest.WithSharedKey())}
	f.srv.Register(clientID, f.cert.Leaf)
	return f
}

// eachForm runs a test without and with a socket.
func eachForm(t *testing.T, run func(t *testing.T, f *fixture), opts ...certtokentest.Option) {
	t.Run("socketless", func(t *testing.T) { run(t, newFixture(t, opts...)) })
	t.Run("TLS", func(t *testing.T) {
		f := newFixture(t)
		f.srv = certtokentest.NewServer(t, opts...)
		f.srv.Register(clientID, f.cert.Leaf)
		run(t, f)
	})
}

// draft is an assertion before it is signed, for tests to spoil.
type draft struct {
	method jwt.SigningMethod
	header map[string]any
	claims jwt.MapClaims
	cert   *certtoken.Certificate
	key    any
	spoil  func(signed string) string
}

var lastID atomic.Int64

func (f *fixture) draft() *draft {
	now := time.Now()
	sum := sha256.Sum256(f.cert.Leaf.Raw)
	return &draft{
		method: jwt.SigningMethodPS256,
		header: map[string]any{"typ": "JWT", "x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])},
		claims: jwt.MapClaims{
			"aud": f.srv.TokenURL(), "iss": clientID, "sub": clientID,
			"jti": "id-" + strconv.FormatInt(lastID.Add(1), 10),
			"nbf": now.Unix(), "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		},
		cert: f.cert,
		key:  f.cert.Signer,
	}
}

func sha1Thumbprint(cert *certtoken.Certificate) string {
	var sum [sha1.Size]byte
	fips140.WithoutEnforcement(func() { sum = sha1.Sum(cert.Leaf.Raw) })
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (d *draft) sign(t *testing.T) string {
	t.Helper()
	token := jwt.NewWithClaims(d.method, d.claims)
	alg := token.Header["alg"]
	token.Header = d.header
	if _, ok := d.header["alg"]; !ok {
		token.Header["alg"] = alg
	}
	signed, err := token.SignedString(d.key)
	require.NoError(t, err)
	if d.spoil != nil {
		signed = d.spoil(signed)
	}
	return signed
}

// form is a good token request.
func (f *fixture) form() url.Values {
	f.t.Helper()
	return url.Values{
		"grant_type":            {"client_credentials"},
		"client_id":             {clientID},
		"scope":                 {graphScope},
		"client_assertion_type": {kind},
		"client_assertion":      {f.draft().sign(f.t)},
	}
}

// reply is what the endpoint answered.
type reply struct {
	status int
	header http.Header
	text   string
	body   map[string]any // nil if it isn't a JSON object
}

func (r reply) code() int {
	codes, _ := r.body["error_codes"].([]any)
	if len(codes) != 1 {
		return 0
	}
	n, _ := codes[0].(float64)
	return int(n)
}

func (r reply) token() string {
	token, _ := r.body["access_token"].(string)
	return token
}

func (f *fixture) post(form url.Values) reply {
	f.t.Helper()
	r, err := f.tryPost(form)
	require.NoError(f.t, err)
	return r
}

func (f *fixture) tryPost(form url.Values) (reply, error) {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), http.MethodPost, f.srv.TokenURL(),
		strings.NewReader(form.Encode()))
	require.NoError(f.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return f.do(req)
}

func (f *fixture) do(req *http.Request) (reply, error) {
	f.t.Helper()
	client := f.srv.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	r := reply{status: resp.StatusCode, header: resp.Header, text: string(data)}
	_ = json.Unmarshal(data, &r.body) // nil then
	return r, err
}

func (f *fixture) get(rawURL string) reply {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, rawURL, nil)
	require.NoError(f.t, err)
	r, err := f.do(req)
	require.NoError(f.t, err)
	return r
}

// until waits for what another goroutine brings about, however busy the machine is. Only what
// never comes is an error.
func until(t *testing.T, done func() bool) {
	t.Helper()
	for began := time.Now(); !done(); time.Sleep(time.Millisecond) {
		require.Less(t, time.Since(began), 5*time.Minute, "it doesn't come")
	}
}

// isFromNow checks a time that was, at some moment since began, so far ahead. It may have been
// rounded to seconds.
func isFromNow(t *testing.T, began time.Time, ahead time.Duration, got time.Time) {
	t.Helper()
	assert.False(t, got.Before(began.Add(ahead-time.Second)), "%v is too early", got)
	assert.False(t, got.After(time.Now().Add(ahead+time.Second)), "%v is too late", got)
}

// client is a certtoken client of the fixture's server.
func (f *fixture) client(authority certtoken.Authority, opts ...certtoken.Option) *certtoken.Client {
	f.t.Helper()
	opts = append([]certtoken.Option{certtoken.WithHTTPClient(f.srv.Client())}, opts...)
	c, err := certtoken.NewClient(authority, clientID, f.cert, opts...)
	require.NoError(f.t, err)
	f.t.Cleanup(func() { require.NoError(f.t, c.Close()) })
	return c
}
