package keyvault

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/certtoken/certtoken/certsource"
)

// ErrDisabled says that the certificate's version, its secret or its key is
// disabled in the vault. The newest version counts, disabled or not: enable it,
// make another, or pin an older one with [WithVersion].
var ErrDisabled = errors.New("disabled in the vault")

// How much is repeated of the vault's message, and of a name, in bytes.
const (
	maxMessage = 512
	maxName    = 100
)

// operation is something asked of the vault, and what it takes.
type operation struct {
	verb       string
	permission string
	role       string
}

var (
	readSecret      = operation{"reading the secret", "secrets/get", "Key Vault Secrets User"}
	readCertificate = operation{"reading the certificate", "certificates/get", "Key Vault Reader"}
	readKey         = operation{"reading the key", "keys/get", "Key Vault Crypto User"}
	signDigest      = operation{"signing", "keys/sign", "Key Vault Crypto User"}
)

// vaultError is the vault's refusal in one line. The SDK's own error, which it
// wraps, prints a page.
type vaultError struct {
	text     string
	disabled bool
	err      error
}

func (e *vaultError) Error() string { return e.text }

func (e *vaultError) Unwrap() []error {
	if e.disabled {
		return []error{ErrDisabled, e.err}
	}
	return []error{e.err}
}

// explain says of a failed operation what was asked, what the vault answered and
// what to do.
func explain(op operation, err error) error {
	var refused *azcore.ResponseError
	if !errors.As(err, &refused) {
		return fmt.Errorf("%s: %w", op.verb, err)
	}
	if resp := refused.RawResponse; resp != nil && resp.Request != nil && isManagedHSM(resp.Request.URL.String()) {
		op.role = "Managed HSM Crypto User"
	}
	code, message := answerOf(refused)
	disabled := strings.HasSuffix(code, "Disabled")
	text := fmt.Sprintf("%s: %d %s", op.verb, refused.StatusCode, http.StatusText(refused.StatusCode))
	if code != "" {
		text += " (" + code + ")"
	}
	if message != "" {
		text += ": " + message
	}
	if advice := op.advice(refused.StatusCode, code, disabled); advice != "" {
		text += "; " + advice
	}
	return &vaultError{text: text, disabled: disabled, err: err}
}

// advice is what to do about a refusal.
func (op operation) advice(status int, code string, disabled bool) string {
	switch {
	case disabled:
		return "enable the version, or make a new one"
	case code == "ForbiddenByFirewall":
		return "the vault's firewall doesn't let this machine through"
	case code == "ForbiddenByConnection":
		return "the vault takes private connections only"
	}
	switch status {
	case http.StatusUnauthorized:
		return "the vault didn't take the credential's token: is the credential of the vault's tenant and cloud?"
	case http.StatusForbidden:
		return "the credential needs " + op.permission + " (role " + op.role + ")"
	case http.StatusNotFound:
		return "check the name of vault and certificate or key, and the version if one is pinned"
	case http.StatusTooManyRequests:
		return "the vault is asked too often, by this program or another"
	}
	return ""
}

// answerOf is the most exact code in the vault's answer, and its message.
func answerOf(refused *azcore.ResponseError) (code, message string) {
	code = refused.ErrorCode
	var body struct {
		Error struct {
			Message    string `json:"message"`
			InnerError struct {
				Code string `json:"code"`
			} `json:"innererror"`
		} `json:"error"`
	}
	if refused.RawResponse == nil || refused.RawResponse.Body == nil {
		return printable(code), ""
	}
	data, err := runtime.Payload(refused.RawResponse) // read before: no I/O
	if err != nil || json.Unmarshal(data, &body) != nil {
		return printable(code), ""
	}
	if body.Error.InnerError.Code != "" {
		code = body.Error.InnerError.Code
	}
	return printable(code), certsource.Text(body.Error.Message, maxMessage)
}

var codePattern = regexp.MustCompile(`^[0-9A-Za-z._-]{1,64}$`)

// printable drops what isn't a code, or could be a token.
func printable(code string) string {
	if !codePattern.MatchString(code) || certsource.Text(code, len(code)) != code {
		return ""
	}
	return code
}
