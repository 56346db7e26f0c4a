package exchange

import (
	"net/http"
	"time"
)

const maxHeaderBytes = 64 << 10

// Client sends token requests.
type Client struct {
	HTTP      *http.Client
	userAgent string
}

// New copies the user's client and lays our rules over it: a token request
// follows no redirect, which could carry the assertion elsewhere, and keeps no
// cookies.
func New(user *http.Client, userAgent string) *Client {
	client := Own(user)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{HTTP: client, userAgent: userAgent}
}

// Own copies the user's client, without its cookies, or makes one.
func Own(user *http.Client) *http.Client {
	client := http.Client{Transport: defaultTransport()}
	if user != nil {
		client = *user
	}
	client.Jar = nil
	return &client
}

// defaultTransport is net/http's, with its proxies from the environment, and
// limits of our own.
func defaultTransport() *http.Transport {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, IdleConnTimeout: 90 * time.Second}
	if std, ok := http.DefaultTransport.(*http.Transport); ok { // some programs put another in its place
		t = std.Clone()
	}
	t.MaxResponseHeaderBytes = maxHeaderBytes
	t.MaxIdleConnsPerHost = 4
	return t
}
