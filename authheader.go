package certtoken

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/certtoken/certtoken/internal/exchange"
	"github.com/certtoken/certtoken/internal/redact"
)

// SetAuthHeader puts the token into a request's header Authorization, as RFC 6750 §2.1 has
// it. It is for a request that doesn't go through a [Transport]. If the URL isn't https or
// the token isn't a bearer token, the request stays as it is and the error says why. It
// doesn't check which host the request goes to: that must be the resource that the token
// was asked for.
func (t *Token) SetAuthHeader(req *http.Request) error {
	switch {
	case t == nil || t.secret == nil:
		return public(errors.New("no token: the zero Token has no secret to send"))
	case t.typ == exchange.NotApplicable:
		return public(errNoAccessToken)
	case !strings.EqualFold(t.typ, exchange.Bearer):
		return public(fmt.Errorf("a token of the type %s proves more than a header can: "+
			"send the request through a Transport, which presents the proof"+orProof(t), redact.Short(t.typ)))
	case req == nil || req.URL == nil:
		return public(errors.New("the request has no URL"))
	case req.URL.Scheme != "https":
		return public(fmt.Errorf("the token is sent over https only, not to %s://%s",
			redact.Short(req.URL.Scheme), redact.Short(req.URL.Host)))
	}
	if req.Header == nil {
		req.Header = make(http.Header)
	}
	req.Header.Set("Authorization", exchange.Bearer+" "+t.secret().access)
	return nil
}

// orProof names the way for callers with their own HTTP, where there is one.
func orProof(t *Token) string {
	if t.proofKey() == nil {
		return ""
	}
	return ", or make it with Client.Proof"
}
