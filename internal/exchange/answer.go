package exchange

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/certtoken/certtoken/internal/dpop"
	"github.com/certtoken/certtoken/internal/syntax"
)

// Answer is a token as the endpoint granted it, before any clock of ours is
// looked at.
type Answer struct {
	Access    string
	Type      string
	Scopes    []string // nil: as asked
	Lifetime  time.Duration
	RefreshIn time.Duration // 0: not given
	Extra     string        // the other fields, a JSON object, or ""
	Refresh   string        // a refresh token, or ""
	ID        string        // an ID token, or ""
	Date      time.Time     // the response's; zero: none
}

// readAnswer reads a successful token response (RFC 6749 §5.1).
func readAnswer(r *Request, resp *http.Response, f fields) (Answer, error) {
	a := Answer{
		Access:    f.text("access_token"),
		Scopes:    scopeList(f.text("scope")),
		RefreshIn: seconds(f["refresh_in"]),
		Refresh:   f.text("refresh_token"),
		ID:        f.text("id_token"),
		Extra:     f.extra(),
	}
	switch {
	case a.Access == "" && a.ID != "":
		u := r.unusable(resp, "it has an id_token and no access_token")
		u.Todo = "ask for an access token: Google, for one, issues an ID token alone where the assertion has target_audience"
		return Answer{}, u
	case a.Access == "":
		return Answer{}, r.unusable(resp, "it has no access_token"+f.problem().quoted(r))
	case !syntax.IsVisible(a.Access):
		return Answer{}, r.unusable(resp, "its access_token has characters that no token may have")
	}
	given := f.text("token_type")
	noAccess, problem := r.exchanged(given, f.text("issued_token_type"))
	if problem != "" {
		return Answer{}, r.unusable(resp, problem)
	}
	var ok bool
	if noAccess {
		a.Type = NotApplicable
	} else if a.Type, ok = r.tokenType(given); !ok {
		if r.wanted() == dpop.Scheme && strings.EqualFold(a.Type, Bearer) {
			u := r.unusable(resp, bearerForProof)
			u.Todo = "turn DPoP on for this client at the server, or leave out WithDPoP"
			return Answer{}, u
		}
		name := r.secretsAnd(a.Access, a.Refresh, a.ID).Short(a.Type)
		u := r.unusable(resp, fmt.Sprintf(`its token is of type "%s" where %s was asked for`, name, r.wanted()))
		if r.wanted() == Bearer && strings.EqualFold(a.Type, dpop.Scheme) {
			u.Todo = "the server binds this client's tokens to a key: give WithDPoP to the authority"
		}
		u.UnknownType = !otherSchemes[strings.ToLower(a.Type)] && r.wanted() == Bearer
		return Answer{}, u
	}
	now := time.Now()
	if date, ok := dateOf(resp); ok {
		a.Date, now = date, date
	}
	a.Lifetime = f.lifetime(now, r.AssumedLife)
	return a, nil
}

// dateOf is the server's clock, if the answer has it.
func dateOf(resp *http.Response) (date time.Time, ok bool) {
	text := resp.Header.Get("Date")
	if text == "" {
		return date, false
	}
	date, err := http.ParseTime(text)
	return date, err == nil
}

// bearerForProof is what is wrong with a token that is bound to no key.
const bearerForProof = "its token is of type Bearer: the server ignored the DPoP proof, " +
	"so a thief of the token can use it"

func (r *Request) wanted() string {
	if r.TokenType == "" {
		return Bearer
	}
	return r.TokenType
}

// tokenType reports whether a token of this type is what was asked for, and
// returns the type as an Authorization header writes it. A token must not be used
// where its type isn't understood (RFC 6749 §7.1), but a server that gives none
// means Bearer.
func (r *Request) tokenType(given string) (string, bool) {
	wanted := r.wanted()
	switch {
	case strings.EqualFold(given, wanted): // compared without case, and sent as the standards write it
		return wanted, true
	case given == "":
		return Bearer, wanted == Bearer
	case r.AnyType && wanted == Bearer && !otherSchemes[strings.ToLower(given)]:
		return wanted, true
	}
	return given, false
}

// otherSchemes are types, in lower case, of tokens that a resource doesn't take
// as Bearer tokens, whatever a server means by them: they want another header, a
// proof beside it, or are no access tokens (RFC 8693 §2.2.1).
var otherSchemes = map[string]bool{
	"basic": true, "digest": true, "negotiate": true, "ntlm": true, "hoba": true, "mutual": true, "vapid": true,
	"scram-sha-1": true, "scram-sha-256": true, "gnap": true, "signature": true, "hmac": true, "aws4-hmac-sha256": true,
	"mac": true, "dpop": true, "pop": true, "mtls_pop": true, "n_a": true, "saml": true, "saml2": true,
}

// scopeList splits a granted scope; a server that leaves it empty grants what was
// asked for.
func scopeList(scope string) []string {
	if list := strings.Fields(scope); len(list) > 0 {
		return list
	}
	return nil
}

// extra keeps everything but the fields that have a place of their own, or are
// secrets.
func (f fields) extra() string {
	extra := make(fields)
	for name, value := range f {
		switch name {
		case "access_token", "refresh_token", "id_token", "token_type", "expires_in", "refresh_in", "scope":
		default:
			extra[name] = value
		}
	}
	if len(extra) == 0 {
		return ""
	}
	data, err := json.Marshal(extra)
	if err != nil {
		return ""
	}
	return string(data)
}
