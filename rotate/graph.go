package rotate

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/certtoken/certtoken"
	"github.com/certtoken/certtoken/internal/jws"
	"github.com/certtoken/certtoken/internal/lazyregexp"
	"github.com/certtoken/certtoken/internal/redact"
)

const (
	graphURL      = "https://graph.microsoft.com/v1.0"
	graphAudience = "00000002-0000-0000-c000-000000000000"
	graphLimit    = 30 * time.Second // for one request
	graphAnswer   = 1 << 20          // bytes of an answer
)

// Graph registers certificates of an application of Entra ID by Microsoft Graph's addKey and
// removeKey. objectID is the application's object id, which isn't its client id; the portal
// shows both. It was built by the documentation, and never tried against the live service.
//
// An application may roll its own keys without any permission of Microsoft Graph, as long as
// one of its certificates is valid. If that is refused all the same, Application.ReadWrite.OwnedBy
// is what it lacks. Finding the key that was there before the first rotation needs
// Application.Read.All; without it, give Options.KeyID, or remove that one by hand.
func Graph(objectID string) Registrar { return GraphOptions{}.Registrar(objectID) }

// GraphOptions change what [Graph] does. The zero value is for the public cloud.
type GraphOptions struct {
	// ServicePrincipal takes the object id for that of a service principal. The default is
	// an application.
	ServicePrincipal bool

	// URL is that of Microsoft Graph with its version, by default
	// https://graph.microsoft.com/v1.0. Other clouds have another host. It must be https.
	URL string

	// Scope is what the token for Microsoft Graph is asked for by. The default is the
	// origin of URL with /.default.
	Scope string

	// Audience is that of the proof, by default 00000002-0000-0000-c000-000000000000. Some copies
	// of Microsoft's page say 00000003-0000-0000-c000-000000000000.
	Audience string

	// Algorithm is that of the proof, by default RS256.
	Algorithm certtoken.Algorithm

	// HTTPClient sends the requests through a copy of itself, which follows no redirects
	// and keeps no cookies. It is for a proxy or other root certificates.
	HTTPClient *http.Client
}

// Registrar is the function [Graph] with these options. Mistakes in them are errors of
// [New].
func (o GraphOptions) Registrar(objectID string) Registrar {
	g := &graph{GraphOptions: o, id: objectID, http: &http.Client{Timeout: graphLimit}}
	if o.HTTPClient != nil {
		g.http.Transport = o.HTTPClient.Transport
		if t := o.HTTPClient.Timeout; t > 0 {
			g.http.Timeout = min(t, graphLimit)
		}
	}
	g.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if g.URL == "" {
		g.URL = graphURL
	}
	g.URL = strings.TrimRight(g.URL, "/")
	if g.Audience == "" {
		g.Audience = graphAudience
	}
	if g.Algorithm == "" {
		g.Algorithm = certtoken.RS256
	}
	if base, err := url.Parse(g.URL); err == nil && g.Scope == "" {
		g.Scope = base.Scheme + "://" + base.Host + "/.default"
	}
	return g
}

// graph is Microsoft Graph's share in the registration of one object.
type graph struct {
	GraphOptions
	id   string
	http *http.Client
}

var _ Finder = (*graph)(nil)

var objectID = lazyregexp.New(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

// validate names every mistake in the settings.
func (g *graph) validate() error {
	var errs []error
	if !objectID().MatchString(g.id) {
		errs = append(errs, fmt.Errorf("graph: %q is no object id, such as 11111111-2222-3333-4444-555555555555",
			redact.Short(g.id)))
	}
	base, err := url.Parse(g.URL)
	if err != nil || base.Scheme != "https" || base.Host == "" || base.User != nil || base.RawQuery != "" {
		errs = append(errs, errors.New("graph: the URL must be https, such as "+graphURL))
	}
	if !jws.Known(string(g.Algorithm)) || !jws.IsForRSA(string(g.Algorithm)) {
		errs = append(errs, fmt.Errorf("graph: %q is no algorithm of an RSA key", redact.Short(string(g.Algorithm))))
	}
	return errors.Join(errs...)
}

// String names the object.
func (g *graph) String() string {
	if g.ServicePrincipal {
		return "graph:servicePrincipals/" + g.id
	}
	return "graph:applications/" + g.id
}

func (g *graph) object() string { return g.URL + "/" + strings.TrimPrefix(g.String(), "graph:") }

// Add adds a certificate beside the others.
func (g *graph) Add(ctx context.Context, key *certtoken.Certificate, as Identity) (string, error) {
	if key.Leaf == nil {
		return "", fmt.Errorf("%w: Microsoft Graph takes certificates only, and this is a key alone", ErrRefused)
	}
	proof, err := g.proof(ctx, as.Certificate)
	if err != nil {
		return "", err
	}
	body := map[string]any{
		"keyCredential": map[string]any{
			"type": "AsymmetricX509Cert", "usage": "Verify", "key": base64.StdEncoding.EncodeToString(key.Leaf.Raw),
		},
		"passwordCredential": nil,
		"proof":              proof,
	}
	var added struct {
		KeyID string `json:"keyId"`
	}
	if err := g.ask(ctx, http.MethodPost, g.object()+"/addKey", body, as, &added); err != nil {
		return "", err
	}
	if added.KeyID == "" {
		return "", errors.New("the answer to addKey has no keyId")
	}
	return added.KeyID, nil
}

// Remove removes the certificate with a keyId.
func (g *graph) Remove(ctx context.Context, key Key, as Identity) error {
	proof, err := g.proof(ctx, as.Certificate)
	if err != nil {
		return err
	}
	err = g.ask(ctx, http.MethodPost, g.object()+"/removeKey", map[string]any{"keyId": key.ID, "proof": proof}, as, nil)
	if statusOf(err) != http.StatusNotFound {
		return err
	}
	// The key isn't there any more, or the whole object isn't, or its id is another one now.
	if look := g.ask(ctx, http.MethodGet, g.object()+"?$select=id", nil, as, nil); statusOf(look) == http.StatusNotFound {
		return err
	}
	return nil
}

// statusOf is the status of an answer of Microsoft Graph's, or 0 if an error is none.
func statusOf(err error) int {
	var refusal *graphError
	if errors.As(err, &refusal) {
		return refusal.status
	}
	return 0
}

// Find reads the certificates, which needs a permission that keys are rolled without.
func (g *graph) Find(ctx context.Context, key *certtoken.Certificate, as Identity) (ids []string, err error) {
	if key.Leaf == nil {
		return nil, fmt.Errorf("%w: Microsoft Graph has certificates only", errors.ErrUnsupported)
	}
	var object struct {
		KeyCredentials []struct {
			KeyID string `json:"keyId"`
			Key   []byte `json:"key"`
		} `json:"keyCredentials"`
	}
	err = g.ask(ctx, http.MethodGet, g.object()+"?$select=id,keyCredentials", nil, as, &object)
	switch status := statusOf(err); {
	case status/100 == 4 && status != http.StatusNotFound && !errors.Is(err, errBusy):
		// 403 is the lack of a permission. For other reasons too it may be that only reading is refused.
		return nil, fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	case err != nil:
		return nil, err
	}
	for _, c := range object.KeyCredentials {
		if bytes.Equal(c.Key, key.Leaf.Raw) {
			ids = append(ids, c.KeyID)
		}
	}
	return ids, nil
}

// proof is the JWT by which the owner of a registered certificate shows that it has the key.
// It has the claims that the documentation lists and no others, and the header that Microsoft's
// own libraries write.
func (g *graph) proof(ctx context.Context, cert *certtoken.Certificate) (string, error) {
	if cert.Leaf == nil {
		return "", fmt.Errorf("%w: Microsoft Graph wants a proof by a certificate, and this is a key alone", ErrRefused)
	}
	if err := jws.Fits(string(g.Algorithm), cert.Leaf.PublicKey); err != nil {
		return "", fmt.Errorf("%w: the proof: %w", ErrRefused, err)
	}
	if err := cert.Valid(time.Now()); err != nil {
		return "", fmt.Errorf("%w: a proof needs a certificate that is valid, so the new one must be registered by "+
			"hand now: %w", ErrRefused, err)
	}
	about, err := keyOf(cert)
	if err != nil {
		return "", err
	}
	const backdate, life = 2 * time.Minute, 10 * time.Minute // the longest that is taken
	begins := time.Now().Add(-backdate)
	header, err := encodeSegment(map[string]any{
		"alg": g.Algorithm, "typ": "JWT", "kid": about.SHA1, "x5t": about.sha1Base64(),
	})
	if err != nil {
		return "", err
	}
	claims, err := encodeSegment(map[string]any{
		"aud": g.Audience, "iss": g.id, "nbf": begins.Unix(), "exp": begins.Add(life).Unix(),
	})
	if err != nil {
		return "", err
	}
	input := header + "." + claims
	sig, err := jws.Sign(ctx, string(g.Algorithm), cert.Signer, []byte(input))
	if err != nil {
		return "", fmt.Errorf("%w: the proof: %w", ErrRefused, redact.Error(err))
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(sig), nil
}

// encodeSegment is a part of a JWT. There is no padding: Graph refuses it.
func encodeSegment(v any) (string, error) {
	data, err := json.Marshal(v)
	return base64.RawURLEncoding.EncodeToString(data), err
}

// ask makes one request. What surely changed nothing wraps ErrRefused.
func (g *graph) ask(ctx context.Context, method, target string, body any, as Identity, answer any) error {
	token, err := as.Client.Token(ctx, g.Scope)
	if err != nil {
		return fmt.Errorf("%w: no token for Microsoft Graph: %w", ErrRefused, err)
	}
	var content io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, target, content)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	if err := token.SetAuthHeader(req); err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	resp, err := g.http.Do(req)
	if err != nil {
		return unsent(redact.Error(err))
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, graphAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("the answer broke off: %w", err)
	case len(data) > graphAnswer:
		return fmt.Errorf("the answer has over %d bytes", graphAnswer)
	case resp.StatusCode/100 != 2:
		return newGraphError(resp, data)
	case answer == nil:
		return nil
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return fmt.Errorf("the answer is no JSON: %w", err)
	}
	return nil
}

// unsent adds to an error that no connection was made, where it says so.
func unsent(err error) error {
	var op *net.OpError
	var dns *net.DNSError
	if errors.As(err, &op) && op.Op == "dial" || errors.As(err, &dns) {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return err
}

// errBusy is an answer that says nothing about the request.
var errBusy = errors.New("busy")

// graphError is a refusal of Microsoft Graph.
type graphError struct {
	status  int
	code    string
	message string
	after   time.Duration // that it asks to wait
}

func newGraphError(resp *http.Response, body []byte) *graphError {
	var answer struct {
		Error struct{ Code, Message string }
	}
	_ = json.Unmarshal(body, &answer) // a gateway may answer something else
	e := &graphError{
		status: resp.StatusCode, code: redact.Short(answer.Error.Code),
		message: redact.Text(answer.Error.Message, redact.MaxText),
	}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
		e.after = time.Duration(min(s, 3600)) * time.Second
	}
	return e
}

func (e *graphError) Error() string {
	text := fmt.Sprintf("Microsoft Graph answered %d %s", e.status, e.code)
	if e.message != "" {
		text += ": " + e.message
	}
	return text
}

func (e *graphError) retryAfter() time.Duration { return e.after }

// Is makes what Graph refused by a status that changes nothing an ErrRefused.
func (e *graphError) Is(target error) bool {
	switch target {
	case ErrRefused:
		return e.status/100 == 4 && e.status != http.StatusRequestTimeout
	case errBusy:
		return e.status == http.StatusRequestTimeout || e.status == http.StatusTooManyRequests
	}
	return false
}

// rotationAdvice says what to do about the refusals that people meet.
func (e *graphError) rotationAdvice() string {
	switch {
	case e.status == http.StatusUnauthorized && e.code == "Authentication_MissingOrMalformed":
		return "Graph doesn't take the proof: it must be signed by a certificate that is registered for this very " +
			"object and valid, and the id must be the object id of the application (or of the service principal, " +
			"with that option), not the client id; if both are right, try the audience " +
			"00000003-0000-0000-c000-000000000000, and look at this machine's clock"
	case e.status == http.StatusForbidden:
		return "grant the application Application.ReadWrite.OwnedBy of Microsoft Graph, with admin consent, and make " +
			"it an owner of itself; Graph also says this where the object id is another application's"
	case e.status == http.StatusNotFound:
		return "no object has this id: it is the object id on the application's page in the portal (or, with the " +
			"option for service principals, on that of the enterprise application), not the client id"
	case e.status == http.StatusTooManyRequests || e.status/100 == 5:
		return "Microsoft Graph is busy or down; it is tried again"
	case strings.Contains(e.code, "Lifetime"):
		return "the tenant's policy bounds how long a certificate may be valid: give Options.Certificate a shorter " +
			"Validity, remove the file that ends in " + nextSuffix + ", and a new one is made"
	}
	return ""
}
