package interop

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/jwks"
)

// The times that are tried, each with the longest that may be granted last. A server's
// limit lies between two of them.
var (
	lifetimes = []time.Duration{time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour}
	backs     = []time.Duration{45 * time.Second, 2 * time.Minute, 4 * time.Minute, 10 * time.Minute, 50 * time.Minute}
	aheads    = []time.Duration{10 * time.Second, 40 * time.Second, 4 * time.Minute, time.Hour}
)

// demand is what is asked of each judge, a column of the table.
type demand struct {
	name string
	ask  func(t *testing.T, j *judge) string
}

var demands = []demand{
	{"`Issuer` alone", func(t *testing.T, j *judge) string { return outcomeOfKey(j.asked(t, j.onlyIssuer)) }},
	{"`Discover` alone", func(t *testing.T, j *judge) string { return outcomeOfKey(j.asked(t, j.onlyDiscover)) }},
	{"`aud`", func(t *testing.T, j *judge) string {
		issuer := j.grants(t, certtoken.WithAudience(j.issuer))
		endpoint := j.grants(t, certtoken.WithAudience(j.tokenURL))
		return either(issuer, endpoint, "issuer or token endpoint", "issuer", "token endpoint")
	}},
	{"`typ`", func(t *testing.T, j *judge) string {
		own := j.grants(t, certtoken.WithAssertionType("client-authentication+jwt"))
		plain := j.grants(t, certtoken.WithAssertionType("JWT"))
		return either(own, plain, "either", "`client-authentication+jwt`", "`JWT`")
	}},
	{"`kid`", func(t *testing.T, j *judge) string {
		if !j.grants(t, certtoken.WithKeyID("")) {
			return "always"
		}
		if j.oneKey {
			return "not needed"
		}
		tr := newTrial(t, j, j.best())
		tr.keys = append([]key{keyOf(newCertificate(t, "other"))}, tr.keys...)
		tr.options = append(tr.options, certtoken.WithKeyID(""))
		if _, err := tr.run(t); err != nil {
			return "with several keys"
		}
		return "not needed"
	}},
	{"`x5t#S256` that the keys lack", func(t *testing.T, j *judge) string {
		return yes(j.grants(t, certtoken.WithThumbprintHeader(certtoken.ThumbprintSHA256)))
	}},
	{"`x5c`", func(t *testing.T, j *judge) string { return yes(j.grants(t, certtoken.WithX5C())) }},
	{"`exp` ahead", func(t *testing.T, j *judge) string {
		return longest(lifetimes, func(d time.Duration) bool { return j.grants(t, certtoken.WithLifetime(d)) })
	}},
	{"`iat` back", func(t *testing.T, j *judge) string {
		return longest(backs, func(d time.Duration) bool { return j.grants(t, certtoken.WithBackdate(d)) })
	}},
	{"`iat` ahead", func(t *testing.T, j *judge) string {
		return longest(aheads, func(d time.Duration) bool {
			tr := newTrial(t, j, j.best())
			tr.forge = signedAt(d, func(a *certtoken.Assertion) { a.Backdate = -1 })
			_, err := tr.run(t)
			return err == nil
		})
	}},
	{"`jti` again", func(t *testing.T, j *judge) string {
		tr := newTrial(t, j, j.best())
		tr.replay = true
		_, err := tr.run(t)
		require.NotErrorIs(t, err, errNotReached)
		return yes(err == nil)
	}},
}

func either(first, second bool, both, one, other string) string {
	switch {
	case first && second:
		return both
	case first:
		return one
	case second:
		return other
	}
	return "?"
}

func yes(granted bool) string {
	if granted {
		return "✓"
	}
	return "refused"
}

// longest is the last of the times up to which all are granted.
func longest(times []time.Duration, granted func(time.Duration) bool) string {
	last := "not at all"
	for _, d := range times {
		if !granted(d) {
			return last
		}
		last = inWords(d)
	}
	return last
}

func inWords(d time.Duration) string {
	switch {
	case d%time.Hour == 0:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return fmt.Sprintf("%d s", d/time.Second)
}

// grants reports whether the judge grants a token to a client that differs by the options
// from what its documentation asks for.
func (j *judge) grants(t *testing.T, opts ...certtoken.AuthorityOption) bool {
	t.Helper()
	tr := newTrial(t, j, j.best())
	tr.options = append(tr.options, opts...)
	_, err := tr.run(t)
	return err == nil
}

func (j *judge) onlyIssuer(context.Context, *http.Client) (certtoken.Authority, error) {
	return certtoken.Issuer(j.issuer, j.tokenURL), nil
}

func (j *judge) onlyDiscover(ctx context.Context, hc *http.Client) (certtoken.Authority, error) {
	return discover(ctx, j.issuer, certtoken.WithDiscoveryClient(hc))
}

// needed is addressed with what it needs.
func (j *judge) needed(context.Context, *http.Client) (certtoken.Authority, error) {
	var opts []certtoken.AuthorityOption
	for _, n := range j.needs(j.printedKeyID()) {
		opts = append(opts, n.option)
	}
	return certtoken.Issuer(j.issuer, j.tokenURL, opts...), nil
}

// asked is alone, and once more where that took long.
func (j *judge) asked(t *testing.T, authority func(context.Context, *http.Client) (certtoken.Authority, error)) error {
	t.Helper()
	return promptly(t, func() error { return j.alone(t, authority) })
}

// alone gets a token for a client whose key is as package jwks prints it, or its certificate
// where the judge reads no set.
func (j *judge) alone(
	t *testing.T,
	authority func(context.Context, *http.Client) (certtoken.Authority, error),
) error {
	t.Helper()
	if j.places != nil {
		j.places <- struct{}{}
		defer func() { <-j.places }()
	}
	cert := newCertificate(t, "client")
	id := "alone-" + rand.Text()
	if err := j.registerPrinted(t, id, certtoken.RS256, cert); err != nil {
		return err
	}
	hc := &http.Client{Transport: j.http.Transport, Timeout: programAnswer}
	address, err := authority(t.Context(), hc)
	if err != nil {
		t.Logf("Discover: %v", err)
		return &noMetadata{err}
	}
	client, err := certtoken.NewClient(address, id, cert, certtoken.WithHTTPClient(hc), patient)
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	_, err = client.Token(t.Context(), scope)
	return err
}

// noMetadata is why there is no Authority.
type noMetadata struct{ why error }

func (e *noMetadata) Error() string { return e.why.Error() }

// registerPrinted registers the public half of a certificate.
func (j *judge) registerPrinted(t *testing.T, id string, alg certtoken.Algorithm, cert *certtoken.Certificate) error {
	t.Helper()
	if j.registerSet == nil {
		j.register(t, registration{id: id, algorithm: alg, keys: []key{keyOf(cert)}})
		return nil
	}
	var options jwks.Options
	if j.fapiOnly {
		options.Algorithm = certtoken.PS256 // an RSA key is printed for RS256 else
	}
	set, err := options.Marshal(cert)
	require.NoError(t, err)
	if j.urlOnly {
		return j.registerSet(t, keySet{id: id, algorithm: alg, url: j.publish(t, servedJSON(set))})
	}
	return j.registerSet(t, keySet{id: id, algorithm: alg, set: set})
}

// TestDemands finds out what each server demands of a client and its assertions, and which
// options are enough. README.md and docs/generic.md hold what came out.
func TestDemands(t *testing.T) {
	all, whole := judgesForTable(t)
	cells := make(map[string]string)
	var mu sync.Mutex
	t.Run("trial", func(t *testing.T) {
		for _, j := range all {
			for _, d := range demands {
				t.Run(j.name+"/"+d.name, func(t *testing.T) {
					t.Parallel()
					came := d.ask(t, j)
					mu.Lock()
					defer mu.Unlock()
					cells[j.name+"/"+d.name] = came
				})
			}
			t.Run(j.name+"/with what it needs", func(t *testing.T) {
				t.Parallel()
				require.NoError(t, j.asked(t, j.needed))
			})
		}
	})
	if t.Failed() {
		return
	}
	for _, j := range all {
		needsNothing := len(j.needs(keyID)) == 0 || j.needsFor != ""
		require.Equal(t, needsNothing, cells[j.name+"/`Issuer` alone"] == "✓", "%s: are the options needed?", j.name)
	}
	if !whole {
		for _, j := range all {
			for _, d := range demands {
				t.Log(j.name, d.name, cells[j.name+"/"+d.name])
			}
		}
		t.Skip("the tables have servers in them that weren't asked")
	}

	var table, products strings.Builder
	table.WriteString("| server |")
	for _, d := range demands {
		fmt.Fprintf(&table, " %s |", d.name)
	}
	table.WriteString("\n|---|" + strings.Repeat("---|", len(demands)) + "\n")
	products.WriteString("| server | issuer, token endpoint | it has your key as | options |\n|---|---|---|---|\n")
	for _, j := range all {
		fmt.Fprintf(&table, "| %s |", j.name)
		for _, d := range demands {
			fmt.Fprintf(&table, " %s |", cells[j.name+"/"+d.name])
		}
		table.WriteString("\n")
		fmt.Fprintf(&products, "| %s | %s | %s | %s |\n", j.name, j.addresses(), j.ways(), j.advised())
	}
	compareTable(t, "demands", table.String())
	compareTableIn(t, "../docs/generic.md", "products", products.String())
}

// printedKeyID is the kid of a key that registerPrinted registered.
func (j *judge) printedKeyID() func(*certtoken.Certificate) string {
	if j.registerSet == nil {
		return keyID
	}
	return jwks.KeyID
}

// addresses are those that a user gives to Issuer.
func (j *judge) addresses() string {
	if j.ownPaths {
		return "your program's"
	}
	address, err := url.Parse(j.issuer)
	if err != nil {
		return "?"
	}
	general := strings.NewReplacer(address.Host, "HOST", "/realms/"+keycloakRealm, "/realms/REALM")
	return fmt.Sprintf("`%s`, `%s`", general.Replace(j.issuer), general.Replace(j.tokenURL))
}

// ways are the forms in which the judge takes a client's public key.
func (j *judge) ways() string {
	var all []string
	if j.registerSet == nil {
		all = append(all, "certificate")
	}
	if j.registerSet != nil && !j.urlOnly {
		all = append(all, "JWK set")
	}
	if j.publish != nil {
		all = append(all, "its URL")
	}
	return strings.Join(all, ", ")
}

// advised are the options as a user writes them.
func (j *judge) advised() string {
	needs := j.needs(keyID)
	if len(needs) == 0 {
		if j.noThumbprint {
			return "none; a set that package jwks didn't print: `WithThumbprintHeader(certtoken.ThumbprintNone)`"
		}
		return "none"
	}
	if j.fapiOnly {
		return "`WithFAPI()`, `WithCertificateBoundTokens()`; keys printed by `jwks.Options{Algorithm: " +
			"certtoken.PS256}`"
	}
	codes := make([]string, len(needs))
	for i, n := range needs {
		codes[i] = "`" + n.code + "`"
	}
	all := strings.Join(codes, ", ")
	if j.needsFor != "" {
		all = "none; " + j.needsFor + ": " + all
	}
	return all
}
