package interop

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"flag"
	"math/big"
	"net/http"
	"os"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
)

// Every client may ask for scope and otherScope. foreignScope is another
// client's, where a server knows scopes apart from clients.
const (
	scope        = "read"
	otherScope   = "write"
	foreignScope = "admin"
	unknownScope = "everything"
)

// judge is a server under which the client is tried, with what is known of it
// from its documentation. What it really does is for the tests to find out.
type judge struct {
	name     string // with its version, as the table shows it
	issuer   string
	tokenURL string
	http     *http.Client // trusts its TLS certificate

	register func(t *testing.T, r registration)
	// registerSet registers a client by the set of its public keys, or by the URL of one.
	// The error is the server's refusal.
	registerSet func(t *testing.T, r keySet) error
	// registerCertificate registers a client by its certificate; nil: the judge reads none.
	registerCertificate func(t *testing.T, id string, cert *certtoken.Certificate)
	// registerBound registers a client for a binding, where the judge knows of it.
	registerBound func(t *testing.T, b binding, id string, cert *certtoken.Certificate) bool
	publish       func(t *testing.T, h http.Handler) (url string) // where the judge can read; nil: it reads no URL

	places chan struct{} // one for each trial at once; nil: any number

	algorithms      []certtoken.Algorithm // that it offers
	curves          []certtoken.Algorithm // and with keys that are no RSA
	endpointOnly    bool                  // the audience is the token endpoint, never the issuer
	needsKeyID      bool                  // finds keys by kid only
	noThumbprint    bool                  // a header's thumbprint must stand in the set too, and here doesn't
	oneKey          bool                  // a client has one key at a time
	urlOnly         bool                  // reads a client's keys at a URL only
	silent          bool                  // refuses a client by an empty 403
	oddTokenType    bool                  // its token_type says something else and means Bearer
	fapiOnly        bool                  // by the profile FAPI 2.0, with its algorithms
	ownPaths        bool                  // a library: its addresses are those of the program around it
	needsFor        string                // when the needs are needed; "": always
	allScopes       bool                  // grants every scope that the client may have, whatever it asks for
	oneLifetime     bool                  // all tokens live as long
	refusesLoopback bool                  // reads no URL of this machine
	noDate          bool                  // its answers have no Date, by which a clock is corrected
	allowsReplays   bool                  // doesn't look at jti
	bindsTokens     *x509.Certificate     // of TLS, to which tokens are bound (RFC 8705); nil: they aren't
}

// servers are all that the client is tried with, the one that most people have first.
var servers = []struct {
	name  string
	lacks func() error // what this machine lacks for it; nil: it needs no more than Go
	start func(*testing.T) []*judge
}{
	{"Keycloak", lacksKeycloak, keycloakJudges},
	{"Spring Authorization Server", theSpring.lacks, one(springJudge)},
	{"oidc-provider", lacksNode, func(t *testing.T) []*judge {
		return []*judge{oidcProvider(t, "plain"), oidcProvider(t, "fapi")}
	}},
	{"Better Auth", theBetterAuth.lacks, one(betterAuthJudge)},
	{"Glewlwyd", lacksGlewlwyd, one(glewlwydJudge)},
	{"Authlib", theAuthlib.lacks, one(authlibJudge)},
	{"Authlib of Debian", lacksAuthlib, one(authlibServer)},
	{"idpy-oidc", theIdpy.lacks, one(idpyJudge)},
	{"Hydra", lacksHydra, one(hydraJudge)},
	{"fosite", nil, one(fositeServer)},
	{"zitadel", nil, one(zitadelServer)},
}

func one(start func(*testing.T) *judge) func(*testing.T) []*judge {
	return func(t *testing.T) []*judge { return []*judge{start(t)} }
}

// shared are the servers whose start takes long. The first test that needs one starts it,
// and TestMain ends it.
var shared = []interface {
	String() string // its name, as it stands in servers
	start() error   // the first call starts it
	stop() (said string)
}{theKeycloak, theSpring, theBetterAuth, theGlewlwyd, theAuthlib, theIdpy, theHydra}

var onlyServers = flag.String("servers", "", "try the servers that match this regular expression, and no tables")

// judges are all servers that this machine can run. They end with the test, but for shared
// ones.
func judges(t *testing.T) []*judge {
	t.Helper()
	all, _ := judgesForTable(t)
	return all
}

// judgesForTable also reports whether none is lacking and all were asked for.
func judgesForTable(t *testing.T) (all []*judge, whole bool) {
	t.Helper()
	asked := regexp.MustCompile(*onlyServers)
	startShared(asked)
	whole = *onlyServers == ""
	for _, s := range servers {
		if !asked.MatchString(s.name) {
			continue
		}
		if s.lacks != nil {
			if err := s.lacks(); err != nil {
				missing(t, err)
				t.Logf("%s can't be asked: %v", s.name, err)
				whole = false
				continue
			}
		}
		all = append(all, s.start(t)...)
	}
	return all, whole
}

// startShared starts the servers that take long, all at once. What fails is reported by the
// test that asks for the server.
func startShared(asked *regexp.Regexp) {
	var wg sync.WaitGroup
	for _, s := range shared {
		if asked.MatchString(s.String()) {
			wg.Go(func() { _ = s.start() })
		}
	}
	wg.Wait()
}

// missing is a failure on CI, which must run every server.
func missing(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		require.NoError(t, err, "CI must run this test")
	}
}

// registration is what an administrator tells a server about a client. It
// replaces what was told before.
type registration struct {
	id        string
	algorithm certtoken.Algorithm // for servers that want to know
	lifetime  time.Duration       // of its tokens, in whole seconds; 0 is the server's default
	keys      []key
}

// keySet is what an administrator tells a server about a client that is known by a JWK Set.
type keySet struct {
	id        string
	algorithm certtoken.Algorithm // for servers that want to know
	set       []byte              // a JWK Set, or
	url       string              // its address
}

// key is a certificate's public key under a name.
type key struct {
	id   string
	cert *certtoken.Certificate
}

func (k key) public() *rsa.PublicKey { return k.cert.Leaf.PublicKey.(*rsa.PublicKey) }

// jwk is the key as a JSON Web Key (RFC 7517).
func (k key) jwk() map[string]any {
	b64 := base64.RawURLEncoding.EncodeToString
	return map[string]any{
		"kty": "RSA", "use": "sig", "kid": k.id,
		"n": b64(k.public().N.Bytes()),
		"e": b64(big.NewInt(int64(k.public().E)).Bytes()),
	}
}

func (r registration) jwks() map[string]any {
	keys := make([]map[string]any, 0, len(r.keys))
	for _, k := range r.keys {
		keys = append(keys, k.jwk())
	}
	return map[string]any{"keys": keys}
}

// best is the algorithm of what is tried once: PS256, but for a judge that has RSA's oldest
// alone.
func (j *judge) best() certtoken.Algorithm {
	if j.offers(certtoken.PS256) {
		return certtoken.PS256
	}
	return certtoken.RS256
}

func (j *judge) offers(alg certtoken.Algorithm) bool { return slices.Contains(j.algorithms, alg) }

// audience is the one that the judge takes for sure.
func (j *judge) audience() string {
	if j.endpointOnly {
		return j.tokenURL
	}
	return j.issuer
}

// need is an option that a judge demands of a client, as a user writes it.
type need struct {
	code   string
	option certtoken.AuthorityOption
}

// needs are the options without which the judge grants nothing. The kid is what the given
// function says of a certificate.
func (j *judge) needs(kid func(*certtoken.Certificate) string) (all []need) {
	if j.endpointOnly {
		all = append(all, need{"WithAudience(tokenURL)", certtoken.WithAudience(j.tokenURL)})
	}
	if j.needsKeyID {
		all = append(all, need{"WithKeyIDFunc(jwks.KeyID)", certtoken.WithKeyIDFunc(kid)})
	}
	if j.fapiOnly {
		all = append(all, need{"WithFAPI()", certtoken.WithFAPI()})
	}
	if j.oddTokenType {
		all = append(all, need{`WithTokenType("Bearer")`, certtoken.WithTokenType("Bearer")})
	}
	return all
}

// authority addresses the judge in the way that its documentation asks for.
func (j *judge) authority(alg certtoken.Algorithm, opts ...certtoken.AuthorityOption) certtoken.Authority {
	own := []certtoken.AuthorityOption{certtoken.WithAlgorithm(alg)}
	for _, n := range j.needs(keyID) {
		own = append(own, n.option)
	}
	if j.noThumbprint {
		own = append(own, certtoken.WithThumbprintHeader(certtoken.ThumbprintNone))
	}
	return certtoken.Issuer(j.issuer, j.tokenURL, append(own, opts...)...)
}

// keyID names a certificate's key as the tests register it.
func keyID(c *certtoken.Certificate) string { return "key of " + c.Leaf.Subject.CommonName }

func keyOf(c *certtoken.Certificate) key { return key{id: keyID(c), cert: c} }
