package certtoken

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/certtoken/certtoken/internal/jws"
	"github.com/certtoken/certtoken/internal/redact"
)

// Algorithm is a JWS signature algorithm (RFC 7518 §3.1, RFC 8037 §3.1).
type Algorithm string

// The algorithms that an [Assertion] can be signed with. RS and PS are for RSA keys, ES256
// for EC keys of the curve P-256, ES384 for P-384, ES512 for P-521. EdDSA and Ed25519 are
// for Ed25519 keys and differ in the name only, which is the older one and that of RFC 9864.
const (
	RS256   Algorithm = jws.RS256
	RS384   Algorithm = jws.RS384
	RS512   Algorithm = jws.RS512
	PS256   Algorithm = jws.PS256
	PS384   Algorithm = jws.PS384
	PS512   Algorithm = jws.PS512
	ES256   Algorithm = jws.ES256
	ES384   Algorithm = jws.ES384
	ES512   Algorithm = jws.ES512
	EdDSA   Algorithm = jws.EdDSA
	Ed25519 Algorithm = jws.Ed25519
)

// Thumbprint says which thumbprints of the certificate an assertion's header
// carries (RFC 7515 §4.1.7 and §4.1.8). One by a key without a certificate carries none.
type Thumbprint int

// The zero value is x5t#S256. SHA-1 is sent only where x5t is asked for.
const (
	ThumbprintSHA256 Thumbprint = iota // x5t#S256
	ThumbprintSHA1                     // x5t
	ThumbprintBoth                     // x5t and x5t#S256
	ThumbprintNone                     // neither
)

// Bounds and defaults of an assertion's times.
const (
	defaultLifetime = 5 * time.Minute
	minLifetime     = time.Second
	maxLifetime     = time.Hour
	defaultBackdate = 2 * time.Minute
	maxBackdate     = time.Hour
)

// Assertion builds a client assertion: the JWT of RFC 7523 §3 by which a client
// proves who it is at a token endpoint. ClientID and Audience must be set; the
// zero value of everything else is what Entra ID asks for. An Assertion is a
// plain value that may be copied. It may be used from many goroutines as long as
// nobody writes to it or to its Claims, which copies share.
//
// A [Client] builds its assertions by itself; use this type to send one in
// another way.
type Assertion struct {
	ClientID string // iss
	Audience string // aud, one string: the token endpoint (Entra ID) or the issuer
	Subject  string // sub; default ClientID, which is what a client assertion has

	Algorithm  Algorithm      // default by the key: PS256, that of the curve, or EdDSA
	Lifetime   time.Duration  // from now to exp; 1 s to 1 h, default 5 min
	Backdate   time.Duration  // from nbf and iat to now; up to 1 h, default 2 min, negative for none
	Type       string         // typ; default "JWT"
	Thumbprint Thumbprint     // default x5t#S256
	KeyID      string         // kid; default the Certificate's KeyID, which is "" for most
	SendChain  bool           // x5c: the leaf and its chain
	Claims     map[string]any // further claims; none of the seven above
}

// Sign returns the assertion as a signed JWT in compact form, with a fresh
// random jti. The certificate must match its signer and be within its validity
// ([ErrKeyMismatch], [ErrExpired], [ErrNotYetValid]), and the algorithm must fit the key.
// If fields are out of bounds, the error names all of them. An error of the signer is
// wrapped. The context reaches the signer if that is a [ContextSigner].
//
// A key without a certificate ([ParseKey], [NewKey]) signs an assertion with its kid and
// without a thumbprint. SendChain, or a Thumbprint that isn't the zero value or
// ThumbprintNone, is an error then.
func (a Assertion) Sign(ctx context.Context, cert *Certificate) (string, error) {
	jwt, err := a.signAt(ctx, cert, time.Now())
	return jwt, public(err)
}

// signAt signs an assertion whose times count from now. A client may have corrected
// that by the token endpoint's clock.
func (a Assertion) signAt(ctx context.Context, cert *Certificate, now time.Time) (string, error) {
	if err := cert.check(); err != nil {
		return "", err
	}
	if err := cert.valid(now); err != nil {
		return "", err
	}
	a = a.withDefaults().forKey(cert)
	if err := errors.Join(a.validate(), a.fits(cert)); err != nil {
		return "", err
	}
	token := jwt.Token{
		Header: a.header(cert),
		Claims: a.claimsSet(now),
		Method: signingMethod(a.Algorithm),
	}
	signed, err := token.SignedString(signingKey{ctx, cert.Signer})
	if err != nil {
		return "", fmt.Errorf("signing the assertion with %s: %w", a.Algorithm, redact.Error(err))
	}
	return signed, nil
}

// forKey fills in what follows from the key.
func (a Assertion) forKey(cert *Certificate) Assertion {
	pub := cert.Signer.Public()
	if _, isRSA := pub.(*rsa.PublicKey); a.Algorithm == "" && isRSA {
		a.Algorithm = PS256
	} else if a.Algorithm == "" {
		alg, _ := jws.Default(pub) // a certificate that was checked has a key that has one
		a.Algorithm = Algorithm(alg)
	}
	if a.KeyID == "" {
		a.KeyID = cert.KeyID
	}
	if cert.Leaf == nil && a.Thumbprint == ThumbprintSHA256 {
		a.Thumbprint = ThumbprintNone
	}
	return a
}

// fits reports why a key can't sign this assertion.
func (a Assertion) fits(cert *Certificate) error {
	var errs []error
	if jws.Known(string(a.Algorithm)) {
		if err := jws.Fits(string(a.Algorithm), cert.Signer.Public()); err != nil {
			errs = append(errs, fmt.Errorf("assertion: %w", err))
		}
	}
	if cert.Leaf == nil && a.SendChain {
		errs = append(errs, fmt.Errorf("assertion: x5c: %w: this is a key alone", ErrNoCertificate))
	}
	if cert.Leaf == nil && (a.Thumbprint == ThumbprintSHA1 || a.Thumbprint == ThumbprintBoth) {
		errs = append(errs, fmt.Errorf("assertion: x5t: %w: this is a key alone", ErrNoCertificate))
	}
	return errors.Join(errs...)
}

func (a Assertion) withDefaults() Assertion {
	if a.Lifetime == 0 {
		a.Lifetime = defaultLifetime
	}
	switch {
	case a.Backdate == 0:
		a.Backdate = defaultBackdate
	case a.Backdate < 0:
		a.Backdate = 0
	}
	if a.Type == "" {
		a.Type = "JWT"
	}
	return a
}

// validate reports every mistake at once.
func (a Assertion) validate() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("assertion: "+format, args...))
	}
	if a.ClientID == "" {
		bad("no client id")
	}
	if a.Audience == "" {
		bad("no audience")
	}
	if a.Algorithm != "" && !jws.Known(string(a.Algorithm)) {
		_, err := jws.Parse(string(a.Algorithm))
		bad("%w", err)
	}
	if a.Lifetime < minLifetime || a.Lifetime > maxLifetime {
		bad("lifetime %v is not within %v and %v", a.Lifetime, minLifetime, maxLifetime)
	}
	if a.Backdate > maxBackdate {
		bad("backdate %v is over %v", a.Backdate, maxBackdate)
	}
	if a.Thumbprint < ThumbprintSHA256 || a.Thumbprint > ThumbprintNone {
		bad("unknown thumbprint choice %d", a.Thumbprint)
	}
	for name := range a.Claims {
		switch name {
		case "aud", "iss", "sub", "jti", "nbf", "iat", "exp":
			bad("claim %q is set by the library and can't be given", name)
		}
	}
	return errors.Join(errs...)
}

func (a Assertion) header(cert *Certificate) map[string]any {
	h := map[string]any{"typ": a.Type, "alg": string(a.Algorithm)}
	if a.Thumbprint == ThumbprintSHA256 || a.Thumbprint == ThumbprintBoth {
		sum := cert.sha256()
		h["x5t#S256"] = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	if a.Thumbprint == ThumbprintSHA1 || a.Thumbprint == ThumbprintBoth {
		sum := cert.thumbprints().sha1()
		h["x5t"] = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	if a.KeyID != "" {
		h["kid"] = a.KeyID
	}
	if a.SendChain {
		h["x5c"] = x5c(cert)
	}
	return h
}

// x5c is the chain, leaf first, in padded standard base64 (RFC 7515 §4.1.6).
func x5c(cert *Certificate) []string {
	chain := []string{base64.StdEncoding.EncodeToString(cert.Leaf.Raw)}
	for _, issuer := range cert.Chain {
		chain = append(chain, base64.StdEncoding.EncodeToString(issuer.Raw))
	}
	return chain
}

func (a Assertion) claimsSet(now time.Time) jwt.Claims {
	set := assertionClaims{
		Audience:  a.Audience,
		Issuer:    a.ClientID,
		Subject:   cmp.Or(a.Subject, a.ClientID),
		ID:        newUUID(),
		NotBefore: now.Add(-a.Backdate).Unix(),
		IssuedAt:  now.Add(-a.Backdate).Unix(),
		Expires:   now.Add(a.Lifetime).Unix(),
	}
	if len(a.Claims) == 0 {
		return set
	}
	all := jwt.MapClaims(maps.Clone(a.Claims))
	all["aud"], all["iss"], all["sub"], all["jti"] = set.Audience, set.Issuer, set.Subject, set.ID
	all["nbf"], all["iat"], all["exp"] = set.NotBefore, set.IssuedAt, set.Expires
	return all
}

// assertionClaims is in place of jwt.RegisteredClaims, because servers demand an aud
// that is one string (Entra ID refuses a list) and times that are integers.
type assertionClaims struct {
	Audience  string `json:"aud"`
	Issuer    string `json:"iss"`
	Subject   string `json:"sub"`
	ID        string `json:"jti"`
	NotBefore int64  `json:"nbf"`
	IssuedAt  int64  `json:"iat"`
	Expires   int64  `json:"exp"`
}

func numericDate(unix int64) (*jwt.NumericDate, error) {
	return jwt.NewNumericDate(time.Unix(unix, 0)), nil
}

func (c assertionClaims) GetExpirationTime() (*jwt.NumericDate, error) { return numericDate(c.Expires) }
func (c assertionClaims) GetIssuedAt() (*jwt.NumericDate, error)       { return numericDate(c.IssuedAt) }
func (c assertionClaims) GetNotBefore() (*jwt.NumericDate, error)      { return numericDate(c.NotBefore) }
func (c assertionClaims) GetIssuer() (string, error)                   { return c.Issuer, nil }
func (c assertionClaims) GetSubject() (string, error)                  { return c.Subject, nil }
func (c assertionClaims) GetAudience() (jwt.ClaimStrings, error) {
	return jwt.ClaimStrings{c.Audience}, nil
}

// newUUID returns a random UUID (RFC 9562 §5.4).
func newUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	var text [36]byte
	hex.Encode(text[0:8], b[0:4])
	hex.Encode(text[9:13], b[4:6])
	hex.Encode(text[14:18], b[6:8])
	hex.Encode(text[19:23], b[8:10])
	hex.Encode(text[24:36], b[10:16])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}

// signingMethod is a golang-jwt method that signs through a [crypto.Signer].
// golang-jwt's own methods demand an *rsa.PrivateKey, which an HSM never gives.
type signingMethod Algorithm

// signingKey is what a signingMethod signs with.
type signingKey struct {
	ctx    context.Context
	signer crypto.Signer
}

var _ jwt.SigningMethod = signingMethod("")

func (m signingMethod) Alg() string { return string(m) }

func (m signingMethod) Verify(signingString string, sig []byte, key any) error {
	return jws.Verify(string(m), key, []byte(signingString), sig)
}

func (m signingMethod) Sign(signingString string, key any) ([]byte, error) {
	k, ok := key.(signingKey)
	if !ok {
		return nil, jwt.ErrInvalidKeyType
	}
	return jws.Sign(k.ctx, string(m), k.signer, []byte(signingString))
}
