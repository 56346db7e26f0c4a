package certtokentest_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/certtoken/certtoken/certtokentest"
)

// FuzzTokenEndpoint: whatever is sent, the answer is an error or a token for a
// registered client, never a panic.
func FuzzTokenEndpoint(f *testing.F) {
	cert, err := certtokentest.MakeCertificate(certtokentest.WithSharedKey())
	if err != nil {
		f.Fatal(err)
	}
	servers := []*certtokentest.Server{certtokentest.New(), certtokentest.New(certtokentest.WithIssuer(""))}
	for _, srv := range servers {
		srv.Register(clientID, cert.Leaf)
		srv.TrustSubject(clientID, "app", cert.Leaf)
	}
	keys := jwkSet(f, cert.Leaf.PublicKey, "a")
	for _, like := range []certtokentest.Option{certtokentest.LikeSMART(), certtokentest.LikeOkta()} {
		srv := certtokentest.New(certtokentest.WithIssuer(""), like)
		if err := srv.RegisterJWKS(clientID, keys); err != nil {
			f.Fatal(err)
		}
		servers = append(servers, srv)
	}
	good := url.Values{
		"grant_type": {
			"client_credentials",
		}, "client_id": {clientID}, "scope": {graphScope}, "client_assertion_type": {kind},
	}
	for _, assertion := range []string{"", "a.b.c", "e30.e30.e30",
		"eyJhbGciOiJSUzM4NCIsInR5cCI6IkpXVCIsImtpZCI6ImEiLCJqa3UiOlsxXX0.e30.AAAA",
		"eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImEifQ.e30.MAYCAQECAQE",
		"eyJhbGciOiJQUzI1NiIsInR5cCI6IkpXVCIsIng1dCNTMjU2IjoiQUFBQSIsIng1YyI6WyJBQUFBIl19.bnVsbA."} {
		good.Set("client_assertion", assertion)
		f.Add("/contoso.com/oauth2/v2.0/token", good.Encode())
		f.Add("/token", good.Encode())
	}
	f.Add("/common/discovery/instance?authorization_endpoint=https://a/b", "")
	f.Add("/contoso.com/v2.0/.well-known/openid-configuration", "a=%zz&a=1&a=2")
	f.Fuzz(func(t *testing.T, path, body string) {
		for _, srv := range servers {
			req, err := http.NewRequest(http.MethodPost, srv.URL()+path, strings.NewReader(body))
			if err != nil {
				t.Skip("no URL: ", err)
			}
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			resp, err := srv.Client().Do(req)
			if err != nil {
				continue
			}
			resp.Body.Close()
			if srv.CountGranted() > 0 {
				t.Fatalf("a token without the key: %q", srv.LastRequest().Form)
			}
		}
	})
}
