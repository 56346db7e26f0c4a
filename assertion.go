package certtoken

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // RS256, PS256
	_ "crypto/sha512" // RS384 to PS512
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/certtoken/certtoken/internal/redact"
)

// Algorithm is a JWS signature algorithm of RFC 7518 §3.1 for RSA keys.
type Algorithm string

// The algorithms that an [Assertion] can be signed with.
const (
	RS256 Algorithm = "RS256"
	RS384 Algorithm = "RS384"
	RS512 Algorithm = "RS512"
	PS256 Algorithm = "PS256"
	PS384 Algorithm = "PS384"
	PS512 Algorithm = "PS512"
)

// Thumbprint says which thumbprints of the certificate an assertion's header
// carries (RFC 7515 §4.1.7 and §4.1.8).
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
	ClientID string // iss and sub
	Audience string // aud, one string: the token endpoint (Entra ID) or the issuer

	Algorithm  Algorithm      // default PS256
	Lifetime   time.Duration  // from now to exp; 1 s to 1 h, default 5 min
	Backdate   time.Duration  // from nbf and iat to now; up to 1 h, default 2 min, negative for none
	Type       string         // typ; default "JWT"
	Thumbprint Thumbprint     // default x5t#S256
	KeyID      string         // kid; default none
	SendChain  bool           // x5c: the leaf and its chain
	Claims     map[string]any // further claims; none of the seven above
}

// Sign returns the assertion as a signed JWT in compact form, with a fresh
// random jti. The certificate must match its signer and be within its validity
// ([ErrKeyMismatch], [ErrExpired], [ErrNotYetValid]). If fields are out of bounds,
// the error names all of them. An error of the signer is wrapped. The context
// reaches the signer if that is a [ContextSigner].
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
	a = a.withDefaults()
	if err := a.validate(); err != nil {
		return "", err
	}
	token := jwt.Token{
		Header: a.header(cert),
		Claims: a.claimsSet(now),
		Method: signingMethods[a.Algorithm],
	}
	signed, err := token.SignedString(signingKey{ctx, cert.Signer})
	if err != nil {
		return "", fmt.Errorf("signing the assertion with %s: %w", a.Algorithm, redact.Error(err))
	}
	return signed, nil
}

func (a Assertion) withDefaults() Assertion {
	if a.Algorithm == "" {
		a.Algorithm = PS256
	}
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
	if signingMethods[a.Algorithm] == nil {
		bad("unknown algorithm %q: RS256, RS384, RS512, PS256, PS384 or PS512", string(a.Algorithm))
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
		Subject:   a.ClientID,
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

// signingMethods are golang-jwt methods that sign through a [crypto.Signer].
// golang-jwt's own methods demand an *rsa.PrivateKey, which an HSM never gives.
var signingMethods = map[Algorithm]*signingMethod{
	RS256: {RS256, crypto.SHA256, crypto.SHA256, jwt.SigningMethodRS256},
	RS384: {RS384, crypto.SHA384, crypto.SHA384, jwt.SigningMethodRS384},
	RS512: {RS512, crypto.SHA512, crypto.SHA512, jwt.SigningMethodRS512},
	PS256: {PS256, crypto.SHA256, pssOptions(crypto.SHA256), jwt.SigningMethodPS256},
	PS384: {PS384, crypto.SHA384, pssOptions(crypto.SHA384), jwt.SigningMethodPS384},
	PS512: {PS512, crypto.SHA512, pssOptions(crypto.SHA512), jwt.SigningMethodPS512},
}

// pssOptions asks for the salt length of RFC 7518 §3.5: that of the hash.
func pssOptions(hash crypto.Hash) crypto.SignerOpts {
	return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
}

type signingMethod struct {
	alg      Algorithm
	hash     crypto.Hash
	opts     crypto.SignerOpts
	verifier jwt.SigningMethod
}

// signingKey is what a signingMethod signs with.
type signingKey struct {
	ctx    context.Context
	signer crypto.Signer
}

var _ jwt.SigningMethod = (*signingMethod)(nil)

func (m *signingMethod) Alg() string { return string(m.alg) }

func (m *signingMethod) Verify(signingString string, sig []byte, key any) error {
	return m.verifier.Verify(signingString, sig, key)
}

func (m *signingMethod) Sign(signingString string, key any) ([]byte, error) {
	k, ok := key.(signingKey)
	if !ok {
		return nil, jwt.ErrInvalidKeyType
	}
	hash := m.hash.New()
	hash.Write([]byte(signingString))
	sig, err := k.sign(hash.Sum(nil), m.opts)
	if err != nil {
		return nil, err
	}
	if want := k.signer.Public().(*rsa.PublicKey).Size(); len(sig) != want {
		return nil, fmt.Errorf("the signer returned %d bytes, a signature of this key has %d: "+
			"it must be the raw RSA signature", len(sig), want)
	}
	return sig, nil
}

func (k signingKey) sign(digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if remote, ok := k.signer.(ContextSigner); ok {
		return remote.SignContext(k.ctx, digest, opts)
	}
	return k.signer.Sign(rand.Reader, digest, opts)
}
