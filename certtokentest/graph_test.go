package certtokentest_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/certtokentest"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// roller is a client that rolls its own keys, by hand.
type roller struct {
	*fixture
	objectID string
	path     string // of the object
	next     *certtoken.Certificate
}

func newRoller(f *fixture) *roller {
	id := certtokentest.ApplicationID(clientID)
	next := certtokentest.NewCertificate(f.t, certtokentest.WithSubject("next"), certtokentest.WithSharedKey())
	return &roller{f, id, "/v1.0/applications/" + id, next}
}

// token is an access token for Microsoft Graph, granted to a certificate.
func (r *roller) token(client string, cert *certtoken.Certificate) (string, error) {
	r.t.Helper()
	c, err := certtoken.NewClient(r.srv.Authority(), client, cert, certtoken.WithHTTPClient(r.srv.Client()))
	require.NoError(r.t, err)
	defer c.Close()
	token, err := c.Token(r.t.Context(), graphScope)
	if err != nil {
		return "", err
	}
	return token.AccessToken(), nil
}

// draft is a good proof.
func (r *roller) draft() *draft {
	now := time.Now()
	return &draft{
		method: jwt.SigningMethodRS256,
		header: map[string]any{"typ": "JWT", "x5t": sha1Thumbprint(r.cert)},
		claims: jwt.MapClaims{
			"aud": certtokentest.DefaultProofAudience, "iss": r.objectID,
			"nbf": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
		},
		key: r.cert.Signer,
	}
}

// keyBody is the body of addKey.
func keyBody(cert *certtoken.Certificate, proof string) map[string]any {
	return map[string]any{
		"keyCredential": map[string]any{
			"type": "AsymmetricX509Cert", "usage": "Verify", "key": base64.StdEncoding.EncodeToString(cert.Leaf.Raw),
		},
		"passwordCredential": nil,
		"proof":              proof,
	}
}

// graphReply is an answer of Microsoft Graph.
type graphReply struct {
	Status int
	Header http.Header
	Fields map[string]any
	Error  struct {
		Code    string
		Message string
		Inner   map[string]string `json:"innerError"`
	}
}

func (r *roller) do(method, path, token string, body any) (graphReply, error) {
	r.t.Helper()
	data, err := json.Marshal(body)
	require.NoError(r.t, err)
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.srv.URL()+path, bytes.NewReader(data))
	require.NoError(r.t, err)
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := r.srv.Client().Do(req)
	if err != nil {
		return graphReply{}, err
	}
	defer resp.Body.Close()
	reply := graphReply{Status: resp.StatusCode, Header: resp.Header}
	text, err := io.ReadAll(resp.Body)
	require.NoError(r.t, err)
	if len(text) > 0 {
		require.NoError(r.t, json.Unmarshal(text, &reply.Fields))
		require.NoError(r.t, json.Unmarshal(text, &reply))
	}
	return reply, nil
}

// post is a request with a token of the client's own.
func (r *roller) post(action string, body any) graphReply {
	r.t.Helper()
	token, err := r.token(clientID, r.cert)
	require.NoError(r.t, err)
	reply, err := r.do(http.MethodPost, r.path+"/"+action, token, body)
	require.NoError(r.t, err)
	return reply
}

func (r *roller) names() (names []string) {
	for _, k := range r.srv.KeyCredentials(r.objectID) {
		names = append(names, k.Certificate.Subject.CommonName)
	}
	return names
}

func withGraph() certtokentest.Option { return certtokentest.WithGraph(certtokentest.GraphRules{}) }

func TestAClientRollsItsKey(t *testing.T) {
	for name, path := range map[string]string{
		"by object id": "/v1.0/applications/" + certtokentest.ApplicationID(clientID),
		"by client id": "/v1.0/applications(appId='" + clientID + "')",
		"as OData":     "/beta/applications('" + certtokentest.ApplicationID(clientID) + "')",
	} {
		t.Run(name, func(t *testing.T) {
			eachForm(t, func(t *testing.T, f *fixture) {
				r := newRoller(f)
				r.path = path
				_, err := r.token(clientID, r.next)
				require.ErrorContains(t, err, "AADSTS700027")

				added := r.post("addKey", keyBody(r.next, r.draft().sign(t)))
				require.Equal(t, http.StatusOK, added.Status, added.Error)
				id, _ := added.Fields["keyId"].(string)
				assert.Regexp(t, `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`, id)
				assert.Equal(t, "CN=next", added.Fields["displayName"])
				assert.Equal(t, "AsymmetricX509Cert", added.Fields["type"])
				assert.Nil(t, added.Fields["key"])
				assert.Equal(t, []string{"certtokentest", "next"}, r.names())

				_, err = r.token(clientID, r.next)
				require.NoError(t, err)

				old := r.srv.KeyCredentials(r.objectID)[0].KeyID
				removed := r.post("removeKey", map[string]any{"keyId": old, "proof": r.draft().sign(t)})
				require.Equal(t, http.StatusNoContent, removed.Status, removed.Error)
				assert.Equal(t, []string{"next"}, r.names())
				_, err = r.token(clientID, r.cert)
				require.ErrorContains(t, err, "AADSTS700027")
			}, withGraph())
		})
	}
}

// A service principal has certificates of its own, and the token endpoint takes both.
func TestAServicePrincipalRollsItsKey(t *testing.T) {
	r := newRoller(newFixture(t, withGraph()))
	r.objectID = certtokentest.ServicePrincipalID(clientID)
	r.path = "/v1.0/servicePrincipals/" + r.objectID

	refused := r.post("addKey", keyBody(r.next, r.draft().sign(t)))
	assert.Equal(t, http.StatusUnauthorized, refused.Status) // the certificate is the application's

	own := certtokentest.NewCertificate(t, certtokentest.WithSubject("own"))
	r.srv.RegisterServicePrincipal(clientID, own.Leaf)
	r.cert = own
	added := r.post("addKey", keyBody(r.next, r.draft().sign(t)))
	require.Equal(t, http.StatusOK, added.Status, added.Error)
	assert.Equal(t, []string{"own", "next"}, r.names())
	assert.Len(t, r.srv.KeyCredentials(certtokentest.ApplicationID(clientID)), 1)
	_, err := r.token(clientID, r.next)
	require.NoError(t, err)
}

func TestAServicePrincipalIsTheTokensOid(t *testing.T) {
	r := newRoller(newFixture(t, withGraph()))
	token, err := r.token(clientID, r.cert)
	require.NoError(t, err)
	claims := jwt.MapClaims{}
	_, _, err = jwt.NewParser().ParseUnverified(token, claims)
	require.NoError(t, err)
	assert.Equal(t, certtokentest.ServicePrincipalID(clientID), claims["oid"])
	assert.NotEqual(t, certtokentest.ApplicationID(clientID), claims["oid"])
}

func TestProofsThatAreNone(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(r *roller, d *draft)
		why   string
	}{
		"padding": {func(_ *roller, d *draft) { d.spoil = func(s string) string { return s + "=" } },
			"no JWT"},
		"no JWT":          {func(_ *roller, d *draft) { d.spoil = func(string) string { return "x.y" } }, "no JWT"},
		"the client's id": {func(_ *roller, d *draft) { d.claims["iss"] = clientID }, "iss"},
		"no iss":          {func(_ *roller, d *draft) { delete(d.claims, "iss") }, "iss"},
		"another audience": {func(_ *roller, d *draft) { d.claims["aud"] = "00000003-0000-0000-c000-000000000000" },
			"aud"},
		"no nbf":            {func(_ *roller, d *draft) { delete(d.claims, "nbf") }, "needs nbf and exp"},
		"no exp":            {func(_ *roller, d *draft) { delete(d.claims, "exp") }, "needs nbf and exp"},
		"text for exp":      {func(_ *roller, d *draft) { d.claims["exp"] = "tomorrow" }, "needs nbf and exp"},
		"too long":          {func(_ *roller, d *draft) { d.claims["nbf"] = d.claims["nbf"].(int64) - 1 }, "at most"},
		"over":              {func(_ *roller, d *draft) { d.shift(-time.Hour) }, "was valid until"},
		"not yet":           {func(_ *roller, d *draft) { d.shift(time.Hour) }, "is valid from"},
		"another algorithm": {func(_ *roller, d *draft) { d.method = jwt.SigningMethodPS256 }, "algorithm"},
		"the new key": {func(r *roller, d *draft) {
			d.key = certtokentest.NewCertificate(r.t).Signer
		}, "no valid certificate of the object has signed"},
		"a certificate that isn't registered": {func(r *roller, d *draft) {
			other := certtokentest.NewCertificate(r.t)
			d.header["x5t"], d.key = sha1Thumbprint(other), other.Signer
		}, "no valid certificate of the object has signed"},
		"a certificate that has ended": {func(r *roller, d *draft) {
			ended := certtokentest.NewCertificate(r.t,
				certtokentest.WithValidity(time.Now().Add(-time.Hour), time.Now().Add(-time.Minute)))
			r.srv.Register(clientID, ended.Leaf)
			d.header["x5t"], d.key = sha1Thumbprint(ended), ended.Signer
		}, "no valid certificate of the object has signed"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoller(newFixture(t, withGraph()))
			d := r.draft()
			c.spoil(r, d)
			before := r.names()
			for action, body := range map[string]map[string]any{
				"addKey":    keyBody(r.next, d.sign(t)),
				"removeKey": {"keyId": r.srv.KeyCredentials(r.objectID)[0].KeyID, "proof": d.sign(t)},
			} {
				reply := r.post(action, body)
				assert.Equal(t, http.StatusUnauthorized, reply.Status, action)
				assert.Equal(t, "Authentication_MissingOrMalformed", reply.Error.Code, action)
				assert.Contains(t, reply.Error.Inner["certtokentest"], c.why, action)
			}
			assert.Equal(t, before, r.names())
		})
	}
}

// shift moves a proof's times.
func (d *draft) shift(by time.Duration) {
	for _, name := range []string{"nbf", "exp"} {
		d.claims[name] = d.claims[name].(int64) + int64(by.Seconds())
	}
}

// A header that names no key, or names it in another way, is as good.
func TestHowAProofNamesItsKey(t *testing.T) {
	r := newRoller(newFixture(t, withGraph()))
	for name, header := range map[string]map[string]any{
		"not at all": {},
		"by kid":     {"kid": sha1Thumbprint(r.cert)},
		"by x5t":     {"x5t": sha1Thumbprint(r.cert)},
	} {
		d := r.draft()
		d.header = header
		assert.Equal(t, http.StatusOK, r.post("addKey", keyBody(r.next, d.sign(t))).Status, name)
	}
	// Each time the certificate was added once more.
	assert.Equal(t, []string{"certtokentest", "next", "next", "next"}, r.names())
}

func TestWhatGraphRefuses(t *testing.T) {
	ec := certtokentest.NewCertificate(t, certtokentest.WithKeyKind(certtokentest.P256))
	ended := certtokentest.NewCertificate(t,
		certtokentest.WithValidity(time.Now().Add(-time.Hour), time.Now().Add(-time.Minute)))
	key := func(name string, value any) func(map[string]any) {
		return func(body map[string]any) { body["keyCredential"].(map[string]any)[name] = value }
	}
	for name, c := range map[string]struct {
		action, path, token string
		spoil               func(body map[string]any)
		status              int
		code                string
	}{
		"no token":      {token: "-", status: http.StatusUnauthorized, code: "InvalidAuthenticationToken"},
		"another token": {token: "x", status: http.StatusUnauthorized, code: "InvalidAuthenticationToken"},
		"no proof": {
			spoil:  func(body map[string]any) { delete(body, "proof") },
			status: http.StatusForbidden, code: "Authorization_RequestDenied",
		},
		"another client's object": {
			path:   "/v1.0/applications/" + certtokentest.ApplicationID("other"),
			status: http.StatusForbidden, code: "Authorization_RequestDenied",
		},
		"an unknown object": {
			path:   "/v1.0/applications/" + certtokentest.ApplicationID("nobody"),
			status: http.StatusNotFound, code: "Request_ResourceNotFound",
		},
		"an application's id for a service principal": {
			path:   "/v1.0/servicePrincipals/" + certtokentest.ApplicationID(clientID),
			status: http.StatusNotFound, code: "Request_ResourceNotFound",
		},
		"the client's id for the object's": {
			path:   "/v1.0/applications/" + clientID,
			status: http.StatusNotFound, code: "Request_ResourceNotFound",
		},
		"another path": {path: "/v1.0/users/x", status: http.StatusBadRequest, code: "Request_BadRequest"},
		"no key": {
			spoil:  func(body map[string]any) { delete(body, "keyCredential") },
			status: http.StatusBadRequest, code: "Request_BadRequest",
		},
		"another type":  {spoil: key("type", "X509CertAndPassword"), status: 400, code: "Request_BadRequest"},
		"another usage": {spoil: key("usage", "Sign"), status: 400, code: "Request_BadRequest"},
		"base64url":     {spoil: key("key", "_w"), status: 400, code: "Request_BadRequest"},
		"no certificate": {
			spoil:  key("key", base64.StdEncoding.EncodeToString([]byte("no certificate"))),
			status: 400, code: "Request_BadRequest",
		},
		"an EC key": {
			spoil: key("key", base64.StdEncoding.EncodeToString(ec.Leaf.Raw)), status: 400, code: "Request_BadRequest",
		},
		"a certificate that has ended": {
			spoil: key("key", base64.StdEncoding.EncodeToString(ended.Leaf.Raw)), status: 400,
			code: "Request_BadRequest",
		},
		"a password": {
			spoil:  func(body map[string]any) { body["passwordCredential"] = map[string]any{"secretText": "x"} },
			status: 400, code: "Request_BadRequest",
		},
		"an unknown keyId": {
			action: "removeKey", spoil: func(body map[string]any) { body["keyId"] = clientID },
			status: http.StatusNotFound, code: "Request_ResourceNotFound",
		},
		"another action": {action: "addPassword", status: 400, code: "Request_BadRequest"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoller(newFixture(t, withGraph()))
			r.srv.Register("other", r.cert.Leaf)
			token, err := r.token(clientID, r.cert)
			require.NoError(t, err)
			switch c.token {
			case "-":
				token = ""
			case "x":
				token, err = certtokentest.New().UserToken("a@contoso.com", "x"), nil
				require.NoError(t, err)
			}
			if c.path != "" {
				r.path = c.path
			}
			body := keyBody(r.next, r.draft().sign(t))
			if c.spoil != nil {
				c.spoil(body)
			}
			action := "addKey"
			if c.action != "" {
				action = c.action
			}
			reply, err := r.do(http.MethodPost, r.path+"/"+action, token, body)
			require.NoError(t, err)
			assert.Equal(t, c.status, reply.Status, reply.Error)
			assert.Equal(t, c.code, reply.Error.Code)
			assert.Equal(t, []string{"certtokentest"}, r.names())
		})
	}
}

// Some servers of the token endpoint know the new key before others do.
func TestANewKeyIsKnownAfterAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rules := certtokentest.WithGraph(certtokentest.GraphRules{Propagation: 3 * time.Minute, Servers: 3})
		r := newRoller(newFixture(t, rules))
		require.Equal(t, http.StatusOK, r.post("addKey", keyBody(r.next, r.draft().sign(t))).Status)
		const tries = 6
		granted := func() (n int) {
			for range tries {
				if _, err := r.token(clientID, r.next); err == nil {
					n++
				} else {
					require.ErrorContains(t, err, "AADSTS700027")
				}
			}
			return n
		}
		assert.Equal(t, 0, granted())
		for range 2 {
			time.Sleep(time.Minute)
			some := granted()
			assert.Positive(t, some)
			assert.Less(t, some, tries)
			_, err := r.token(clientID, r.cert)
			require.NoError(t, err)
		}
		time.Sleep(time.Minute)
		assert.Equal(t, tries, granted())
	})
}

func TestTheLastKey(t *testing.T) {
	for name, keep := range map[string]bool{"stays": true, "goes": false} {
		t.Run(name, func(t *testing.T) {
			r := newRoller(newFixture(t, certtokentest.WithGraph(certtokentest.GraphRules{KeepLast: keep})))
			id := r.srv.KeyCredentials(r.objectID)[0].KeyID
			reply := r.post("removeKey", map[string]any{"keyId": id, "proof": r.draft().sign(t)})
			if keep {
				assert.Equal(t, http.StatusBadRequest, reply.Status)
				assert.Len(t, r.names(), 1)
				return
			}
			assert.Equal(t, http.StatusNoContent, reply.Status)
			assert.Empty(t, r.names())
		})
	}
}

func TestRulesOfGraph(t *testing.T) {
	r := newRoller(newFixture(t, certtokentest.WithGraph(certtokentest.GraphRules{
		ProofAudience:   "https://graph.windows.net",
		ProofAlgorithms: []certtoken.Algorithm{certtoken.PS256},
		MaxLife:         365 * 24 * time.Hour,
	})))
	d := r.draft()
	d.method, d.claims["aud"] = jwt.SigningMethodPS256, "https://graph.windows.net"
	reply := r.post("addKey", keyBody(r.next, d.sign(t)))
	assert.Equal(t, http.StatusBadRequest, reply.Status)
	assert.Equal(t, "CredentialInvalidLifetimeAsPerAppPolicy", reply.Error.Code)

	short := certtokentest.NewCertificate(t, certtokentest.WithValidity(time.Now(), time.Now().Add(24*time.Hour)))
	assert.Equal(t, http.StatusOK, r.post("addKey", keyBody(short, d.sign(t))).Status)
}

// Reading needs a permission, with which other clients' keys can be rolled too; their
// proof is needed all the same.
func TestPermissionsInGraph(t *testing.T) {
	r := newRoller(newFixture(t, certtokentest.WithGraph(certtokentest.GraphRules{Permitted: []string{"admin"}})))
	admin := certtokentest.NewCertificate(t)
	r.srv.Register("admin", admin.Leaf)

	own, err := r.token(clientID, r.cert)
	require.NoError(t, err)
	reply, err := r.do(http.MethodGet, r.path, own, nil)
	require.NoError(t, err)
	assert.Equal(t, http.StatusForbidden, reply.Status)

	token, err := r.token("admin", admin)
	require.NoError(t, err)
	reply, err = r.do(http.MethodPost, r.path+"/addKey", token, keyBody(r.next, r.draft().sign(t)))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, reply.Status, reply.Error)

	for query, key := range map[string]any{
		"":                        nil,
		"?$select=keyCredentials": base64.StdEncoding.EncodeToString(r.cert.Leaf.Raw),
	} {
		reply, err = r.do(http.MethodGet, r.path+query, token, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, reply.Status)
		assert.Equal(t, clientID, reply.Fields["appId"])
		keys, _ := reply.Fields["keyCredentials"].([]any)
		require.Len(t, keys, 2)
		first, _ := keys[0].(map[string]any)
		assert.Equal(t, key, first["key"])
		assert.Equal(t, r.srv.KeyCredentials(r.objectID)[0].KeyID, first["keyId"])
	}
	reply, err = r.do(http.MethodPatch, r.path, token, nil)
	require.NoError(t, err)
	assert.Equal(t, http.StatusMethodNotAllowed, reply.Status)
}

func TestFaultsOfGraph(t *testing.T) {
	eachForm(t, func(t *testing.T, f *fixture) {
		r := newRoller(f)
		token, err := r.token(clientID, r.cert)
		require.NoError(t, err)
		r.srv.Graph().Fail(
			certtokentest.Fault{Status: http.StatusServiceUnavailable, RetryAfter: 2 * time.Second},
			certtokentest.Fault{Shape: certtokentest.LostAnswer},
		)
		body := keyBody(r.next, r.draft().sign(t))
		reply, err := r.do(http.MethodPost, r.path+"/addKey", token, body)
		require.NoError(t, err)
		assert.Equal(t, http.StatusServiceUnavailable, reply.Status)
		assert.Equal(t, "2", reply.Header.Get("Retry-After"))
		assert.Len(t, r.names(), 1)

		_, err = r.do(http.MethodPost, r.path+"/addKey", token, body)
		require.Error(t, err) // nobody hears that the key is there
		assert.Equal(t, []string{"certtokentest", "next"}, r.names())
	}, withGraph())
}

func TestBodiesThatGraphCannotRead(t *testing.T) {
	r := newRoller(newFixture(t, withGraph()))
	token, err := r.token(clientID, r.cert)
	require.NoError(t, err)
	for name, c := range map[string]struct{ typ, body string }{
		"a form":    {"application/x-www-form-urlencoded", "a=b"},
		"no type":   {"", "{}"},
		"no JSON":   {"application/json", "{"},
		"too large": {"application/json", `{"proof":"` + strings.Repeat("x", 256<<10) + `"}`},
	} {
		url := r.srv.URL() + r.path + "/addKey"
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(c.body))
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", c.typ)
		resp, err := r.srv.Client().Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, http.StatusBadRequest, resp.StatusCode, name)
	}
}

func TestMistakesInTheRulesOfGraph(t *testing.T) {
	ec := certtokentest.GraphRules{ProofAlgorithms: []certtoken.Algorithm{certtoken.ES256}}
	for name, opts := range map[string][]certtokentest.Option{
		"negative":       {certtokentest.WithGraph(certtokentest.GraphRules{Propagation: -1})},
		"EC":             {certtokentest.WithGraph(ec)},
		"another issuer": {withGraph(), certtokentest.WithIssuer("")},
	} {
		_, err := certtokentest.Start(opts...)
		require.ErrorContains(t, err, "WithGraph", name)
	}
	assert.Nil(t, certtokentest.New().Graph())
}
