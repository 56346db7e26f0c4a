package main

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/ext/tpm"
	"github.com/certtoken/certtoken/internal/certfile"
	"github.com/certtoken/certtoken/internal/connections"
	"github.com/certtoken/certtoken/internal/exchange"
	"github.com/certtoken/certtoken/internal/jwk"
	"github.com/certtoken/certtoken/internal/jws"
	"github.com/certtoken/certtoken/internal/syntax"
)

// Exit statuses, for scripts to branch on. The reference has them in a table.
const (
	statusDone        = 0
	statusFailure     = 1 // for any other reason
	statusUsage       = 2
	statusCertificate = 3 // the certificate, its key or its password can't be used
	statusRefused     = 4 // the server has refused the request, and would refuse it again
	statusTemporary   = 5 // it may work later
	statusWarning     = 6 // nothing failed, and something should be done
	statusInterrupted = 130
)

// exitStatus is the exit status for an error.
func exitStatus(err error) int {
	var refused *certtoken.TokenError
	switch {
	case err == nil:
		return statusDone
	case errors.Is(err, errWarnings), errors.Is(err, errAttention):
		return statusWarning
	case errors.Is(err, failure.ErrInterrupted):
		return statusInterrupted
	case failure.IsUsage(err):
		return statusUsage
	case errors.As(err, &refused) && !refused.Temporary():
		return statusRefused
	case isTemporary(err):
		return statusTemporary
	case failure.IsAny(err, certificateErrors):
		return statusCertificate
	}
	return statusFailure
}

// errAttention says that something should be done about a rotation, which is printed.
var errAttention = errors.New("the rotation needs attention")

// certificateErrors say that the certificate can't be used as it is.
var certificateErrors = []error{
	certtoken.ErrWrongPassword, certtoken.ErrPasswordRequired, certtoken.ErrNoPrivateKey, certtoken.ErrNoCertificate,
	certtoken.ErrKeyMismatch, certtoken.ErrNotRSA, certtoken.ErrKeySize, certtoken.ErrSeveralKeys,
	certtoken.ErrUnsupported, certtoken.ErrFormat, certtoken.ErrTooLarge, certtoken.ErrExpired,
	certtoken.ErrNotYetValid, certfile.ErrSeveralCertificates,
	jwk.ErrFormat, jwk.ErrNoPrivate, jwk.ErrMismatch, jwk.ErrUnsupported, jwk.ErrTooLarge,
	jws.ErrNoKey, jws.ErrKeyType, jws.ErrKeySize, errNoKeys, errNotSigning, errX5C,
	tpm.ErrNoTPM, tpm.ErrOtherTPM, tpm.ErrPasswordRefused, tpm.ErrLockedOut, tpm.ErrPolicy,
}

// errWarnings means that nothing has failed and something should be done.
var errWarnings = errors.New("nothing failed")

// isTemporary reports whether the same command may work later: the server said
// so, or there was no connection or no answer in time.
func isTemporary(err error) bool {
	var refused *certtoken.TokenError
	if errors.As(err, &refused) {
		return refused.Temporary()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	var proxy *connections.ProxyRefusal
	if errors.As(err, &proxy) {
		return exchange.IsTemporary(proxy.StatusCode)
	}
	var dns *net.DNSError
	if errors.As(err, &dns) {
		// A host that doesn't exist is a mistake in its name, unless everybody knows that it does.
		return !dns.IsNotFound || syntax.EntraHost(strings.TrimSuffix(dns.Name, ".")) != ""
	}
	var discovery interface{ IsTemporary() bool }
	if errors.As(err, &discovery) && discovery.IsTemporary() {
		return true
	}
	var connection *net.OpError
	return errors.As(err, &connection) && !connections.EndedHandshake(err)
}
