package exchange

import (
	"net/http"
	"time"
)

// Client sends token requests.
type Client struct {
	HTTP      *http.Client
	userAgent string
	limit     time.Duration // for one attempt
}

// New sends token requests by a client, each of at most limit, and lays our rule over
// it: a token request follows no redirect, which could carry the assertion elsewhere.
func New(client *http.Client, userAgent string, limit time.Duration) *Client {
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{HTTP: client, userAgent: userAgent, limit: limit}
}
