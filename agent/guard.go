package agent

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/certtoken/certtoken/internal/syntax"
)

// proxyHeaders are added by what passes requests on from elsewhere.
var proxyHeaders = []string{
	"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip",
}

// guard refuses what no program of this machine sends: requests from other machines,
// from web pages, and through a proxy. Its error says why.
func guard(r *http.Request, c *connection) error {
	if !c.unix && !betweenLoopbacks(r) {
		return errors.New("the request doesn't come from this machine over a loopback address")
	}
	if !isOwnHost(r, c) {
		return errors.New("the Host header is not this agent's address: the request may be a web page's (DNS rebinding)")
	}
	for name := range r.Header {
		if name == "Origin" || isFetch(r.Header, name) || strings.HasPrefix(name, "Access-Control-") {
			return errors.New("the request is a web page's (" + name + ")")
		}
	}
	for _, name := range proxyHeaders {
		if _, ok := r.Header[name]; ok {
			return errors.New("the request came through a proxy (" + name + ")")
		}
	}
	return nil
}

// isFetch reports whether a header is one by which browsers say why they send a request.
// Node.js sends one of them too, Sec-Fetch-Mode: cors. A browser that sends that always
// sends Sec-Fetch-Site as well, and Origin, which no page can keep it from.
func isFetch(header http.Header, name string) bool {
	if name == "Sec-Fetch-Mode" {
		return header.Get(name) != "cors"
	}
	return strings.HasPrefix(name, "Sec-Fetch-")
}

// betweenLoopbacks reports whether both ends of the connection are loopback addresses.
func betweenLoopbacks(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok || !isLoopback(local.String()) {
		return false
	}
	return isLoopback(r.RemoteAddr)
}

func isLoopback(address string) bool {
	at, err := netip.ParseAddrPort(address)
	return err == nil && at.Addr().Unmap().IsLoopback()
}

// isOwnHost reports whether the Host header names this machine's loopback, with the
// port that the agent listens on. A page of another site has the site's name there,
// also when that name leads to 127.0.0.1. Some clients leave the port out (Perl's
// Net::OAuth2), which no browser does.
func isOwnHost(r *http.Request, c *connection) bool {
	host, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		host, port = strings.TrimSuffix(strings.TrimPrefix(r.Host, "["), "]"), ""
	}
	if strings.Contains(host, "%") || !syntax.IsLoopback(host) {
		return false
	}
	if c.unix {
		return true
	}
	_, own, err := net.SplitHostPort(r.Context().Value(http.LocalAddrContextKey).(net.Addr).String())
	return err == nil && (port == "" || port == own)
}
