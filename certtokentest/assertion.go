package certtokentest

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// maxAssertionLife is how far ahead an assertion's end may be. Entra ID states
// no limit; a day is beyond any sensible client.
const maxAssertionLife = 24 * time.Hour

// proof is a client assertion on its way through the checks, each of which adds
// what it found out.
type proof struct {
	raw       string
	request   string // that it may be used for once; "": it may be used once
	dialect   *dialect
	clientID  string // of the form
	audiences []string
	lists     bool // of nothing but audiences
	now       time.Time
	leeway    time.Duration

	header map[string]any
	claims jwt.MapClaims
	cert   *x509.Certificate // that the signature was verified with
}

// verify runs every check in the order in which the first failure tells most.
func (s *Server) verify(p *proof, client *registration) *refusal {
	checks := []func() *refusal{
		p.parse,
		p.checkHeader,
		func() *refusal { return p.checkSignature(client) },
		p.checkCertificate,
		p.checkAudience,
		p.checkIdentity,
		p.checkTimes,
		func() *refusal { return s.checkReplay(p) },
	}
	for _, check := range checks {
		if refused := check(); refused != nil {
			return refused
		}
	}
	return nil
}

var assertionParser = jwt.NewParser(jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation())

func (p *proof) parse() *refusal {
	token, _, err := assertionParser.ParseUnverified(p.raw, jwt.MapClaims{})
	if token != nil {
		p.header = token.Header
		p.claims, _ = token.Claims.(jwt.MapClaims)
	}
	switch {
	case errors.Is(err, jwt.ErrTokenUnverifiable): // an unknown alg, which checkHeader names
		return nil
	case err != nil:
		return refuse(50027, "JWT token is invalid or malformed: %v.", err)
	}
	return nil
}

func (p *proof) checkHeader() *refusal {
	alg, _ := p.header["alg"].(string)
	if !slices.Contains(p.dialect.algorithms, alg) {
		return refuse(5002738, "Invalid JWT token. '%s' is not a supported signature algorithm. Supported signing algorithms are: '%s'.",
			alg, strings.Join(p.dialect.algorithms, ", "))
	}
	typ, _ := p.header["typ"].(string)
	if !slices.ContainsFunc(p.dialect.types, func(t string) bool { return strings.EqualFold(t, typ) }) {
		return refuse(5002727, "Invalid JWT token. JWT token typ header value '%s' is not supported. Supported values: '%s'.",
			typ, strings.Join(typeNames(p.dialect.types), ", "))
	}
	if p.dialect.needKeyID && !hasText(p.header, "x5t#S256", "x5t", "kid") {
		return refuse(5002723, "Invalid JWT token. No certificate SHA-1 thumbprint, certificate SHA-256 thumbprint, nor keyId specified in the JWT header.")
	}
	return nil
}

// typeNames are values of typ for people, for whom no typ needs a name too.
func typeNames(types []string) []string {
	var names []string
	for _, typ := range types {
		names = append(names, cmpOr(typ, "(none)"))
	}
	return names
}

func hasText(header map[string]any, names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		text, _ := header[name].(string)
		return text != ""
	})
}

// checkSignature finds the certificate that verifies the signature: a
// registered one, or one that the client's subject-name/issuer trust covers.
func (p *proof) checkSignature(client *registration) *refusal {
	candidates := client.candidates(p.header)
	if len(candidates) == 0 && len(client.trusts) > 0 {
		leaf, refused := p.trustedLeaf(client.trusts)
		if refused != nil {
			return refused
		}
		candidates = append(candidates, leaf)
	}
	if len(candidates) == 0 {
		return refuse(700027, "The certificate with identifier used to sign the client assertion is not registered on application. [Reason - The key was not found., Thumbprint of key used by client: '%s', registered: '%s'. Please visit the Azure Portal and check the registered certificates of app '%s'.]",
			p.keyName(), strings.Join(client.thumbprints(), ", "), p.clientID).
			plainly("The certificate that signed the assertion is not registered for this client: the assertion names '%s', registered are '%s'.",
				p.keyName(), strings.Join(client.thumbprints(), ", "))
	}
	for _, cert := range candidates {
		if p.signedBy(cert) {
			p.cert = cert
			return nil
		}
	}
	return refuse(700027, "Client assertion failed signature validation. [Reason - The key was found, but the signature is not valid., Thumbprint of key used by client: '%s'.]", p.keyName()).
		plainly("The assertion's signature is not valid; the assertion names '%s'.", p.keyName())
}

func (p *proof) signedBy(cert *x509.Certificate) bool {
	alg, _ := p.header["alg"].(string)
	end := strings.LastIndexByte(p.raw, '.')
	signature, err := base64.RawURLEncoding.Strict().DecodeString(p.raw[end+1:])
	return err == nil && jwt.GetSigningMethod(alg).Verify(p.raw[:end], signature, cert.PublicKey) == nil
}

func (p *proof) keyName() string {
	for _, name := range []string{"x5t#S256", "x5t", "kid"} {
		if id, _ := p.header[name].(string); id != "" {
			return name + "=" + id
		}
	}
	return "none"
}

func (r *registration) thumbprints() []string {
	var names []string
	for _, cert := range r.certs {
		names = append(names, thumbprint(cert))
	}
	return names
}

// trustedLeaf verifies x5c against the client's trusts. The header's thumbprint
// must be the leaf's.
func (p *proof) trustedLeaf(trusts []trust) (*x509.Certificate, *refusal) {
	chain, err := parseX5C(p.header["x5c"])
	if err != nil {
		return nil, refuse(700027, "The certificate used to sign the client assertion is not registered on application, and x5c can't be used: %v.", err).
			plainly("The certificate that signed the assertion is not registered for this client, and x5c can't be used: %v.", err)
	}
	leaf := chain[0]
	claimed := &registration{certs: chain[:1]}
	if len(claimed.candidates(p.header)) == 0 {
		return nil, refuse(700027, "Client assertion's x5c holds another certificate than its thumbprint names: '%s'.", p.keyName())
	}
	if refused := trustedChain(chain, trusts, p.now, "x5c"); refused != nil {
		return nil, refused
	}
	return leaf, nil
}

func clamp(t, low, high time.Time) time.Time {
	if t.Before(low) {
		return low
	}
	if t.After(high) {
		return high
	}
	return t
}

// parseX5C reads the JSON array of RFC 7515 §4.1.6.
func parseX5C(header any) ([]*x509.Certificate, error) {
	list, ok := header.([]any)
	if !ok || len(list) == 0 || len(list) > 10 {
		return nil, errors.New("it is no list of certificates")
	}
	var chain []*x509.Certificate
	for _, entry := range list {
		text, _ := entry.(string)
		der, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, errors.New("it is not in standard base64")
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		chain = append(chain, cert)
	}
	return chain, nil
}

func (p *proof) checkCertificate() *refusal {
	if p.now.Before(p.cert.NotBefore) || p.now.After(p.cert.NotAfter) {
		return refuse(1000502, "The provided certificate is not within its specified validity window. Thumbprint: '%s', valid from %s to %s, current time %s.",
			thumbprint(p.cert), stamp(p.cert.NotBefore), stamp(p.cert.NotAfter), stamp(p.now))
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// checkAudience demands one string; a list, even of one, is refused unless lists
// are allowed, and then whatever is in it must be this server.
func (p *proof) checkAudience() *refusal {
	claim := p.claims["aud"]
	if list, ok := claim.([]any); ok && p.lists && len(list) > 0 {
		claim = list[0]
		for _, entry := range list {
			if name, _ := entry.(string); !slices.Contains(p.audiences, name) {
				claim = entry
			}
		}
	}
	switch aud := claim.(type) {
	case nil:
		return missingClaim("aud")
	case string:
		if slices.Contains(p.audiences, aud) {
			return nil
		}
		return refuse(700023, "Client assertion audience claim does not match Realm issuer. Audience: '%s', expected: '%s'. Review the documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials.",
			aud, strings.Join(p.audiences, "' or '")).
			plainly("The assertion's audience is '%s', and must be '%s'.", aud, strings.Join(p.audiences, "' or '"))
	default:
		return refuse(50027, "JWT token is invalid or malformed: the audience must be one string.")
	}
}

func missingClaim(name string) *refusal {
	return refuse(90014, "The required field '%s' is missing from the credential. Ensure that you have all the necessary parameters for the login request.", name).
		plainly("The assertion has no '%s'.", name)
}

func (p *proof) checkIdentity() *refusal {
	for _, name := range []string{"iss", "sub"} {
		value, ok := p.claims[name].(string)
		if !ok || value == "" {
			return missingClaim(name)
		}
		if value != p.clientID {
			return refuse(700021, "Client assertion application identifier doesn't match 'client_id' parameter. Assertion's %s is '%s', client_id is '%s'.", name, value, p.clientID)
		}
	}
	return nil
}

// checkTimes wants numbers: exp always, nbf and iat where they are there.
func (p *proof) checkTimes() *refusal {
	exp, err := p.claims.GetExpirationTime()
	if err != nil || exp == nil {
		return refuse(50027, "JWT token is invalid or malformed: 'exp' must be a number.")
	}
	nbf, errNbf := p.claims.GetNotBefore()
	iat, errIat := p.claims.GetIssuedAt()
	if errNbf != nil || errIat != nil {
		return refuse(50027, "JWT token is invalid or malformed: 'nbf' and 'iat' must be numbers.")
	}
	early := nbf != nil && p.now.Add(p.leeway).Before(nbf.Time) || iat != nil && p.now.Add(p.leeway).Before(iat.Time)
	late := !p.now.Add(-p.leeway).Before(exp.Time)
	if early || late || exp.Sub(p.now) > maxAssertionLife {
		return refuse(700024, "Client assertion is not within its valid time range. Current time: %s, assertion valid from %s, expiry time of assertion %s.",
			stamp(p.now), stampDate(nbf), stampDate(exp))
	}
	return nil
}

func stampDate(t *jwt.NumericDate) string {
	if t == nil {
		return "(not given)"
	}
	return stamp(t.Time)
}

// checkReplay comes last, so that only an assertion that would be accepted is
// used up. Which code Entra ID gives a replay isn't known; what it is seen to take
// is an assertion that comes again in another request.
func (s *Server) checkReplay(p *proof) *refusal {
	jti, _ := p.claims["jti"].(string)
	if jti == "" || len(jti) > 1024 {
		return refuse(50027, "JWT token is invalid or malformed: 'jti' must be a string that names this assertion.")
	}
	exp, _ := p.claims.GetExpirationTime()
	sum := sha256.Sum256([]byte(p.clientID + "\x00" + jti + "\x00" + p.request))
	key := string(sum[:])
	if !s.cfg.replay && !s.used.add(key, exp.Add(p.leeway), p.now) {
		return refuse(50027, "JWT token is invalid or malformed: an assertion with this 'jti' was used before.").
			plainly("An assertion with this 'jti' was used before.")
	}
	return nil
}
