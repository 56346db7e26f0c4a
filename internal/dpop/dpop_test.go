package dpop_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/internal/dpop"
	"github.com/certtoken/certtoken/internal/jwk"
	"github.com/certtoken/certtoken/internal/jws"
)

// The examples of RFC 9449: a proof for the token endpoint (figure 1), one for a protected
// resource (figure 12), and the key's thumbprint and the token of both.
const (
	forToken = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6Ik" +
		"VDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCR" +
		"nMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JE" +
		"QSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIj" +
		"oiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwia" +
		"WF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg" +
		"4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
	forResource = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6Ik" +
		"VDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCR" +
		"nMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JE" +
		"QSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIj" +
		"oiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0Z" +
		"WRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNF" +
		"c05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71E" +
		"OptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
	exampleThumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
	exampleToken      = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
)

func TestExamplesOfTheStandard(t *testing.T) {
	p, err := dpop.Read(forToken, jws.Names())
	require.NoError(t, err)
	assert.Equal(t, &dpop.Proof{
		Algorithm: "ES256", Thumbprint: exampleThumbprint, ID: "-BwC3ESc6acc2lTc",
		Method: "POST", Target: "https://server.example.com/token", IssuedAt: time.Unix(1562262616, 0),
	}, p)
	assert.NoError(t, p.Check(dpop.Wanted{
		Method: "POST", Target: "https://server.example.com/token", Now: time.Unix(1562262616, 0),
	}))

	p, err = dpop.Read(forResource, []string{"ES256"})
	require.NoError(t, err)
	assert.Equal(t, "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo", p.TokenHash)
	assert.Equal(t, exampleThumbprint, p.Thumbprint)
	assert.NoError(t, p.Check(dpop.Wanted{
		Method: "GET", Target: "https://resource.example.org/protectedresource", Token: exampleToken,
		Now: time.Unix(1562262618, 0),
	}))
}

// Proofs of every algorithm are read, and are for one request only.
func TestProofs(t *testing.T) {
	now := time.Now()
	wanted := dpop.Wanted{
		Method: "GET", Target: "https://api.example/a", Token: "token", Now: now, Past: time.Minute,
		Future: time.Minute,
	}
	for _, alg := range jws.Names() {
		t.Run(alg, func(t *testing.T) {
			key, err := dpop.NewKey(alg)
			require.NoError(t, err)
			assert.Equal(t, alg, key.Algorithm())
			claims := dpop.Claims{Method: "GET", Target: "https://api.example/a", Token: "token", Nonce: "n", Time: now}
			first, err := key.Prove(t.Context(), claims)
			require.NoError(t, err)
			second, err := key.Prove(t.Context(), claims)
			require.NoError(t, err)
			p, err := dpop.Read(first, []string{alg})
			require.NoError(t, err)
			q, err := dpop.Read(second, []string{alg})
			require.NoError(t, err)
			assert.NotEqual(t, p.ID, q.ID)
			assert.Equal(t, key.Thumbprint(), p.Thumbprint)
			assert.Equal(t, "n", p.Nonce)
			assert.NoError(t, p.Check(wanted))
		})
	}
}

func TestProofForAnotherRequest(t *testing.T) {
	key, err := dpop.NewKey(jws.ES256)
	require.NoError(t, err)
	now := time.Now()
	wanted := dpop.Wanted{
		Method: "GET", Target: "https://api.example/a", Token: "token", Now: now, Past: 25 * time.Second,
		Future: 15 * time.Second,
	}
	for name, c := range map[string]struct {
		change func(*dpop.Claims)
		err    string
	}{
		"the same":       {func(*dpop.Claims) {}, ""},
		"another method": {func(c *dpop.Claims) { c.Method = "POST" }, "htm"},
		"case of method": {func(c *dpop.Claims) { c.Method = "get" }, "htm"},
		"another path":   {func(c *dpop.Claims) { c.Target = "https://api.example/b" }, "htu"},
		"another host":   {func(c *dpop.Claims) { c.Target = "https://api2.example/a" }, "htu"},
		"another scheme": {func(c *dpop.Claims) { c.Target = "http://api.example/a" }, "htu"},
		"another port":   {func(c *dpop.Claims) { c.Target = "https://api.example:8443/a" }, "htu"},
		"no URL":         {func(c *dpop.Claims) { c.Target = "%" }, "htu"},
		"user info":      {func(c *dpop.Claims) { c.Target = "https://u@api.example/a" }, "htu"},
		"spelling":       {func(c *dpop.Claims) { c.Target = "HTTPS://API.example:443/%61?q#f" }, ""},
		"another token":  {func(c *dpop.Claims) { c.Token = "other" }, "ath"},
		"no token":       {func(c *dpop.Claims) { c.Token = "" }, "ath"},
		"old":            {func(c *dpop.Claims) { c.Time = now.Add(-27 * time.Second) }, "too old"},
		"not too old":    {func(c *dpop.Claims) { c.Time = now.Add(-23 * time.Second) }, ""},
		"ahead":          {func(c *dpop.Claims) { c.Time = now.Add(17 * time.Second) }, "future"},
		"a little ahead": {func(c *dpop.Claims) { c.Time = now.Add(13 * time.Second) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			claims := dpop.Claims{Method: "GET", Target: wanted.Target, Token: "token", Time: now}
			c.change(&claims)
			compact, err := key.Prove(t.Context(), claims)
			require.NoError(t, err)
			p, err := dpop.Read(compact, jws.Names())
			require.NoError(t, err)
			if err = p.Check(wanted); c.err == "" {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, c.err)
			}
		})
	}
}

// changed is the example's proof with another header or other claims. Its signature is void.
func changed(t *testing.T, part int, change func(map[string]any)) string {
	parts := strings.Split(forToken, ".")
	data, err := base64.RawURLEncoding.DecodeString(parts[part])
	require.NoError(t, err)
	var o map[string]any
	require.NoError(t, json.Unmarshal(data, &o))
	change(o)
	data, err = json.Marshal(o)
	require.NoError(t, err)
	parts[part] = base64.RawURLEncoding.EncodeToString(data)
	return strings.Join(parts, ".")
}

func TestUnreadableProofs(t *testing.T) {
	header := func(name string, value any) string {
		return changed(t, 0, func(o map[string]any) { o[name] = value })
	}
	for name, c := range map[string]struct{ proof, err string }{
		"nothing":         {"", "not a JWT"},
		"two parts":       {forToken[:strings.LastIndexByte(forToken, '.')], "not a JWT"},
		"four parts":      {forToken + ".x", "not a JWT"},
		"line break":      {forToken[:9] + "\n" + forToken[9:], "not a JWT"},
		"padding":         {forToken + "==", "not a JWT"},
		"no object":       {"W10" + forToken[strings.IndexByte(forToken, '.'):], "not a JWT"},
		"null":            {"bnVsbA" + forToken[strings.IndexByte(forToken, '.'):], "not a JWT"},
		"long":            {forToken + strings.Repeat("A", 16<<10), "over"},
		"typ":             {header("typ", "JWT"), "typ"},
		"case of typ":     {changed(t, 0, func(o map[string]any) { delete(o, "typ"); o["TYP"] = "dpop+jwt" }), "typ"},
		"none":            {header("alg", "none"), "alg"},
		"HS256":           {header("alg", "HS256"), "alg"},
		"no jwk":          {changed(t, 0, func(o map[string]any) { delete(o, "jwk") }), "no jwk"},
		"jwk is text":     {header("jwk", "x"), "jwk"},
		"symmetric jwk":   {header("jwk", map[string]any{"kty": "oct", "k": "AAAA"}), "jwk"},
		"crit":            {header("crit", []string{"b64"}), "critical"},
		"other claims":    {changed(t, 1, func(o map[string]any) { o["htm"] = "GET" }), "signature"},
		"no signature":    {forToken[:strings.LastIndexByte(forToken, '.')+1], "signature"},
		"other signature": {forToken[:len(forToken)-4] + "AAAA", "signature"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := dpop.Read(c.proof, jws.Names())
			require.ErrorContains(t, err, c.err)
		})
	}
	_, err := dpop.Read(forToken, []string{"PS256", "ES384"})
	assert.ErrorContains(t, err, "alg")
}

func TestTarget(t *testing.T) {
	for given, want := range map[string]string{
		"https://api.example":                      "https://api.example/",
		"https://api.example/a?b=c#d":              "https://api.example/a",
		"https://u:p@api.example/a":                "https://api.example/a",
		"HTTPS://API.Example:443/A":                "https://api.example/A",
		"https://api.example:8443/":                "https://api.example:8443/",
		"https://api.example:/":                    "https://api.example/",
		"http://127.0.0.1:80/x":                    "http://127.0.0.1/x",
		"https://[::1]:443/x":                      "https://[::1]/x",
		"https://[::1]:1/x":                        "https://[::1]:1/x",
		"https://[::1]/x":                          "https://[::1]/x",
		"https://api.example/a%2Fb%7ec/%61/?x=%7e": "https://api.example/a%2Fb%7ec/%61/",
		"https://api.example/ü":                    "https://api.example/%C3%BC",
		"https://api.example//a/../b":              "https://api.example//a/../b",
		"mailto:a@b.example":                       "",
		"/relative":                                "",
	} {
		u, err := url.Parse(given)
		require.NoError(t, err)
		got, err := dpop.Target(u, "")
		assert.Equal(t, want == "", err != nil, given)
		assert.Equal(t, want, got, given)
	}
	got, err := dpop.Target(&url.URL{Scheme: "https", Host: "10.0.0.1:8443", Path: "/a"}, "API.example")
	require.NoError(t, err)
	assert.Equal(t, "https://api.example/a", got, "the server sees the header Host")
}

func TestChoose(t *testing.T) {
	for listed, want := range map[string]string{
		"": "ES256", "RS256 PS256 ES256 EdDSA": "ES256", "RS256 EdDSA": "EdDSA", "EdDSA Ed25519": "Ed25519",
		"RS256": "RS256", "RS512 PS512 PS256": "PS256", "ES256K": "", "HS256 none": "",
	} {
		got, err := dpop.Choose(strings.Fields(listed))
		assert.Equal(t, want, got, listed)
		assert.Equal(t, want == "", err != nil, listed)
	}
	_, err := dpop.NewKey("ES256K")
	assert.Error(t, err)
}

func TestNonces(t *testing.T) {
	var n dpop.Nonces
	note := func(origin string, values ...string) { n.Note(origin, http.Header{"Dpop-Nonce": values}) }
	assert.Empty(t, n.Of("https://a.example:443"))
	note("https://a.example:443", "one")
	note("https://b.example:443", "two")
	assert.Equal(t, "one", n.Of("https://a.example:443"))
	note("https://a.example:443", "newer")
	assert.Equal(t, "newer", n.Of("https://a.example:443"))
	assert.Equal(t, "two", n.Of("https://b.example:443"))
	for _, bad := range [][]string{nil, {""}, {"a", "b"}, {"a b"}, {`a"b`}, {`a\b`}, {"ä"},
		{strings.Repeat("n", 1025)}} {
		note("https://a.example:443", bad...)
		assert.Equal(t, "newer", n.Of("https://a.example:443"), "%.20q", bad)
	}
}

// Answers choose the hosts, so the oldest ones are forgotten, and not those in use.
func TestNoncesAreBounded(t *testing.T) {
	var n dpop.Nonces
	note := func(origin string) { n.Note(origin, http.Header{"Dpop-Nonce": {"n"}}) }
	note("in use")
	for i := range 10_000 {
		note(fmt.Sprint(i))
		n.Of("in use")
	}
	assert.Equal(t, "n", n.Of("in use"))
	held := 0
	for i := range 10_000 {
		if n.Of(fmt.Sprint(i)) != "" {
			held++
		}
	}
	assert.Equal(t, 255, held)
	assert.Equal(t, "n", n.Of("9999"))
}

func TestNoncesAreForManyGoroutines(t *testing.T) {
	var n dpop.Nonces
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 1000 {
				origin := fmt.Sprint((i + j) % 300)
				n.Note(origin, http.Header{"Dpop-Nonce": {"n"}})
				n.Of(origin)
			}
		})
	}
	wg.Wait()
}

func TestNothingShowsTheKey(t *testing.T) {
	key, err := dpop.NewKey(jws.ES256)
	require.NoError(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		text := fmt.Sprintf(verb, key) + fmt.Sprintf(verb, *key)
		assert.NotContains(t, text, "PrivateKey", verb)
		assert.NotContains(t, text, "ecdsa", verb)
	}
}

// A proof is read or refused, whatever it is, and a changed one is refused.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{forToken, forResource, "", "..", "e30.e30.", forToken + "."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, compact string) {
		p, err := dpop.Read(compact, jws.Names())
		if err != nil {
			assert.LessOrEqual(t, len(err.Error()), 200)
			return
		}
		assert.NotEmpty(t, p.ID)
		assert.Len(t, p.Thumbprint, 43)
		_ = p.Check(dpop.Wanted{Method: p.Method, Target: p.Target, Now: p.IssuedAt})
	})
}

func BenchmarkProof(b *testing.B) {
	key, err := dpop.NewKey(jws.ES256)
	require.NoError(b, err)
	claims := dpop.Claims{
		Method: "GET", Target: "https://api.example/a", Token: strings.Repeat("t", 1500), Time: time.Now(),
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := key.Prove(b.Context(), claims); err != nil {
			b.Fatal(err)
		}
	}
}

// A sender that puts its private key into the proof is told so, though the signature is right.
func TestProofWithAPrivateKey(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	d, err := key.Bytes()
	require.NoError(t, err)
	public, err := jwk.New(key.Public())
	require.NoError(t, err)
	compact := func(private string) string {
		member := map[string]string{"kty": public.KeyType, "crv": public.Curve, "x": public.X, "y": public.Y}
		if private != "" {
			member["d"] = private
		}
		part := func(v any) string {
			data, err := json.Marshal(v)
			require.NoError(t, err)
			return base64.RawURLEncoding.EncodeToString(data)
		}
		input := part(map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": member}) + "." +
			part(map[string]any{"jti": "1", "htm": "GET", "htu": "https://a.example/", "iat": 1})
		signature, err := jws.Sign(t.Context(), jws.ES256, key, []byte(input))
		require.NoError(t, err)
		return input + "." + base64.RawURLEncoding.EncodeToString(signature)
	}
	_, err = dpop.Read(compact(""), jws.Names())
	require.NoError(t, err)
	_, err = dpop.Read(compact(base64.RawURLEncoding.EncodeToString(d)), jws.Names())
	require.ErrorContains(t, err, "private key")
}
