package interop

import (
	"crypto/x509"
	"encoding/json"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// fmiDifferences are the fields in which MSAL Go's request for an agent's assertion and ours
// differ, each with the reason.
var fmiDifferences = map[string]string{
	"body client_info": "MSAL asks for the user's ids in each request; a client that acts as itself has no user",
	"body scope": "MSAL adds openid, offline_access and profile, of which nothing comes for a client that " +
		"acts as itself; ours asks for what was asked for",

	"header x5t#S256": "MSAL pads it and uses the other alphabet of base64; RFC 7515 §4.1.8 wants base64url without",

	"claims iat": "MSAL writes none; Entra ID's documentation lists it as expected",
	"claims exp": "MSAL's assertion lives for 10 min, ours for 5",
	"claims nbf": "ours is set back by 2 min, because clocks differ",
	"claims jti": "both are random",
}

// MSAL Go's request with fmi_path beside ours, and why they differ where they do. The golden
// file has both.
func TestFMIPath(t *testing.T) {
	const agent, blueprint = "aaaaaaaa-0000-4000-8000-000000000001", "6731de76-14a6-49ae-97bc-6eba6914391e"
	const scope = certtokentest.ExchangeAudience + "/.default"
	cert := newCertificate(t, "blueprint")
	server := certtokentest.New()
	server.Register(blueprint, cert.Leaf)
	server.RegisterAgent(certtokentest.Agent{ID: agent, Blueprint: blueprint, Tenant: certtokentest.DefaultTenant})

	cred, err := confidential.NewCredFromCert([]*x509.Certificate{cert.Leaf}, cert.Signer)
	require.NoError(t, err)
	msal, err := confidential.New("https://login.microsoftonline.com/"+certtokentest.DefaultTenant, blueprint, cred,
		confidential.WithHTTPClient(server.Client()), confidential.WithInstanceDiscovery(false))
	require.NoError(t, err)
	_, err = msal.AcquireTokenByCredential(t.Context(), []string{scope}, confidential.WithFMIPath(agent))
	require.NoError(t, err)
	theirs := server.LastRequest()

	client, err := certtoken.NewClient(certtoken.Entra(certtokentest.DefaultTenant), blueprint, cert,
		certtoken.WithHTTPClient(server.Client()))
	require.NoError(t, err)
	defer client.Close()
	before := len(server.Requests())
	_, err = client.Acquire(t.Context(), certtoken.Request{
		Agent: agent, Scopes: []string{"https://graph.microsoft.com/.default"},
	})
	require.NoError(t, err)
	ours := server.Requests()[before]

	assert.Equal(t, theirs.URL, ours.URL)
	assert.Equal(t, agent, theirs.Form.Get("fmi_path"))
	a, b := fieldsOf(theirs), fieldsOf(ours)
	for _, name := range slices.Sorted(maps.Keys(fmiDifferences)) {
		assert.True(t, a[name] != b[name], "%s is the same in both, %q: explain no difference", name, a[name])
	}
	for name := range maps.Clone(a) {
		b[name] += "" // so that what only they have is looked at, too
	}
	for name := range b {
		if a[name] != b[name] {
			assert.NotEmpty(t, fmiDifferences[name], "%s: MSAL Go has %q, ours %q", name, a[name], b[name])
		}
	}
	compareFile(t, filepath.Join("testdata", "fmi_path.txt"),
		"MSAL Go "+moduleVersion(t, "github.com/AzureAD/microsoft-authentication-library-for-go")+"\n"+asSent(theirs)+
			"\ncerttoken\n"+asSent(ours))
}

// fieldsOf is all of a request that could differ: the form, and the assertion's header and
// claims.
func fieldsOf(r certtokentest.Request) map[string]string {
	fields := make(map[string]string)
	for name, values := range r.Form {
		if name != "client_assertion" {
			fields["body "+name] = strings.Join(values, " ")
		}
	}
	for name, value := range r.AssertionHeader {
		fields["header "+name] = text(value)
	}
	for name, value := range r.AssertionClaims {
		fields["claims "+name] = text(value)
	}
	return fields
}

// asSent is a request for the golden file: its form and what its assertion has.
func asSent(r certtokentest.Request) string {
	form := make(url.Values)
	for name, values := range r.Form {
		form[name] = values
	}
	form.Set("client_assertion", "header "+names(r.AssertionHeader)+"; claims "+names(r.AssertionClaims))
	lines := []string{r.Method + " " + r.URL}
	for _, name := range slices.Sorted(maps.Keys(form)) {
		lines = append(lines, name+"="+strings.Join(form[name], "|"))
	}
	return strings.Join(lines, "\n") + "\n"
}

// text is a value of a JSON object.
func text(value any) string {
	data, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

func names(of map[string]any) string { return strings.Join(slices.Sorted(maps.Keys(of)), " ") }

// compareFile holds a text against a file, or writes it.
func compareFile(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), got, "go test -run %s -update . writes it", t.Name())
}
