package interop

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"net/http"
	"os"
	"slices"
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
	places   chan struct{} // one for each trial at once; nil: any number

	algorithms    []certtoken.Algorithm // that it offers
	endpointOnly  bool                  // the audience is the token endpoint, never the issuer
	needsKeyID    bool                  // finds keys by kid only
	oneKey        bool                  // a client has one key at a time
	noDate        bool                  // its answers have no Date, by which a clock is corrected
	allowsReplays bool                  // doesn't look at jti
	bindsTokens   *x509.Certificate     // of TLS, to which tokens are bound (RFC 8705); nil: they aren't
}

// elsewhere are the servers that need more than Go, the one that most people have
// first.
var elsewhere = []struct {
	name  string
	lacks func() error // what this machine lacks for it
	start func(*testing.T) []*judge
}{
	{"Keycloak", lacksKeycloak, keycloakJudges},
	{"oidc-provider", lacksNode, func(t *testing.T) []*judge {
		return []*judge{oidcProvider(t, "plain"), oidcProvider(t, "fapi")}
	}},
	{"authlib", lacksAuthlib, func(t *testing.T) []*judge { return []*judge{authlibServer(t)} }},
}

// judges are all servers that this machine can run. They end with the test.
func judges(t *testing.T) []*judge {
	t.Helper()
	var all []*judge
	for _, e := range elsewhere {
		if err := e.lacks(); err != nil {
			missing(t, err)
			t.Logf("%s can't be asked: %v", e.name, err)
			continue
		}
		all = append(all, e.start(t)...)
	}
	return append(all, fositeServer(t), zitadelServer(t))
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

// best is the strongest algorithm that all judges have in common.
const best = certtoken.PS256

func (j *judge) offers(alg certtoken.Algorithm) bool { return slices.Contains(j.algorithms, alg) }

// audience is the one that the judge takes for sure.
func (j *judge) audience() string {
	if j.endpointOnly {
		return j.tokenURL
	}
	return j.issuer
}

// authority addresses the judge in the way that its documentation asks for.
func (j *judge) authority(alg certtoken.Algorithm, opts ...certtoken.AuthorityOption) certtoken.Authority {
	own := []certtoken.AuthorityOption{certtoken.WithAlgorithm(alg)}
	if j.endpointOnly {
		own = append(own, certtoken.WithAudience(j.tokenURL))
	}
	if j.needsKeyID {
		own = append(own, certtoken.WithKeyIDFunc(keyID))
	}
	return certtoken.Issuer(j.issuer, j.tokenURL, append(own, opts...)...)
}

// keyID names a certificate's key as the tests register it.
func keyID(c *certtoken.Certificate) string { return "key of " + c.Leaf.Subject.CommonName }

func keyOf(c *certtoken.Certificate) key { return key{id: keyID(c), cert: c} }
