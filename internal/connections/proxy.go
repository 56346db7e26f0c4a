package connections

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/certtoken/certtoken/internal/redact"
)

// ProxyRefusal is a proxy's refusal to connect to a server (RFC 9110 §9.3.6). The server
// itself has seen nothing of the request.
type ProxyRefusal struct {
	Proxy      string // scheme and host, without user and password
	Server     string // host and port that it was asked to connect to
	StatusCode int
	Status     string // the code and the proxy's words
}

func (e *ProxyRefusal) Error() string {
	return fmt.Sprintf("the proxy %s refused to connect to %s: %s; %s", e.Proxy, e.Server, e.Status, e.Advice())
}

// Advice is the end of the error's text, for programs that show it apart.
func (e *ProxyRefusal) Advice() string { return proxyAdvice(e.StatusCode) }

// proxyAdvice says what to do about a proxy's answer to CONNECT.
func proxyAdvice(status int) string {
	const where = " (HTTPS_PROXY, or the transport of WithHTTPClient)"
	switch {
	case status == http.StatusProxyAuthRequired:
		return "it wants a user and password: put them into the proxy's URL" + where
	case status >= 500:
		return "it can't reach the server, or is out of order: ask who runs it, or try without it (NO_PROXY)"
	}
	return "have it allow this server, go around it (NO_PROXY), or name another proxy" + where
}

// answerOfProxy is a transport's OnProxyConnectResponse.
type answerOfProxy = func(context.Context, *url.URL, *http.Request, *http.Response) error

// reportRefusal makes a proxy's refusal an error that names the proxy. net/http's own is
// the status text alone, such as "Forbidden", which reads as if the server had said it.
func reportRefusal(first answerOfProxy) answerOfProxy {
	return func(ctx context.Context, proxy *url.URL, req *http.Request, resp *http.Response) error {
		if first != nil {
			if err := first(ctx, proxy, req, resp); err != nil {
				return err
			}
		}
		if resp.StatusCode == http.StatusOK {
			return nil
		}
		return &ProxyRefusal{
			Proxy: proxyName(proxy), Server: redact.Short(req.Host),
			StatusCode: resp.StatusCode, Status: redact.Short(resp.Status),
		}
	}
}

// proxyName names a proxy without its user and password.
func proxyName(proxy *url.URL) string {
	return redact.Short((&url.URL{Scheme: proxy.Scheme, Host: proxy.Host}).String())
}

// proxyOf returns the proxy through which a transport sends requests to a URL, or nil.
func proxyOf(transport *http.Transport, to *url.URL) *url.URL {
	if transport.Proxy == nil {
		return nil
	}
	proxy, err := transport.Proxy(&http.Request{Method: http.MethodPost, URL: to, Header: make(http.Header)})
	if err != nil {
		return nil
	}
	return proxy
}

// refusedBy makes of an error of net/http the refusal that it stands for. A user's
// transport reports the refusal of its proxy by the status text alone.
func refusedBy(proxy *url.URL, server *url.URL, err error) (*ProxyRefusal, bool) {
	for next := errors.Unwrap(err); next != nil; next = errors.Unwrap(err) {
		err = next
	}
	for _, status := range []int{400, 401, 403, 404, 405, 407, 429, 500, 501, 502, 503, 504} {
		if server.Scheme == "https" && err.Error() == http.StatusText(status) {
			text := fmt.Sprintf("%d %s", status, http.StatusText(status))
			return &ProxyRefusal{
				Proxy: proxyName(proxy), Server: redact.Short(server.Host), StatusCode: status, Status: text,
			}, true
		}
	}
	return nil, false
}
