package exchange

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/internal/redact"
)

const (
	proxy  = "; is it the token endpoint, and is there a proxy in between?"
	f5Page = `<html><head><title>Request Rejected</title></head><body>The requested URL was rejected. Please ` +
		`consult with your administrator.<br><br>Your support ID is: 9876543210987654321<br><br><a ` +
		`href='javascript:history.back();'>[Go Back]</a></body></html>`
	cdnPage = `<!DOCTYPE html><html lang="en-US"><head><title>Attention Required! | ` +
		`Cloudflare</title><style>p{x:1}</style></head><body><h1>Sorry, you have been blocked</h1><p>Cloudflare Ray ID: ` +
		`<strong class="f">8f1a2b3c4d5e6f70</strong></p></body></html>`
	edgePage = "<HTML><HEAD>\n<TITLE>Access Denied</TITLE>\n</HEAD><BODY>\n<H1>Access Denied</H1>\n\nYou don't have " +
		"permission to access \"http&#58;&#47;&#47;issuer&#46;example&#47;token\" on this " +
		"server.<P>\nReference&#32;&#35;18&#46;2d1a2b3c&#46;1700000000&#46;4e5f6a7b\n</BODY>\n</HTML>\n"
)

// What the server said is shown, in whatever form it said it.
func TestParseRefusal(t *testing.T) {
	cases := map[string]struct {
		status      int
		header      []string
		body        string
		code        string
		description string
		isPage      bool
	}{
		// OAuth
		"OAuth": {
			status: 401, body: `{"error":"invalid_client","error_description":"no such client"}`,
			code: "invalid_client", description: "no such client",
		},
		"OAuth, the code alone": {status: 400, body: `{"error":"invalid_scope"}`, code: "invalid_scope"},
		"OAuth with status 200": {
			status: 200, body: `{"error":"invalid_client","error_description":"no such client"}`,
			code: "invalid_client", description: "no such client",
		},
		"OAuth with a token": {
			status: 200, body: `{"error":"invalid_client","access_token":"abc"}`, code: "invalid_client",
		},
		"OAuth as a form": {status: 200, header: []string{"Content-Type", formType},
			body:        "error=bad_verification_code&error_description=The+code+is+incorrect.",
			code:        "bad_verification_code",
			description: "The code is incorrect."},
		"OAuth with a BOM": {status: 400, body: "\xef\xbb\xbf" + `{"error":"invalid_grant"}`, code: "invalid_grant"},
		"OAuth with a hint": {
			status: 401,
			body: `{"error":"invalid_client","error_description":"Client authentication failed","hint":"The key is ` +
				`unknown","message":"Client authentication failed"}`,
			code:        "invalid_client",
			description: "Client authentication failed; The key is unknown",
		},
		"OAuth with a debug hint": {
			status: 401,
			body: `{"error":"invalid_client","error_description":"Client authentication failed","error_hint":"No ` +
				`key has this kid","status_code":401}`,
			code:        "invalid_client",
			description: "Client authentication failed; No key has this kid",
		},
		"a code with spaces": {
			status: 400, body: `{"error":"Invalid Client","error_description":"no"}`, code: "Invalid Client",
			description: "no",
		},

		// other JSON
		"a status and a message": {
			status: 200, body: `{"status":"error","msg":"client is locked"}`, description: "client is locked",
		},
		"a status, a code, a message": {
			status: 200, body: `{"status":"fail","code":40101,"message":"client is locked"}`, code: "40101",
			description: "client is locked",
		},
		"no success": {
			status: 200, body: `{"success":false,"message":"client is locked"}`, description: "client is locked",
		},
		"a code and a message": {
			status: 200, body: `{"code":40101,"msg":"client is locked"}`, code: "40101",
			description: "client is locked",
		},
		"a sentence as the error": {
			status: 401, body: `{"error":"The client is unknown"}`, description: "The client is unknown",
		},
		"an error object": {
			status: 403,
			body:   `{"error":{"code":403,"message":"The caller has no permission","status":"PERMISSION_DENIED"}}`,
			code:   "PERMISSION_DENIED", description: "The caller has no permission",
		},
		"an error object with a code": {
			status: 401,
			body:   `{"error":{"code":"InvalidAuthenticationToken","message":"no such key","innerError":{"date":"x"}}}`,
			code:   "InvalidAuthenticationToken", description: "no such key",
		},
		"an error object with a type": {
			status: 401, body: `{"type":"error","error":{"type":"authentication_error","message":"no such key"}}`,
			code: "authentication_error", description: "no such key",
		},
		"an error object with OAuth's": {
			status: 401, body: `{"error":{"error":"invalid_client","error_description":"no such key"}}`,
			code: "invalid_client", description: "no such key",
		},
		"a list of errors": {
			status: 400,
			body:   `{"errors":[{"code":"E1","message":"no such key"},{"code":"E2","message":"no such app"}]}`,
			code:   "E1", description: "no such key; no such app",
		},
		"a list of texts": {
			status: 400, body: `{"errors":["no such key","no such app"]}`, description: "no such key; no such app",
		},
		"a long list": {
			status: 400, body: `{"errors":["a1","b1","c1","d1","e1"]}`, description: "a1; b1; c1",
		},
		"a map of errors": {
			status: 422, body: `{"message":"The data was invalid","errors":{"detail":["no such key"]}}`,
			description: "no such key; The data was invalid",
		},
		"a list alone": {
			status: 400, body: `[{"message":"no such app","errorCode":"INVALID_LOGIN"}]`, code: "INVALID_LOGIN",
			description: "no such app",
		},
		"a message": {status: 401, body: `{"message":"Unauthorized"}`, description: "Unauthorized"},
		"a message of a gateway": {
			status: 403, body: `{"Message":"User is not authorized to access this resource"}`,
			description: "User is not authorized to access this resource",
		},
		"a framework's": {
			status: 401,
			body: `{"timestamp":"2026-11-23T10:00:00Z","status":401,"error":"Unauthorized","message":"Bad ` +
				`credentials","path":"/token"}`,
			code: "Unauthorized", description: "Bad credentials",
		},
		"a summary": {
			status: 401,
			body: `{"errorCode":"E0000004","errorSummary":"Authentication ` +
				`failed","errorLink":"E0000004","errorId":"oae1","errorCauses":[{"errorSummary":"The key expired"}]}`,
			code:        "E0000004",
			description: "Authentication failed; The key expired",
		},
		"a fault": {
			status: 401,
			body: `{"fault":{"faultstring":"Invalid client ` +
				`identifier","detail":{"errorcode":"oauth.v2.InvalidClientIdentifier"}}}`,
			code:        "oauth.v2.InvalidClientIdentifier",
			description: "Invalid client identifier",
		},
		"a fault with status 200": {
			status: 200, body: `{"fault":{"faultstring":"Invalid client identifier"}}`,
			description: "Invalid client identifier",
		},
		"problem details": {status: 403, header: []string{"Content-Type", "application/problem+json"},
			body: `{"type":"https://issuer.example/probs/key","title":"Unknown key","status":403,"detail":"No key ` +
				`has this thumbprint","instance":"/token/1"}`,
			description: "Unknown key; No key has this thumbprint"},
		"a detail": {
			status: 401, body: `{"detail":"Not authenticated"}`, description: "Not authenticated",
		},
		"a list of details": {
			status: 422,
			body:   `{"detail":[{"loc":["body","scope"],"msg":"field required","type":"value_error.missing"}]}`,
			code:   "value_error.missing", description: "field required",
		},
		"a JSON text": {status: 401, body: `"no such client"`, description: "no such client"},
		"too deep": {
			status: 400, body: strings.Repeat(`{"error":`, 50) + `"x"` + strings.Repeat("}", 50),
			description: "the answer (application/json) is no OAuth error" + proxy,
		},
		"nothing that is known": {
			status: 400, body: `{"token":"abc","x":[1,2]}`,
			description: "the answer (application/json) is no OAuth error" + proxy,
		},

		// a header
		"WWW-Authenticate": {
			status: 401,
			header: []string{
				"WWW-Authenticate",
				`Bearer realm="x", error="invalid_client", error_description="no \"such\" client"`,
			},
			code: "invalid_client", description: `no "such" client`},
		"WWW-Authenticate without quotes": {
			status: 401, header: []string{"WWW-Authenticate", `Bearer error=invalid_client`}, code: "invalid_client",
		},
		"WWW-Authenticate with an empty 403": {
			status: 403, header: []string{"WWW-Authenticate", `DPoP algs="ES256", error="insufficient_scope"`},
			code: "insufficient_scope",
		},
		"another challenge": {
			status: 401, header: []string{"WWW-Authenticate", `Basic realm="token endpoint"`},
			description: `nothing but WWW-Authenticate: Basic realm="token endpoint"`,
		},
		"a header and a page": {
			status: 401,
			header: []string{"WWW-Authenticate", `Bearer error="invalid_client"`, "Content-Type", "text/html"},
			body:   "<html>401</html>", code: "invalid_client",
		},
		"a header beside a body": {
			status: 401, header: []string{"WWW-Authenticate", `Basic error="x", error_description="y"`},
			body: `{"error":"invalid_client"}`, code: "invalid_client", description: "y",
		},

		// pages and texts
		"plain text": {
			status: 401, header: []string{"Content-Type", "text/plain"}, body: "Client  authentication\nfailed\n",
			description: `the answer (text/plain) is no OAuth error: "Client authentication failed"` + proxy,
		},
		"XML": {
			status: 500, header: []string{"Content-Type", "text/xml"},
			body:        `<?xml version="1.0"?><Error><Code>Down</Code><Message>a &amp; b</Message></Error>`,
			description: `the answer (text/xml) is no OAuth error: "Down a & b"` + proxy,
		},
		"JSON cut off": {
			status: 400, body: `{"error":"invalid_cl`,
			description: `the answer (application/json) is no OAuth error: "{"error":"invalid_cl"` + proxy,
		},
		"a page": {
			status: 502, header: []string{"Content-Type", "text/html"}, body: "<html>Bad gateway</html>",
			description: "the answer (text/html) is no OAuth error" + proxy, isPage: true,
		},
		"a page's title": {
			status: 503, header: []string{"Content-Type", "text/html"},
			body: "<html><title>\n  503 Service&nbsp;Unavailable </title></html>",
			description: `the answer (text/html) is no OAuth error; it is a page with the title ` +
				`"503 Service Unavailable"` + proxy,
			isPage: true,
		},
		"a web filter": {
			status: 403, header: []string{"Content-Type", "text/html"}, body: f5Page,
			description: `the answer (text/html) is no OAuth error; it is a page with the title "Request Rejected" and the ` +
				`id "9876543210987654321"` + proxy,
			isPage: true,
		},
		"a CDN": {
			status: 403, header: []string{"Content-Type", "text/html"}, body: cdnPage,
			description: `the answer (text/html) is no OAuth error; it is a page with the title "Attention Required! | ` +
				`Cloudflare" and the id "8f1a2b3c4d5e6f70"` + proxy,
			isPage: true,
		},
		"an edge": {
			status: 403, header: []string{"Content-Type", "text/html"}, body: edgePage,
			description: `the answer (text/html) is no OAuth error; it is a page with the title "Access Denied" and the id ` +
				`"18.2d1a2b3c.1700000000.4e5f6a7b"` + proxy,
			isPage: true,
		},
		"a page as JSON": {
			status: 403, body: f5Page,
			description: `the answer (application/json) is no OAuth error; it is a page with the title "Request Rejected" ` +
				`and the id "9876543210987654321"` + proxy,
			isPage: true,
		},
		"a heading alone": {
			status: 404, header: []string{"Content-Type", "text/html"},
			body:        "<body><h1>Not <b>Found</b></h1></body>",
			description: `the answer (text/html) is no OAuth error; it is a page with the title "Not Found"` + proxy,
			isPage:      true,
		},

		// nothing
		"an empty 400": {status: 400, description: "without a word" + proxy},
		"an empty 403": {status: 403, description: "without a word" + proxy},
		"an empty 503": {status: 503},
		"blanks":       {status: 401, body: " \r\n", description: "without a word" + proxy},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Read(
				&Request{Endpoint: endpoint, CorrelationID: "sent"},
				respond(c.status, c.header...),
				[]byte(c.body),
			)
			var e *Refusal
			require.ErrorAs(t, err, &e)
			assert.Equal(t, c.status, e.StatusCode)
			assert.Equal(t, c.code, e.Code)
			assert.Equal(t, c.description, e.Description)
			assert.Equal(t, c.isPage, e.IsPage)
			assert.Equal(t, "sent", e.CorrelationID)
			assert.Equal(t, endpoint, e.Endpoint)
		})
	}
}

// refusalBodies are seeds.
var refusalBodies = []string{
	`{"error":"invalid_client","error_description":"AADSTS700027: ` +
		`no","error_codes":[700027],"claims":"{}","suberror":"s","hint":"h"}`,
	`{"error":{"code":403,"message":"m","status":"S"},"errors":[{"detail":"d"}],"fault":{"faultstring":"f"}}`,
	`[{"message":"m","errorCode":"C"}]`, `"no such client"`, f5Page, cdnPage, edgePage, "plain &amp; text",
	"error=x&error_description=y",
}

// The codes of Entra ID are found wherever they are named.
func TestErrorCodes(t *testing.T) {
	for body, want := range map[string][]int{
		`{"error":"x","error_codes":[700027,50000]}`:                                        {700027, 50000},
		`{"error":"x","error_description":"AADSTS700024: clock AADSTS50000"}`:               {700024, 50000},
		`{"error":{"code":"x","message":"AADSTS53003: blocked"}}`:                           {53003},
		`AADSTS90033: try later`:                                                            {90033},
		`{"error":"x","error_codes":"no list","error_description":"AADSTS7000215: secret"}`: {7000215},
		`{"error":"x","error_codes":[` + strings.Repeat("1,", 99) + `1]}`: {1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
			1, 1, 1, 1, 1, 1},
		`{"error":"x"}`: nil,
	} {
		_, err := Read(&Request{Endpoint: endpoint}, respond(400), []byte(body))
		var e *Refusal
		require.ErrorAs(t, err, &e)
		assert.Equal(t, want, e.AADSTS, body)
	}
	_, err := Read(
		&Request{Endpoint: endpoint},
		respond(401, "WWW-Authenticate", `Bearer error="invalid_client", error_description="AADSTS700016: no app"`),
		nil,
	)
	var e *Refusal
	require.ErrorAs(t, err, &e)
	assert.Equal(t, []int{700016}, e.AADSTS)
}

// Whatever the server repeats, and where, no field has a secret of the request.
func TestRefusalsAreScrubbed(t *testing.T) {
	secrets := map[string]string{
		"client_assertion": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhcHAifQ.0123456789abcdefghij",
		"code":             "0.AAA-code-of-some-length",
		"code_verifier":    "a-verifier-0123456789-0123456789-0123456789",
		"refresh_token":    "1.refresh_token~of.some-length",
		"assertion":        "an-opaque-assertion-of-a-user",
		"subject_token":    "a-subject-token-of-length",
		"client_secret":    "s3cret",
	}
	form := url.Values{"client_id": {"app"}, "scope": {"a b"}}
	for name, secret := range secrets {
		form.Set(name, secret)
	}
	for name, secret := range secrets {
		spelt := []string{
			secret,
			url.QueryEscape(secret),
			strings.ReplaceAll(secret, "-", `\u002d`),
			strings.Join(strings.Split(secret, ""), "&#8203;"),
		}
		for _, s := range spelt {
			quoted, err := json.Marshal(s)
			require.NoError(t, err)
			for _, body := range refusalBodies {
				body = strings.NewReplacer("invalid_client", s, "AADSTS700027", s, `"m"`, string(quoted), `"S"`,
					string(quoted),
					"Rejected", s, "no such client", s, "text", s, "987654321", s).
					Replace(body)
				for _, status := range []int{200, 302, 401, 502} {
					resp := respond(
						status,
						"WWW-Authenticate",
						`Bearer error="`+s+`", error_description="`+s+`"`,
						"Content-Type",
						"text/"+s,
						"Location",
						"https://"+s+"/",
					)
					_, err := Read(&Request{Endpoint: endpoint, Form: form}, resp, []byte(body))
					require.Error(t, err)
					var e *Refusal
					text := err.Error()
					if status == 401 {
						require.ErrorAs(t, err, &e)
						data, err := json.Marshal(e)
						require.NoError(t, err)
						text += string(data)
					}
					assert.False(t, redact.New(secret).Holds(text), "%s is left of %s in %s", name, s, text)
				}
			}
		}
	}
}

// Claims that hold a secret can't be scrubbed: cut ones would be none.
func TestClaimsWithASecretAreDropped(t *testing.T) {
	r := &Request{Endpoint: endpoint, Form: url.Values{"code": {"a-code-of-some-length"}}}
	for claims, want := range map[string]string{
		`{"access_token":{"nbf":{"essential":true}}}`: `{"access_token":{"nbf":{"essential":true}}}`,
		`{"a":"a-code-of-some-length"}`:               "",
		`{"a":"eyJhbGciOiJub25lIn0.eyJhIjoxfQ.c2ln"}`: "",
		`[]`: "",
	} {
		body, err := json.Marshal(map[string]string{"error": "interaction_required", "claims": claims})
		require.NoError(t, err)
		_, err = Read(r, respond(400), body)
		var e *Refusal
		require.ErrorAs(t, err, &e)
		assert.Equal(t, want, e.Claims)
	}
}

// What is long is read to its bound only.
func TestLongRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		header, body string
		not          string
	}{
		"a header": {header: strings.Repeat("x ", maxChallenge/2) + ` error="late"`, not: "late"},
		"a page":   {body: "<html>" + strings.Repeat(" ", maxPage) + "<title>late</title>", not: "late"},
	} {
		_, err := Read(&Request{Endpoint: endpoint}, respond(403, "WWW-Authenticate", c.header), []byte(c.body))
		require.Error(t, err, name)
		assert.NotContains(t, err.Error(), c.not, name)
	}
}
