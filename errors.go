package certtoken

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/certtoken/certtoken/internal/certfile"
)

// What can be wrong with a certificate or its file. Errors wrap these with the
// detail; use [errors.Is].
var (
	ErrWrongPassword    = certfile.ErrWrongPassword    // the password doesn't open the file
	ErrPasswordRequired = certfile.ErrPasswordRequired // the file is encrypted and no password was given
	ErrNoPrivateKey     = certfile.ErrNoPrivateKey     // only certificates, or a public key
	ErrNoCertificate    = certfile.ErrNoCertificate    // only a key
	ErrKeyMismatch      = certfile.ErrKeyMismatch      // the key doesn't belong to the certificate
	ErrNotRSA           = certfile.ErrNotRSA           // an EC or Ed25519 key
	ErrKeySize          = certfile.ErrKeySize          // an RSA key that's too short or absurdly long
	ErrSeveralKeys      = certfile.ErrSeveralKeys      // several pairs: select one with WithThumbprint
	ErrUnsupported      = certfile.ErrUnsupported      // an algorithm that isn't known, by name
	ErrFormat           = certfile.ErrFormat           // JKS, P7B, CSR, HTML, truncated, empty …
	ErrTooLarge         = certfile.ErrTooLarge         // a file that asks for too much memory or time

	ErrExpired     = errors.New("the certificate has expired")
	ErrNotYetValid = errors.New("the certificate is not valid yet")
)

var (
	// ErrClosed is what a [Client] answers after Close.
	ErrClosed = errors.New("certtoken: the client is closed")

	errNotMade = errors.New("certtoken: this client was not made by NewClient")

	// ErrBadResponse is an answer of the token endpoint that is neither a token
	// nor an OAuth error: HTML, a redirect, no access token, an absurd
	// expires_in, over 1 MiB.
	ErrBadResponse = errors.New("unusable answer from the token endpoint")

	// ErrShortLived says that the token endpoint doesn't grant tokens as long as
	// [Request.MinValidity] asks for.
	ErrShortLived = errors.New("the token endpoint grants shorter tokens than asked for")
)

// TokenError is the token endpoint's refusal: an OAuth error response (RFC 6749
// §5.2) or an HTTP status that isn't 200. Branch on Code, and with Entra ID on
// AADSTS; Description is for people. It holds no secret: Description is cut at
// 1 KiB, control characters are escaped, anything shaped like a JWT is removed.
// What Error prints ends with Advice.
type TokenError struct {
	StatusCode    int    // of the HTTP response
	Code          string // error, such as invalid_client
	Description   string // error_description
	URI           string // error_uri
	AADSTS        []int  // error_codes of Entra ID, most significant first
	Suberror      string // suberror
	Claims        string // claims to ask for, JSON
	TraceID       string // trace_id
	CorrelationID string // correlation_id, else the one that was sent
	Thumbprint    string // SHA-256 of the certificate that signed, lower-case hex; "": none did

	// RetryAfter is how long the server asked to wait, or, in an error that was
	// remembered, how long it will still be given without asking. 0 is unknown.
	RetryAfter time.Duration

	endpoint    string    // scheme, host and path of the token endpoint
	certificate string    // that signed, for people
	date        time.Time // the response's Date; zero if there was none
}

// Error describes the refusal in one line and says what to do about it.
func (e *TokenError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "certtoken: %s answered %d", e.endpoint, e.StatusCode)
	if e.Code != "" {
		fmt.Fprintf(&b, " %s", e.Code)
	}
	if e.Description != "" {
		fmt.Fprintf(&b, ": %s", e.Description)
	}
	if e.CorrelationID != "" && !strings.Contains(e.Description, e.CorrelationID) {
		fmt.Fprintf(&b, " (correlation id %s)", e.CorrelationID)
	}
	if e.certificate != "" {
		fmt.Fprintf(&b, " (certificate %s)", e.certificate)
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, "; asked again in %v at the earliest", e.RetryAfter.Round(time.Millisecond))
	}
	if advice := e.Advice(); advice != "" {
		fmt.Fprintf(&b, "; %s", advice)
	}
	return b.String()
}

// Advice is a sentence on what to do about the refusal, or "".
func (e *TokenError) Advice() string {
	for _, code := range e.AADSTS {
		if code == aadstsClock && e.Thumbprint == "" {
			return "the assertion from elsewhere is not valid yet or no longer: is its source still renewed? else set the clock of this machine"
		}
		if a, ok := aadsts[code]; ok {
			return a.advice
		}
	}
	if e.Code == "" && e.Temporary() {
		return "a fault or throttling on the server's side: call again later"
	}
	if e.Code == "" && (e.StatusCode == 401 || e.StatusCode == 403) {
		return codeAdvice["invalid_client"] // some servers refuse a client by the status alone
	}
	return codeAdvice[e.Code]
}

// Temporary tells whether the same request may succeed later: it was throttled
// or the server had a fault.
func (e *TokenError) Temporary() bool {
	switch {
	case e.StatusCode == 408 || e.StatusCode == 429 || e.StatusCode >= 500:
		return true
	case e.Code == "temporarily_unavailable":
		return true
	}
	return e.has(func(a aadstsEntry) bool { return a.temporary })
}

// blamesCertificate tells whether another certificate may help.
func (e *TokenError) blamesCertificate() bool {
	return e.Code == "invalid_client" && e.has(func(a aadstsEntry) bool { return a.certificate })
}

// blamesClock tells whether the assertion's times were refused.
func (e *TokenError) blamesClock() bool {
	for _, code := range e.AADSTS {
		if code == aadstsClock {
			return true
		}
	}
	return false
}

func (e *TokenError) has(what func(aadstsEntry) bool) bool {
	for _, code := range e.AADSTS {
		if what(aadsts[code]) {
			return true
		}
	}
	return false
}

// remembered is e as given to a later caller: RetryAfter is what is left.
func (e *TokenError) remembered(left time.Duration) *TokenError {
	again := *e
	again.RetryAfter = left
	return &again
}

// codeAdvice is for servers that aren't Entra ID.
var codeAdvice = map[string]string{
	"invalid_client":         "register the certificate's public key for this client id, and compare audience (WithAudience), algorithm (WithAlgorithm), typ (WithAssertionType) and kid (WithKeyID) with what the server wants, and this machine's clock with the server's",
	"unauthorized_client":    "allow the grant that was asked for (client credentials, unless a Request said otherwise) for this client",
	"invalid_grant":          "the user's assertion, code or refresh token is over, was used before or belongs to another client: have the user sign in again",
	"interaction_required":   "the user must agree to something or prove more: send them to sign in, with the claims of this error",
	"invalid_scope":          "the scope is unknown to the server or not granted to this client",
	"scope_invalid":          "the scope is unknown to the server or not granted to this client", // a name of glewlwyd's own
	"invalid_target":         "the resource is unknown to the server or not granted to this client",
	"invalid_request":        "the server misses something in the request, or found it malformed; its description says what",
	"unsupported_grant_type": "the server doesn't offer this grant to this client",
	"slow_down":              "ask less often",
	"jti_known":              "the assertion was sent twice: is there a RoundTripper in WithHTTPClient that retries?",
}

type aadstsEntry struct {
	advice      string
	certificate bool // another certificate may help: reload, retry once
	temporary   bool // retried
}

const aadstsClock = 700024

// aadsts is what each code of Entra ID asks of someone with a certificate.
var aadsts = func() map[int]aadstsEntry {
	const (
		tenantOrCloud = "check tenant, client id and cloud: the app registration was not found where it was looked for"
		scope         = "check the scope: one resource for each request, written {resource}/.default, and one that exists in the tenant"
		renew         = "the certificate is outside its validity or revoked: renew it and upload the new one to the app registration"
		secretNotCert = "the server looked at a client secret, not at a certificate: something else than this client sent the request, or the app expects a secret"
		app           = "in the app registration, add the certificate and make sure that the app is a confidential client"
		later         = "a fault or throttling on the server's side: call again later"
		federation    = "the app has no federated credential with this assertion's issuer, subject and audience: compare them letter by letter"
		ownTokens     = "Entra ID doesn't take this token of its own as a federated credential: let a managed identity get the first token, or have another issuer sign the assertion"
		assertion     = "the user's assertion is not for this app, or not from this tenant: its audience must be this client"
		userMust      = "the user must prove more: send them to sign in, with the claims of this error"
		signIn        = "the code or refresh token is over: have the user sign in again"
		assigned      = "the app or the user is not assigned to the resource's application: assign it there, or let the application do without assignment"
		oneTenant     = "name one tenant by GUID or domain; common and organizations are not for a client that acts as itself"
	)
	return map[int]aadstsEntry{
		5002723: {advice: "the assertion names no certificate: set WithThumbprintHeader or WithKeyID"},
		5002738: {advice: "the server doesn't take this algorithm: set WithAlgorithm (PS256, RS256)"},
		5002727: {advice: "the server doesn't take this typ: Entra ID wants JWT (WithAssertionType)"},
		50027:   {advice: "the assertion is malformed: its audience must be one string, the token endpoint"},
		90014:   {advice: "a required field of the assertion or the request is missing"},
		700021:  {advice: "the assertion was made for another client id than the request's"},
		700023:  {advice: "the assertion's audience is not the endpoint that was called: check cloud and authority"},
		700024:  {advice: "the assertion is not valid yet or no longer: set the clock of this machine", certificate: true},
		700027:  {advice: "the certificate is not registered for this app, or the signature is wrong: upload the public certificate and compare its thumbprint with the app registration's", certificate: true},
		70021:   {advice: federation},
		700211:  {advice: federation},
		700212:  {advice: federation},
		700213:  {advice: federation},
		7002121: {advice: federation},
		70025:   {advice: "the app has no federated credential: add one with this assertion's issuer, subject and audience"},
		700222:  {advice: ownTokens},
		700226:  {advice: ownTokens},
		700236:  {advice: ownTokens},
		7000274: {advice: "the certificate is not registered for this app: upload it and compare its thumbprint with the app registration's", certificate: true},
		700030:  {advice: "the certificate's subject name is not authorised: check the app's subject-name/issuer trust, and send the chain (WithX5C)"},
		1000502: {advice: renew, certificate: true},
		7000214: {advice: renew, certificate: true},
		7000277: {advice: renew, certificate: true},
		7000215: {advice: secretNotCert},
		7000216: {advice: app},
		7000222: {advice: secretNotCert},
		7000218: {advice: app},
		700025:  {advice: app},
		700016:  {advice: tenantOrCloud},
		90002:   {advice: tenantOrCloud},
		900023:  {advice: tenantOrCloud},
		7000229: {advice: "the app has no service principal in this tenant: an administrator of the tenant must consent to it"},
		50105:   {advice: assigned},
		501051:  {advice: assigned},
		500112:  {advice: "the redirect URI is not that of the authorization request: it must be the same to the letter"},
		7000112: {advice: "the application is disabled in this tenant: an administrator can enable it"},
		500011:  {advice: scope},
		70011:   {advice: scope},
		1002012: {advice: scope},
		700022:  {advice: scope},
		50013:   {advice: assertion},
		500131:  {advice: assertion},
		500133:  {advice: "the user's assertion has expired: have the caller send a new one"},
		65001:   {advice: "the user or an administrator has not consented to this app calling that resource"},
		50076:   {advice: userMust},
		50079:   {advice: userMust},
		54005:   {advice: "the code was redeemed before: it can be once"},
		70008:   {advice: signIn},
		700082:  {advice: signIn},
		50148:   {advice: "the code verifier doesn't belong to the code challenge of the authorization request"},
		53003:   {advice: "Conditional Access blocks this workload: ask the tenant's administrator for its policy"},
		50196:   {advice: "the app asked in a loop: share one client in the process and a Store among processes instead of asking each time"},
		90033:   {advice: later, temporary: true},
		90006:   {advice: later, temporary: true},
		90024:   {advice: later, temporary: true},
		90055:   {advice: later, temporary: true},
		50194:   {advice: oneTenant},
		9001023: {advice: oneTenant},
		100007:  {advice: "regional endpoints are for managed identities and apps with subject-name/issuer trust: use the global endpoint"},
	}
}()
