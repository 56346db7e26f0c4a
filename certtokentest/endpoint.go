package certtokentest

import (
	"crypto/x509"
	"io"
	"mime"
	"net/http"
	"net/url"
	"time"
)

const (
	maxRequestBody = 256 << 10
	assertionKind  = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" // RFC 7523 §2.2
)

// ServeHTTP implements [http.Handler], so that the server can stand behind
// another one. The scheme and host of the request are part of the audience that
// an assertion must have.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if handler := s.mounts.handler(r); handler != nil {
		s.log.count()
		handler.ServeHTTP(w, r)
		return
	}
	s.answer(r).serve(w, r)
}

// answer decides what a request gets.
func (s *Server) answer(r *http.Request) *answer {
	s.log.count()
	route, ok := s.route(r)
	if !ok {
		return s.stamped(jsonAnswer(http.StatusNotFound, mustJSON(map[string]string{"error": "not_found"})))
	}
	if route.handle == nil {
		return s.tokenAnswer(r, route)
	}
	return s.stamped(route.handle(r, route))
}

// stamped adds the server's time.
func (s *Server) stamped(a *answer) *answer {
	if a.header == nil {
		a.header = make(http.Header)
	}
	a.header.Set("Date", s.now().UTC().Format(http.TimeFormat))
	return a
}

// tokenAnswer answers a request to the token endpoint and records it.
func (s *Server) tokenAnswer(r *http.Request, route route) *answer {
	call := s.newCall(r, route)
	refused := call.read(r)
	entry := s.log.begin(call.request)
	seen := *call.request
	fault := s.faults.next(&seen)
	call.request.Fault = fault

	a := s.decide(call, refused, fault)
	s.stamped(a)
	a.header.Set("Cache-Control", "no-store")
	a.header.Set("Pragma", "no-cache")
	fault.shape(a)
	call.request.Status = a.status
	if a.ending == endReset {
		call.request.Status = 0
	}
	s.log.finish(entry, call.request)
	return a
}

// decide lets a fault answer in the endpoint's place, or the endpoint.
func (s *Server) decide(c *call, refused *refusal, fault *Fault) *answer {
	if a := fault.instead(c); a != nil {
		return a
	}
	if refused == nil {
		refused = c.authorize()
	}
	if refused != nil {
		return c.refused(refused)
	}
	return c.granted(fault)
}

// call is one request to the token endpoint.
type call struct {
	server   *Server
	route    route
	tune     tuning
	now      time.Time
	request  *Request
	asked    []string // scopes, those of the sign-in where the request names none
	scopes   []string // granted
	user     string   // "": the client acts as itself
	shown    *shown   // the code or refresh token, nil: none
	resource string   // the token's audience
	proof    *proof
	chain    []*x509.Certificate // of the client in TLS
}

func (s *Server) newCall(r *http.Request, route route) *call {
	tune := s.tuned()
	now := time.Now()
	c := &call{
		server: s,
		route:  route,
		tune:   tune,
		chain:  shownCert(r),
		now:    now.Add(tune.offset),
		request: &Request{
			Time:   now,
			Method: r.Method,
			URL:    calledURL(r),
			Path:   r.URL.Path,
			Host:   r.Host,
			Header: r.Header.Clone(),
			Tenant: route.tenant,
		},
	}
	if len(c.chain) > 0 {
		c.request.TLSCertificate = c.chain[0]
	}
	return c
}

// calledURL is the URL of the request without its query: the audience of an
// assertion for Entra ID.
func calledURL(r *http.Request) string { return requestOrigin(r) + r.URL.EscapedPath() }

func requestOrigin(r *http.Request) string {
	if r.TLS == nil {
		return "http://" + r.Host
	}
	return "https://" + r.Host
}

// read reads the form (RFC 6749 §3.2 and §4.4.2) into the record.
func (c *call) read(r *http.Request) *refusal {
	if r.Method != http.MethodPost {
		f := refuse(900561, "The endpoint only accepts POST requests. Received a %s request.", r.Method)
		f.status = http.StatusMethodNotAllowed
		return f
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequestBody+1))
	if err != nil {
		return refuse(90023, "The request body can't be read.")
	}
	if len(body) > maxRequestBody {
		f := refuse(90023, "The request body is larger than %d bytes.", maxRequestBody)
		f.status = http.StatusRequestEntityTooLarge
		return f
	}
	if typ, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || typ != "application/x-www-form-urlencoded" {
		return refuse(900144, "The request body must contain the following parameter: 'grant_type'. The content type must be application/x-www-form-urlencoded, not '%s'.", typ)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return refuse(90023, "The request body is no form.")
	}
	c.request.fill(form)
	for name, values := range form {
		if len(values) > 1 {
			return refuse(90023, "The parameter '%s' is given more than once.", name)
		}
	}
	if r.Header.Get("Authorization") != "" && form.Has("client_assertion") {
		return refuse(90023, "The client authenticates in more than one way (RFC 6749 §2.3).")
	}
	return nil
}
