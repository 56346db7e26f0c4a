package certtoken

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"

	"github.com/certtoken/certtoken/internal/advice"
)

const notRegistered = `AADSTS700027: Client assertion contains an invalid signature. [Reason - The key was not ` +
	`found., Thumbprint of key used by client: '6B7D1A3F', Please visit the Azure Portal, Graph Explorer or directly ` +
	`use MS Graph to see configured keys for app Id '7f0b2c1e-6d5a-4f39-9a87-2d1c0e4b5a6f'. Review the documentation at ` +
	`https://docs.microsoft.com/en-us/graph/deployments to determine the corresponding service endpoint]. ` +
	`Alternatively, SNI may be configured on the app. Trace ID: 1 Correlation ID: 2 Timestamp: 2026-11-28 19:00:00Z`

// A description's first sentences say what went wrong.
func TestGist(t *testing.T) {
	for name, c := range map[string]struct{ description, want string }{
		"Keycloak": {"Unable to load public key", "Unable to load public key"},
		"Entra ID, a reason in brackets": {notRegistered,
			"AADSTS700027: Client assertion contains an invalid signature. [Reason - The key was not found.]"},
		"Entra ID, as it wrote in lines": {
			`AADSTS7000215: Invalid client secret provided.\r\nTrace ID: 1\r\nCorrelation ID: 2\r\nTimestamp: 3`,
			"AADSTS7000215: Invalid client secret provided."},
		"the second sentence says it": {
			"AADSTS70011: The provided request must include a 'scope' input parameter. The provided value for the " +
				"input parameter 'scope' is not valid. The scope api://x/y is not valid. " +
				strings.Repeat("More. ", 20) +
				"Trace ID: 1",
			"AADSTS70011: The provided request must include a 'scope' input parameter. The provided value for the " +
				"input parameter 'scope' is not valid. The scope api://x/y is not valid. More. More. More. More. " +
				"More. More. " +
				"More. More. More. More. More."},
		"a host isn't the end of a sentence": {
			"The resource api.example.com of " + strings.Repeat("x", 80) + " isn't there. " + strings.Repeat("y", 200),
			"The resource api.example.com of " + strings.Repeat("x", 80) + " isn't there."},
		"no sentence":        {strings.Repeat("x", 300), strings.Repeat("x", 240) + "…"},
		"cut in a character": {"x" + strings.Repeat("ä", 200), "x" + strings.Repeat("ä", 119) + "…"},
		"nothing":            {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := gist(c.description)
			assert.Equal(t, c.want, got)
			assert.True(t, utf8.ValidString(got))
			assert.LessOrEqual(t, len(got), maxGist+len("…"))
		})
	}
}

func refusedByEntra() *TokenError {
	return &TokenError{
		StatusCode: 401, Code: "invalid_client", Description: notRegistered, AADSTS: []int{700027},
		TraceID: "trace-1", CorrelationID: "correlation-1", URI: "https://login.example/error?code=700027",
		Thumbprint: "ab12", signedBy: `certificate "CN=my-app", SHA-1 CD34`, printOf: "SHA-256",
		endpoint: "https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token",
	}
}

func TestRefusalOfEntraInOneLine(t *testing.T) {
	e := refusedByEntra()
	assert.Equal(t, "certtoken: https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token answered 401 "+
		"invalid_client: AADSTS700027: Client assertion contains an invalid signature. "+
		"[Reason - The key was not found.] (correlation id correlation-1) "+
		`(certificate "CN=my-app", SHA-1 CD34); `+e.Advice(), e.Error())
	assert.Equal(t, "description: "+notRegistered+"\nsee: https://login.example/error?code=700027\n"+
		"signed by: certificate \"CN=my-app\", SHA-1 CD34, SHA-256 ab12\ntrace id: trace-1\ncorrelation id: "+
		"correlation-1", e.Detail())

	other := refusedByEntra()
	other.AADSTS = []int{53003} // conditional access: no certificate would help
	assert.NotContains(t, other.Error(), "CN=my-app")
}

func TestRefusalOfKeycloakInOneLine(t *testing.T) {
	e := &TokenError{
		StatusCode: 400, Code: "invalid_client", Description: "Unable to load public key", CorrelationID: "sent",
		Thumbprint: "ab12", signedBy: `certificate "CN=my-app", SHA-1 CD34`, printOf: "SHA-256",
		endpoint: "https://id.example/realms/x/protocol/openid-connect/token",
		refused:  advice.Request{},
	}
	assert.Equal(t, "certtoken: https://id.example/realms/x/protocol/openid-connect/token answered 400 "+
		"invalid_client: Unable to load public key "+
		`(certificate "CN=my-app", SHA-1 CD34); `+e.Advice(), e.Error())
	assert.Contains(t, e.Detail(), "correlation id: sent", "which this server doesn't know")

	e.signedBy, e.printOf = `key id "k1"`, "JWK thumbprint"
	assert.Contains(t, e.Error(), `Unable to load public key (key id "k1"); `)
	assert.Contains(t, e.Detail(), `signed by: key id "k1", JWK thumbprint ab12`)
}

// Each verb prints one line, but %+v, which has all.
func TestRefusalByEachVerb(t *testing.T) {
	e := refusedByEntra()
	for _, verb := range []string{"%v", "%s"} {
		assert.Equal(t, e.Error(), fmt.Sprintf(verb, e))
	}
	assert.Equal(t, fmt.Sprintf("%q", e.Error()), fmt.Sprintf("%q", e))
	assert.Equal(t, fmt.Sprintf("%.9s", e.Error()), fmt.Sprintf("%.9s", e))
	assert.Equal(t, e.Error()+"\n  "+strings.ReplaceAll(e.Detail(), "\n", "\n  "), fmt.Sprintf("%+v", e))
	assert.Contains(t, fmt.Sprintf("%#v", e), `Code:"invalid_client"`)
	assert.Equal(t, "<nil>", fmt.Sprintf("%v", (*TokenError)(nil)))
	bare := &TokenError{StatusCode: 503, endpoint: "https://id.example/token"}
	assert.Equal(t, bare.Error(), fmt.Sprintf("%+v", bare), "there is no more")
	wrapped := fmt.Errorf("start: %w", e)
	assert.True(t, errors.As(wrapped, &e))
	assert.NotContains(t, fmt.Sprintf("%+v", wrapped), "\n", "fmt asks the outer error only")
}

// A log has the line and not the details, whichever handler writes it.
func TestRefusalInALog(t *testing.T) {
	e := refusedByEntra()
	for name, handler := range map[string]func(io.Writer) slog.Handler{
		"text": func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
		"JSON": func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
	} {
		var b strings.Builder
		slog.New(handler(&b)).Info("m", "error", e, "none", (*TokenError)(nil))
		assert.Contains(t, b.String(), "The key was not found.]", name)
		assert.NotContains(t, b.String(), "trace-1", name)
	}
}
