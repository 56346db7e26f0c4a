package certtoken

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/certtoken/certtoken/internal/mtls"
	"github.com/certtoken/certtoken/internal/redact"
	"github.com/certtoken/certtoken/internal/regularfile"
	"github.com/certtoken/certtoken/internal/syntax"
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
//
// A source whose assertions aren't plain JWTs (RFC 7523) also has the method
// AssertionType() string. It returns the client_assertion_type as a URI, such as
// urn:ietf:params:oauth:client-assertion-type:jwt-spiffe, which is for a JWT-SVID.
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
	_ typed           = (*clientAssertions)(nil)
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
	if authority.grantOnly {
		missing = errors.Join(missing, errors.New("a federated client proves itself by its assertions: "+
			"leave WithoutClientAuthentication out"))
	}
	missing = errors.Join(missing, checkBound(authority, source))
	if len(authority.assertion.Claims) > 0 {
		missing = errors.Join(missing, errors.New("WithAssertionClaims: a federated client signs no assertion"))
	}
	return newClient(authority, clientID, missing, func(c *Client) credential {
		return &federatedCredential{source: source, bindings: c.bindings}
	}, opts)
}

// federatedCredential proves by assertions from elsewhere.
type federatedCredential struct {
	source   AssertionSource
	bindings *mtls.Bindings // nil: the assertions are bound to no certificate
}

// boundSource is a source whose assertions are bound to a certificate, or nil. The client
// that sends one presents that certificate in TLS.
func boundSource(source AssertionSource) *clientAssertions {
	if s, ok := source.(*clientAssertions); ok && s.client.authority.pop {
		return s
	}
	return nil
}

// checkBound reports why an authority can't be asked with a source's assertions, as far as
// that is about certificates in TLS.
func checkBound(authority Authority, source AssertionSource) error {
	bound := boundSource(source) != nil
	switch {
	case bound && !authority.pop && !authority.tlsBearer:
		return errors.New("the assertions are tokens of WithMTLSPoP, which are bound to a certificate: give Entra ID's " +
			"authority WithMTLSPoP too, or WithMTLSBearer for tokens that are bound to nothing")
	case !bound && authority.presents():
		return errors.New("a federated client has no certificate to present in TLS, unless its assertions are those of " +
			"a client with WithMTLSPoP (Client.AssertionSource)")
	}
	return nil
}

// typed is a source whose assertions are of another type than a JWT's.
type typed interface {
	AssertionType() string
}

// maxAssertionType bounds the type of an assertion, in bytes.
const maxAssertionType = 256

// typeOf is the client_assertion_type of a source's assertions.
func typeOf(source AssertionSource) (string, error) {
	of, ok := source.(typed)
	if !ok {
		return assertionType, nil
	}
	name := of.AssertionType()
	if len(name) > maxAssertionType || !syntax.IsVisible(name) || !strings.Contains(name, ":") {
		return "", fmt.Errorf("its AssertionType %q is not a URI, such as %s", redact.Short(name), assertionType)
	}
	return name, nil
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

// signGrant reports that there is no key.
func (k *federatedCredential) signGrant(context.Context, Authority, proof, Assertion) (proof, error) {
	return proof{}, errors.New("a federated client has no key to sign the assertion of JWTBearer with: " +
		"give one that somebody else signed by BearerAssertion")
}

func (k *federatedCredential) fetch(ctx context.Context, audience string) (proof, error) {
	if _, isFile := k.source.(*assertionFile); audience == "" && !isFile {
		return proof{}, errors.New("the audience of this cloud's federated credentials is not known: " +
			"give it by WithAudience")
	}
	leave := workers.Enter(ctx, partAssertionSource)
	p, err := k.ask(ctx, audience)
	kind, kindErr := typeOf(k.source)
	leave()
	if err != nil {
		return proof{}, ofSource("assertion source", err)
	}
	if err := cmp.Or(kindErr, checkAssertion(p.assertion)); err != nil {
		return proof{}, fmt.Errorf("assertion source: %w", err)
	}
	p.kind, p.audience = kind, audience
	return p, nil
}

// ask asks the source for an assertion. One that is bound to a certificate comes with it, so
// that both belong together whatever the source does meanwhile.
func (k *federatedCredential) ask(ctx context.Context, audience string) (p proof, err error) {
	if k.bindings == nil {
		p.assertion, err = k.source.Assertion(ctx, audience)
		return p, err
	}
	t, err := boundSource(k.source).token(ctx)
	if err != nil {
		return p, err
	}
	p.assertion = t.secret().access
	p.binding, err = k.bindings.Bind(t.secret().user().binding.Pair())
	return p, err
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

// binding is that of the certificate which the assertion in use is bound to.
func (k *federatedCredential) binding(ctx context.Context) (*mtls.Binding, error) {
	if k.bindings == nil {
		return nil, nil
	}
	leave := workers.Enter(ctx, partAssertionSource)
	p, err := k.ask(ctx, "")
	leave()
	if err != nil {
		return nil, ofSource("assertion source", err)
	}
	return p.binding, nil
}

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
//
// The tokens of a client with [WithMTLSPoP] are bound to its certificate, and as assertions
// they have the type jwt-pop. The other client's authority, one of Entra ID, has WithMTLSPoP
// too, or [WithMTLSBearer]; it presents the certificate of each assertion by itself.
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
	if s.client.prover != nil {
		return "", errProofAsAssertion
	}
	t, err := s.token(ctx)
	if err != nil {
		return "", err
	}
	return t.AccessToken(), nil
}

func (s *clientAssertions) token(ctx context.Context) (*Token, error) {
	return s.client.Token(ctx, s.scopes...)
}

// AssertionType is that of the client's tokens.
func (s *clientAssertions) AssertionType() string {
	if s.client.authority.pop {
		return assertionTypePoP
	}
	return assertionType
}

// errProofAsAssertion: an assertion is sent alone.
var errProofAsAssertion = errors.New("a DPoP token can't be an assertion, because no proof goes with that: " +
	"make the client whose tokens are the assertions without WithDPoP")

// refresh renews the token that was refused, at most once a minute.
func (s *clientAssertions) refresh(ctx context.Context, refused string) {
	t, err := s.token(ctx)
	if err == nil && t.AccessToken() == refused {
		_, _ = s.client.acquire(ctx, Request{Scopes: slices.Clone(s.scopes), Refused: t})
	}
}
