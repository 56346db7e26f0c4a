package interop

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
)

// entraRequests is the file with what each of three libraries sends.
const entraRequests = "testdata/entra-requests.md"

// entraReasons say why the libraries differ, for each thing in which they do. A
// difference without a reason fails the test, and so does a reason without a difference.
var entraReasons = map[string]string{
	"assertion claim: exp": "Microsoft advises 5 to 10 minutes. certtoken takes the least, as it signs anew for each " +
		"request; MSAL has 10 fixed.",
	"assertion claim: iat": "Microsoft's documentation lists it, and other servers demand it. MSAL leaves it out.",
	"assertion claim: nbf": "A machine whose clock is a little ahead would be refused. certtoken allows for two " +
		"minutes, MSAL for none.",
	"assertion header: x5t#S256": "RFC 7515 §4.1.8 wants base64url without padding. MSAL Go writes it in its own " +
		"way, and what it sends is taken; other servers needn't.",
	"form: client_info": "It asks for the ids by which MSAL keeps users' accounts. There is no user here, and " +
		"certtoken keeps none.",
	"form: scope": "MSAL adds OpenID's scopes to every request, though an app alone gets nothing for them. certtoken " +
		"asks for what it was told, since other servers refuse scopes that they don't know.",
	"header while discovering: Accept-Encoding":          discoveryReason,
	"header while discovering: Client-Request-Id":        discoveryReason,
	"header while discovering: Return-Client-Request-Id": discoveryReason,
	"header while discovering: User-Agent":               discoveryReason,
	"header while discovering: X-Client-Cpu":             discoveryReason,
	"header while discovering: X-Client-Os":              discoveryReason,
	"header while discovering: X-Client-Sku":             discoveryReason,
	"header while discovering: X-Client-Ver":             discoveryReason,
	"header: Accept": "It says that JSON is understood, which some gateways go by. " +
		"MSAL says nothing.",
	"header: Content-Type": "The media type of forms has no charset, and by RFC 6749 Appendix B they are UTF-8 " +
		"anyway. Servers ignore it.",
	"header: Return-Client-Request-Id": "certtoken wants its request's id back, so that an error holds the id that " +
		"Microsoft's logs have. MSAL doesn't.",
	"header: User-Agent": "certtoken and azidentity say who they are. MSAL Go leaves Go's own name, and uses " +
		"X-Client-Sku.",
	"header: X-Client-Cpu": telemetryReason,
	"header: X-Client-Os":  telemetryReason,
	"header: X-Client-Sku": telemetryReason,
	"header: X-Client-Ver": telemetryReason,
	"requests: for the first token": "The token endpoint follows from host and tenant, so certtoken asks it at once. " +
		"MSAL first asks whether the host is one of Microsoft's, and where its token endpoint is. azidentity is " +
		"built on MSAL.",
}

const (
	discoveryReason = "certtoken doesn't discover: there is no such request."
	telemetryReason = "Telemetry by which Microsoft counts MSAL's versions and machines. certtoken's version is in " +
		"its User-Agent."
)

// tokenGetter is one of the libraries, with a certificate.
type tokenGetter func(ctx context.Context, scope string) (string, error)

type newTokenGetter func(*testing.T, *certtoken.Certificate, *http.Client) tokenGetter

// observer is Entra ID's host, and everything that is sent to it.
type observer struct {
	endpoint *certtokentest.Server
	client   *http.Client

	mu       sync.Mutex
	requests []seen
}

// seen is a request as it came over the wire.
type seen struct {
	time   time.Time
	proto  string
	method string
	url    *url.URL
	header http.Header
	form   url.Values
}

// newObserver starts a server that every connection of its client leads to, over HTTP/2 as
// Entra ID speaks it.
func newObserver(t *testing.T, cert *certtoken.Certificate) *observer {
	t.Helper()
	o := &observer{endpoint: certtokentest.New()}
	o.endpoint.Register("my-app", cert.Leaf)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		form, _ := url.ParseQuery(string(body)) // what can't be parsed, the endpoint refuses
		place := *r.URL
		place.Scheme, place.Host = "https", r.Host
		o.mu.Lock()
		o.requests = append(o.requests, seen{time.Now(), r.Proto, r.Method, &place, r.Header.Clone(), form})
		o.mu.Unlock()
		o.endpoint.ServeHTTP(w, r)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	transport := &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{RootCAs: pool, ServerName: "example.com"}, // what its certificate is for
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, server.Listener.Addr().String())
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	o.client = &http.Client{Transport: transport}
	return o
}

// taken returns what was sent since the last call.
func (o *observer) taken() []seen {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.requests
	o.requests = nil
	return all
}

func certtokenGetter(t *testing.T, cert *certtoken.Certificate, hc *http.Client) tokenGetter {
	t.Helper()
	client, err := certtoken.NewClient(certtoken.Entra(clientTenant), "my-app", cert, certtoken.WithHTTPClient(hc))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return func(ctx context.Context, scope string) (string, error) {
		token, err := client.Token(ctx, scope)
		if err != nil {
			return "", err
		}
		return token.AccessToken(), nil
	}
}

func msalGetter(t *testing.T, cert *certtoken.Certificate, hc *http.Client) tokenGetter {
	t.Helper()
	credential, err := confidential.NewCredFromCert([]*x509.Certificate{cert.Leaf}, cert.Signer)
	require.NoError(t, err)
	client, err := confidential.New("https://login.microsoftonline.com/"+clientTenant, "my-app", credential,
		confidential.WithHTTPClient(hc))
	require.NoError(t, err)
	return func(ctx context.Context, scope string) (string, error) {
		r, err := client.AcquireTokenByCredential(ctx, []string{scope})
		return r.AccessToken, err
	}
}

func azidentityGetter(t *testing.T, cert *certtoken.Certificate, hc *http.Client) tokenGetter {
	t.Helper()
	client, err := azidentity.NewClientCertificateCredential(clientTenant, "my-app",
		[]*x509.Certificate{cert.Leaf}, cert.Signer,
		&azidentity.ClientCertificateCredentialOptions{ClientOptions: azcore.ClientOptions{Transport: hc}})
	require.NoError(t, err)
	return func(ctx context.Context, scope string) (string, error) {
		token, err := client.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{scope}})
		return token.Token, err
	}
}

// Three libraries ask one endpoint for the same tokens, with the same certificate and with
// nothing set. The file shows side by side what each has sent, and why they differ.
func TestEntraRequests(t *testing.T) {
	t.Parallel()
	cert := telltaleCertificate(t)
	libraries := []struct {
		name string
		make newTokenGetter
	}{
		{"certtoken", certtokenGetter},
		{"MSAL Go " + moduleVersion(t, modMSAL), msalGetter},
		{"azidentity " + moduleVersion(t, modAzidentity), azidentityGetter},
	}
	names := []string{}
	rows := map[string][]string{} // what each library sends, in their order, by the thing's name
	for i, l := range libraries {
		names = append(names, l.name)
		for thing, value := range sentBy(t, cert, l.make) {
			if rows[thing] == nil {
				rows[thing] = make([]string, len(libraries))
			}
			rows[thing][i] = value
		}
	}
	page := entraPage(t, names, rows)
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(entraRequests), 0o755))
		require.NoError(t, os.WriteFile(entraRequests, []byte(page), 0o644))
		return
	}
	committed, err := os.ReadFile(entraRequests)
	require.NoError(t, err)
	assert.Equal(t, string(committed), page, "go test . -run TestEntraRequests -update writes it")
}

// telltaleCertificate has a thumbprint that base64url and standard base64 write differently.
func telltaleCertificate(t *testing.T) *certtoken.Certificate {
	t.Helper()
	for {
		cert, err := certtokentest.MakeCertificate(certtokentest.WithSharedKey())
		require.NoError(t, err)
		sum := sha256.Sum256(cert.Leaf.Raw)
		if strings.ContainsAny(base64.RawURLEncoding.EncodeToString(sum[:]), "-_") {
			return cert
		}
	}
}

// sentBy is what a library sends. Times are told by their distance from the request, so it is
// asked again where the machine is so busy that this says nothing.
func sentBy(t *testing.T, cert *certtoken.Certificate, newGetter newTokenGetter) (sent map[string]string) {
	t.Helper()
	for range 10 {
		began := time.Now()
		if sent = sentOnce(t, cert, newGetter); time.Since(began) < prompt {
			break
		}
	}
	return sent
}

// sentOnce is everything that a library sends: for its first token, for the same again, and
// for another resource.
func sentOnce(t *testing.T, cert *certtoken.Certificate, newGetter newTokenGetter) map[string]string {
	t.Helper()
	o := newObserver(t, cert)
	get := newGetter(t, cert, o.client)
	ask := func(scope string) []seen {
		token, err := get(t.Context(), scope)
		require.NoError(t, err)
		require.Equal(t, o.endpoint.LastRequest().AccessToken, token)
		return o.taken()
	}
	first := ask(clientResource + "/.default")
	sent := map[string]string{
		"requests: for the first token": placesOf(first),
		"requests: for the same again":  placesOf(ask(clientResource + "/.default")),
	}
	other := ask("https://management.azure.com/.default")
	sent["requests: for another resource"] = placesOf(other)
	require.Equal(t, "POST", first[len(first)-1].method, "the last request is for the token")
	describeTokenRequest(t, sent, first[len(first)-1], cert)
	sent["assertion: used for another token too"] = "no"
	if other[len(other)-1].form.Get("client_assertion") == first[len(first)-1].form.Get("client_assertion") {
		sent["assertion: used for another token too"] = "yes"
	}
	for _, r := range first[:len(first)-1] {
		describeHeader(sent, "header while discovering: ", r.header)
	}
	return sent
}

// placesOf are the requests' methods and URLs.
func placesOf(requests []seen) string {
	if len(requests) == 0 {
		return "none"
	}
	var all []string
	for _, r := range requests {
		all = append(all, r.method+" "+r.url.String())
	}
	return strings.Join(all, "\n")
}

// describeTokenRequest adds what a token request consists of.
func describeTokenRequest(t *testing.T, sent map[string]string, r seen, cert *certtoken.Certificate) {
	t.Helper()
	sent["protocol"] = r.proto
	describeHeader(sent, "header: ", r.header)
	for name, values := range r.form {
		sent["form: "+name] = strings.Join(values, ", ")
	}
	assertion := r.form.Get("client_assertion")
	sent["form: client_assertion"] = "the assertion"
	parts := strings.Split(assertion, ".")
	require.Len(t, parts, 3)
	for name, value := range object(t, parts[0]) {
		sent["assertion header: "+name] = describeThumbprint(cert, name, value)
	}
	for name, value := range object(t, parts[1]) {
		sent["assertion claim: "+name] = describeClaim(name, value, r.time)
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	require.NoError(t, err)
	sent["assertion: signature"] = fmt.Sprintf("%d bytes", len(signature))
}

// object is a part of a JWT.
func object(t *testing.T, part string) (values map[string]any) {
	t.Helper()
	data, err := base64.RawURLEncoding.DecodeString(part)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &values))
	return values
}

var (
	uuidPattern   = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	systemPattern = regexp.MustCompile(`\(go1[^)]*\)`)
	ownVersion    = regexp.MustCompile(`certtoken/[0-9.]+`)
)

// describeHeader adds header fields, without what differs from request to request or from
// machine to machine.
func describeHeader(sent map[string]string, prefix string, header http.Header) {
	for name, values := range header {
		value := strings.Join(values, ", ")
		switch name {
		case "Content-Length":
			value = "a number"
		case "X-Client-Cpu", "X-Client-Os":
			value = "of this machine"
		}
		value = uuidPattern.ReplaceAllString(value, "a UUID")
		value = systemPattern.ReplaceAllString(value, "(Go's version, this system)")
		sent[prefix+name] = ownVersion.ReplaceAllString(value, "certtoken/VERSION")
	}
}

func describeThumbprint(cert *certtoken.Certificate, name string, value any) string {
	one, two := sha1.Sum(cert.Leaf.Raw), sha256.Sum256(cert.Leaf.Raw)
	for _, e := range []struct {
		form     string
		encoding *base64.Encoding
	}{
		{"base64url", base64.RawURLEncoding},
		{"base64url with padding", base64.URLEncoding},
		{"standard base64", base64.RawStdEncoding},
		{"standard base64 with padding", base64.StdEncoding},
	} {
		switch value {
		case e.encoding.EncodeToString(one[:]):
			return "SHA-1 in " + e.form
		case e.encoding.EncodeToString(two[:]):
			return "SHA-256 in " + e.form
		}
	}
	return fmt.Sprint(value)
}

// describeClaim is a claim's value. Times are told by their distance from the request, to
// the nearest half minute.
func describeClaim(name string, value any, now time.Time) string {
	number, isNumber := value.(float64)
	switch {
	case name == "jti":
		return uuidPattern.ReplaceAllString(fmt.Sprint(value), "a UUID")
	case !isNumber:
		return fmt.Sprint(value)
	}
	away := time.Duration(math.Round(float64(int64(number)-now.Unix())/30)*30) * time.Second
	switch {
	case away == 0:
		return "now"
	case away < 0:
		return "now − " + (-away).String()
	}
	return "now + " + away.String()
}

// entraPage puts it all into two tables: what differs, and what doesn't.
func entraPage(t *testing.T, names []string, rows map[string][]string) string {
	t.Helper()
	var differ, same strings.Builder
	fmt.Fprintf(&differ, "| | %s | why |\n", strings.Join(names, " | "))
	differ.WriteString("|---|" + strings.Repeat("---|", len(names)) + "---|\n")
	same.WriteString("| | all of them |\n|---|---|\n")
	used := 0
	for _, thing := range slices.Sorted(maps.Keys(rows)) {
		values := rows[thing]
		if !slices.ContainsFunc(values, func(v string) bool { return v != values[0] }) {
			fmt.Fprintf(&same, "| %s | %s |\n", thing, cell(values[0]))
			assert.NotContains(t, entraReasons, thing, "it doesn't differ")
			continue
		}
		reason := entraReasons[thing]
		assert.NotEmpty(t, reason, "%s differs, and nobody says why: %q", thing, values)
		used++
		fmt.Fprintf(&differ, "| %s |", thing)
		for _, v := range values {
			fmt.Fprintf(&differ, " %s |", cell(v))
		}
		fmt.Fprintf(&differ, " %s |\n", reason)
	}
	assert.Len(t, entraReasons, used, "a reason is for something that nobody sends")
	return "# What three Go libraries send to Entra ID\n\n" +
		"Written by `go test . -run TestEntraRequests -update` in `interop`. Each library has the same certificate, " +
		"asks the same endpoint with nothing set, and is watched at the socket. – is what it doesn't send.\n\n" +
		"## What differs\n\n" + differ.String() + "\n## What is the same\n\n" + same.String()
}

func cell(value string) string {
	if value == "" {
		return "–"
	}
	return strings.NewReplacer("|", `\|`, "\n", "<br>").Replace(value)
}
