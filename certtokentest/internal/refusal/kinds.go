package refusal

import "net/http"

// kind is the OAuth error and HTTP status that Entra ID gives a code.
type kind struct {
	status int
	err    string
}

func kindOf(code int) kind {
	if kind, ok := kinds[code]; ok {
		return kind
	}
	return kind{http.StatusBadRequest, "invalid_request"}
}

var kinds = map[int]kind{
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
	5002726: {http.StatusBadRequest, "invalid_request"},
	5002727: {http.StatusUnauthorized, "invalid_client"},
	5002738: {http.StatusUnauthorized, "invalid_client"},
	50012:   {http.StatusUnauthorized, "invalid_client"},
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
	500181:  {http.StatusUnauthorized, "invalid_client"},
	// the client or the tenant
	51000:   {http.StatusPreconditionFailed, "unauthorized_client"},
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
	50173:   {http.StatusBadRequest, "invalid_grant"},
	54005:   {http.StatusBadRequest, "invalid_grant"},
	70000:   {http.StatusBadRequest, "invalid_grant"},
	70008:   {http.StatusBadRequest, "invalid_grant"},
	700082:  {http.StatusBadRequest, "invalid_grant"},
	28000:   {http.StatusBadRequest, "invalid_scope"},
	65001:   {http.StatusBadRequest, "invalid_grant"},
	50076:   {http.StatusBadRequest, "interaction_required"},
	50079:   {http.StatusBadRequest, "interaction_required"},
	53000:   {http.StatusBadRequest, "invalid_grant"},
	90094:   {http.StatusBadRequest, "invalid_grant"},
	7000110: {http.StatusBadRequest, "invalid_request"},
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
