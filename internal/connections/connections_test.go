package connections

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/certtoken/certtoken/internal/leaktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(leaktest.Patient(m, goleak.Find)) }

// withStandard puts another transport in the place of http.DefaultTransport.
func withStandard(t *testing.T, other http.RoundTripper) {
	t.Helper()
	std := http.DefaultTransport
	http.DefaultTransport = other
	t.Cleanup(func() { http.DefaultTransport = std })
}

func TestDefaults(t *testing.T) {
	for name, std := range map[string]http.RoundTripper{
		"the standard transport": http.DefaultTransport,
		"another type":           http.NewFileTransport(http.Dir(t.TempDir())),
		"an empty one":           new(http.Transport),
	} {
		t.Run(name, func(t *testing.T) {
			withStandard(t, std)
			made := New(32, DefaultHealth)
			assert.Equal(t, 32, made.MaxIdleConnsPerHost)
			assert.EqualValues(t, 64<<10, made.MaxResponseHeaderBytes)
			assert.Equal(t, 5*time.Second, made.HTTP2.SendPingTimeout)
			assert.Equal(t, 4*time.Second, made.HTTP2.PingTimeout)
			assert.True(t, made.MaxIdleConns == 0 || made.MaxIdleConns >= 64, "the limit for all hosts leaves room")
			assert.True(t, made.TLSClientConfig == nil || !made.TLSClientConfig.InsecureSkipVerify)
			assert.False(t, std == http.RoundTripper(made), "it is a copy")
		})
	}
	assert.Less(t, DefaultHealth.Silence+DefaultHealth.Answer, 10*time.Second, "found within one attempt")
	assert.Nil(t, http.DefaultTransport.(*http.Transport).HTTP2, "the standard transport is left alone")
}

// What the program set in http.DefaultTransport holds.
func TestSettingsOfTheProgram(t *testing.T) {
	refuses := errors.New("not this one")
	std := &http.Transport{
		MaxIdleConns: 10,
		HTTP2:        &http.HTTP2Config{SendPingTimeout: time.Minute, PingTimeout: time.Second},
		OnProxyConnectResponse: func(context.Context, *url.URL, *http.Request, *http.Response) error {
			return refuses
		},
	}
	withStandard(t, std)
	made := New(32, DefaultHealth)
	assert.Equal(t, *std.HTTP2, *made.HTTP2)
	assert.Equal(t, 64, made.MaxIdleConns)
	assert.Nil(t, made.Proxy, "no proxy is none")
	assert.ErrorIs(t, made.OnProxyConnectResponse(t.Context(), nil, nil, &http.Response{StatusCode: 403}), refuses)
	assert.Equal(t, 10, std.MaxIdleConns)
}

// A proxy is another machine: what is meant for this one never goes there.
func TestLoopbackNeedsNoProxy(t *testing.T) {
	proxy := &url.URL{Scheme: "http", Host: "proxy.example:3128"}
	withStandard(t, &http.Transport{Proxy: http.ProxyURL(proxy)})
	made := New(1, DefaultHealth)
	for raw, want := range map[string]*url.URL{
		"http://localhost/":               nil,
		"http://Localhost:8080/":          nil,
		"https://LOCALHOST/":              nil,
		"http://127.0.0.1/":               nil,
		"http://127.9.8.7:80/":            nil,
		"http://[::1]/":                   nil,
		"http://[::1%25lo]:8080/":         nil,
		"http://[::ffff:127.0.0.1]/":      nil,
		"https://login.example.com/":      proxy,
		"https://localhost.example.com/":  proxy,
		"https://128.0.0.1/":              proxy,
		"https://127.0.0.1.example.com/":  proxy,
		"http://[fe80::1%25lo]:8080/path": proxy,
	} {
		to, err := url.Parse(raw)
		require.NoError(t, err)
		got, err := made.Proxy(&http.Request{URL: to})
		require.NoError(t, err)
		assert.Equal(t, want, got, raw)
	}
}

func TestAUsersClientIsCopied(t *testing.T) {
	transport := new(http.Transport)
	jar := struct{ http.CookieJar }{}
	user := &http.Client{Transport: transport, Jar: jar, Timeout: time.Minute}
	lease := Take(user, 32)
	defer lease.Close()
	assert.Equal(t, http.Client{Transport: transport, Timeout: time.Minute}, *lease.Client())
	assert.Same(t, transport, lease.Client().Transport)
	assert.Equal(t, jar, user.Jar)
	assert.Zero(t, transport.MaxIdleConnsPerHost)
	assert.Nil(t, transport.HTTP2)
}

// A client that names no transport has the shared one, unless the program has another
// type in the place of the standard one.
func TestAUsersClientWithoutATransport(t *testing.T) {
	ours := Take(nil, 32)
	defer ours.Close()
	lease := Take(&http.Client{Timeout: time.Minute}, 32)
	defer lease.Close()
	assert.Same(t, ours.Client().Transport, lease.Client().Transport)
	assert.Equal(t, time.Minute, lease.Client().Timeout)
	withStandard(t, http.NewFileTransport(http.Dir(t.TempDir())))
	other := Take(new(http.Client), 32)
	defer other.Close()
	assert.Nil(t, other.Client().Transport)
}

func TestLeasesShareATransport(t *testing.T) {
	var p pool
	first, end := p.take(32)
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			again, end := p.take(32)
			assert.Same(t, first, again)
			end()
		})
	}
	wg.Wait()
	other, endOther := p.take(8)
	assert.NotSame(t, first, other, "another number of kept connections")
	endOther()
	withStandard(t, new(http.Transport))
	other, endOther = p.take(32)
	assert.NotSame(t, first, other, "another standard transport")
	endOther()
	require.Len(t, p.uses, 1)
	end()
	assert.Empty(t, p.uses, "the last one leaves nothing")
}

func TestALeaseIsClosedOnce(t *testing.T) {
	first, second := Take(nil, 3), Take(nil, 3)
	assert.Same(t, first.Client().Transport, second.Client().Transport)
	assert.NotSame(t, first.Client(), second.Client())
	first.Close()
	first.Close()
	third := Take(nil, 3)
	assert.Same(t, second.Client().Transport, third.Client().Transport, "closing twice counts once")
	second.Close()
	third.Close()
}
