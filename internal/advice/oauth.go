package advice

// OAuth is for servers that aren't Entra ID.
var OAuth = map[string]Entry{
	"invalid_client": {
		Advice: "register the certificate's public key for this client id, and compare audience " +
			"(WithAudience), algorithm (WithAlgorithm), typ (WithAssertionType), kid (WithKeyID) " +
			"and thumbprint (WithThumbprintHeader) with what the server wants, this machine's clock " +
			"with the server's, and the assertion's times (WithLifetime, WithBackdate) with its limits",
		TLS: "register the certificate's subject (DN) or SAN for this client id, or, for a self-signed " +
			"one, its key, with the method tls_client_auth or self_signed_tls_client_auth; send the " +
			"request to the server's mTLS endpoint, and let no proxy in between end TLS",
		Others: "the server doesn't take this assertion for this client id: compare its issuer, " +
			"subject and audience with what the server trusts, letter by letter, and see that its " +
			"issuer publishes the key that signed it",
	},
	"unauthorized_client": {
		Advice: "allow the grant that was asked for (client credentials, unless a Request said " +
			"otherwise) for this client",
	},
	"invalid_grant": {
		Advice: "no user is involved: the client itself may not have this token; servers that bind " +
			"tokens say so of a request that isn't bound as they want (WithCertificateBoundTokens, " +
			"WithTLSClientAuth, WithDPoP), or is bound to another certificate or key",
		User: "the user's assertion, code or refresh token is over, was used before or belongs to " +
			"another client: have the user sign in again",
		Signed: "the server doesn't take the client's assertion for this user: compare its Audience, Subject, " +
			"ClientID, KeyID and Claims with what the server wants, register the certificate's public key, have the " +
			"user or an administrator allow this client once, and compare this machine's clock with the server's, and " +
			"Lifetime and Backdate with its limits",
		Exchange: "the subject or actor token is over, was revoked or isn't one that this server takes: get a new one",
	},
	"consent_required": { // of DocuSign too
		Advice: "the server's administrator must allow this client once",
		User:   "the user or an administrator must allow this client once, in a browser, with these scopes",
	},
	"interaction_required": {
		Advice: "the server's policy asks for something that no client without a user can do: have its " +
			"administrator exempt this client",
		User: "the user must agree to something or prove more: send them to sign in, with the claims of this error",
	},
	"login_required": { // by OpenID Connect, of a server that ended the user's session
		Advice: "the server wants a user to sign in, and this request has none: use a grant of a user's",
		User:   "the user must sign in again",
	},
	"access_denied": { // of Auth0 and Okta, whose policies and grants are the client's for one API
		Advice: "the server knows the client, and its policy doesn't allow what was asked for: have its administrator " +
			"allow the client this grant, this API and these scopes; where the server wants the API named, give " +
			"it (WithParameter: audience or resource)",
		User: "the user or the server's policy doesn't allow this client what it asked for",
	},
	"invalid_scope": {Advice: "the scope is unknown to the server or not granted to this client"},
	"scope_invalid": {
		Advice: "the scope is unknown to the server or not granted to this client",
	}, // a name of glewlwyd's own
	"insufficient_scope": {Advice: "the scope is unknown to the server or not granted to this client"},
	"invalid_target":     {Advice: "the resource is unknown to the server or not granted to this client"},
	"invalid_resource": { // of ADFS
		Advice: "the server doesn't know the API that was asked for: name it by its identifier there, in the scope " +
			`or by WithParameter("resource", …)`,
	},
	"invalid_authorization_details": { // RFC 9396 §5
		Advice: "the authorization_details are of a type or content that the server doesn't take from this client",
	},
	"invalid_client_id": { // of Salesforce
		Advice: "the server doesn't know this client id: compare it, and is it the right server, production or test?",
	},
	"invalid_app_access": { // of Salesforce
		Advice: "the server's administrator must allow this client, for this user where there is one",
	},
	"invalid_request": {
		Advice: "the server misses something in the request, or found it malformed; its description " +
			"says what",
		Exchange: "the server misses something in the request, or doesn't take the subject or actor token " +
			"(RFC 8693 §2.2.2); its description says what",
	},
	"invalid_dpop_proof": {
		Advice: "the server wants tokens that are bound to a key, and a proof of it: give WithDPoP to the " +
			"authority; if it has that, compare this machine's clock with the server's, and the token " +
			"endpoint's URL with the one by which the server knows itself",
	},
	"use_dpop_nonce": {
		Advice: "the server wants a nonce in the DPoP proof: give WithDPoP to the authority; if it has that, " +
			"the server gave none, or didn't take the one that it had just given",
	},
	"unsupported_grant_type":  {Advice: "the server doesn't offer this grant to this client"},
	"temporarily_unavailable": {Advice: Later, Temporary: true},
	"server_error":            {Advice: Fault},
	"slow_down":               {Advice: "ask less often"},
	"jti_known": {
		Advice: "the assertion was sent twice: is there a RoundTripper in WithHTTPClient that retries?",
	},
}
