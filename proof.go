package certtoken

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/certtoken/certtoken/internal/claims"
	"github.com/certtoken/certtoken/internal/dpop"
	"github.com/certtoken/certtoken/internal/redact"
	"github.com/certtoken/certtoken/internal/syntax"
)

// Proof makes the value of the header DPoP for one HTTP request with a token of a client
// with [WithDPoP] (RFC 9449 §7). It is for programs that don't use a [Transport]. Such a
// request also has the header Authorization, with the value "DPoP " and the access token.
// Method and URL must be those of the request; query and fragment of the URL don't count.
// Each proof is good for one request: make another for a repetition. The URL must be https.
// Give every answer to [Client.NoteNonce]. Proof does no I/O.
func (c *Client) Proof(t *Token, method, rawURL string) (string, error) {
	if c.own == nil {
		return "", errNotMade
	}
	if c.prover == nil {
		return "", public(errors.New("the client has no key for proofs: make its Authority with WithDPoP"))
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return "", public(errors.New("the URL can't be read"))
	}
	if err := checkScheme(u, c.authority.loopbackHTTP); err != nil {
		return "", public(err)
	}
	what, err := ofToken(t, method, u, "")
	if err != nil {
		return "", public(err)
	}
	made, err := c.prover.prove(context.Background(), what)
	return made.text, public(err)
}

// NoteNonce keeps the nonce that an answer brought, in the header DPoP-Nonce, for the next
// [Client.Proof] for the same host, and reports whether the answer is a 401 that asks for
// it (RFC 9449 §9). Then make a new proof and repeat the request once. A [Transport] does
// both by itself. It reads the answer's status and header only, and doesn't close
// the body.
func (c *Client) NoteNonce(resp *http.Response) (again bool) {
	if c.own == nil || c.prover == nil || resp == nil || resp.Request == nil || resp.Request.URL == nil {
		return false
	}
	u := resp.Request.URL
	sent := madeProof{origin: syntax.Origin(u), nonce: c.prover.nonces.Of(syntax.Origin(u))}
	c.prover.note(u, resp.Header)
	return asksForNonce(resp) && c.prover.hasNewer(sent)
}

// asksForNonce reports whether an answer refuses a proof because of its nonce.
func asksForNonce(resp *http.Response) bool {
	return resp.StatusCode == http.StatusUnauthorized &&
		claims.Read(resp.Header.Values("WWW-Authenticate"), dpop.Scheme).UseNonce
}

// checkScheme refuses a URL to which no token and no proof may be sent.
func checkScheme(u *url.URL, loopbackHTTP bool) error {
	if u.Scheme == "https" || u.Scheme == "http" && loopbackHTTP && syntax.IsLoopback(u.Hostname()) {
		return nil
	}
	return fmt.Errorf("the token is sent over https only, not to %s://%s", redact.Short(u.Scheme), redact.Short(u.Host))
}
