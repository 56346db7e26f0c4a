package certtokentest

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// refused answers with an error and records it.
func (c *call) refused(f *refusal) *answer {
	c.request.Error, c.request.Code, c.request.Description = f.err, f.code, f.description
	var body []byte
	if c.route.dialect.aadsts {
		body = f.entraBody(c.now, c.correlationID())
	} else {
		c.request.Error, c.request.Description = genericError(f.err), f.plainText()
		body = f.genericBody()
	}
	a := jsonAnswer(f.status, body)
	switch f.status {
	case http.StatusMethodNotAllowed:
		a.header.Set("Allow", http.MethodPost)
	case http.StatusUnauthorized:
		if c.request.Header.Get("Authorization") != "" {
			a.header.Set("WWW-Authenticate", "Basic") // RFC 6749 §5.2
		}
	}
	c.identify(a)
	return a
}

// identify adds the headers by which Entra ID's support finds a request.
func (c *call) identify(a *answer) {
	if c.route.dialect.aadsts {
		a.header.Set("X-Ms-Request-Id", newUUID())
		if id := c.request.Header.Get("client-request-id"); id != "" {
			a.header.Set("Client-Request-Id", id)
		}
	}
}

func (c *call) correlationID() string {
	if id := c.request.Header.Get("client-request-id"); id != "" {
		return id
	}
	return newUUID()
}

// granted answers with a token.
func (c *call) granted(fault *Fault) *answer {
	life := max(c.tune.lifetime.Truncate(time.Second), 0)
	token := c.server.issue(c, life)
	c.request.AccessToken = token

	body := map[string]any{"token_type": c.tune.tokenType, "access_token": token}
	if c.request.Form.Get("token_type") == tokenPoP {
		body["token_type"] = tokenPoP
	}
	c.putSeconds(body, "expires_in", life)
	if c.route.dialect.aadsts {
		c.putSeconds(body, "ext_expires_in", life)
	} else {
		body["scope"] = strings.Join(c.scopes, " ")
	}
	c.userFields(body)
	if c.route.dialect.resource {
		c.resourceFields(body, life)
	}
	if c.tune.refreshIn > 0 {
		c.putSeconds(body, "refresh_in", c.tune.refreshIn)
	}
	if c.tune.granted != nil {
		body["scope"] = *c.tune.granted
	}
	fault.bend(body)
	a := jsonAnswer(http.StatusOK, mustJSON(body))
	c.identify(a)
	return a
}

func (c *call) putSeconds(body map[string]any, name string, d time.Duration) {
	n := int64(d / time.Second)
	if c.tune.expiresText {
		body[name] = strconv.FormatInt(n, 10)
		return
	}
	body[name] = n
}
