// Package advice is what to do about each error code of a token endpoint.
package advice

// OAuth is for servers that aren't Entra ID.
var OAuth = map[string]string{
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

// Entry is what a code of Entra ID asks for.
type Entry struct {
	Advice      string
	Certificate bool // another certificate may help: reload, retry once
	Temporary   bool // retried
}

// Clock is the code of an assertion whose times were refused.
const Clock = 700024

// AADSTS is what each code of Entra ID asks of someone with a certificate.
var AADSTS = func() map[int]Entry {
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
	return map[int]Entry{
		5002723: {Advice: "the assertion names no certificate: set WithThumbprintHeader or WithKeyID"},
		5002738: {Advice: "the server doesn't take this algorithm: set WithAlgorithm (PS256, RS256)"},
		5002727: {Advice: "the server doesn't take this typ: Entra ID wants JWT (WithAssertionType)"},
		50027:   {Advice: "the assertion is malformed: its audience must be one string, the token endpoint"},
		90014:   {Advice: "a required field of the assertion or the request is missing"},
		700021:  {Advice: "the assertion was made for another client id than the request's"},
		700023:  {Advice: "the assertion's audience is not the endpoint that was called: check cloud and authority"},
		700024:  {Advice: "the assertion is not valid yet or no longer: set the clock of this machine", Certificate: true},
		700027:  {Advice: "the certificate is not registered for this app, or the signature is wrong: upload the public certificate and compare its thumbprint with the app registration's", Certificate: true},
		70021:   {Advice: federation},
		700211:  {Advice: federation},
		700212:  {Advice: federation},
		700213:  {Advice: federation},
		7002121: {Advice: federation},
		70025:   {Advice: "the app has no federated credential: add one with this assertion's issuer, subject and audience"},
		700222:  {Advice: ownTokens},
		700226:  {Advice: ownTokens},
		700236:  {Advice: ownTokens},
		7000274: {Advice: "the certificate is not registered for this app: upload it and compare its thumbprint with the app registration's", Certificate: true},
		700030:  {Advice: "the certificate's subject name is not authorised: check the app's subject-name/issuer trust, and send the chain (WithX5C)"},
		1000502: {Advice: renew, Certificate: true},
		7000214: {Advice: renew, Certificate: true},
		7000277: {Advice: renew, Certificate: true},
		7000215: {Advice: secretNotCert},
		7000216: {Advice: app},
		7000222: {Advice: secretNotCert},
		7000218: {Advice: app},
		700025:  {Advice: app},
		700016:  {Advice: tenantOrCloud},
		90002:   {Advice: tenantOrCloud},
		900023:  {Advice: tenantOrCloud},
		7000229: {Advice: "the app has no service principal in this tenant: an administrator of the tenant must consent to it"},
		50105:   {Advice: assigned},
		501051:  {Advice: assigned},
		500112:  {Advice: "the redirect URI is not that of the authorization request: it must be the same to the letter"},
		7000112: {Advice: "the application is disabled in this tenant: an administrator can enable it"},
		500011:  {Advice: scope},
		70011:   {Advice: scope},
		1002012: {Advice: scope},
		700022:  {Advice: scope},
		50013:   {Advice: assertion},
		500131:  {Advice: assertion},
		500133:  {Advice: "the user's assertion has expired: have the caller send a new one"},
		65001:   {Advice: "the user or an administrator has not consented to this app calling that resource"},
		50076:   {Advice: userMust},
		50079:   {Advice: userMust},
		54005:   {Advice: "the code was redeemed before: it can be once"},
		70008:   {Advice: signIn},
		700082:  {Advice: signIn},
		50148:   {Advice: "the code verifier doesn't belong to the code challenge of the authorization request"},
		53003:   {Advice: "Conditional Access blocks this workload: ask the tenant's administrator for its policy"},
		50196:   {Advice: "the app asked in a loop: share one client in the process and a Store among processes instead of asking each time"},
		90033:   {Advice: later, Temporary: true},
		90006:   {Advice: later, Temporary: true},
		90024:   {Advice: later, Temporary: true},
		90055:   {Advice: later, Temporary: true},
		50194:   {Advice: oneTenant},
		9001023: {Advice: oneTenant},
		100007:  {Advice: "regional endpoints are for managed identities and apps with subject-name/issuer trust: use the global endpoint"},
	}
}()
