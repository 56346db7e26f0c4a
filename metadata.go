package certtoken

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/certtoken/certtoken/internal/redact"
	"github.com/certtoken/certtoken/internal/syntax"
)

// metadata is the part of an authorization server's metadata that is used (RFC 8414 §2).
type metadata struct {
	Issuer        string `json:"issuer"`
	TokenEndpoint string `json:"token_endpoint"`
	Methods       names  `json:"token_endpoint_auth_methods_supported"`
	Algorithms    names  `json:"token_endpoint_auth_signing_alg_values_supported"`
	ProofAlgs     names  `json:"dpop_signing_alg_values_supported"` // RFC 9449 §5.1
	Aliases       struct {
		TokenEndpoint string `json:"token_endpoint"`
	} `json:"mtls_endpoint_aliases"` // RFC 8705 §5

	smart bool // it is a SMART configuration, in which the issuer may be missing
}

// names is a list of names. Some servers write one name alone, without a list.
type names []string

// UnmarshalJSON reads a list or a text. Anything else is as if there were no list, because
// the server can be asked without it.
func (n *names) UnmarshalJSON(data []byte) error {
	var list []json.RawMessage
	if json.Unmarshal(data, &list) != nil {
		list = []json.RawMessage{data}
	}
	for _, element := range list {
		var text string
		if json.Unmarshal(element, &text) == nil {
			*n = append(*n, strings.Fields(text)...)
		}
	}
	return nil
}

// decodeMetadata reads an object, with or without the mark by which some programs begin
// UTF-8. A field of a type that it should not have counts as absent: some servers write
// an empty list where an object without fields is meant.
func decodeMetadata(body []byte) (metadata, error) {
	var meta metadata
	err := json.Unmarshal(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), &meta)
	var field *json.UnmarshalTypeError
	if err != nil && (!errors.As(err, &field) || field.Field == "") {
		return metadata{}, errNoMetadata
	}
	return meta, nil
}

// check reports why the metadata aren't those of the issuer that was asked, or can't be used.
func (m metadata) check(issuer string, given Authority) error {
	if m.Issuer != issuer && !m.smart {
		what := fmt.Sprintf("it is of issuer %q, not of %q", redact.Short(m.Issuer), redact.Short(issuer))
		return &unfit{what, m.otherIssuer(issuer)}
	}
	if m.TokenEndpoint == "" {
		return &unfit{"it names no token endpoint", "if the server has one, give the token endpoint to Issuer"}
	}
	for _, endpoint := range []string{m.TokenEndpoint, m.Aliases.TokenEndpoint} {
		if endpoint == "" { // the alias
			continue
		}
		if err := syntax.CheckEndpoint("token endpoint", endpoint, given.loopbackHTTP); err != nil {
			return &unfit{"its " + err.Error(), "the server must name its public address; " +
				"where it can't, give the token endpoint to Issuer"}
		}
	}
	return m.checkMethods(given)
}

// otherIssuer is what to do about metadata of another issuer than the one that was asked.
func (m metadata) otherIssuer(asked string) string {
	named, err := url.Parse(m.Issuer)
	given, givenErr := url.Parse(asked)
	switch {
	case m.Issuer == "" || err != nil || givenErr != nil:
		return "an answer without an issuer is of no server: is it the right address?"
	case named.Scheme == "http" && given.Scheme == "https":
		return "the server doesn't know that it is reached by https: set its public address there " +
			"(behind a proxy, have it read the forwarded headers)"
	case syntax.Origin(named) == syntax.Origin(given) &&
		strings.TrimRight(named.EscapedPath(), "/") == strings.TrimRight(given.EscapedPath(), "/"):
		return "the two must be the same to the letter: give Discover the issuer as the server writes it"
	}
	return "if that is the server that you mean, give Issuer the issuer that it names, and its token endpoint"
}

// dialect is the dialect of assertions that the metadata ask for.
func (m metadata) dialect() []AuthorityOption {
	opts := []AuthorityOption{
		func(a *Authority) { a.algorithms.setList(m.Algorithms) },
		func(a *Authority) { a.proofAlgs = m.ProofAlgs },
	}
	if m.smart { // SMART App Launch, "Asymmetric authentication"
		opts = append(opts, WithAudience(m.TokenEndpoint), WithAssertionType("JWT"),
			func(a *Authority) { a.algorithms.forRSA = RS384 })
	}
	return opts
}

// checkMethods refuses a server that lists how clients may prove themselves (RFC 8414
// §2) if the list has no method of this package. A server that lists nothing may take it.
// Where a grant's assertion is the only proof, there is no method: Google lists secrets alone.
func (m metadata) checkMethods(given Authority) error {
	ours, what := []string{"private_key_jwt", "spiffe_jwt"}, "WithTLSClientAuth"
	if given.grantOnly {
		return nil
	}
	if given.tlsAuth {
		ours = []string{"tls_client_auth", "self_signed_tls_client_auth"}
		what = "an assertion, without WithTLSClientAuth"
	}
	listed := func(name string) bool { return slices.Contains(m.Methods, name) }
	if len(m.Methods) == 0 || slices.ContainsFunc(ours, listed) {
		return nil
	}
	list := redact.Text(strings.Join(m.Methods, ", "), 4*redact.MaxShort)
	return &unfit{
		fmt.Sprintf("it takes clients by %s, and not by %s", list, ours[0]),
		fmt.Sprintf("try %s where that is listed; where the list is wrong, give the token endpoint to Issuer", what),
	}
}
