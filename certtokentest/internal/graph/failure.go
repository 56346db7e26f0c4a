package graph

import (
	"fmt"
	"net/http"
	"time"

	"github.com/certtoken/certtoken/certtokentest/internal/answer"
	"github.com/certtoken/certtoken/certtokentest/internal/ids"
)

// failure is an error in Microsoft Graph's form.
type failure struct {
	status  int
	code    string
	message string
	reason  string // which the real one keeps for itself
}

func badRequest(format string, args ...any) *failure {
	return &failure{http.StatusBadRequest, "Request_BadRequest", fmt.Sprintf(format, args...), ""}
}

func notFound(format string, args ...any) *failure {
	return &failure{http.StatusNotFound, "Request_ResourceNotFound", fmt.Sprintf(format, args...), ""}
}

// denied is the answer without a permission, and without a proof.
func denied(reason string) *failure {
	return &failure{http.StatusForbidden, "Authorization_RequestDenied",
		"Insufficient privileges to complete the operation.", reason}
}

// wrongProof is the answer to a proof that isn't one, whatever is wrong with it.
func wrongProof(reason error) *failure {
	return &failure{http.StatusUnauthorized, "Authentication_MissingOrMalformed",
		"Access Token missing or malformed.", reason.Error()}
}

// answer writes the failure. The reason, by which a test's author finds the mistake, is
// where clients don't look.
func (f *failure) answer(r *http.Request, now time.Time) *answer.Answer {
	inner := map[string]string{
		"date":              now.UTC().Format("2006-01-02T15:04:05"),
		"request-id":        ids.UUID(),
		"client-request-id": r.Header.Get("client-request-id"),
	}
	if f.reason != "" {
		inner["certtokentest"] = f.reason
	}
	return answer.JSON(f.status, map[string]any{
		"error": map[string]any{"code": f.code, "message": f.message, "innerError": inner},
	})
}
