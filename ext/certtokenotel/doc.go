// Package certtokenotel records what a certtoken client does as OpenTelemetry
// metrics and spans.
//
//	hooks, err := certtokenotel.Hooks()
//	…
//	client, err := certtoken.NewClient(authority, clientID, source, certtoken.WithHooks(hooks))
//
// # Metrics
//
//	certtoken.cache.lookups               counter    {lookup}   certtoken.cache.result: hit, miss
//	certtoken.request.duration            histogram  s          error.type, http.response.status_code
//	certtoken.renewal.failures            counter    {failure}  error.type
//	certtoken.request.abandoned           counter    {request}  certtoken.part
//	certtoken.request.hanging             sum        {request}
//	certtoken.store.failures              counter    {failure}  error.type
//	certtoken.session.save.failures       counter    {failure}  error.type
//	certtoken.certificate.time_to_expiry  gauge      s          certtoken.certificate.sha256
//
// The histogram has one value for each HTTP request to the token endpoint, so
// its count is the number of requests by outcome; as in OpenTelemetry's own
// conventions, error.type is there only if the request failed. A renewal that
// failed has no effect on callers yet, who have a valid token. A request is abandoned
// where a part of the program, such as the signer or the HTTP transport, ignores the end
// of its context; it hangs until that part returns. The gauge is of the
// certificate that signed last, and negative when that is over.
//
// # Values of error.type
//
// A refusal by Entra ID is named by its code, such as AADSTS700027; by another
// server as RFC 6749 §5.2 has it, such as invalid_client; one without either by
// its status, such as 503. Without an answer it is timeout, canceled, dns, tls or
// connection, and otherwise bad_response, certificate_expired,
// certificate_not_yet_valid, or _OTHER.
//
// # Spans
//
// Each HTTP request to the token endpoint is a client span "acquire token", a
// child of the caller's span where one waits for it, and a root where the token
// is renewed behind the callers. It has the attributes of HTTP client spans as
// far as they are known, and certtoken.scopes, certtoken.tenant (if it isn't the
// client's), certtoken.agent (an agent identity), certtoken.parameters (the names of the
// request's), certtoken.correlation_id and certtoken.certificate.sha256.
//
// Nothing holds a token, an assertion, a key or the value of a parameter. Scopes, tenants,
// agents and names of parameters, which may be many, are on spans only, and the client id
// nowhere: see [WithAttributes].
package certtokenotel
