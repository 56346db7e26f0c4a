package certtoken

import (
	"encoding/json"
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

// WithAlgorithm sets the algorithm of the signature, whatever a server's metadata list. One
// that isn't known is an error of [NewClient], and one that doesn't fit the key is an error
// when it would sign, or of NewClient if the source is a [Certificate].
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

// WithAssertionClaims adds claims to every assertion, such as one that a server has agreed
// upon with its clients. Values are what [json.Marshal] takes, at most 16 KiB of JSON
// together, and are copied: what happens to them later has no effect. Given twice, it adds
// the claims of both. It is an error of [NewClient] where no assertion is signed, and so are
// the claims aud, iss, sub, jti, nbf, iat and exp.
func WithAssertionClaims(claims map[string]any) AuthorityOption {
	return func(a *Authority) {
		all := maps.Clone(a.assertion.Claims) // an Authority is a value
		if all == nil {
			all = make(map[string]any, len(claims))
		}
		for name, value := range claims {
			data, err := json.Marshal(value)
			if err != nil || name == "" {
				a.fail("WithAssertionClaims: the claim %q has no name or can't be written as JSON", redact.Short(name))
			}
			all[name] = json.RawMessage(data)
		}
		a.assertion.Claims = all
		if sizeOfClaims(all) > maxAssertionClaims {
			a.fail("the claims of WithAssertionClaims have more than %d bytes", maxAssertionClaims)
		}
	}
}

// maxAssertionClaims bounds further claims of an assertion, in bytes. Servers limit the
// whole assertion to much less, as a rule.
const maxAssertionClaims = 16 << 10

func sizeOfClaims(claims map[string]any) (size int) {
	for name, value := range claims {
		size += len(name) + len(value.(json.RawMessage))
	}
	return size
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

// WithKeyIDFunc sets the kid header by the certificate that signs. Where kid returns "" it
// is the Certificate's KeyID. The Leaf of a key without a certificate is nil.
func WithKeyIDFunc(kid func(*Certificate) string) AuthorityOption {
	return func(a *Authority) { a.keyID = kid }
}

// WithX5C sends the certificate and its chain in the assertion. Subject-name/issuer
// trust needs it: the server then trusts a certificate because of its subject and
// issuer, and a renewed one needs no registration. A key without a certificate is an error.
func WithX5C() AuthorityOption {
	return func(a *Authority) { a.assertion.SendChain = true }
}

// WithFAPI signs by the algorithms that the FAPI 2.0 Security Profile allows (§5.4.1): PS256
// with an RSA key, ES256 with an EC key of the curve P-256, EdDSA with an Ed25519 key.
// Other keys are an error. The profile's audience, the issuer, is that of [Issuer] and
// [Discover] already. [WithAudience] and [WithAlgorithm] override it, for servers that
// follow the profile in part.
func WithFAPI() AuthorityOption { return func(a *Authority) { a.algorithms.fapi = true } }

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
// [WithMTLSPoP] or [WithMTLSBearer] for the US Government's too. It was made from the
// documentation and not tried against the live service.
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
// that the library sets can't be given. A request that gives the same name in
// [Request.Parameters] sends its own values in place of these.
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
	if err := checkParameterName(name); err != nil {
		a.fail("%w", err)
		return
	}
	more := maps.Clone(*to)
	if more == nil {
		more = make(url.Values)
	}
	more[name] = append(slices.Clone(more[name]), value)
	*to = more
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
// be nil or [*http.Transport]. That of [WithHTTPClient] must have no client certificate: a
// bank that wants another one in TLS than the one that signs wants none of these options.
func WithCertificateBoundTokens() AuthorityOption { return func(a *Authority) { a.tlsBound = true } }

// WithDPoP binds tokens to a key by proofs (DPoP, RFC 9449): a thief can't use such a
// token, and no certificate is needed in TLS. The key is one of the [Client]: it is
// made in memory with it, on P-256, or what the server's metadata list for DPoP where
// [Discover] found a list without ES256. It isn't the key that proves the client, so no
// vault signs for each call.
//
// A [Transport] sends a proof with each request, and repeats a request once when the
// resource asks for a nonce. [Client.Proof] is for other HTTP clients. Whatever would send
// the token alone refuses, such as a [TokenSource] and [Token.SetAuthHeader]. A server that
// ignores the proof, and answers with a Bearer token, gets [ErrBadResponse]. The times of
// proofs follow the token endpoint's clock. Tokens never enter a store ([WithStore]), since
// other processes don't have the key.
func WithDPoP() AuthorityOption { return func(a *Authority) { a.dpop = true } }

// WithMTLSPoP asks Entra ID for tokens that are bound to the certificate, of the
// type mtls_pop: the certificate goes into the TLS handshake with
// mtlsauth.microsoft.com, or with mtlsauth.microsoftonline.us for the US Government, and no
// assertion is sent. With [WithRegion] the region is put before that name. Tokens are bound
// as with [WithCertificateBoundTokens]. It was made from the documentation and not tried
// against the live service.
func WithMTLSPoP() AuthorityOption { return func(a *Authority) { a.pop = true } }

// WithMTLSBearer shows Entra ID the certificate in the TLS handshake and in the assertion, in
// return for plain Bearer tokens, which are bound to nothing. Requests go to the host of
// [WithMTLSPoP], and assertions carry the certificate as with [WithX5C]. Entra ID takes this,
// a preview, from apps that it was enabled for; others are refused (AADSTS51000). For a
// client of [NewFederatedClient] it says that its tokens are Bearer, where the assertions are
// bound to a certificate; see [Client.AssertionSource]. It was made from the documentation and
// not tried against the live service.
func WithMTLSBearer() AuthorityOption {
	return func(a *Authority) { a.tlsBearer, a.assertion.SendChain = true, true }
}

// WithoutPSS is for signers that can't do RSASSA-PSS: TLS connections with the
// client's certificate stay at TLS 1.2, and assertions are signed with the RS
// algorithm of the same hash.
func WithoutPSS() AuthorityOption { return func(a *Authority) { a.noPSS = true } }
