package certtokentest

import (
	"fmt"
	"net/http"

	"github.com/certtoken/certtoken/certtokentest/internal/answer"
	"github.com/certtoken/certtoken/certtokentest/internal/challenge"
	"github.com/certtoken/certtoken/certtokentest/internal/ids"
	"github.com/certtoken/certtoken/certtokentest/internal/refusal"
)

// RefusalForm is how a server writes that it refuses a request. RFC 6749 §5.2
// says how, and servers, gateways and filters before them do as they like. See
// [WithRefusalForm] and [Fault].
type RefusalForm int

// The forms.
const (
	RefusalDefault    RefusalForm = iota // Entra ID's; with WithIssuer RFC 6749's
	RefusalBadRequest                    // RFC 6749's with status 400 for invalid_client too, as Keycloak answers
	RefusalOK                            // RFC 6749's with status 200, as GitHub answers
	RefusalEmpty                         // 403 and nothing, as Glewlwyd answers
	RefusalChallenge                     // 401 and nothing, the error in WWW-Authenticate
	RefusalText                          // text/plain
	RefusalStatus                        // {"status":"error","msg":…}
	RefusalObject                        // {"error":{"code":…,"message":…}}, as Google's and Microsoft's APIs answer
	RefusalList                          // {"errors":[{"code":…,"message":…}]}
	RefusalMessage                       // {"message":…}, as gateways answer (AWS, Kong)
	RefusalProblem                       // application/problem+json with title and detail (RFC 9457)
	RefusalSummary                       // {"errorCode":…,"errorSummary":…}, as Okta answers
	RefusalFault                         // {"fault":{"faultstring":…}}, as Apigee answers
	RefusalHint                          // RFC 6749's with message and hint, as League's OAuth server for PHP answers
	RefusalUnknown                       // 500 and {"error":"error"}, as servers on ory/fosite answer
	RefusalPage                          // 200 and a web filter's page with a support id, as F5 answers
)

// write writes a refusal in one of the forms but the default one.
func (f RefusalForm) write(r *refusal.Refusal) *answer.Answer {
	code, text := r.OAuthError(), r.PlainText()
	fields := func(v any) *answer.Answer { return answer.JSON(r.Status, v) }
	type object = map[string]any
	switch f {
	case RefusalBadRequest:
		return r.As(r.Err, http.StatusBadRequest).OAuth()
	case RefusalOK:
		return r.As(r.Err, http.StatusOK).OAuth()
	case RefusalEmpty:
		return bareText(http.StatusForbidden, "", "")
	case RefusalChallenge:
		a := bareText(http.StatusUnauthorized, "", "")
		a.Header.Set("WWW-Authenticate",
			fmt.Sprintf(`Bearer error="%s", error_description="%s"`, code, challenge.Quoted(text)))
		return a
	case RefusalText:
		return bareText(r.Status, "text/plain; charset=utf-8", text+"\n")
	case RefusalStatus:
		return fields(object{"status": "error", "msg": text})
	case RefusalObject:
		return fields(object{"error": object{"code": code, "message": text}})
	case RefusalList:
		return fields(object{"errors": []object{{"code": code, "message": text}}})
	case RefusalMessage:
		return fields(object{"message": text})
	case RefusalProblem:
		a := fields(object{"type": "about:blank", "title": code, "detail": text, "status": r.Status})
		a.Header.Set("Content-Type", "application/problem+json")
		return a
	case RefusalSummary:
		return fields(object{
			"errorCode": code, "errorSummary": text, "errorLink": code, "errorId": ids.Text(22), "errorCauses": []any{},
		})
	case RefusalFault:
		return fields(object{"fault": object{"faultstring": text, "detail": object{"errorcode": code}}})
	case RefusalHint:
		return fields(object{
			"error": code, "error_description": text, "message": text, "hint": "Check the client's certificate.",
		})
	case RefusalUnknown:
		return answer.JSON(http.StatusInternalServerError,
			object{"error": "error", "error_description": "The error is unrecognizable"})
	case RefusalPage:
		return bareText(http.StatusOK, "text/html; charset=utf-8",
			"<html><head><title>Request Rejected</title></head><body>"+
				"The requested URL was rejected. Please consult with your administrator.<br><br>"+
				"Your support ID is: 17283940561728394056<br></body></html>\n")
	}
	return r.OAuth()
}

func bareText(status int, contentType, text string) *answer.Answer {
	a := &answer.Answer{Status: status, Header: make(http.Header), Body: []byte(text)}
	if contentType != "" {
		a.Header.Set("Content-Type", contentType)
	}
	return a
}
