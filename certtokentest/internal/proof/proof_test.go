package proof

import (
	"crypto/x509"
	"strconv"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTimes(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	keycloak := Times{Leeway: 15 * time.Second, MaxAge: time.Minute}
	betterAuth := Times{MaxAge: 5 * time.Minute, MaxLife: 5 * time.Minute}
	tests := map[string]struct {
		times  Times
		claims jwt.MapClaims
		want   int
	}{
		"within":                  {Times{}, jwt.MapClaims{"iat": at(0), "exp": at(time.Minute)}, 0},
		"over":                    {Times{}, jwt.MapClaims{"exp": at(0)}, 700024},
		"over, within the leeway": {Times{Leeway: time.Second}, jwt.MapClaims{"exp": at(0)}, 0},
		"a second early": {Times{}, jwt.MapClaims{"nbf": at(time.Second), "exp": at(time.Minute)},
			700024},
		"a day is enough": {Times{}, jwt.MapClaims{"exp": at(24 * time.Hour)}, 0},
		"more than a day": {Times{}, jwt.MapClaims{"exp": at(25 * time.Hour)}, 700024},
		"Keycloak, 75 s old": {keycloak,
			jwt.MapClaims{"iat": at(-75 * time.Second), "exp": at(time.Minute)}, 0},
		"Keycloak, 76 s old": {keycloak,
			jwt.MapClaims{"iat": at(-76 * time.Second), "exp": at(time.Minute)}, 700024},
		"Keycloak, no iat, near end": {keycloak, jwt.MapClaims{"exp": at(time.Minute)}, 0},
		"Keycloak, no iat, far end":  {keycloak, jwt.MapClaims{"exp": at(5 * time.Minute)}, 700024},
		"Keycloak, 15 s ahead": {keycloak,
			jwt.MapClaims{"iat": at(15 * time.Second), "exp": at(time.Minute)}, 0},
		"Better Auth, ends in 300 s": {betterAuth, jwt.MapClaims{"iat": at(0), "exp": at(300 * time.Second)}, 0},
		"Better Auth, ends in 301 s": {betterAuth, jwt.MapClaims{"iat": at(0), "exp": at(301 * time.Second)},
			700024},
		"Better Auth, issued 301 s ago": {betterAuth,
			jwt.MapClaims{"iat": at(-301 * time.Second), "exp": at(time.Second)}, 700024},
		"iat is needed": {Times{NeedIssuedAt: true}, jwt.MapClaims{"exp": at(time.Minute)}, 90014},
		"iat is a text": {Times{}, jwt.MapClaims{"iat": "0", "exp": at(time.Minute)}, 50027},
		"no exp":        {Times{}, jwt.MapClaims{}, 50027},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for claim, value := range tt.claims { // as encoding/json reads numbers
				if n, ok := value.(int64); ok {
					tt.claims[claim] = float64(n)
				}
			}
			refused := tt.times.check(tt.claims, now)
			if tt.want == 0 {
				assert.Nil(t, refused)
				return
			}
			require.NotNil(t, refused)
			assert.Equal(t, tt.want, refused.Code)
		})
	}
}

func TestUsedForgetsWhatEnded(t *testing.T) {
	var used Used
	now := time.Unix(1_800_000_000, 0)
	assert.True(t, used.Add("a", now.Add(time.Minute), now))
	assert.False(t, used.Add("a", now.Add(time.Minute), now.Add(59*time.Second)))
	assert.True(t, used.Add("b", now.Add(time.Hour), now.Add(time.Minute)))
	assert.NotContains(t, used.ends, "a", "its end has passed")
	assert.True(t, used.Add("a", now.Add(2*time.Minute), now.Add(time.Minute)))
	used.Reset()
	assert.True(t, used.Add("b", now.Add(time.Hour), now))
}

func TestUsedIsBounded(t *testing.T) {
	var used Used
	now := time.Unix(1_800_000_000, 0)
	for i := range maxUsed + 10 {
		require.True(t, used.Add(strconv.Itoa(i), now.Add(time.Hour), now))
	}
	assert.LessOrEqual(t, len(used.ends), maxUsed)
	assert.LessOrEqual(t, len(used.order), maxUsed)
}

// A request that looked a client up goes on with what it saw.
func TestUpdateLeavesWhatWasLookedUp(t *testing.T) {
	var clients Clients
	cert := &x509.Certificate{Raw: []byte{1}}
	assert.Nil(t, clients.Lookup("a"))
	clients.Update("a", func(c *Client) { c.Name("k", cert) })
	before := clients.Lookup("a")
	clients.Update("a", func(c *Client) {
		c.Set()
		c.Name("l", &x509.Certificate{Raw: []byte{2}})
		c.Trust("s")
		c.Federate(Federation{})
	})
	assert.Len(t, before.Credentials(Application), 1)
	assert.Len(t, before.keyIDs, 1)
	assert.Empty(t, before.trusts)
	assert.Empty(t, before.federations)
	clients.Remove("a")
	assert.Nil(t, clients.Lookup("a"))
}

func TestCandidates(t *testing.T) {
	one, two := &x509.Certificate{Raw: []byte{1}}, &x509.Certificate{Raw: []byte{2}}
	c := (&Client{}).copy()
	c.Name("first", one)
	c.Add(two, two, nil)
	both := []*x509.Certificate{one, two}
	tests := map[string]struct {
		header map[string]any
		known  bool
		want   []*x509.Certificate
	}{
		"nothing names all": {header: map[string]any{}, want: both},
		"thumbprint": {header: map[string]any{"x5t#S256": Confirmation(two)},
			want: both[1:]},
		"thumbprint beside an unknown kid": {header: map[string]any{"x5t#S256": Confirmation(two), "kid": "?"},
			want: both[1:]},
		"the same where a kid must be known": {header: map[string]any{"x5t#S256": Confirmation(two), "kid": "?"},
			known: true},
		"kid of another certificate": {header: map[string]any{"x5t#S256": Confirmation(two),
			"kid": "first"}, known: true},
		"kid and thumbprint agree": {header: map[string]any{"x5t#S256": Confirmation(one),
			"kid": "first"}, known: true, want: both[:1]},
		"kid is the thumbprint": {header: map[string]any{"kid": Thumbprint(two)}, known: true,
			want: both[1:]},
		"an unknown kid alone, wherever it comes": {header: map[string]any{"kid": "?"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			rule := KeyIDFree
			if tt.known {
				rule = KeyIDKnown
			}
			found := c.candidates(&Assertion{Header: tt.header}, rule, keysOf(c.known(time.Now())))
			assert.ElementsMatch(t, keysOf(tt.want), found)
		})
	}
}
