package certtoken_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// request gets the token of a request and fails the test otherwise.
func (r *rig) request(t testing.TB, req certtoken.Request) *certtoken.Token {
	t.Helper()
	tok, err := r.client.Acquire(t.Context(), req)
	require.NoError(t, err)
	return tok
}

func newIssuerRig(t *testing.T, opts ...certtoken.Option) *rig {
	t.Helper()
	server := certtokentest.New(certtokentest.WithIssuer("https://as.example.com"), certtokentest.WithOpaqueTokens())
	return newRigOf(t, server, nil, opts...)
}

// details is authorization_details as in RFC 9396 §2.
const details = `[{"type": "payment_initiation", "creditorName": "Merchant – Zürich & Söhne", "amount": "1+1=2"}]`

func TestRequestParametersAreSent(t *testing.T) {
	r := newIssuerRig(t)
	r.request(t, certtoken.Request{Scopes: []string{"pay"}, Parameters: url.Values{
		"resource":              {"https://a.example", "https://b.example"},
		"audience":              {"api"},
		"authorization_details": {details},
		"unused":                nil,
	}})
	form := r.server.LastRequest().Form
	assert.Equal(t, []string{"https://a.example", "https://b.example"}, form["resource"])
	assert.Equal(t, []string{"api"}, form["audience"])
	assert.Equal(t, []string{details}, form["authorization_details"])
	assert.NotContains(t, form, "unused")
	assert.Equal(t, "pay", form.Get("scope"))
}

func TestTokensAreCachedByTheirParameters(t *testing.T) {
	r := newIssuerRig(t)
	different := []url.Values{
		nil,
		{"resource": {"urn:a"}},
		{"resource": {"urn:b"}},
		{"resource": {"urn:a", "urn:b"}},
		{"resource": {"urn:b", "urn:a"}},
		{"resource": {"urn:a urn:b"}},
		{"audience": {"urn:a"}},
		{"resource": {"urn:a"}, "audience": {"urn:b"}},
		{"resource": {"urn:b"}, "audience": {"urn:a"}},
	}
	seen := make(map[string]int)
	for i, parameters := range different {
		token := r.request(t, certtoken.Request{Scopes: []string{"read"}, Parameters: parameters})
		other, is := seen[token.AccessToken()]
		assert.False(t, is, "%v has the token of %v", parameters, different[other])
		seen[token.AccessToken()] = i
	}
	for i, parameters := range different {
		token := r.request(t, certtoken.Request{Scopes: []string{"read"}, Parameters: parameters})
		assert.Equal(t, i, seen[token.AccessToken()])
	}
	assert.Equal(t, len(different), r.server.Count())
	// What is no parameter makes no difference.
	r.request(t, certtoken.Request{Scopes: []string{"read"}, Parameters: url.Values{}})
	r.request(t, certtoken.Request{
		Scopes: []string{"read"}, Parameters: url.Values{"resource": {"urn:a"}, "audience": nil},
	})
	assert.Equal(t, len(different), r.server.Count())
}

// A caller may change its map while its request is under way and afterwards.
func TestParametersAreCopied(t *testing.T) {
	r := newIssuerRig(t)
	parameters := url.Values{"resource": {"urn:a"}}
	r.server.FailFunc(func(*certtokentest.Request) *certtokentest.Fault {
		parameters["resource"][0] = "urn:b"
		parameters.Set("audience", "c")
		return nil
	})
	first := r.request(t, certtoken.Request{Scopes: []string{"read"}, Parameters: parameters})
	r.server.ClearFaults()
	before := certtoken.Request{Scopes: []string{"read"}, Parameters: url.Values{"resource": {"urn:a"}}}
	assert.Same(t, first, r.request(t, before))
	r.request(t, certtoken.Request{Scopes: []string{"read"}, Parameters: parameters})
	assert.Equal(t, 2, r.server.Count())
	assert.Equal(t, []string{"urn:b"}, r.server.LastRequest().Form["resource"])
}

func TestRenewalsHaveTheParameters(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newIssuerRig(t)
		req := certtoken.Request{Scopes: []string{"read"}, Parameters: url.Values{"resource": {"urn:a", "urn:b"}}}
		first := r.request(t, req)
		time.Sleep(time.Until(first.RenewAt()))
		assert.Same(t, first, r.request(t, req))
		synctest.Wait()
		assert.NotSame(t, first, r.request(t, req))
		assert.Equal(t, 2, r.server.Count())
		assert.Equal(t, []string{"urn:a", "urn:b"}, r.server.LastRequest().Form["resource"])
	})
}

func TestARequestsValuesReplaceTheAuthoritys(t *testing.T) {
	var wire recorder
	authority := certtoken.Issuer("https://as.example", "https://as.example/token",
		certtoken.WithParameter("resource", "https://default.example"), certtoken.WithParameter("audience", "api"))
	client, err := certtoken.NewClient(authority, clientID, freeCertificate(t),
		certtoken.WithHTTPClient(&http.Client{Transport: &wire}))
	require.NoError(t, err)
	defer client.Close()
	_, err = client.Acquire(t.Context(), certtoken.Request{Parameters: url.Values{"resource": {"https://a.example"}}})
	require.Error(t, err, "the recorder grants nothing")
	assert.Equal(t, []string{"https://a.example"}, wire.form["resource"])
	assert.Equal(t, []string{"api"}, wire.form["audience"])
}

func TestParametersThatCantBeSent(t *testing.T) {
	r := newIssuerRig(t)
	many, numbered := make([]string, 65), make(url.Values)
	for i := range many {
		many[i] = "x"
		numbered[scopeOf(i)] = nil
	}
	for name, c := range map[string]struct {
		given url.Values
		want  string
	}{
		"set by us": {url.Values{"client_assertion": {"secret-value"}},
			`"client_assertion" is set by the library`},
		"in another case":   {url.Values{"Grant_Type": {"secret-value"}}, `"Grant_Type" is set by the library`},
		"another's proof":   {url.Values{"client_secret": {"secret-value"}}, `"client_secret" is set by the library`},
		"a secret":          {url.Values{"subject_token": {"secret-value"}}, `"subject_token" is set by the library`},
		"no name":           {url.Values{"": {"secret-value"}}, `"" is not a name`},
		"blank in the name": {url.Values{"a b": {"secret-value"}}, `"a b" is not a name`},
		"long name":         {url.Values{strings.Repeat("n", 2000): {"secret-value"}}, "is not a name"},
		"empty":             {url.Values{"resource": {"secret-value", ""}}, `"resource" is empty`},
		"line break":        {url.Values{"resource": {"secret-value\n"}}, `"resource" has control characters`},
		"NUL":               {url.Values{"resource": {"secret-value\x00"}}, `"resource" has control characters`},
		"C1":                {url.Values{"resource": {"secret-value\u0085"}}, `"resource" has control characters`},
		"not UTF-8":         {url.Values{"resource": {"secret-value\xff"}}, `"resource" has control characters`},
		"many values":       {url.Values{"resource": many}, "more than 64 parameters"},
		"many names":        {numbered, "more than 64 parameters"},
		"long":              {url.Values{"resource": {strings.Repeat("secret-value", 2000)}}, "16384 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.client.Acquire(t.Context(), certtoken.Request{Scopes: []string{"read"}, Parameters: c.given})
			require.ErrorContains(t, err, c.want)
			assert.NotContains(t, err.Error(), "secret-value")
			assert.Less(t, len(err.Error()), 500)
		})
	}
	assert.Zero(t, r.server.Count())
	assert.Zero(t, certtoken.CacheLen(r.client))
}

func TestAParameterOfTheURLIsNotSentTwice(t *testing.T) {
	authority := certtoken.Issuer("https://as.example", "https://as.example/token",
		certtoken.WithQuery("audience", "api"))
	client, err := certtoken.NewClient(authority, clientID, freeCertificate(t))
	require.NoError(t, err)
	defer client.Close()
	_, err = client.Acquire(t.Context(), certtoken.Request{Parameters: url.Values{"audience": {"other"}}})
	assert.ErrorContains(t, err, `parameter "audience" is in the URL already: WithQuery sends it`)
}

// Hooks and the log tell which parameters there were, and not what they were.
func TestHooksGetTheNamesOfParameters(t *testing.T) {
	var mu sync.Mutex
	var log bytes.Buffer
	events := make(map[string]certtoken.Event)
	note := func(name string) func(certtoken.Event) {
		return func(e certtoken.Event) {
			mu.Lock()
			defer mu.Unlock()
			events[name] = e
		}
	}
	r := newIssuerRig(t, certtoken.WithLogger(slog.New(slog.NewTextHandler(&log, nil))),
		certtoken.WithHooks(certtoken.Hooks{
			Hit: note("hit"), Miss: note("miss"),
			RequestEnd: func(_ context.Context, e certtoken.Event) { note("end")(e) },
		}))
	req := certtoken.Request{Parameters: url.Values{"resource": {"urn:private"}, "audience": {"private"}}}
	r.request(t, req)
	r.request(t, req)
	for _, name := range []string{"hit", "miss", "end"} {
		assert.Equal(t, []string{"audience", "resource"}, events[name].Parameters, name)
	}
	assert.Contains(t, log.String(), `parameters="[audience resource]"`)
	assert.NotContains(t, log.String(), "private")
}

// With a store, a token is shared by those who ask with the same parameters.
func TestTheStoreKeepsParametersApart(t *testing.T) {
	srv, cert := fleet(t)
	store := certtoken.NewMemoryStore()
	get := func(parameters url.Values) string {
		client := process(t, srv, cert, store) // with an empty cache
		token, err := client.Acquire(t.Context(), certtoken.Request{Scopes: []string{scope}, Parameters: parameters})
		require.NoError(t, err)
		require.NoError(t, client.Close())
		return token.AccessToken()
	}
	a := url.Values{"resource": {"urn:a"}, "audience": {"urn:b"}}
	b := url.Values{"resource": {"urn:b"}, "audience": {"urn:a"}}
	first, second := get(a), get(b)
	assert.NotEqual(t, first, second)
	assert.Equal(t, first, get(a))
	assert.Equal(t, second, get(b))
	assert.NotEqual(t, first, get(nil))
	assert.Equal(t, 3, srv.Count())
}
