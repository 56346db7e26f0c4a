package advice

// Clock is the code of an assertion whose times were refused. Another certificate
// doesn't help: a client that took one because of its clock would give up a good one.
const Clock = 700024

// AADSTS is what each code of Entra ID asks of someone with a certificate.
var AADSTS = func() map[int]Entry {
	const (
		tenantOrCloud = "check tenant, client id and cloud: the app registration was not found where " +
			"it was looked for"
		scope = "check the scope: one resource for each request, written {resource}/.default, and one " +
			"that exists in the tenant"
		renew = "the certificate is outside its validity or revoked: renew it and upload the new one " +
			"to the app registration"
		secretNotCert = "the server looked at a client secret, not at a certificate: something else " +
			"than this client sent the request, or the app expects a secret"
		app = "in the app registration, add the certificate and make sure that the app is a " +
			"confidential client"
		federation = "the app has no federated credential with this assertion's issuer, subject and " +
			"audience: compare them letter by letter, capitals too"
		ownTokens = "Entra ID doesn't take this token of its own as a federated credential: let a " +
			"managed identity get the first token, or have another issuer sign the assertion"
		assertion = "the user's assertion is not for this app, or not from this tenant: its audience " +
			"must be this client"
		userMust = "the user must prove more: send them to sign in, with the claims of this error"
		signIn   = "the code or refresh token is over: have the user sign in again"
		assigned = "the app or the user is not assigned to the resource's application: assign it " +
			"there, or let the application do without assignment"
		noCertificate = "the server looked at a certificate, and this client has none: does its source " +
			"hand out another client's assertion?"
		noSecret = "the server looked at a client secret, not at an assertion: something else than " +
			"this client sent the request, or the app expects a secret"
		noFederation = "the app has no federated credential for this assertion, or is a public client: " +
			"add one with its issuer, subject and audience, and make the app a confidential client"
		unseen = "the server saw no certificate in the TLS handshake: does a proxy in between end TLS, " +
			"and does the request go to the host for mTLS?"
		device = "Conditional Access wants a managed or compliant device, which no program without a " +
			"user is: ask the tenant's administrator to exclude this workload"
		userDevice = "Conditional Access wants a managed or compliant device: the user must sign in from one"
		consent    = "the user or an administrator has not consented to this app calling that resource"
		required   = "add the resource to the app registration's API permissions, and have an " +
			"administrator consent"
		unregistered = "the certificate is not registered for this app: upload it and compare its " +
			"thumbprint with the app registration's"
		oneTenant = "name one tenant by GUID or domain; common and organizations are not for a client " +
			"that acts as itself"
	)
	return map[int]Entry{
		5002723: {
			Advice: "the assertion names no certificate: set WithThumbprintHeader or WithKeyID",
			Others: "the assertion names no key: its issuer must set kid",
		},
		5002738: {
			Advice: "the server doesn't take this algorithm: set WithAlgorithm (PS256, RS256)",
			Others: "the server doesn't take the algorithm that the assertion's issuer signs with",
		},
		5002727: {
			Advice: "the server doesn't take this typ: Entra ID wants JWT (WithAssertionType)",
			Others: "the server doesn't take the assertion's typ: its issuer must set JWT",
		},
		5002726: {
			Advice: "the server doesn't take a field of the assertion's header that its description names, and this " +
				"client sets none of that kind: find out what changes the assertion on its way",
			Others: "the server doesn't take a field of the assertion's header that its description names: its " +
				"issuer must leave it out (jku, cty and others)",
		},
		50027: {
			Advice: "the assertion is malformed: its audience must be one string, the token endpoint",
			Others: "the assertion is malformed: its audience must be one string, that of the " +
				"federated credential",
		},
		90014:  {Advice: "a required field of the assertion or the request is missing"},
		700021: {Advice: "the assertion was made for another client id than the request's", Others: federation},
		700023: {
			Advice: "the assertion's audience is not the endpoint that was called: check cloud and " +
				"authority",
			Others: federation,
		},
		700024: {
			Advice: "the assertion is not valid yet or no longer: set the clock of this machine",
			Others: "the assertion from elsewhere is not valid yet or no longer: is its source still " +
				"renewed? else set the clock of this machine",
		},
		700027: {
			Advice: "the certificate is not registered for this app, or the signature is wrong: upload " +
				"the public certificate and compare its thumbprint with the app registration's",
			TLS:         unregistered,
			Others:      federation,
			Certificate: true,
		},
		70021:   {Advice: federation},
		700211:  {Advice: federation},
		700212:  {Advice: federation},
		700213:  {Advice: federation},
		7002121: {Advice: federation},
		7002138: {
			Advice: "the federated credential's subject and the assertion's differ in capitals: write " +
				"it as the assertion has it",
		},
		70025: {
			Advice: "the app has no federated credential: add one with this assertion's issuer, " +
				"subject and audience",
		},
		700222:  {Advice: ownTokens},
		700226:  {Advice: ownTokens},
		700236:  {Advice: ownTokens},
		7000274: {Advice: unregistered, Others: federation, Certificate: true},
		50012: {
			Advice: "the signature, or the certificate's subject name, issuer or chain, is not what " +
				"the app trusts: compare the thumbprint with the app registration's, and for " +
				"subject-name/issuer trust send the chain (WithX5C)",
			TLS:    unregistered,
			Others: federation,
		},
		7000213: {
			Advice: "the certificate's chain doesn't lead to an authority that the app's " +
				"subject-name/issuer trust takes: send it (WithX5C) with all issuers; where the " +
				"certificate itself is registered, leave WithX5C out",
			Others: noCertificate,
		},
		7000110: {
			Advice: "the code, refresh token or assertion was made for another client id than the " +
				"request's: use the client id that asked for it",
			Others: "the code, refresh token or assertion was made for another client id than the " +
				"request's: use the client id that asked for it, and that of the app with the " +
				"federated credential",
		},
		700030: {
			Advice: "the certificate's subject name is not authorised: check the app's " +
				"subject-name/issuer trust, and send the chain (WithX5C)",
			Others: noCertificate,
		},
		1000502: {Advice: renew, Others: noCertificate, Certificate: true},
		7000214: {Advice: renew, Others: noCertificate, Certificate: true},
		7000277: {Advice: renew, Others: noCertificate, Certificate: true},
		7000215: {Advice: secretNotCert, Others: noSecret},
		7000216: {Advice: app, TLS: unseen, Others: noFederation},
		7000222: {Advice: secretNotCert, Others: noSecret},
		7000218: {Advice: app, TLS: unseen, Others: noFederation},
		700025:  {Advice: app, TLS: unseen, Others: noFederation},
		700016:  {Advice: tenantOrCloud},
		90002:   {Advice: tenantOrCloud},
		900023:  {Advice: tenantOrCloud},
		7000229: {
			Advice: "the app has no service principal in this tenant: an administrator of the tenant " +
				"must consent to it",
		},
		50105:  {Advice: assigned},
		501051: {Advice: assigned},
		500112: {
			Advice: "the redirect URI is not that of the authorization request: it must be the same to " +
				"the letter",
		},
		7000112: {Advice: "the application is disabled in this tenant: an administrator can enable it"},
		500011:  {Advice: scope},
		70011:   {Advice: scope},
		1002012: {Advice: scope},
		700022:  {Advice: scope},
		50013:   {Advice: assertion},
		500131:  {Advice: assertion},
		500133:  {Advice: "the user's assertion has expired: have the caller send a new one"},
		65001:   {Advice: consent},
		90094:   {Advice: "an administrator must consent to this app in this tenant"},
		65005:   {Advice: required},
		650057:  {Advice: required},
		500014: {
			Advice: "the resource's application is disabled in this tenant, or its subscription is " +
				"over: an administrator can enable it",
		},
		50076:  {Advice: userMust},
		50079:  {Advice: userMust},
		54005:  {Advice: "the code was redeemed before: it can be once"},
		70008:  {Advice: signIn},
		700082: {Advice: signIn},
		50148:  {Advice: "the code verifier doesn't belong to the code challenge of the authorization request"},
		53003: {
			Advice: "Conditional Access blocks this workload: ask the tenant's administrator for its " +
				"policy",
			User: "Conditional Access blocks this user: ask the tenant's administrator for its policy",
		},
		53000:  {Advice: device, User: userDevice},
		530003: {Advice: device, User: userDevice},
		530035: {
			Advice: "the tenant's security defaults block this sign-in: ask its administrator",
			User: "the tenant's security defaults block this sign-in: have the user sign in with what " +
				"they ask for",
		},
		51000: {
			Advice: "the app isn't enabled for certificates in TLS (WithMTLSBearer), a preview: ask Microsoft to " +
				"enable it, or leave WithMTLSBearer out",
			Others: "the app isn't enabled for certificates in TLS, a preview: ask Microsoft to enable it",
		},
		500181: {
			Advice: "the certificate in TLS is not the one that the assertion is bound to: was the certificate " +
				"renewed, or does something in between end TLS?",
			Mismatch: true,
		},
		50196: {
			Advice: "the app asked in a loop: share one client in the process and a Store among " +
				"processes instead of asking each time",
		},
		90033:   {Advice: Later, Temporary: true},
		90006:   {Advice: Later, Temporary: true},
		90024:   {Advice: Later, Temporary: true},
		90055:   {Advice: Later, Temporary: true},
		50194:   {Advice: oneTenant},
		9001023: {Advice: oneTenant},
		100007: {
			Advice: "regional endpoints are for managed identities and apps with subject-name/issuer " +
				"trust: use the global endpoint",
		},
	}
}()
