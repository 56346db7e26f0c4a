package certtokentest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// refusal is an error answer of the token endpoint.
type refusal struct {
	status      int    // HTTP
	code        int    // AADSTS, 0 for none
	err         string // RFC 6749 §5.2
	description string // Entra ID's, without the AADSTS prefix
	plain       string // of a server that isn't Entra ID; "": description
	suberror    string
	claims      string
}

// refuse makes the refusal of an AADSTS code, with that code's error and status.
func refuse(code int, format string, args ...any) *refusal {
	kind := kindOf(code)
	return &refusal{status: kind.status, code: code, err: kind.err, description: fmt.Sprintf(format, args...)}
}

// plainly says the same for a server that isn't Entra ID.
func (f *refusal) plainly(format string, args ...any) *refusal {
	f.plain = fmt.Sprintf(format, args...)
	return f
}

type errorKind struct {
	status int
	err    string
}

// kindOf tells the OAuth error and HTTP status that Entra ID gives a code.
func kindOf(code int) errorKind {
	if kind, ok := errorKinds[code]; ok {
		return kind
	}
	return errorKind{http.StatusBadRequest, "invalid_request"}
}

var errorKinds = map[int]errorKind{
	// the assertion or its key
	50027:   {http.StatusUnauthorized, "invalid_client"},
	700021:  {http.StatusUnauthorized, "invalid_client"},
	700023:  {http.StatusUnauthorized, "invalid_client"},
	700024:  {http.StatusUnauthorized, "invalid_client"},
	700025:  {http.StatusUnauthorized, "invalid_client"},
	700027:  {http.StatusUnauthorized, "invalid_client"},
	70021:   {http.StatusUnauthorized, "invalid_client"},
	70025:   {http.StatusUnauthorized, "invalid_client"},
	700211:  {http.StatusUnauthorized, "invalid_client"},
	700212:  {http.StatusUnauthorized, "invalid_client"},
	700213:  {http.StatusUnauthorized, "invalid_client"},
	7002121: {http.StatusUnauthorized, "invalid_client"},
	7002137: {http.StatusUnauthorized, "invalid_client"},
	7002138: {http.StatusUnauthorized, "invalid_client"},
	700222:  {http.StatusUnauthorized, "invalid_client"},
	700226:  {http.StatusUnauthorized, "invalid_client"},
	700229:  {http.StatusUnauthorized, "invalid_client"},
	700236:  {http.StatusUnauthorized, "invalid_client"},
	700030:  {http.StatusUnauthorized, "invalid_client"},
	1000502: {http.StatusUnauthorized, "invalid_client"},
	5002723: {http.StatusUnauthorized, "invalid_client"},
	5002727: {http.StatusUnauthorized, "invalid_client"},
	5002738: {http.StatusUnauthorized, "invalid_client"},
	50012:   {http.StatusUnauthorized, "invalid_client"},
	7000110: {http.StatusUnauthorized, "invalid_client"},
	7000213: {http.StatusUnauthorized, "invalid_client"},
	7000214: {http.StatusUnauthorized, "invalid_client"},
	7000215: {http.StatusUnauthorized, "invalid_client"},
	7000216: {http.StatusUnauthorized, "invalid_client"},
	7000218: {http.StatusUnauthorized, "invalid_client"},
	7000222: {http.StatusUnauthorized, "invalid_client"},
	7000229: {http.StatusUnauthorized, "invalid_client"},
	7000272: {http.StatusUnauthorized, "invalid_client"},
	7000274: {http.StatusUnauthorized, "invalid_client"},
	7000277: {http.StatusUnauthorized, "invalid_client"},
	// the client or the tenant
	700016:  {http.StatusBadRequest, "unauthorized_client"},
	7000112: {http.StatusBadRequest, "unauthorized_client"},
	100007:  {http.StatusBadRequest, "unauthorized_client"},
	50049:   {http.StatusBadRequest, "invalid_instance"},
	50194:   {http.StatusBadRequest, "invalid_request"},
	90002:   {http.StatusBadRequest, "invalid_request"},
	90014:   {http.StatusBadRequest, "invalid_request"},
	90023:   {http.StatusBadRequest, "invalid_request"},
	900023:  {http.StatusBadRequest, "invalid_request"},
	900144:  {http.StatusBadRequest, "invalid_request"},
	9001023: {http.StatusBadRequest, "invalid_request"},
	// the grant and the scope
	70003:   {http.StatusBadRequest, "unsupported_grant_type"},
	70011:   {http.StatusBadRequest, "invalid_scope"},
	700022:  {http.StatusBadRequest, "invalid_scope"},
	1002012: {http.StatusBadRequest, "invalid_scope"},
	500011:  {http.StatusBadRequest, "invalid_resource"},
	500014:  {http.StatusBadRequest, "invalid_resource"},
	65005:   {http.StatusBadRequest, "invalid_resource"},
	650057:  {http.StatusBadRequest, "invalid_resource"},
	50013:   {http.StatusBadRequest, "invalid_grant"},
	500131:  {http.StatusBadRequest, "invalid_grant"},
	500133:  {http.StatusBadRequest, "invalid_grant"},
	500112:  {http.StatusBadRequest, "invalid_grant"},
	50148:   {http.StatusBadRequest, "invalid_grant"},
	54005:   {http.StatusBadRequest, "invalid_grant"},
	70000:   {http.StatusBadRequest, "invalid_grant"},
	70008:   {http.StatusBadRequest, "invalid_grant"},
	700082:  {http.StatusBadRequest, "invalid_grant"},
	28000:   {http.StatusBadRequest, "invalid_scope"},
	65001:   {http.StatusBadRequest, "invalid_grant"},
	50076:   {http.StatusBadRequest, "interaction_required"},
	50079:   {http.StatusBadRequest, "interaction_required"},
	90094:   {http.StatusBadRequest, "invalid_grant"},
	53000:   {http.StatusBadRequest, "invalid_grant"},
	53003:   {http.StatusBadRequest, "invalid_grant"},
	530003:  {http.StatusBadRequest, "invalid_grant"},
	530035:  {http.StatusBadRequest, "invalid_grant"},
	50105:   {http.StatusBadRequest, "invalid_grant"},
	501051:  {http.StatusBadRequest, "invalid_grant"},
	50196:   {http.StatusBadRequest, "invalid_grant"},
	// transient
	90006: {http.StatusServiceUnavailable, "temporarily_unavailable"},
	90024: {http.StatusServiceUnavailable, "temporarily_unavailable"},
	90033: {http.StatusServiceUnavailable, "temporarily_unavailable"},
	90055: {http.StatusTooManyRequests, "temporarily_unavailable"},
}

// entraError is the body that Entra ID answers an error with.
type entraError struct {
	Error         string `json:"error"`
	Description   string `json:"error_description"`
	Codes         []int  `json:"error_codes,omitempty"`
	Timestamp     string `json:"timestamp"`
	TraceID       string `json:"trace_id"`
	CorrelationID string `json:"correlation_id"`
	URI           string `json:"error_uri,omitempty"`
	Suberror      string `json:"suberror,omitempty"`
	Claims        string `json:"claims,omitempty"`
}

// entraBody writes the refusal as Entra ID does. The correlation id is the
// client's own, if it sent one.
func (f *refusal) entraBody(now time.Time, correlationID string) []byte {
	trace := newUUID()
	stamp := now.UTC().Format("2006-01-02 15:04:05Z")
	e := entraError{
		Error:         f.err,
		Timestamp:     stamp,
		TraceID:       trace,
		CorrelationID: correlationID,
		Suberror:      f.suberror,
		Claims:        f.claims,
	}
	e.Description = f.description
	if f.code != 0 {
		e.Codes = []int{f.code}
		e.URI = fmt.Sprintf("https://login.microsoftonline.com/error?code=%d", f.code)
		e.Description = fmt.Sprintf("AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: %s",
			f.code, f.description, trace, correlationID, stamp)
	}
	return mustJSON(e)
}

// genericBody writes the refusal by RFC 6749 §5.2.
func (f *refusal) genericBody() []byte {
	body := map[string]any{"error": genericError(f.err), "error_description": f.plainText()}
	if f.claims != "" {
		body["claims"] = f.claims
	}
	return mustJSON(body)
}

func (f *refusal) plainText() string { return cmpOr(f.plain, f.description) }

// genericError maps what only Entra ID answers to RFC 6749's own errors.
func genericError(err string) string {
	switch err {
	case "invalid_resource":
		return "invalid_scope"
	}
	return err
}

// mustJSON encodes values that are always encodable: strings, numbers, maps of
// them.
func mustJSON(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic("certtokentest: " + err.Error())
	}
	return data
}
