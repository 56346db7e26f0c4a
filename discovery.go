package certtoken

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/certtoken/certtoken/internal/connections"
	"github.com/certtoken/certtoken/internal/exchange"
	"github.com/certtoken/certtoken/internal/redact"
	"github.com/certtoken/certtoken/internal/syntax"
	"github.com/certtoken/certtoken/internal/workers"
)

// maxMetadataRedirects is how many redirects within the issuer's host are followed.
const maxMetadataRedirects = 3

// Discover asks an authorization server for its metadata (RFC 8414, then OpenID
// Connect Discovery, then SMART App Launch) and returns an Authority as [Issuer] does.
// The issuer in the metadata must be exactly the given one, so that the token endpoint
// of another issuer isn't taken; redirects to another host are not followed. For Entra ID
// use [Entra], which needs no request.
//
// The algorithm is chosen when it is known which key signs: RS256 for an RSA key, that of
// its curve for an EC key, EdDSA for an Ed25519 key. If the server lists algorithms and not
// that one, it is the first listed that the key can do. If there is none, the error says
// what the server lists. [WithAlgorithm] is for servers whose list is wrong.
//
// For a SMART server give the base URL of its FHIR interface. Its configuration may
// name no issuer, so the assertion's audience is the token endpoint, and the assertion
// is of no use at another server. Its typ is JWT, and the algorithm of RSA keys RS384. Such
// servers need a key id: that of a [ParseKey] or [WithKeyID].
//
// Each of the three places may take 10 s and answer 1 MiB. A temporary failure (a 503,
// a connection that is reset) is tried three times. The error says in one line what was
// wrong and what to do: no connection, a status that isn't 200, no metadata, another
// issuer, a token endpoint that isn't https. Where a place had metadata that can't be
// used, it leaves out the places that had none.
//
// The server is asked once: keep the Authority, and make a new one to follow a change.
// [WithDiscoveryClient] has another HTTP client ask, for a CA or a proxy of one's own.
func Discover(ctx context.Context, issuer string, opts ...AuthorityOption) (Authority, error) {
	given := Authority{issuer: issuer}.finish(opts)
	if err := errors.Join(given.errs...); err != nil {
		return Authority{}, public(err)
	}
	places, err := metadataURLs(issuer, given.loopbackHTTP)
	if err != nil {
		return Authority{}, public(err)
	}
	lease := connections.Take(given.discovery, defaultMaxExchanges)
	defer lease.Close()
	client := metadataClient(lease)
	var failed discoveryError
	for _, place := range places {
		meta, err := readMetadata(ctx, client, place)
		if err == nil {
			err = meta.check(issuer, given)
		}
		if err != nil {
			failed = append(failed, placeError{place, err})
			continue
		}
		a := Issuer(issuer, meta.TokenEndpoint, append(meta.dialect(), opts...)...)
		a.mtlsURL, a.discovery = meta.Aliases.TokenEndpoint, nil
		return a, public(a.validate())
	}
	return Authority{}, public(&failed)
}

// WithDiscoveryClient has [Discover] ask for the metadata with this HTTP client, for example
// because the server's certificate is by a CA of one's own. Without it, and with nil, the
// connections are those of [NewClient] without [WithHTTPClient]. The client that is made with
// the [Authority] is given its own, by WithHTTPClient.
func WithDiscoveryClient(client *http.Client) AuthorityOption {
	return func(a *Authority) { a.discovery = client }
}

// smartPlace is the path, below the base URL, of the configuration of SMART App Launch.
const smartPlace = "/.well-known/smart-configuration"

// metadataURLs are the places of RFC 8414 §3.1, OpenID Connect Discovery §4 and
// SMART App Launch.
func metadataURLs(issuer string, loopbackHTTP bool) ([]string, error) {
	if err := syntax.CheckEndpoint("issuer", issuer, loopbackHTTP); err != nil {
		return nil, err
	}
	u, err := url.Parse(issuer)
	if err != nil || u.RawQuery != "" || u.ForceQuery {
		return nil, fmt.Errorf("issuer %q must not have a query (RFC 8414 §2)", redact.Short(issuer))
	}
	if own, found := withoutPlace(issuer); found {
		return nil, fmt.Errorf("issuer %q is where a server's metadata are: give the issuer itself, %q, "+
			"or as the metadata have it", redact.Short(issuer), redact.Short(own))
	}
	origin, path := u.Scheme+"://"+u.Host, strings.TrimSuffix(u.EscapedPath(), "/")
	return []string{
		origin + "/.well-known/oauth-authorization-server" + path,
		origin + path + "/.well-known/openid-configuration",
		origin + path + smartPlace,
	}, nil
}

// wellKnown begins the part of a path that names a place of metadata (RFC 8615).
const wellKnown = "/.well-known/"

// withoutPlace is the issuer whose metadata are at a URL, where that is one of the places
// above: what stands before and behind the name of the place.
func withoutPlace(address string) (issuer string, found bool) {
	before, name, found := strings.Cut(address, wellKnown)
	if slash := strings.IndexByte(name, '/'); slash >= 0 {
		before += name[slash:]
	}
	return before, found
}

// metadataClient follows redirects only within the issuer's origin, because another host
// can't speak for the issuer.
func metadataClient(lease *connections.Lease) *http.Client {
	client := lease.Client()
	client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		from := via[0].URL
		if syntax.Origin(req.URL) != syntax.Origin(from) {
			return fmt.Errorf("%w to %s, which is not the issuer's host", errRedirects, redact.Short(req.URL.Host))
		}
		if len(via) > maxMetadataRedirects {
			return fmt.Errorf("%w too often", errRedirects)
		}
		return nil
	}
	return client
}

var errRedirects = errors.New("it redirects")

// readMetadata reads the metadata at a place. A temporary failure is tried up to three
// times within one time limit.
func readMetadata(ctx context.Context, client *http.Client, place string) (metadata, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, exchange.AttemptLimit, exchange.ErrAttemptLimit)
	defer cancel()
	for attempt := 1; ; attempt++ {
		meta, err := fetchMetadata(ctx, client, place)
		if err == nil && strings.HasSuffix(place, smartPlace) {
			meta.smart = true
		}
		pause, again := metadataPause(err, attempt)
		deadline, _ := ctx.Deadline()
		if !again || time.Until(deadline) <= pause || !workers.Sleep(ctx, pause) {
			return meta, err
		}
	}
}

// metadataPause reports whether another attempt makes sense, and after what pause.
func metadataPause(err error, attempt int) (time.Duration, bool) {
	var status statusError
	var none unanswered
	switch {
	case attempt >= maxAttempts:
		return 0, false
	case errors.As(err, &status):
		if !exchange.IsTemporary(status.status) {
			return 0, false
		}
	case !errors.As(err, &none) || errors.Is(err, errRedirects) || isUntrusted(err) || isTurnedAway(err):
		return 0, false
	}
	return max(status.wait, rand.N(baseBackoff<<(attempt-1))), true
}

func fetchMetadata(ctx context.Context, client *http.Client, place string) (metadata, error) {
	var meta metadata
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
		return meta, unanswered{connections.Explain(client.Transport, req.URL, redact.Error(err))}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return meta, statusError{resp.StatusCode, time.Duration(min(max(seconds, 0), 3600)) * time.Second}
	}
	body, err := exchange.ReadAll(resp.Body, exchange.MaxBody)
	if errors.Is(err, exchange.ErrTooLong) {
		return meta, fmt.Errorf("it is larger than %d bytes", exchange.MaxBody)
	} else if err != nil {
		return meta, unanswered{redact.Error(err)}
	}
	if meta, err = decodeMetadata(body); err != nil {
		return meta, fmt.Errorf("%w (%s)", err, exchange.ContentType(resp))
	}
	return meta, nil
}
