package certtoken

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/certtoken/certtoken/internal/exchange"
	"github.com/certtoken/certtoken/internal/redact"
	"github.com/certtoken/certtoken/internal/syntax"
)

// maxMetadataRedirects is how many redirects within the issuer's host are followed.
const maxMetadataRedirects = 3

// metadata is what we read of an authorization server's (RFC 8414 §2).
type metadata struct {
	Issuer        string   `json:"issuer"`
	TokenEndpoint string   `json:"token_endpoint"`
	Methods       []string `json:"token_endpoint_auth_methods_supported"`
	Algorithms    []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	Aliases       struct {
		TokenEndpoint string `json:"token_endpoint"`
	} `json:"mtls_endpoint_aliases"` // RFC 8705 §5
}

// Discover asks an authorization server for its metadata (RFC 8414, then OpenID
// Connect Discovery) and returns it as [Issuer] would. The issuer in them must
// be the given one to the letter, so that nobody else's token endpoint is
// taken; redirects to another host are not followed. The algorithm is RS256, or
// the first that the server names where it doesn't take that. A nil client is
// one like [NewClient]'s own. For Entra ID use [Entra], which asks nothing.
//
// Each of the two places may take 10 s and answer 1 MiB. The error says for both
// of them what was wrong: no connection, a status that isn't 200, no metadata,
// another issuer, a token endpoint that isn't https.
//
// It is asked once: keep the Authority, and make a new one to follow a change.
func Discover(ctx context.Context, issuer string, hc *http.Client, opts ...AuthorityOption) (Authority, error) {
	given := Authority{issuer: issuer}.finish(opts)
	if err := errors.Join(given.errs...); err != nil {
		return Authority{}, public(err)
	}
	places, err := metadataURLs(issuer, given.loopbackHTTP)
	if err != nil {
		return Authority{}, public(err)
	}
	client := metadataClient(hc)
	if hc == nil {
		defer client.CloseIdleConnections()
	}
	var errs []error
	for _, place := range places {
		meta, err := readMetadata(ctx, client, place)
		if err == nil {
			err = errors.Join(meta.check(issuer, given.loopbackHTTP), meta.checkMethods(given.tlsAuth))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("discovery: %s: %w", syntax.EndpointName(place), err))
			continue
		}
		a := Issuer(issuer, meta.TokenEndpoint, append([]AuthorityOption{WithAlgorithm(meta.algorithm())}, opts...)...)
		a.mtlsURL = meta.Aliases.TokenEndpoint
		return a, public(a.validate())
	}
	return Authority{}, public(errors.Join(errs...))
}

// metadataURLs are the places of RFC 8414 §3.1 and OpenID Connect Discovery §4.
func metadataURLs(issuer string, loopbackHTTP bool) ([]string, error) {
	if err := syntax.CheckEndpoint("issuer", issuer, loopbackHTTP); err != nil {
		return nil, err
	}
	u, err := url.Parse(issuer)
	if err != nil || u.RawQuery != "" || u.ForceQuery {
		return nil, fmt.Errorf("issuer %q must not have a query (RFC 8414 §2)", redact.Short(issuer))
	}
	origin, path := u.Scheme+"://"+u.Host, strings.TrimSuffix(u.EscapedPath(), "/")
	return []string{
		origin + "/.well-known/oauth-authorization-server" + path,
		origin + path + "/.well-known/openid-configuration",
	}, nil
}

// metadataClient follows redirects only where the issuer is still asked.
func metadataClient(user *http.Client) *http.Client {
	client := exchange.Own(user)
	client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		from := via[0].URL
		if req.URL.Scheme != from.Scheme || !strings.EqualFold(req.URL.Host, from.Host) {
			return fmt.Errorf("it redirects to %s, which is not the issuer's host", redact.Short(req.URL.Host))
		}
		if len(via) > maxMetadataRedirects {
			return errors.New("it redirects too often")
		}
		return nil
	}
	return client
}

func readMetadata(ctx context.Context, client *http.Client, place string) (metadata, error) {
	var meta metadata
	ctx, cancel := context.WithTimeoutCause(ctx, exchange.AttemptLimit, exchange.ErrAttemptLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, place, nil)
	if err != nil {
		return meta, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", userAgent(""))
	resp, err := client.Do(req)
	if err != nil {
		var urlErr *url.Error
		if errors.As(err, &urlErr) {
			err = urlErr.Err
		}
		return meta, redact.Error(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return meta, fmt.Errorf("it answered %d", resp.StatusCode)
	}
	body, err := exchange.ReadAll(resp.Body, exchange.MaxBody)
	if errors.Is(err, exchange.ErrTooLong) {
		return meta, fmt.Errorf("it is larger than %d bytes", exchange.MaxBody)
	} else if err != nil {
		return meta, redact.Error(err)
	}
	if json.Unmarshal(body, &meta) != nil {
		return meta, fmt.Errorf("it is not metadata (%s)", exchange.ContentType(resp))
	}
	return meta, nil
}

// check pins the metadata to the issuer that was asked for.
func (m metadata) check(issuer string, loopbackHTTP bool) error {
	if m.Issuer != issuer {
		return fmt.Errorf("it is of issuer %q, not of %q", redact.Short(m.Issuer), redact.Short(issuer))
	}
	if m.TokenEndpoint == "" {
		return errors.New("it names no token endpoint")
	}
	if err := syntax.CheckEndpoint("token endpoint", m.TokenEndpoint, loopbackHTTP); err != nil {
		return err
	}
	if m.Aliases.TokenEndpoint != "" {
		return syntax.CheckEndpoint("token endpoint", m.Aliases.TokenEndpoint, loopbackHTTP)
	}
	return nil
}

// checkMethods refuses a server that lists how clients may prove themselves (RFC
// 8414 §2) and lists none of our ways. One that lists nothing may take them.
func (m metadata) checkMethods(tls bool) error {
	ours, what := []string{"private_key_jwt", "spiffe_jwt"}, "WithTLSClientAuth"
	if tls {
		ours, what = []string{"tls_client_auth", "self_signed_tls_client_auth"}, "an assertion, without WithTLSClientAuth"
	}
	if len(m.Methods) == 0 || slices.ContainsFunc(ours, func(name string) bool { return slices.Contains(m.Methods, name) }) {
		return nil
	}
	listed := redact.Text(strings.Join(m.Methods, ", "), 4*redact.MaxShort)
	return fmt.Errorf("it takes clients by %s, and not by %s: try %s where that is listed; "+
		"where the list is wrong, give the token endpoint to Issuer", listed, ours[0], what)
}

// algorithm is the one to sign with: RS256, which RFC 7523 §5 asks every server
// to take, unless the server names others only.
func (m metadata) algorithm() Algorithm {
	for _, alg := range []Algorithm{RS256, PS256, PS384, PS512, RS384, RS512} {
		if slices.Contains(m.Algorithms, string(alg)) {
			return alg
		}
	}
	return RS256
}
