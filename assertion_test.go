package certtoken_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken"
)

var update = flag.Bool("update", false, "write golden files")

// goldenCert is valid in fake time, which starts in 2000.
func goldenCert(t testing.TB) *certtoken.Certificate {
	t.Helper()
	data, err := os.ReadFile("testdata/golden.pem")
	require.NoError(t, err)
	cert, err := certtoken.ParseCertificate(data)
	require.NoError(t, err)
	return cert
}

const (
	clientID = "7f0b2c1e-6d5a-4f39-9a87-2d1c0e4b5a6f"
	tenantID = "0b6f1f0a-3c1d-4b56-8f8e-9a4f1d2c3b4a"
	tokenURL = "https://login.microsoftonline.com/" + tenantID + "/oauth2/v2.0/token"
)

var uuidPattern = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)

// decodedJWT is a JWT's header and claims as they are on the wire.
func decodedJWT(t testing.TB, token string) (header, claims []byte) {
	t.Helper()
	parts := strings.Split(token, ".")
	require.Len(t, parts, 3)
	for _, part := range parts {
		assert.NotContains(t, part, "=", "base64url has no padding")
		assert.NotRegexp(t, `[+/]`, part, "base64url has no + and /")
	}
	header, err := base64.RawURLEncoding.DecodeString(parts[0])
	require.NoError(t, err)
	claims, err = base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(t, err)
	return header, claims
}

func TestAssertionGolden(t *testing.T) {
	base := certtoken.Assertion{ClientID: clientID, Audience: tokenURL}
	kindOf := map[string]string{ // of the key; the others are RSA
		"es256": "P-256", "es384": "P-384", "es512": "P-521", "eddsa": "Ed25519", "ed25519": "Ed25519",
		"key-ec": "P-256", "key-ed25519": "Ed25519",
	}
	cases := map[string]func(*certtoken.Assertion){
		// The defaults of other keys.
		"es256":   func(*certtoken.Assertion) {},
		"es384":   func(*certtoken.Assertion) {},
		"es512":   func(*certtoken.Assertion) {},
		"eddsa":   func(*certtoken.Assertion) {},
		"ed25519": func(a *certtoken.Assertion) { a.Algorithm = certtoken.Ed25519 },
		// A key alone: its thumbprint, and a key id of its own.
		"key-ec":      func(*certtoken.Assertion) {},
		"key-ed25519": func(a *certtoken.Assertion) { a.KeyID = "key-2026" },

		"entra": func(*certtoken.Assertion) {},
		// The article's script with its defects put right: base64url without
		// padding everywhere, nbf in Unix seconds, the audience is the endpoint
		// that is called.
		"article": func(a *certtoken.Assertion) {
			a.Algorithm, a.Thumbprint, a.Lifetime, a.Backdate = certtoken.RS512, certtoken.ThumbprintSHA1,
				30*time.Second, -1
		},
		"issuer": func(a *certtoken.Assertion) {
			a.Audience, a.Algorithm, a.Type, a.Lifetime = "https://issuer.example", certtoken.RS256,
				"client-authentication+jwt", time.Minute
		},
		"key-id-only": func(a *certtoken.Assertion) { a.Thumbprint, a.KeyID = certtoken.ThumbprintNone, "key-2026" },
		"both":        func(a *certtoken.Assertion) { a.Thumbprint = certtoken.ThumbprintBoth },
		"chain":       func(a *certtoken.Assertion) { a.SendChain = true },
		"claims": func(a *certtoken.Assertion) {
			a.Claims = map[string]any{
				"amr":    []string{"mfa"},
				"weight": 1.5,
				"nested": map[string]int{"n": 1},
				"html":   "<&>",
			}
		},
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := base
				change(&a)
				cert := goldenCert(t)
				if kind, ok := kindOf[name]; ok {
					cert = goldenOf(t, kind)
				}
				if strings.HasPrefix(name, "key-") && kindOf[name] != "" {
					var err error
					cert, err = certtoken.NewKey(cert.Signer, "")
					require.NoError(t, err)
				}
				signed, err := a.Sign(t.Context(), cert)
				require.NoError(t, err)
				header, claims := decodedJWT(t, signed)
				claims = uuidPattern.ReplaceAll(claims, []byte("UUID"))
				// The client id is a UUID of version 4 too.
				claims = bytes.Replace(
					claims,
					[]byte(`"iss":"UUID","sub":"UUID"`),
					[]byte(`"iss":"CLIENT","sub":"CLIENT"`),
					1,
				)
				got := string(header) + "\n" + string(claims) + "\n"
				file := filepath.Join("testdata", "assertion", name+".txt")
				if *update {
					require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
				}
				want, err := os.ReadFile(file)
				require.NoError(t, err)
				assert.Equal(t, string(want), got)
			})
		})
	}
}

// The golden files are looked at by machine and, here, by rule: what
// PROTOCOL.md asks of the article's assertion.
func TestAssertionParityWithTheArticle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cert := goldenCert(t)
		signed, err := certtoken.Assertion{
			ClientID: clientID, Audience: tokenURL,
			Algorithm: certtoken.RS512, Thumbprint: certtoken.ThumbprintSHA1, Lifetime: 30 * time.Second, Backdate: -1,
		}.Sign(t.Context(), cert)
		require.NoError(t, err)

		var claims jwt.MapClaims
		token, err := jwt.ParseWithClaims(
			signed,
			&claims,
			func(*jwt.Token) (any, error) { return cert.Leaf.PublicKey, nil },
			jwt.WithValidMethods(
				[]string{"RS512"},
			),
			jwt.WithAudience(tokenURL),
			jwt.WithIssuer(clientID),
			jwt.WithSubject(clientID),
		)
		require.NoError(t, err)

		names := make([]string, 0, len(token.Header))
		for name := range token.Header {
			names = append(names, name)
		}
		assert.ElementsMatch(t, []string{"typ", "alg", "x5t"}, names)
		assert.Equal(t, "JWT", token.Header["typ"])
		sum, err := base64.RawURLEncoding.DecodeString(token.Header["x5t"].(string))
		require.NoError(t, err)
		assert.Equal(t, fingerprint(t, cert.Leaf.Raw), sum)
		now := float64(time.Now().Unix())
		assert.Equal(t, now, claims["nbf"])
		assert.Equal(t, now+30, claims["exp"])
		assert.Regexp(t, uuidPattern, claims["jti"])
	})
}

// fingerprint asks openssl for the SHA-1 thumbprint.
func fingerprint(t *testing.T, der []byte) []byte {
	out := openssl(t, der, "dgst", "-sha1", "-binary")
	return out
}

// openssl runs the real thing; a machine without it skips, CI must have it.
func openssl(t *testing.T, stdin []byte, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("openssl is not installed")
		}
		t.Skip("needs openssl, which is not installed")
	}
	cmd := exec.Command(path, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "openssl %v: %s", args, stderr.String())
	return out
}

// opaque is a signer whose key can't be reached, as in an HSM.
type opaque struct{ signer crypto.Signer }

func (o opaque) Public() crypto.PublicKey { return o.signer.Public() }
func (o opaque) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	return o.signer.Sign(r, digest, opts)
}

// contextSigner signs with a context and refuses to do it without.
type contextSigner struct {
	opaque
	used *bool
}

func (c contextSigner) SignContext(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	*c.used = true
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return c.signer.Sign(rand.Reader, digest, opts)
}

func (c contextSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("Sign was called on a context signer")
}

func TestAssertionPassesTheContext(t *testing.T) {
	cert := goldenCert(t)
	signer := contextSigner{opaque{cert.Signer}, new(bool)}
	pair, err := certtoken.NewCertificate(signer, cert.Leaf, nil)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = certtoken.Assertion{ClientID: "c", Audience: "a"}.Sign(ctx, pair)
	require.ErrorIs(t, err, context.Canceled)
	assert.True(t, *signer.used)
}

func TestAssertionJTIIsFresh(t *testing.T) {
	cert := goldenCert(t)
	seen := make(map[string]bool)
	for range 50 {
		signed, err := certtoken.Assertion{ClientID: "c", Audience: "a"}.Sign(t.Context(), cert)
		require.NoError(t, err)
		_, claims := decodedJWT(t, signed)
		var c struct{ JTI string }
		require.NoError(t, json.Unmarshal(claims, &c))
		assert.Regexp(t, "^"+uuidPattern.String()+"$", c.JTI)
		assert.False(t, seen[c.JTI])
		seen[c.JTI] = true
	}
}

func TestAssertionRefuses(t *testing.T) {
	good := certtoken.Assertion{ClientID: "c", Audience: "a"}
	cases := map[string]struct {
		change func(*certtoken.Assertion)
		want   string
	}{
		"no client":   {func(a *certtoken.Assertion) { a.ClientID = "" }, "no client id"},
		"no audience": {func(a *certtoken.Assertion) { a.Audience = "" }, "no audience"},
		"another key's": {
			func(a *certtoken.Assertion) { a.Algorithm = "ES256" },
			"ES256 is for EC keys of the curve P-256, and this key is an RSA key of 2048 bits",
		},
		"HS256": {func(a *certtoken.Assertion) { a.Algorithm = "HS256" },
			`unknown algorithm "HS256": RS256, `},
		"none":              {func(a *certtoken.Assertion) { a.Algorithm = "none" }, "unknown algorithm"},
		"negative lifetime": {func(a *certtoken.Assertion) { a.Lifetime = -time.Second }, "lifetime"},
		"short lifetime":    {func(a *certtoken.Assertion) { a.Lifetime = time.Millisecond }, "lifetime"},
		"long lifetime":     {func(a *certtoken.Assertion) { a.Lifetime = 25 * time.Hour }, "lifetime"},
		"backdated too far": {func(a *certtoken.Assertion) { a.Backdate = 25 * time.Hour }, "backdate"},
		"thumbprint choice": {func(a *certtoken.Assertion) { a.Thumbprint = 9 }, "thumbprint"},
		"registered claim":  {func(a *certtoken.Assertion) { a.Claims = map[string]any{"aud": "b"} }, `claim "aud"`},
		"unmarshalable": {
			func(a *certtoken.Assertion) { a.Claims = map[string]any{"f": func() {}} },
			"signing the assertion",
		},
		"every mistake: aud": {func(a *certtoken.Assertion) { *a = certtoken.Assertion{} }, "no audience"},
		"every mistake: iss": {func(a *certtoken.Assertion) { *a = certtoken.Assertion{} }, "no client id"},
	}
	cert := goldenCert(t)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			a := good
			c.change(&a)
			signed, err := a.Sign(t.Context(), cert)
			require.ErrorContains(t, err, c.want)
			assert.Empty(t, signed)
		})
	}
}

func TestAssertionRefusesCertificates(t *testing.T) {
	cert := goldenCert(t)
	a := certtoken.Assertion{ClientID: "c", Audience: "a"}

	t.Run("nil", func(t *testing.T) {
		_, err := a.Sign(t.Context(), nil)
		require.ErrorContains(t, err, "nil certificate")
	})
	t.Run("a pair put together by hand", func(t *testing.T) {
		other := certOf(t, newKey(t), time.Now(), time.Hour)
		_, err := a.Sign(t.Context(), &certtoken.Certificate{Leaf: cert.Leaf, Signer: other.Signer})
		require.ErrorIs(t, err, certtoken.ErrKeyMismatch)
	})
	t.Run("expired", func(t *testing.T) {
		_, err := a.Sign(t.Context(), certOf(t, newKey(t), time.Now().Add(-2*time.Hour), time.Hour))
		require.ErrorIs(t, err, certtoken.ErrExpired)
		assert.ErrorContains(t, err, "ended on")
	})
	t.Run("not yet valid", func(t *testing.T) {
		_, err := a.Sign(t.Context(), certOf(t, newKey(t), time.Now().Add(time.Hour), time.Hour))
		require.ErrorIs(t, err, certtoken.ErrNotYetValid)
	})
	t.Run("a signer that returns something else", func(t *testing.T) {
		_, err := a.Sign(
			t.Context(),
			&certtoken.Certificate{Leaf: cert.Leaf, Signer: wrongSigner{cert.Signer.Public()}},
		)
		require.ErrorContains(t, err, "raw RSA signature")
	})
}

type wrongSigner struct{ public crypto.PublicKey }

func (w wrongSigner) Public() crypto.PublicKey { return w.public }
func (w wrongSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return []byte("not a signature"), nil
}

// The key of SignerOpts reaches the signer: an HSM needs to know hash and salt.
func TestAssertionSignerOpts(t *testing.T) {
	cert := goldenCert(t)
	for alg, want := range map[certtoken.Algorithm]crypto.Hash{certtoken.RS384: crypto.SHA384,
		certtoken.PS512: crypto.SHA512} {
		spy := &spySigner{opaque: opaque{cert.Signer}}
		_, err := certtoken.Assertion{
			ClientID:  "c",
			Audience:  "a",
			Algorithm: alg,
		}.Sign(
			t.Context(),
			&certtoken.Certificate{Leaf: cert.Leaf, Signer: spy},
		)
		require.NoError(t, err)
		assert.Equal(t, want, spy.opts.HashFunc())
		pss, isPSS := spy.opts.(*rsa.PSSOptions)
		assert.Equal(t, alg == certtoken.PS512, isPSS)
		if isPSS {
			assert.Equal(t, rsa.PSSSaltLengthEqualsHash, pss.SaltLength)
		}
	}
}

type spySigner struct {
	opaque
	opts crypto.SignerOpts
}

func (s *spySigner) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	s.opts = opts
	return s.opaque.Sign(r, digest, opts)
}

// BenchmarkAssertionWithoutSignature measures everything else of an assertion.
func BenchmarkAssertionWithoutSignature(b *testing.B) {
	cert := goldenCert(b)
	nothing := &certtoken.Certificate{Leaf: cert.Leaf, Signer: nothingSigner{cert.Signer.Public()}}
	b.Run("without the signature", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			assertion := certtoken.Assertion{ClientID: clientID, Audience: tokenURL}
			if _, err := assertion.Sign(context.Background(), nothing); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("golang-jwt HS256", func(b *testing.B) {
		b.ReportAllocs()
		key := make([]byte, 32)
		for b.Loop() {
			now := time.Now()
			token := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
				"aud": tokenURL, "iss": clientID, "sub": clientID, "jti": clientID,
				"nbf": now.Unix(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
			})
			token.Header["x5t#S256"] = "0123456789012345678901234567890123456789012"
			if _, err := token.SignedString(key); err != nil {
				b.Fatal(err)
			}
		}
	})
}

type nothingSigner struct{ public crypto.PublicKey }

func (n nothingSigner) Public() crypto.PublicKey { return n.public }
func (n nothingSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return make([]byte, 256), nil
}
