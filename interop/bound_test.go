package interop

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/certtoken/certtoken/jwks"
)

// binding is a way to prove the client, and to bind its tokens, that is more than an
// assertion.
type binding int

const (
	byCA        binding = iota // tls_client_auth, RFC 8705 §2.1
	bySelf                     // self_signed_tls_client_auth, §2.2
	boundToCert                // an assertion, and tokens bound to the certificate, §3
	boundToKey                 // an assertion, and DPoP, RFC 9449
)

var bindings = []struct {
	name   string
	option certtoken.AuthorityOption
}{
	byCA:        {"`WithTLSClientAuth`, of a CA", certtoken.WithTLSClientAuth()},
	bySelf:      {"`WithTLSClientAuth`, self-signed", certtoken.WithTLSClientAuth()},
	boundToCert: {"`WithCertificateBoundTokens`", certtoken.WithCertificateBoundTokens()},
	boundToKey:  {"`WithDPoP`", certtoken.WithDPoP()},
}

const boundSubject = "CN=service"

var boundCert = sync.OnceValues(func() (*certtoken.Certificate, error) {
	ca, err := clientCA()
	if err != nil {
		return nil, err
	}
	return certtokentest.MakeCertificate(certtokentest.WithSubject("service"), certtokentest.SignedBy(ca))
})

// certificateFor returns the client's certificate for a binding.
func certificateFor(t *testing.T, b binding) *certtoken.Certificate {
	t.Helper()
	get := boundCert
	if b == bySelf {
		get = loneClient
	}
	cert, err := get()
	require.NoError(t, err)
	return cert
}

// TestBound asks every server for each kind of bound token. A server that knows nothing of
// it is asked all the same. README.md holds what came out.
func TestBound(t *testing.T) {
	all, whole := judgesForTable(t)
	// Whatever a profile grants is bound: TestTable has it.
	all = slices.DeleteFunc(all, func(j *judge) bool { return j.bindsTokens != nil })
	cells := make(map[string]string)
	said := make(map[string]error)
	var mu sync.Mutex
	t.Run("trial", func(t *testing.T) {
		for _, j := range all {
			for b, way := range bindings {
				t.Run(j.name+"/"+way.name, func(t *testing.T) {
					t.Parallel()
					var came string
					err := promptly(t, func() (err error) {
						came, err = j.bindTokens(t, binding(b))
						return err
					})
					mu.Lock()
					defer mu.Unlock()
					cells[j.name+"/"+way.name], said[j.name+"/"+way.name] = came, err
				})
			}
		}
	})
	if t.Failed() {
		return
	}
	var table, texts strings.Builder
	table.WriteString("| server |")
	for _, way := range bindings {
		fmt.Fprintf(&table, " %s |", way.name)
	}
	table.WriteString("\n|---|" + strings.Repeat("---|", len(bindings)) + "\n")
	texts.WriteString("| server | option | status, error | description |\n|---|---|---|---|\n")
	for _, j := range all {
		fmt.Fprintf(&table, "| %s |", j.name)
		for _, way := range bindings {
			came, err := cells[j.name+"/"+way.name], said[j.name+"/"+way.name]
			fmt.Fprintf(&table, " %s |", came)
			if err != nil {
				fmt.Fprintf(&texts, "| %s | %s | %s | %s |\n", j.name, way.name, came, description(j, err))
			}
		}
		table.WriteString("\n")
	}
	if !whole {
		t.Skipf("the tables have servers in them that weren't asked\n%s\n%s", table.String(), texts.String())
	}
	compareTable(t, "bound", table.String())
	compareTable(t, "bound refused", texts.String())
}

// bindTokens gets a token by a binding, and returns what came out in a word or two.
func (j *judge) bindTokens(t *testing.T, b binding) (came string, err error) {
	t.Helper()
	if j.places != nil {
		j.places <- struct{}{}
		defer func() { <-j.places }()
	}
	id := fmt.Sprintf("bound-%d-%s", b, rand.Text())
	cert := certificateFor(t, b)
	if j.registerBound != nil && j.registerBound(t, b, id, cert) {
		// It is known by what the binding needs.
	} else if err := j.registerPrinted(t, id, certtoken.RS256, cert); err != nil {
		return "not registered", err
	}
	opts := []certtoken.AuthorityOption{bindings[b].option}
	for _, n := range j.needs(j.printedKeyID()) {
		opts = append(opts, n.option)
	}
	hc := &http.Client{Transport: j.http.Transport, Timeout: programAnswer}
	authority, err := discover(t.Context(), j.issuer, append(opts, certtoken.WithDiscoveryClient(hc))...)
	if err != nil { // it publishes no metadata, or doesn't list this
		t.Logf("Discover: %v", err)
		authority = certtoken.Issuer(j.issuer, j.tokenURL, opts...)
	}
	client, err := certtoken.NewClient(authority, id, cert, certtoken.WithHTTPClient(hc), patient)
	require.NoError(t, err)
	defer func() { require.NoError(t, client.Close()) }()
	token, err := client.Token(t.Context(), scope)
	switch {
	case errors.Is(err, certtoken.ErrBadResponse):
		return "not bound", nil // a Bearer token, which the client refuses
	case err != nil:
		return outcomeOfKey(err), err
	}
	method, thumbprint := token.Confirmation()
	confirmed, isJWT := confirmation(token)
	switch {
	case b == boundToKey:
		require.Equal(t, "DPoP", token.Type())
		require.True(t, !isJWT || confirmed["jkt"] == thumbprint)
		return "✓", nil
	case confirmed["x5t#S256"] == thumbprint && method == "x5t#S256":
		return "✓", nil
	case isJWT:
		return "✓, not bound", nil
	}
	return "✓, opaque", nil
}

// confirmation is the claim cnf of a token that is a JWT (RFC 7800).
func confirmation(token *certtoken.Token) (cnf map[string]string, isJWT bool) {
	parts := strings.Split(token.AccessToken(), ".")
	if len(parts) != 3 {
		return nil, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, false
	}
	var claims struct {
		Confirmation map[string]string `json:"cnf"`
	}
	err = json.Unmarshal(payload, &claims)
	return claims.Confirmation, err == nil
}

// printedWithCertificate is a set that has the certificate itself (x5c), by which servers
// know a self-signed one.
func printedWithCertificate(t *testing.T, cert *certtoken.Certificate) []byte {
	t.Helper()
	set, err := jwks.Marshal(cert)
	require.NoError(t, err)
	require.Contains(t, string(set), `"x5c"`)
	return set
}
