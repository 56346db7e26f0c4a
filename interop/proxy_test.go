package interop

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// startTinyproxy starts Debian's HTTP proxy with further lines of its configuration,
// and returns its address and its log file. It ends with the test.
func startTinyproxy(t *testing.T, lines ...string) (address *url.URL, log string) {
	t.Helper()
	_, err := exec.LookPath("tinyproxy")
	lacks(t, err, "no real proxy can be asked")
	folder := t.TempDir()
	log = filepath.Join(folder, "tinyproxy.log")
	filter := filepath.Join(folder, "filter")
	require.NoError(t, os.WriteFile(filter, []byte("allowed\\.example\n"), 0o600))
	conf := append([]string{
		"Listen 127.0.0.1", "Timeout 600", "MaxClients 20", "LogLevel Connect",
		fmt.Sprintf("LogFile %q", log),
	}, lines...)
	file := filepath.Join(folder, "tinyproxy.conf")
	ports := startServer(t, 1, func(ports []string) []string {
		text := strings.Join(append(conf, "Port "+ports[0]), "\n") + "\n"
		text = strings.ReplaceAll(text, "FILTER", strconv.Quote(filter))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return []string{"tinyproxy", "-d", "-c", file}
	})
	return &url.URL{Scheme: "http", Host: "127.0.0.1:" + ports[0]}, log
}

// refusals are configurations of tinyproxy that refuse every connection to a host of example.com
// or to a port of this machine, and what it says then.
var refusals = map[string]struct {
	lines  []string
	user   *url.Userinfo
	words  string
	status int
}{
	"another port":       {lines: []string{"ConnectPort 1"}, words: "Access violation", status: 403},
	"not a client of it": {lines: []string{"Allow 192.0.2.1"}, words: "Access denied", status: 403},
	"not on its list":    {lines: []string{"Filter FILTER", "FilterDefaultDeny Yes"}, words: "Filtered", status: 403},
	"a password is wanted": {
		lines: []string{"BasicAuth robot s3cret"},
		words: "Proxy Authentication Required", status: 407,
	},
	"a wrong password": {
		lines: []string{"BasicAuth robot s3cret"}, user: url.UserPassword("robot", "wr0ng"),
		words: "Unauthorized", status: 401,
	},
}

// A token request goes through tinyproxy's CONNECT, where the user's transport names it.
// Where it refuses, the error names the proxy and what it said, and the token endpoint
// isn't blamed.
func TestRealProxyOfTheUser(t *testing.T) {
	server := certtokentest.NewServer(t, certtokentest.WithIssuer(""))
	cert := newCertificate(t, "client")
	server.Register("proxied", cert.Leaf)
	host := strings.TrimPrefix(server.URL(), "https://")
	_, port, err := net.SplitHostPort(host)
	require.NoError(t, err)
	ask := func(t *testing.T, proxy *url.URL) error {
		transport := trusting(server.CertPool())
		transport.Proxy = func(*http.Request) (*url.URL, error) { return proxy, nil }
		defer transport.CloseIdleConnections()
		client, err := certtoken.NewClient(server.Authority(), "proxied", cert,
			certtoken.WithHTTPClient(&http.Client{Transport: transport}), patient)
		require.NoError(t, err)
		defer client.Close()
		_, err = client.Token(t.Context(), "read")
		return err
	}
	for name, c := range map[string]struct {
		lines []string
		user  *url.Userinfo
	}{
		"open": {[]string{"ConnectPort " + port, "Allow 127.0.0.1"}, nil},
		"with a password": {
			[]string{"ConnectPort " + port, "BasicAuth robot s3cret"}, url.UserPassword("robot", "s3cret"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			proxy, log := startTinyproxy(t, c.lines...)
			proxy.User = c.user
			require.NoError(t, ask(t, proxy))
			said, err := os.ReadFile(log)
			require.NoError(t, err)
			assert.Contains(t, string(said), "CONNECT "+host)
		})
	}
	before := server.CountAll()
	for name, c := range refusals {
		t.Run(name, func(t *testing.T) {
			proxy, _ := startTinyproxy(t, c.lines...)
			proxy.User = c.user
			err := ask(t, proxy)
			checkProxyRefusal(t, err, proxy)
			assert.ErrorContains(t, err, c.words)
		})
	}
	assert.Equal(t, before, server.CountAll())
}

// The same with the proxy of the environment, whose whole answer the error has.
func TestRealProxyOfTheEnvironment(t *testing.T) {
	cert := newCertificate(t, "client")
	const server = "as.example.com"
	for name, c := range refusals {
		t.Run(name, func(t *testing.T) {
			proxy, _ := startTinyproxy(t, c.lines...)
			proxy.User = c.user
			before := http.DefaultTransport
			defer func() { http.DefaultTransport = before }()
			own := before.(*http.Transport).Clone() // the environment is read once in a process
			own.Proxy = http.ProxyURL(proxy)
			http.DefaultTransport = own
			client, err := certtoken.NewClient(
				certtoken.Issuer("https://"+server, "https://"+server+"/token"),
				"proxied",
				cert,
			)
			require.NoError(t, err)
			defer client.Close()
			_, err = client.Token(t.Context(), "read")
			checkProxyRefusal(t, err, proxy)
			assert.ErrorContains(
				t,
				err,
				fmt.Sprintf("refused to connect to %s:443: %d %s; ", server, c.status, c.words),
			)
		})
	}
}

func checkProxyRefusal(t *testing.T, err error, proxy *url.URL) {
	t.Helper()
	require.Error(t, err)
	t.Log(err)
	assert.ErrorContains(t, err, "the proxy http://"+proxy.Host)
	assert.ErrorContains(t, err, "HTTPS_PROXY")
	assert.NotContains(t, err.Error(), "wr0ng")
	var te *certtoken.TokenError
	assert.NotErrorAs(t, err, &te, "the token endpoint has said nothing")
}
