package certtoken

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/certtoken/certtoken/internal/mtls"
	"github.com/certtoken/certtoken/internal/regularfile"
	"github.com/certtoken/certtoken/internal/workers"
)

// maxAssertion bounds an assertion from elsewhere, which is a few kilobytes.
const maxAssertion = 64 << 10

// AssertionSource supplies client assertions that somebody else signs: a
// Kubernetes cluster, a CI system, another identity (federated credentials).
//
// audience is what the assertion's aud must be: that of [WithAudience] if it is given,
// api://AzureADTokenExchange for Entra ID, and the issuer elsewhere. Other clouds of
// Entra ID have an audience of their own; those of Bleu, Delos and GovSG aren't known, so
// [WithAudience] must name them. A source whose audience is fixed ignores it.
//
// The source is asked once for each attempt of a token request, from many goroutines, and
// does its own caching. The context ends with the request. When the token endpoint refuses the
// client (invalid_client), the source is asked again, once, and the request is repeated
// if that gives another assertion.
type AssertionSource interface {
	Assertion(ctx context.Context, audience string) (string, error)
}

// AssertionSourceFunc makes an [AssertionSource] of a function.
type AssertionSourceFunc func(ctx context.Context, audience string) (string, error)

// Assertion calls f.
func (f AssertionSourceFunc) Assertion(ctx context.Context, audience string) (string, error) {
	return f(ctx, audience)
}

var (
	_ AssertionSource = AssertionSourceFunc(nil)
	_ AssertionSource = (*assertionFile)(nil)
	_ AssertionSource = (*clientAssertions)(nil)
)

// NewFederatedClient makes a client that has no certificate: its assertions come
// from elsewhere. Everything else is as with [NewClient]; what an [Authority]
// says about signing is not used.
func NewFederatedClient(authority Authority, clientID string, source AssertionSource, opts ...Option) (*Client, error) {
	var missing error
	if source == nil {
		missing = errors.New("no assertion source: give AssertionFile or a source of your own")
	} else if file, ok := source.(*assertionFile); ok && file.path == "" {
		missing = errors.New("AssertionFile: no path given")
	}
	if authority.presents() {
		missing = errors.Join(missing, errors.New("a federated client has no certificate to present in TLS"))
	}
	return newClient(authority, clientID, missing, func(c *Client) credential {
		return &federatedCredential{source: source}
	}, opts)
}

// federatedCredential proves by assertions from elsewhere.
type federatedCredential struct {
	source AssertionSource
}

// refresher is a source that caches its assertion. refresh is called when the endpoint
// refused it.
type refresher interface {
	refresh(ctx context.Context, refused string)
}

func (k *federatedCredential) obtain(ctx context.Context, authority Authority) (proof, error) {
	return k.fetch(ctx, authority.federatedAudience())
}

// prove returns what was obtained: the assertion from elsewhere is the proof.
func (k *federatedCredential) prove(_ context.Context, _ Authority, obtained proof) (proof, error) {
	return obtained, nil
}

func (k *federatedCredential) fetch(ctx context.Context, audience string) (proof, error) {
	if _, isFile := k.source.(*assertionFile); audience == "" && !isFile {
		return proof{}, errors.New("the audience of this cloud's federated credentials is not known: " +
			"give it by WithAudience")
	}
	leave := workers.Enter(ctx, partAssertionSource)
	assertion, err := k.source.Assertion(ctx, audience)
	leave()
	if err != nil {
		return proof{}, ofSource("assertion source", err)
	}
	if err := checkAssertion(assertion); err != nil {
		return proof{}, fmt.Errorf("assertion source: %w", err)
	}
	return proof{assertion: assertion, audience: audience}, nil
}

func (k *federatedCredential) replace(ctx context.Context, _ Authority, refused proof, _ *TokenError) (proof, bool) {
	if source, ok := k.source.(refresher); ok {
		leave := workers.Enter(ctx, partAssertionSource)
		source.refresh(ctx, refused.assertion)
		leave()
	}
	p, err := k.fetch(ctx, refused.audience)
	return p, err == nil && p.assertion != refused.assertion
}

// The other methods do nothing, because an assertion from elsewhere has no times and no
// certificate that the client could change.
func (k *federatedCredential) followClock(Authority, proof, *TokenError) bool { return false }
func (k *federatedCredential) granted(context.Context, proof)                 {}
func (k *federatedCredential) name() string                                   { return "" }
func (k *federatedCredential) binding(context.Context) (*mtls.Binding, error) { return nil, nil }

// checkAssertion reports whether a text is shaped like a signed JWT: three parts
// in base64url, the first of them a JSON object that names its algorithm (RFC
// 7515 §4.1.1). Its errors don't repeat it.
func checkAssertion(assertion string) error {
	switch {
	case assertion == "":
		return errors.New("the assertion is empty")
	case len(assertion) > maxAssertion:
		return fmt.Errorf("the assertion has more than %d bytes", maxAssertion)
	}
	parts := strings.Split(assertion, ".")
	hasParts := len(parts) == 3 && !slices.Contains(parts, "") && !slices.ContainsFunc(parts, isNotBase64URL)
	if !hasParts || !isHeader(parts[0]) {
		return errors.New("the assertion is not a JWT: three parts in base64url, with dots between them")
	}
	return nil
}

func isHeader(part string) bool {
	data, err := base64.RawURLEncoding.DecodeString(part)
	var header struct {
		Algorithm *string `json:"alg"`
	}
	if err != nil || json.Unmarshal(data, &header) != nil || header.Algorithm == nil {
		return false
	}
	return strings.HasPrefix(part, "ey")
}

func isNotBase64URL(part string) bool {
	return strings.ContainsFunc(part, func(r rune) bool {
		return !(r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	})
}

// AssertionFile is a source that reads its assertion from a file whenever it is
// asked. It is for a token that Kubernetes projects into a pod and replaces before it
// ends. The path must name a regular file, or a link to one. Errors name the file and
// what is wrong with it, never its content. A file of more than 64 KiB is an error, and
// so is a file system that doesn't answer within 5 s. It may be used from many goroutines.
func AssertionFile(path string) AssertionSource { return &assertionFile{path: path} }

type assertionFile struct {
	path  string
	files regularfile.Reader
}

// String names the source by its path.
func (f *assertionFile) String() string { return "certtoken.AssertionFile(" + f.path + ")" }

func (f *assertionFile) Assertion(ctx context.Context, _ string) (string, error) {
	assertion, err := f.read(ctx)
	return assertion, public(err)
}

func (f *assertionFile) read(ctx context.Context) (string, error) {
	data, err := f.files.Read(ctx, f.path, maxAssertion)
	switch {
	case errors.Is(err, regularfile.ErrTooLarge):
		return "", fmt.Errorf("assertion file %s: it has over %d bytes", f.path, maxAssertion)
	case err != nil:
		return "", fmt.Errorf("assertion file: %w", err)
	}
	assertion := string(bytes.TrimSpace(data))
	if err := checkAssertion(assertion); err != nil {
		return "", fmt.Errorf("assertion file %s: %w", f.path, err)
	}
	return assertion, nil
}

// AssertionSource returns a source whose assertions are this client's tokens. It is for
// another client, whose server trusts the tokens of this one. Without scopes
// it asks for the cloud's exchange audience, api://AzureADTokenExchange/.default.
// Tokens are cached as usual, and one that is refused is renewed. It may be used from
// many goroutines.
//
// By its documentation Entra ID takes tokens of its own as assertions only if a managed
// identity got them, and refuses those of an app with a certificate (AADSTS700222,
// 700226). So this is for other servers, and for a client whose own assertions come from
// a managed identity.
func (c *Client) AssertionSource(scopes ...string) AssertionSource {
	if len(scopes) == 0 && c.authority.host != "" && c.authority.cloud.exchange != "" {
		scopes = []string{c.authority.cloud.exchange + "/.default"}
	}
	return &clientAssertions{client: c, scopes: slices.Clone(scopes)}
}

type clientAssertions struct {
	client *Client
	scopes []string
}

func (s *clientAssertions) Assertion(ctx context.Context, _ string) (string, error) {
	t, err := s.client.Token(ctx, s.scopes...)
	if err != nil {
		return "", err
	}
	return t.AccessToken(), nil
}

// refresh renews the token that was refused, at most once a minute.
func (s *clientAssertions) refresh(ctx context.Context, refused string) {
	t, err := s.client.Token(ctx, s.scopes...)
	if err == nil && t.AccessToken() == refused {
		_, _ = s.client.acquire(ctx, Request{Scopes: slices.Clone(s.scopes)}, t)
	}
}
