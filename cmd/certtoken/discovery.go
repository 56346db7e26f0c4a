package main

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
)

// discovery asks for the metadata of an issuer.
type discovery struct {
	issuer  string
	client  *http.Client
	options []certtoken.AuthorityOption
}

// find asks for the metadata and makes the authority of what they name.
func (d *discovery) find(ctx context.Context) (certtoken.Authority, error) {
	authority, err := certtoken.Discover(ctx, d.issuer, append(d.options, certtoken.WithDiscoveryClient(d.client))...)
	switch {
	case err == nil:
		return authority, nil
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case isUnreachable(err): // then it is so for every place at that host
		first, _ := headline(err)
		err = failure.Errorf("--authority %s: %w", d.issuer, &shortened{first, err})
	default:
		err = failure.Errorf("--authority %s: no metadata of the server name a token endpoint\n%w",
			d.issuer, failure.Clean(err)).
			Advise("Give the issuer exactly as the server's documentation writes it. If the server publishes",
				"no metadata, give its token endpoint too: --token-url URL.")
	}
	return certtoken.Authority{}, err
}

// isUnreachable reports whether a host doesn't exist or can't be connected to.
func isUnreachable(err error) bool {
	var dns *net.DNSError
	var connection *net.OpError
	return errors.As(err, &dns) || errors.As(err, &connection)
}

// shortened is an error with another text.
type shortened struct {
	text string
	err  error
}

func (e *shortened) Error() string { return e.text }

func (e *shortened) Unwrap() error { return e.err }
