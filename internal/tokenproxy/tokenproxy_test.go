package tokenproxy_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/internal/regularfile"
	"github.com/certtoken/certtoken/internal/tokenproxy"
)

// cluster is a proxy that notes what it is asked.
type cluster struct {
	*httptest.Server
	ca string // PEM

	mu   sync.Mutex
	sni  string
	last *http.Request
	body string
}

func newCluster(t *testing.T) *cluster {
	c := &cluster{}
	c.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.last, c.body = r, string(body)
		_, _ = io.WriteString(w, "granted")
	}))
	c.TLS = &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.sni = hello.ServerName
		return nil, nil
	}}
	c.StartTLS()
	t.Cleanup(c.Close)
	c.ca = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate().Raw}))
	return c
}

const path = "/tenant%2F1/oauth2/v2.0/token"

func post(t *testing.T, p *tokenproxy.Proxy) (string, error) {
	t.Helper()
	t.Cleanup(p.CloseIdleConnections)
	client := http.Client{Transport: p}
	resp, err := client.PostForm("https://login.microsoftonline.com"+path+"?a=b", url.Values{"scope": {"s"}})
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	assert.Equal(t, "login.microsoftonline.com", resp.Request.URL.Host, "who looks at the answer sees what was asked")
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func TestRequestsGoThroughTheProxy(t *testing.T) {
	for base, want := range map[string]string{"": path, "/": path, "/proxy": "/proxy" + path,
		"/proxy/": "/proxy" + path} {
		t.Run(base, func(t *testing.T) {
			c := newCluster(t)
			p, err := tokenproxy.New(tokenproxy.Config{URL: c.URL + base, ServerName: "example.com", CAData: c.ca})
			require.NoError(t, err)
			got, err := post(t, p)
			require.NoError(t, err)
			assert.Equal(t, "granted", got)
			assert.Equal(t, want, c.last.URL.EscapedPath())
			assert.Equal(t, "a=b", c.last.URL.RawQuery)
			assert.Equal(t, strings.TrimPrefix(c.URL, "https://"), c.last.Host)
			assert.Equal(t, "scope=s", c.body)
			assert.Equal(t, "example.com", c.sni)
		})
	}
}

func TestTheProxyMustBeTheOneThatIsTrusted(t *testing.T) {
	c := newCluster(t)
	for name, cfg := range map[string]tokenproxy.Config{
		"the system's authorities": {URL: c.URL, ServerName: "example.com"},
		"another name":             {URL: c.URL, ServerName: "another.example", CAData: c.ca},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := tokenproxy.New(cfg)
			require.NoError(t, err)
			_, err = post(t, p)
			require.ErrorContains(t, err, "token proxy")
			assert.ErrorContains(t, err, "certificate")
		})
	}
}

// postInTime posts again where the disk took longer than the file with the authorities is
// waited for. Until that access has ended, the file isn't read.
func postInTime(t *testing.T, p *tokenproxy.Proxy, file string) error {
	t.Helper()
	for {
		began := time.Now()
		_, err := post(t, p)
		if time.Since(began) < regularfile.Limit {
			return err
		}
		_, _ = os.ReadFile(file) // waits for the disk too
		time.Sleep(time.Second)
	}
}

// The file with the authorities is replaced while the program runs.
func TestAuthoritiesAreReadAgain(t *testing.T) {
	c := newCluster(t)
	file := filepath.Join(t.TempDir(), "ca.crt")
	p, err := tokenproxy.New(tokenproxy.Config{URL: c.URL, ServerName: "example.com", CAFile: file})
	require.NoError(t, err)
	err = postInTime(t, p, file)
	require.ErrorIs(t, err, os.ErrNotExist)

	for _, step := range []struct {
		content string
		works   bool
	}{
		{"garbage", false}, {c.ca, true}, {"", true}, {"garbage", true},
		{c.ca + c.ca, true}, {selfSigned(t), false}, {c.ca, true},
	} {
		require.NoError(t, os.WriteFile(file, []byte(step.content), 0o600))
		err = postInTime(t, p, file)
		if step.works {
			require.NoError(t, err, "%.40q", step.content)
		} else {
			require.Error(t, err, "%.40q", step.content)
		}
	}
	require.NoError(t, os.Remove(file))
	err = postInTime(t, p, file)
	require.NoError(t, err)
}

func TestConfigurationsThatAreWrong(t *testing.T) {
	c := newCluster(t)
	for name, cfg := range map[string]tokenproxy.Config{
		"http":           {URL: "http://proxy.example"},
		"no host":        {URL: "https://"},
		"no scheme":      {URL: "proxy.example"},
		"a user":         {URL: "https://user:the-secret@proxy.example"},
		"a query":        {URL: "https://proxy.example?a=the-secret"},
		"an empty query": {URL: "https://proxy.example?"},
		"a fragment":     {URL: "https://proxy.example#the-secret"},
		"no URL":         {URL: "https://proxy.example:the-secret"},
		"garbage":        {URL: c.URL, CAData: "the-secret"},
		"both":           {URL: c.URL, CAData: c.ca, CAFile: "file"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tokenproxy.New(cfg)
			require.Error(t, err)
			assert.NotContains(t, err.Error(), "the-secret")
		})
	}
}

// selfSigned is the certificate of somebody else.
func selfSigned(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
