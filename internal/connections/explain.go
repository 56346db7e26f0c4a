package connections

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/certtoken/certtoken/internal/redact"
)

// Fixed is a RoundTripper of this library for whose settings there is no option, so that
// no advice about WithHTTPClient fits it.
type Fixed interface{ IsFixed() }

// Explain adds to the error of a request what to do about it, where the error alone
// doesn't say. The request went over a RoundTripper, nil for http.DefaultTransport, to a
// server. The result wraps err, and is err for a [Fixed] RoundTripper.
func Explain(over http.RoundTripper, server *url.URL, err error) error {
	return explain(over, server, err, false)
}

// ExplainBody is Explain for an error of reading the answer: by then the server has accepted
// what it was shown in the TLS handshake.
func ExplainBody(over http.RoundTripper, server *url.URL, err error) error {
	return explain(over, server, err, true)
}

func explain(over http.RoundTripper, server *url.URL, err error, answered bool) error {
	if over == nil {
		over = http.DefaultTransport
	} else if _, ok := over.(Fixed); ok {
		return err
	}
	transport, _ := over.(*http.Transport)
	advice := distrusted(server, err)
	if advice == "" && EndedHandshake(err) {
		advice = refusedHandshake(transport)
	}
	if advice == "" && transport != nil {
		advice = throughProxy(transport, server, err)
	}
	if advice == "" && !answered && presents(transport) && isCut(err) {
		advice = "the connection broke before an answer: if that goes on, the server may not accept the certificate " +
			"that this client presented in the TLS handshake: " + acceptance
	}
	if advice == "" && errors.Is(err, context.DeadlineExceeded) {
		advice = silence(transport)
	}
	if advice == "" {
		return err
	}
	return &explained{err, advice}
}

// explained is an error with advice.
type explained struct {
	err    error
	advice string
}

func (e *explained) Error() string { return e.err.Error() + "; " + e.advice }
func (e *explained) Unwrap() error { return e.err }

// Advice is the end of the error's text, for programs that show it apart.
func (e *explained) Advice() string { return e.advice }

// distrusted is the advice for a certificate whose issuer this machine doesn't trust.
func distrusted(server *url.URL, err error) string {
	var unknown x509.UnknownAuthorityError
	if !errors.As(err, &unknown) {
		return ""
	}
	leaf := unknown.Cert
	if leaf == nil {
		var verification *tls.CertificateVerificationError
		if !errors.As(err, &verification) || len(verification.UnverifiedCertificates) == 0 {
			return ""
		}
		leaf = verification.UnverifiedCertificates[0]
	}
	return fmt.Sprintf("the certificate that %s showed was issued by %q, which this machine doesn't trust: "+
		"if a proxy of your organisation opens TLS connections, or the server has a CA of its own, "+
		"add the root certificate of that CA to those of the system or to RootCAs in the transport of WithHTTPClient; "+
		"otherwise somebody else may have answered",
		redact.Short(server.Host), redact.Short(leaf.Issuer.String()))
}

// EndedHandshake reports whether the other end has ended the TLS connection by an alert
// (RFC 8446 §6), or before HTTP/2 could begin. The type of crypto/tls has no name outside.
func EndedHandshake(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error" || strings.Contains(err.Error(), notEstablished)
}

// notEstablished is what net/http says of a connection that ended before its first request
// of HTTP/2, and the alert is lost. Over TLS 1.3 a server reads the client's certificate when
// the client has ended its own part of the handshake already.
const notEstablished = "http2: client conn could not be established"

// isCut reports whether the connection ended without a word. A server that refuses a
// certificate over TLS 1.3 may have closed it before its alert could be read.
func isCut(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &op) && (op.Op == "read" || op.Op == "write") && !op.Timeout()
}

// refusedHandshake is the advice for a TLS alert of the server. What the client presents
// is the usual cause, whatever the alert's name is: servers choose it differently.
func refusedHandshake(transport *http.Transport) string {
	if presents(transport) {
		return "the server ended the TLS handshake, in which this client presented its certificate: " + acceptance
	}
	return "the server ended the TLS handshake: does it want a client's certificate (WithTLSClientAuth presents one), " +
		"or another version of TLS?"
}

// acceptance is what a server may want of the certificate in a handshake.
const acceptance = "register the certificate there or have the server trust its issuer, and see that it is within its " +
	"validity and, if it names extended key usages, allows client authentication"

// presents reports whether a transport presents a certificate where a server asks for one.
func presents(transport *http.Transport) bool {
	if transport == nil || transport.TLSClientConfig == nil {
		return false
	}
	config := transport.TLSClientConfig
	return config.GetClientCertificate != nil || len(config.Certificates) > 0
}

// throughProxy is the advice for a request that failed on its way through a proxy.
func throughProxy(transport *http.Transport, server *url.URL, err error) string {
	var refusal *ProxyRefusal
	if errors.As(err, &refusal) {
		return "" // which says it all
	}
	proxy := proxyOf(transport, server)
	if proxy == nil {
		return ""
	}
	if refusal, ok := refusedBy(proxy, server, err); ok {
		return refusal.Error()
	}
	return fmt.Sprintf("the request went through the proxy %s (HTTPS_PROXY, or the transport of WithHTTPClient): "+
		"is it the right one, and does it let this server through?", proxyName(proxy))
}

// silence is the advice for a request that got no answer in time, over a transport that
// doesn't find dead connections.
func silence(transport *http.Transport) string {
	if transport != nil && transport.HTTP2 != nil && transport.HTTP2.SendPingTimeout > 0 {
		return ""
	}
	return "if it goes on, the connection may have died without a word: over HTTP/2 the transport of WithHTTPClient " +
		"finds that out only with SendPingTimeout in its HTTP2Config (docs/performance.md)"
}
