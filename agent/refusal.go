package agent

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/internal/redact"
)

// refusal is why a caller isn't given a token: what it is told, and what the audit log
// has.
type refusal struct {
	status int
	code   string // of RFC 6749 §5.2, or temporarily_unavailable
	reason string

	retryAfter time.Duration
	slow       bool // a wrong secret: the answer takes its time
	shape      bool // the reason says how to ask, and repeats nothing of what was sent
}

// Codes of refusals.
const (
	invalidRequest   = "invalid_request"
	invalidClient    = "invalid_client"
	invalidScope     = "invalid_scope"
	unsupportedGrant = "unsupported_grant_type"
	unauthorized     = "unauthorized_client"
	serverError      = "server_error"
	unavailable      = "temporarily_unavailable"
)

func refuse(status int, code, reason string) *refusal {
	return &refusal{status: status, code: code, reason: reason}
}

// misshapen refuses a request that doesn't ask in the way in which this is asked.
func misshapen(reason string) *refusal {
	r := refuse(http.StatusBadRequest, invalidRequest, reason)
	r.shape = true
	return r
}

// Sentences that several requests are refused with.
const (
	askInOtherWay = "ask for a token by GET /msi/token or POST /oauth2/token"
	wrongSecret   = "the secret is missing or wrong"
	notAllowed    = "the scope is not in the identity's list"
	notListed     = "who asks is not in the list of callers of the identity"
)

// refusalOf makes a refusal of an error of getting a token. The text of the library's
// errors holds no secret, and says what to do.
func refusalOf(err error) *refusal {
	r := refuse(http.StatusBadRequest, serverError, "no token: "+redact.Text(err.Error(), redact.MaxText))
	var refused *certtoken.TokenError
	switch {
	case errors.As(err, &refused) && !refused.Temporary():
		r.code = unauthorized
		if refused.Code == invalidScope {
			r.code = invalidScope
		}
	case errors.As(err, &refused):
		r.code, r.retryAfter = unavailable, refused.RetryAfter
	case isTemporary(err):
		r.code = unavailable
	}
	return r
}

// isTemporary reports whether there was no answer in time, or no connection.
func isTemporary(err error) bool {
	var connection net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &connection)
}
