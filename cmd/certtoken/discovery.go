package main

import (
	"context"
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
	default:
		err = failure.Errorf("--authority %s: %w", d.issuer, failure.Clean(err))
	}
	return certtoken.Authority{}, err
}
