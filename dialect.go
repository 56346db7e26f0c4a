package certtoken

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/certtoken/certtoken/internal/exchange"
	"github.com/certtoken/certtoken/internal/redact"
	"github.com/certtoken/certtoken/internal/syntax"
)

// The options of an Authority: how it is addressed, and which dialect of client
// assertion it takes.

// WithAlgorithm sets the algorithm of the signature. One that isn't known is an
// error of [NewClient].
func WithAlgorithm(alg Algorithm) AuthorityOption {
	return func(a *Authority) { a.assertion.Algorithm = alg }
}

// WithThumbprintHeader sets which thumbprints the assertion's header carries.
func WithThumbprintHeader(t Thumbprint) AuthorityOption {
	return func(a *Authority) { a.assertion.Thumbprint = t }
}

// WithAudience sets the assertion's audience, for servers that want another
// than the default (the token endpoint for Entra ID and ADFS, the issuer
// elsewhere). A client with [WithTenants] can't have one.
func WithAudience(audience string) AuthorityOption {
	return func(a *Authority) {
		if audience == "" {
			a.fail("empty audience")
		}
		a.audience = audience
	}
}

// WithAssertionType sets the typ of the assertion's header.
func WithAssertionType(typ string) AuthorityOption {
	return func(a *Authority) { a.assertion.Type = typ }
}

// WithLifetime sets how long an assertion is valid after it was made: 1 s to 1 h, and
// anything else is an error of [NewClient]. [WithBackdate] sets from when it is valid.
func WithLifetime(d time.Duration) AuthorityOption {
	return func(a *Authority) {
		if d == 0 { // an Assertion would take it for its default
			a.fail("lifetime 0 is not within %v and %v", minLifetime, maxLifetime)
		}
		a.assertion.Lifetime = d
	}
}

// WithBackdate sets how far an assertion's nbf and iat are set back, because clocks
// differ: 0 to 1 h. The default is 2 min for Entra ID and ADFS, and 30 s elsewhere. Give
// less for a server that refuses an iat that is half a minute old, and more for a server
// whose clock is further behind. A few servers limit the time from iat to exp, which is
// the sum of this and the lifetime.
func WithBackdate(d time.Duration) AuthorityOption {
	return func(a *Authority) {
		switch {
		case d < 0:
			a.fail("backdate %v is negative", d)
		case d == 0:
			d = -1 // in an Assertion, 0 is the default
		}
		a.assertion.Backdate = d
	}
}

// WithKeyID sets the kid header, for servers that look keys up by it. Servers refuse a
// kid that they don't know. A key id usually belongs to one key, so use [WithKeyIDFunc]
// with a source that rotates.
func WithKeyID(kid string) AuthorityOption {
	return WithKeyIDFunc(func(*Certificate) string { return kid })
}

// WithKeyIDFunc sets the kid header by the certificate that signs.
func WithKeyIDFunc(kid func(*Certificate) string) AuthorityOption {
	return func(a *Authority) { a.keyID = kid }
}

// WithX5C sends the certificate and its chain in the assertion. Subject-name/issuer
// trust needs it: the server then trusts a certificate because of its subject and
// issuer, and a renewed one needs no registration.
func WithX5C() AuthorityOption {
	return func(a *Authority) { a.assertion.SendChain = true }
}

// WithFAPI sets what the FAPI 2.0 security profile asks of a client assertion:
// PS256, the issuer as audience.
func WithFAPI() AuthorityOption { return WithAlgorithm(PS256) }

// WithPSSFallback signs with the RS algorithm of the same hash when the signer
// says that it can't do PSS, by an error that wraps [errors.ErrUnsupported].
// Some hardware can't. No other error makes it fall back.
func WithPSSFallback() AuthorityOption {
	return func(a *Authority) { a.pssFallback = true }
}

// WithHost reaches an Entra tenant at another host: a custom domain of
// [EntraB2C] or [EntraExternalID], or a cloud that has no function here, such as
// login.sovcloud-identity.fr (Bleu), .de (Delos) or .sg (GovSG). A host that Azure's
// SDKs know sets the cloud too, and with it the audience of federated credentials
// ([NewFederatedClient]). The host is a name, with a port where that isn't 443. Upper
// case, the port 443 and a dot at the end make no difference.
func WithHost(host string) AuthorityOption {
	return func(a *Authority) {
		name, err := syntax.Host(host)
		switch {
		case a.host == "":
			a.fail("WithHost is for Entra authorities")
		case err != nil:
			a.fail("host %q: give the host name only, with a port where it isn't 443: %w", redact.Short(host), err)
		default:
			a.host = name
			if known := cloudOf(name); known != nil && !a.oneTenant {
				a.cloud = known
			}
		}
	}
}

// WithRegion sends requests to Entra ID's endpoint of an Azure region, such as
// westeurope. It is for services in that region whose app has subject-name/issuer
// trust; others are refused (AADSTS100007). It works for the public cloud, and with
// [WithMTLSPoP] for the US Government's too. It was made from the documentation and not
// tried against the live service.
func WithRegion(region string) AuthorityOption {
	return func(a *Authority) {
		if !syntax.IsRegion(region) {
			a.fail("region %q is not the name of an Azure region, such as westeurope", redact.Short(region))
		}
		a.region = region
	}
}

// WithParameter adds a parameter to the form of every token request, such as a
// resource. Given twice with one name, it sends both values (RFC 8707 §2). Those
// that the library sets can't be given.
func WithParameter(name, value string) AuthorityOption {
	return func(a *Authority) { a.add(&a.params, name, value) }
}

// WithTokenType accepts tokens of a type with an unknown name, and sends them as typ,
// which must be "Bearer". Some servers write access_token or jwt-bearer where they mean
// Bearer. A type that is known to be something else, such as DPoP, MAC, PoP, N_A, Basic
// or Negotiate, is still refused: a resource doesn't take such a token without the proof
// that belongs to it (RFC 6749 §7.1).
func WithTokenType(typ string) AuthorityOption {
	return func(a *Authority) {
		if !strings.EqualFold(typ, exchange.Bearer) {
			a.fail("token type %q: Bearer is the only one that other names can stand for", redact.Short(typ))
		}
		a.anyTokenType = true
	}
}

// WithAssumedLifetime sets how long a token lives when the server doesn't say it: 1 s
// to 10 years, by default 1 min. A server says it by expires_in or, where that is
// missing or isn't positive, by expires_on.
func WithAssumedLifetime(d time.Duration) AuthorityOption {
	return func(a *Authority) {
		if d < time.Second || d > exchange.MaxLife {
			a.fail("assumed lifetime %v is not within %v and %v", d, time.Second, exchange.MaxLife)
		}
		a.assumedLife = d
	}
}

// WithQuery adds a parameter to the query of every token request's URL. Given twice
// with one name, it sends both values. Those that the library sets in the form can't
// be given.
func WithQuery(name, value string) AuthorityOption {
	return func(a *Authority) { a.add(&a.query, name, value) }
}

// add copies on write: an Authority is a value.
func (a *Authority) add(to *url.Values, name, value string) {
	switch {
	case name == "" || !syntax.IsVisible(name) || len(name) > redact.MaxShort:
		a.fail("parameter %q is not a name", redact.Short(name))
	case ownParameters[strings.ToLower(name)]:
		a.fail("parameter %q is set by the library and can't be given", name)
	default:
		more := maps.Clone(*to)
		if more == nil {
			more = make(url.Values)
		}
		more[name] = append(slices.Clone(more[name]), value)
		*to = more
	}
}

// ownParameters are those of a token request, and those by which a client would
// prove itself in another way.
var ownParameters = map[string]bool{
	"grant_type": true, "scope": true, "claims": true, "token_type": true,
	"client_id": true, "client_secret": true, "client_assertion": true, "client_assertion_type": true,
	"assertion": true, "requested_token_use": true,
	"code": true, "redirect_uri": true, "code_verifier": true, "refresh_token": true,
	"username": true, "password": true,
}

// WithLoopbackHTTP allows plain http to a token endpoint on this machine
// (localhost, 127.0.0.0/8, ::1), for development. Elsewhere http is refused.
func WithLoopbackHTTP() AuthorityOption {
	return func(a *Authority) { a.loopbackHTTP = true }
}

// WithTLSClientAuth proves the client by its certificate in the TLS handshake
// and sends no assertion (tls_client_auth and self_signed_tls_client_auth, RFC
// 8705 §2). Tokens are bound as with [WithCertificateBoundTokens].
func WithTLSClientAuth() AuthorityOption { return func(a *Authority) { a.tlsAuth = true } }

// WithCertificateBoundTokens presents the certificate in the TLS handshake of
// token requests, beside the assertion, so that the server can bind its tokens
// to it (RFC 8705 §3). A [Transport] presents it to the resource. Requests go to the
// endpoint that [Discover] found for this, if it found one.
//
// A token is handed out as long as its certificate is the one in use. In a rotation
// that changes with the first token that is granted for the new certificate: then the
// other tokens are acquired anew, over new connections, and the old connections end
// with their last request. The transports of an http.Client and of a [Transport] must
// be nil or [*http.Transport].
func WithCertificateBoundTokens() AuthorityOption { return func(a *Authority) { a.tlsBound = true } }

// WithMTLSPoP asks Entra ID for tokens that are bound to the certificate, of the
// type mtls_pop: the certificate goes into the TLS handshake with
// mtlsauth.microsoft.com, or with mtlsauth.microsoftonline.us for the US Government, and no
// assertion is sent. With [WithRegion] the region is put before that name. Tokens are bound
// as with [WithCertificateBoundTokens]. It was made from the documentation and not tried
// against the live service.
func WithMTLSPoP() AuthorityOption { return func(a *Authority) { a.pop = true } }

// WithoutPSS is for signers that can't do RSASSA-PSS: TLS connections with the
// client's certificate stay at TLS 1.2, and assertions are signed with the RS
// algorithm of the same hash.
func WithoutPSS() AuthorityOption { return func(a *Authority) { a.noPSS = true } }
