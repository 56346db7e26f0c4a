package main

import (
	"context"
	"errors"
	"net"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/internal/certfile"
)

// Exit statuses, for scripts to branch on. The reference has them in a table.
const (
	statusDone        = 0
	statusFailure     = 1 // for any other reason
	statusUsage       = 2
	statusCertificate = 3 // the certificate, its key or its password can't be used
	statusRefused     = 4 // the server has refused the request, and would refuse it again
	statusTemporary   = 5 // it may work later
	statusInterrupted = 130
)

// exitStatus is the exit status for an error.
func exitStatus(err error) int {
	var refused *certtoken.TokenError
	switch {
	case err == nil:
		return statusDone
	case errors.Is(err, failure.ErrInterrupted):
		return statusInterrupted
	case failure.IsUsage(err):
		return statusUsage
	case errors.As(err, &refused) && !refused.Temporary():
		return statusRefused
	case isTemporary(err):
		return statusTemporary
	case isAny(err, certificateErrors):
		return statusCertificate
	}
	return statusFailure
}

// certificateErrors say that the certificate can't be used as it is.
var certificateErrors = []error{
	certtoken.ErrWrongPassword, certtoken.ErrPasswordRequired, certtoken.ErrNoPrivateKey, certtoken.ErrNoCertificate,
	certtoken.ErrKeyMismatch, certtoken.ErrNotRSA, certtoken.ErrKeySize, certtoken.ErrSeveralKeys,
	certtoken.ErrUnsupported, certtoken.ErrFormat, certtoken.ErrTooLarge, certtoken.ErrExpired,
	certtoken.ErrNotYetValid, certfile.ErrSeveralCertificates,
}

func isAny(err error, targets []error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

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
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return !dns.IsNotFound // a host that doesn't exist is a mistake in its name
	}
	var connection *net.OpError
	// By "remote error" crypto/tls means that the server has refused the handshake.
	return errors.As(err, &connection) && connection.Op != "remote error"
}
