// Package inside shows package rotate what a client keeps to itself: which file it follows,
// with which password, and what the client would be with another certificate. Nobody outside
// of this module can import it, so no password leaves the client for users.
//
// Package certtoken sets the two functions. They take and return its types as any, because
// this package can't import it.
package inside

import "time"

// Client is what a client is made of.
type Client struct {
	Source    any      // its certtoken.CertSource; nil for a federated client
	ID        string   // its client id
	Scopes    []string // that certtoken.Client.Check asks for
	GrantOnly bool     // it proves itself by nothing, and only a grant gets a token

	// Ahead is how far the token endpoint's clock is ahead of this machine's, by its last answer.
	Ahead func() time.Duration

	// Twin makes a *certtoken.Client that differs in the source alone. It has a cache of its
	// own, no shared store and no hooks, so that each of its tokens was granted by the server
	// for the certificate of the source.
	Twin func(source any) (any, error)
}

// File is what a *certtoken.FileSource follows.
type File struct {
	Path       string
	KeyFile    string // of certtoken.WithKeyFile
	Thumbprint string // of certtoken.WithThumbprint
	BareKey    bool   // it is made by certtoken.KeyFile
	Password   func() (password string, given bool)

	// Granted returns the SHA-256 of the newest pair that was found in the files, and reports
	// whether a token was granted for it since then.
	Granted func() (sum [32]byte, granted bool)
}

var (
	// ClientOf is for a *certtoken.Client.
	ClientOf func(client any) Client

	// FileOf is for a certtoken.CertSource. ok is false if that isn't a *certtoken.FileSource.
	FileOf func(source any) (file File, ok bool)
)
