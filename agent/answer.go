package agent

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/certtoken/certtoken"
)

// appServiceToken is what App Service's managed identity answers. Each field is what the
// strictest SDK takes: numbers are strings, and expires_on comes after expires_in.
type appServiceToken struct {
	AccessToken string `json:"access_token"`
	ClientID    string `json:"client_id"`
	ExpiresIn   string `json:"expires_in"`
	ExpiresOn   string `json:"expires_on"` // Unix seconds
	Resource    string `json:"resource"`
	TokenType   string `json:"token_type"`
}

// appServiceError is a refusal in the same form. SDKs show message or
// error_description.
type appServiceError struct {
	StatusCode    int    `json:"statusCode"`
	Message       string `json:"message"`
	CorrelationID string `json:"correlationId"`
	Error         string `json:"error"`
	Description   string `json:"error_description"`
}

// oauthToken is a token by RFC 6749 §5.1.
type oauthToken struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"`
	Scope       string `json:"scope"`
}

// oauthError is a refusal by RFC 6749 §5.2.
type oauthError struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// granted is a token for a caller.
type granted struct {
	token    *certtoken.Token
	fetched  bool
	scopes   []scope // that were asked for, or the identity's only one
	resource string
	grantee
}

// form is how an answer is written.
type form int

const (
	appService form = iota
	oauth
)

// secondsLeft is how long a token is valid, in whole seconds.
func secondsLeft(t *certtoken.Token) int64 {
	return max(0, int64(time.Until(t.ExpiresAt())/time.Second))
}

func (f form) grant(w http.ResponseWriter, g *granted) {
	if f == oauth {
		writeJSON(w, http.StatusOK, oauthToken{
			AccessToken: g.token.AccessToken(),
			TokenType:   g.token.Type(),
			ExpiresIn:   secondsLeft(g.token),
			Scope:       strings.Join(g.token.Scopes(), " "),
		})
		return
	}
	writeJSON(w, http.StatusOK, appServiceToken{
		AccessToken: g.token.AccessToken(),
		ClientID:    g.identity.ClientID,
		ExpiresIn:   strconv.FormatInt(secondsLeft(g.token), 10),
		ExpiresOn:   strconv.FormatInt(g.token.ExpiresAt().Unix(), 10),
		Resource:    g.resource,
		TokenType:   g.token.Type(),
	})
}

// refuse writes a refusal. App Service's form has statuses only that no SDK repeats a
// request for: the agent has repeated what was worth it.
func (f form) refuse(w http.ResponseWriter, r *refusal, id string) {
	if f == appService {
		writeJSON(w, r.status, appServiceError{
			StatusCode: r.status, Message: r.reason, CorrelationID: id, Error: r.code, Description: r.reason,
		})
		return
	}
	status := r.status
	if status == http.StatusForbidden {
		status = http.StatusBadRequest // RFC 6749 §5.2 has no other for what isn't about the client's secret
	}
	switch {
	case r.code == unavailable:
		status = http.StatusServiceUnavailable
		if r.retryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int((r.retryAfter+time.Second-1)/time.Second)))
		}
	case status == http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Basic realm="certtoken agent", charset="UTF-8"`)
	}
	writeJSON(w, status, oauthError{Error: r.code, Description: descriptionText(r.reason)})
}

// descriptionText is a text of the characters that an error_description may have (RFC
// 6749 §5.2).
func descriptionText(text string) string {
	text = strings.ReplaceAll(text, "§", "section ")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '"' || r == '\\':
			return '\''
		case r < ' ' || r > '~':
			return '?'
		}
		return r
	}, text)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil { // can't be: texts and numbers are always JSON
		status, body = http.StatusInternalServerError, nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller may have left
}
