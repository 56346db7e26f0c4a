// Package dpop makes and reads the proofs by which the holder of a key shows that an access
// token is bound to it (RFC 9449), and keeps the nonces that servers ask for in them. It
// knows neither tokens nor clients, and sends nothing.
//
//	dpop.go    the header fields, and the URL that a proof names
//	key.go     a key, and the proofs that it makes
//	read.go    a proof that somebody else made, and its signature
//	check.go   what a proof must say to be taken for a request
//	nonces.go  the newest nonce of each server
package dpop

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net"
	"net/url"
	"strings"
)

// Names and values of the standard.
const (
	Header      = "DPoP"       // of the request, with the proof (§4.1)
	NonceHeader = "DPoP-Nonce" // of the response (§8.2)
	Scheme      = "DPoP"       // of the header Authorization, and the token_type (§5, §7.1)

	UseNonce     = "use_dpop_nonce"     // the error that asks for a nonce (§8, §9)
	InvalidProof = "invalid_dpop_proof" // the error about a proof that isn't taken (§5)

	typ = "dpop+jwt" // of the proof's header (§4.2)
)

// Target is what the claim htu says of a request's URL: scheme, host and path (§4.2). The path
// is as it is sent, because some servers compare it byte by byte. host is the request's
// header Host where that isn't the URL's, or "".
func Target(u *url.URL, host string) (string, error) {
	if host == "" {
		host = u.Host
	}
	scheme := strings.ToLower(u.Scheme)
	if u.Opaque != "" || scheme == "" || host == "" {
		return "", errors.New("the URL has no scheme and host")
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	return scheme + "://" + withoutDefaultPort(scheme, strings.ToLower(host)) + path, nil
}

// withoutDefaultPort removes a port that the scheme has anyway (RFC 3986 §6.2.3).
func withoutDefaultPort(scheme, host string) string {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		return strings.TrimSuffix(host, ":")
	}
	if port != "" && port != map[string]string{"https": "443", "http": "80"}[scheme] {
		return host
	}
	if strings.Contains(name, ":") {
		return "[" + name + "]"
	}
	return name
}

// normalPath decodes escapes that a path doesn't need, and writes the others in upper case
// (RFC 3986 §6.2.2), as §4.3 advises servers to compare. It leaves dots alone.
func normalPath(path string) string {
	if !strings.Contains(path, "%") {
		return path
	}
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c != '%' || i+2 >= len(path) {
			b.WriteByte(c)
			continue
		}
		escape := strings.ToUpper(path[i : i+3])
		i += 2
		if c = unhex(escape[1])<<4 | unhex(escape[2]); isUnreserved(c) {
			b.WriteByte(c)
		} else {
			b.WriteString(escape)
		}
	}
	return b.String()
}

// unhex is the value of a digit that is known to be hexadecimal, in upper case.
func unhex(c byte) byte {
	if c >= 'A' {
		return c - 'A' + 10
	}
	return c - '0'
}

// isUnreserved reports whether a URL means the same with the character as with its escape
// (RFC 3986 §2.3).
func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// TokenHash is what the claim ath says of an access token (§4.2).
func TokenHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
