package main

import (
	"os"
	"time"

	"github.com/certtoken/certtoken/cmd/certtoken/internal/failure"
	"github.com/certtoken/certtoken/cmd/certtoken/internal/tokencache"
)

// cachedToken gets the token of a name from the user's cache, or fetches one and keeps
// it. A cache that can't be used is an error: it may be somebody else's doing.
func cachedToken(name string, fetch func() (*issuedToken, error)) (*issuedToken, error) {
	folder, err := tokencache.Open(tokencache.Rules{NoFollow: openNoFollow, Own: isOwnAlone, Modes: modesCount})
	if err != nil {
		return nil, failure.Errorf("--cache: %w", failure.File(err))
	}
	entry, err := folder.Get(name, os.Getppid(), time.Now())
	if err != nil {
		return nil, failure.Errorf("--cache: %w", failure.File(err))
	}
	if entry != nil {
		return &issuedToken{
			reveal: func() string { return entry.AccessToken },
			typ:    entry.TokenType, scopes: entry.Scopes, expiresAt: entry.ExpiresAt,
		}, nil
	}
	token, err := fetch()
	if err != nil || token.typ != bearer { // any other is bound to a key, and isn't kept
		return token, err
	}
	kept := tokencache.Entry{
		AccessToken: token.reveal(), TokenType: token.typ, Scopes: token.scopes, ExpiresAt: token.expiresAt,
	}
	if err := folder.Put(name, kept, os.Getppid(), time.Now()); err != nil {
		return nil, failure.Errorf("--cache: %w", failure.File(err))
	}
	return token, nil
}
