package redact

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestText(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"plain":          {"as it is: ä", "as it is: ä"},
		"lines":          {"a\r\nb\tc\x00", `a\r\nb\tc\x00`},
		"direction":      {"a\u202eb", `a\u202eb`},
		"broken UTF-8":   {"a\xffb", `a\ufffdb`},
		"JWT":            {"x eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0. y", "x [removed] y"},
		"JWT at the end": {"x eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2ln", "x [removed]"},
		"half a JWT":     {"eyJhbGciOiJub25lIn0", "[removed]"},
		"JWT with blanks in its header": {
			"x eyAiYWxnIjogIm5vbmUiIH0.eyJzdWIiOiIxIn0.c2ln y", "x [removed] y"},
		"JWT with lines in its header": {
			"x ewogICJhbGciOiAibm9uZSIKfQ.eyJzdWIiOiIxIn0.c2ln y", "x [removed] y"},
		"JWT in a query": {
			"https://a.example/?t=eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2ln&b=c",
			"https://a.example/?t=[removed]&b=c",
		},
		"words like a JWT's beginning": {
			"the keyCredentials of eyewitnesses and keyVaultName",
			"the keyCredentials of eyewitnesses and keyVaultName"},
		"user in a URL": {
			"GET https://ada:pa55@vault.example/x?y: refused", "GET https://[removed]@vault.example/x?y: refused",
		},
		"user alone":        {"https://ada@vault.example/", "https://[removed]@vault.example/"},
		"slash in password": {"https://ada:pa/55@vault.example/", "https://[removed]@vault.example/"},
		"no user": {
			"https://vault.example:8443/users/ada@example.com", "https://vault.example:8443/users/ada@example.com",
		},
		"AADSTS": {
			"AADSTS700027: Client assertion failed signature validation.",
			"AADSTS700027: Client assertion failed signature validation.",
		},
		"ids": {
			"Trace ID: 0f1d6e7a-2c3b-4d5e-8f90-1a2b3c4d5e6f", "Trace ID: 0f1d6e7a-2c3b-4d5e-8f90-1a2b3c4d5e6f",
		},
	} {
		assert.Equal(t, c.want, Text(c.in, MaxText), name)
		assert.Equal(t, c.want, New("another secret, of some length").Text(c.in, MaxText), name)
	}
}

// What is cut off at either end leaves nothing behind.
func TestTextIsCut(t *testing.T) {
	secret := randomSecret(rand.New(rand.NewPCG(1, 2)), 400)
	for _, before := range []int{0, MaxText - 10, 4*MaxText - 200, 4*MaxText - 20, 4*MaxText - 5} {
		got := New(secret).Text(strings.Repeat("ä", before/2)+" "+secret+" and more", MaxText)
		assert.LessOrEqual(t, len(got), MaxText+len("…"))
		assertGone(t, got, secret, secret)
	}
	jwt := "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2ln"
	assert.NotContains(t, Text(strings.Repeat("a", MaxText-10)+" "+jwt, MaxText), "eyJ")
}

// The wrapper of an error is seen through by Is and As, and by nothing that prints.
func TestError(t *testing.T) {
	const secret = "a-refresh-token-of-some-length"
	cause := &fs.PathError{Op: "open", Path: "/" + secret, Err: fs.ErrNotExist}
	err := New(secret).Error(fmt.Errorf("reading: %w", cause))
	assert.EqualError(t, err, "reading: open /[removed]: file does not exist")
	assert.ErrorIs(t, err, fs.ErrNotExist)
	assert.ErrorIs(t, err, cause)
	var path *fs.PathError
	require.ErrorAs(t, err, &path)
	assert.Same(t, cause, path)
	assert.NoError(t, errors.Unwrap(err))
	outer := fmt.Errorf("source: %w", err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		assert.NotContains(t, fmt.Sprintf(verb, err), secret, verb)
		assert.NotContains(t, fmt.Sprintf(verb, outer), secret, verb)
		assert.NotContains(t, fmt.Sprintf(verb, struct{ hidden error }{err}), secret, verb)
	}
	assert.NotContains(t, fmt.Sprintf("%x", err), hex.EncodeToString([]byte(secret)))
	data, jsonErr := json.Marshal(struct{ Err any }{err})
	require.NoError(t, jsonErr)
	assert.NotContains(t, string(data), secret)
	assert.NoError(t, New(secret).Error(nil))
}

// panicking is a user's error whose methods panic.
type panicking struct{ method string }

func (e *panicking) panicIn(method string) {
	if e.method == method { // of a nil pointer: a panic too
		panic("a-refresh-token-of-some-length")
	}
}

func (e *panicking) Error() string   { e.panicIn("Error"); return "trouble" }
func (e *panicking) Is(error) bool   { e.panicIn("Is"); return false }
func (e *panicking) As(any) bool     { e.panicIn("As"); return false }
func (e *panicking) Unwrap() []error { e.panicIn("Unwrap"); return []error{fs.ErrNotExist} }

func TestErrorWhoseMethodsPanic(t *testing.T) {
	for method, c := range map[string]struct{ is, as bool }{
		"none": {is: true, as: true}, "Error": {is: true, as: true},
		"Is": {as: true}, "As": {is: true}, "Unwrap": {},
	} {
		t.Run(method, func(t *testing.T) {
			cause := error(&panicking{method})
			err := fmt.Errorf("source: %w", Error(errors.Join(cause, new(wanted))))
			assert.NotPanics(t, func() { assert.Equal(t, c.is, errors.Is(err, fs.ErrNotExist)) })
			assert.NotPanics(t, func() {
				var w *wanted
				assert.Equal(t, c.as, errors.As(err, &w))
			})
			assert.NotContains(t, fmt.Sprintf("%v %+v", err, err), "token")
		})
	}
	var none *panicking
	for _, cause := range []error{none, &panicking{"Error"}} {
		assert.EqualError(t, Error(cause), "an error of type *redact.panicking, whose method Error panicked")
	}
	assert.NotPanics(t, func() { assert.NotErrorIs(t, Error(none), fs.ErrNotExist) })
}

type wanted struct{}

func (*wanted) Error() string { return "wanted" }

// encodings are the usual spellings of a secret.
var encodings = map[string]func(r *rand.Rand, secret string) string{
	"plain":         func(_ *rand.Rand, s string) string { return s },
	"query":         func(_ *rand.Rand, s string) string { return url.QueryEscape(s) },
	"path":          func(_ *rand.Rand, s string) string { return url.PathEscape(s) },
	"percent":       eachByte("%%%02X"),
	"percent lower": eachByte("%%%02x"),
	"percent u":     eachByte("%%u%04x"),
	"HTML":          func(_ *rand.Rand, s string) string { return html.EscapeString(s) },
	"HTML decimal":  eachByte("&#%d;"),
	"HTML hex":      eachByte("&#x%X;"),
	"HTML bare": func(_ *rand.Rand, s string) string {
		return strings.TrimSuffix(eachByte("&#%d;")(nil, s), ";")
	},
	"HTML named":      htmlNamed,
	"JSON":            func(_ *rand.Rand, s string) string { data, _ := json.Marshal(s); return string(data) },
	"JSON escapes":    eachByte(`\u%04x`),
	"Go":              func(_ *rand.Rand, s string) string { return strconv.QuoteToASCII(s) },
	"Go hex":          eachByte(`\x%02x`),
	"Go octal":        eachByte(`\%03o`),
	"JavaScript":      eachByte(`\u{%x}`),
	"PHP":             func(_ *rand.Rand, s string) string { return strings.ReplaceAll(s, "/", `\/`) },
	"base64":          aligned(base64.StdEncoding),
	"base64url":       aligned(base64.URLEncoding),
	"base64, raw":     aligned(base64.RawStdEncoding),
	"base64url, raw":  aligned(base64.RawURLEncoding),
	"hex":             func(_ *rand.Rand, s string) string { return hex.EncodeToString([]byte(s)) },
	"HEX":             func(_ *rand.Rand, s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) },
	"hex in a hash":   func(_ *rand.Rand, s string) string { return "a" + hex.EncodeToString([]byte(s)) },
	"hex with blanks": func(_ *rand.Rand, s string) string { return fmt.Sprintf("% x", s) },
	"hex with colons": func(_ *rand.Rand, s string) string {
		return strings.ReplaceAll(fmt.Sprintf("% X", s), " ", ":")
	},
	"dump":       func(_ *rand.Rand, s string) string { return hex.Dump([]byte(s)) },
	"numbers":    func(_ *rand.Rand, s string) string { return fmt.Sprint([]byte(s)) },
	"Go syntax":  func(_ *rand.Rand, s string) string { return fmt.Sprintf("%#v", []byte(s)) },
	"lower case": func(_ *rand.Rand, s string) string { return strings.ToLower(s) },
	"64 columns": func(_ *rand.Rand, s string) string { return split(s, "\n", func() int { return 64 }) },
	"76 columns": func(_ *rand.Rand, s string) string { return split(s, "\r\n", func() int { return 76 }) },
	"indented":   func(_ *rand.Rand, s string) string { return split(s, "\n\t    ", func() int { return 40 }) },
	"split":      func(r *rand.Rand, s string) string { return split(s, " ", func() int { return 1 + r.IntN(9) }) },
	"invisible": func(r *rand.Rand, s string) string {
		return split(s, "\u200b", func() int { return 1 + r.IntN(9) })
	},
	"UTF-16": func(_ *rand.Rand, s string) string { return split(s, "\x00", func() int { return 1 }) },
}

func eachByte(format string) func(*rand.Rand, string) string {
	return func(_ *rand.Rand, s string) string {
		var b strings.Builder
		for i := range len(s) {
			fmt.Fprintf(&b, format, s[i])
		}
		return b.String()
	}
}

func htmlNamed(_ *rand.Rand, s string) string {
	return strings.NewReplacer("_", "&lowbar;", ".", "&period;", "+", "&plus;", "/", "&sol;", "=", "&equals;").
		Replace(s)
}

// aligned puts up to two bytes before and behind the secret.
func aligned(enc *base64.Encoding) func(*rand.Rand, string) string {
	return func(r *rand.Rand, s string) string {
		return enc.EncodeToString([]byte("{:"[:r.IntN(3)] + s + ":}"[:r.IntN(3)]))
	}
}

func split(s, by string, length func() int) string {
	var b strings.Builder
	for s != "" {
		n := min(length(), len(s))
		b.WriteString(s[:n])
		if s = s[n:]; s != "" {
			b.WriteString(by)
		}
	}
	return b.String()
}

// randomSecret is a token: of a code, of a refresh token, of part of a JWT.
func randomSecret(r *rand.Rand, length int) string {
	const base64url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	alphabet := base64url
	if r.IntN(2) == 0 {
		alphabet += ".~+/="
	}
	b := make([]byte, length)
	for i := range b {
		b[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(b)
}

// randomJWT is shaped like one, and no secret that is known. Its header is what many
// have, and no secret.
const fixedHeader = "eyJhbGciOiJQUzI1NiIsInR5cCI6IkpXVCJ9"

func randomJWT(r *rand.Rand) string {
	payload := fmt.Sprintf(`{"sub":"%x","iat":%d,"aud":"https://issuer.example"}`, r.Uint64(), r.Uint32())
	return fixedHeader + "." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + "." + randomPart(r, 342)
}

func randomPart(r *rand.Rand, length int) string {
	b := make([]byte, length)
	for i := range b {
		b[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[r.IntN(64)]
	}
	return string(b)
}

// assertGone looks for what is left of a secret, whose spelling is encoded: no
// piece of it may stand for 12 of its characters.
func assertGone(t *testing.T, got, secret, encoded string) bool {
	t.Helper()
	left := longestCommon(got, escapeControls(encoded))
	limit := 14 * len(encoded) / len(secret)
	if strings.Contains(encoded, "00000") { // a dump shows each byte twice, in lines that may not be full
		limit *= 2
	}
	return assert.Less(t, len(left), limit, "%q is left of %q in\n%s", left, encoded, got)
}

// longestCommon is the longest piece of text that is in both.
func longestCommon(a, b string) string {
	best := ""
	lengths := make([]int, len(b)+1)
	for i := range len(a) {
		before := 0
		for j := range len(b) {
			now := lengths[j+1]
			lengths[j+1] = 0
			if a[i] == b[j] {
				lengths[j+1] = before + 1
				if before+1 > len(best) {
					best = a[i-before : i+1]
				}
			}
			before = now
		}
	}
	return best
}

var places = []string{
	"%s",
	"could not send client_assertion=%s&client_id=app: try again",
	"AADSTS50000: the value '%s' is wrong. Trace ID: 1",
	`{"error":"x","error_description":"what is %s supposed to be"}`,
	"<html><body><pre>%s</pre></body></html>",
	"https://proxy.example/blocked?url=%s",
	"%s.\nAnd a second line that says more.",
}

// sameEachTime gives a case its own numbers. They are the same in each run, so that a test
// that passed doesn't fail for a secret that it hasn't seen before: for others there is
// FuzzSecrets.
func sameEachTime(name string) *rand.Rand {
	sum := sha256.Sum256([]byte(name))
	return rand.New(rand.NewPCG(binary.BigEndian.Uint64(sum[:]), 0))
}

// No 12 characters of a secret are left, however it is spelt and wherever it
// stands.
func TestSecretsAreGone(t *testing.T) {
	for name, encode := range encodings {
		t.Run(name, func(t *testing.T) {
			r := sameEachTime(name)
			for range 20 {
				secret := randomSecret(r, 20+r.IntN(100))
				encoded := encode(r, secret)
				place := places[r.IntN(len(places))]
				got := New("another", secret).Text(fmt.Sprintf(place, encoded), MaxText)
				require.Contains(t, got, removed, encoded)
				if !assertGone(t, got, secret, encoded) {
					return
				}
			}
		})
	}
}

// A spelling of a spelling hides nothing either.
func TestSecretsSpeltTwiceAreGone(t *testing.T) {
	for inner, encode := range encodings {
		for outer, again := range encodings {
			if lost(inner, outer) {
				continue
			}
			r := sameEachTime(inner + outer)
			secret := randomSecret(r, 40)
			encoded := again(r, encode(r, secret))
			got := New(secret).Text(fmt.Sprintf(places[r.IntN(len(places))], encoded), 4*MaxText)
			if !assertGone(t, got, secret, encoded) {
				t.Errorf("%s in %s", inner, outer)
			}
		}
	}
}

// lost reports whether an outer spelling takes away what the inner one is read by.
func lost(inner, outer string) bool {
	numbers := slices.Contains([]string{"numbers", "Go syntax", "dump", "hex with blanks"}, inner)
	switch outer {
	case "split", "invisible", "UTF-16", "indented", "64 columns", "76 columns":
		return numbers // one number isn't told from the next any more
	case "lower case":
		return true
	case "dump":
		return inner != "plain" // has its own numbers in between
	}
	return inner == "lower case"
}

// What is shaped like a JWT goes without being known, its first part excepted,
// which is the same in all.
func TestJWTsAreGone(t *testing.T) {
	for name, encode := range encodings {
		if slices.Contains([]string{"lower case", "invisible", "split", "dump"}, name) {
			continue // where its pieces can't be told from words
		}
		t.Run(name, func(t *testing.T) {
			r := sameEachTime(name)
			for range 5 {
				jwt := randomJWT(r)
				encoded := encode(r, jwt)
				got := Text(fmt.Sprintf(places[r.IntN(len(places))], encoded), 4*MaxText)
				require.Contains(t, got, removed)
				if !assertGone(t, got, jwt, encoded) {
					return
				}
			}
		})
	}
}

// Short secrets, which are passwords, go as a whole.
func TestPasswordsAreGone(t *testing.T) {
	for _, password := range []string{"hunter22", "p@ss wörd", "!!!!@@@@####$$$$", "correct horse battery staple"} {
		for name, encode := range encodings {
			switch name {
			case "lower case", "split", "invisible", "64 columns", "UTF-16", "HTML named":
				continue
			}
			if strings.Contains(password, "ö") &&
				(strings.HasPrefix(name, "HTML ") || strings.HasPrefix(name,
					"percent u") || name == "JavaScript" || name == "JSON escapes") {
				continue // eachByte writes bytes, and these spell characters
			}
			encoded := encode(rand.New(rand.NewPCG(1, 1)), password)
			got := New(password).Text("the password "+encoded+" is wrong", MaxText)
			assert.Contains(t, got, removed, "%s: %s", name, encoded)
			assertGone(t, got, password, encoded)
		}
	}
	assert.Equal(t, "any abc", New("abc").Text("any abc", MaxText), "too short to be one")
}

// Ordinary texts stay as they are, and long ones take no time.
func TestBoundedInTime(t *testing.T) {
	secret := randomSecret(rand.New(rand.NewPCG(1, 2)), 4000)
	s := New(secret)
	nested := []byte("x")
	for len(nested) < 1<<20 {
		nested = []byte(base64.StdEncoding.EncodeToString(nested))
	}
	for name, text := range map[string]string{
		"e":       strings.Repeat("e", 1<<20),
		"eyJ":     strings.Repeat("eyJ", 1<<19),
		"eyAg":    strings.Repeat("eyAgICAg", 1<<18),
		"pieces":  strings.Repeat("eyJhbGciOiJub25lIn0 a1 ", 1<<16),
		"percent": strings.Repeat("%25", 1<<19),
		"entity":  strings.Repeat("&amp;", 1<<18),
		"&":       strings.Repeat("&", 1<<20),
		"slashes": strings.Repeat(`\`, 1<<20),
		"URLs":    strings.Repeat("://", 1<<19),
		"nested":  string(nested),
		"hex":     strings.Repeat("6", 1<<20),
		"secret":  strings.Repeat(secret, 256),
		"numbers": strings.Repeat("54 ", 1<<19),
	} {
		start := time.Now()
		got := s.Text(text, MaxText)
		assert.LessOrEqual(t, len(got), MaxText+len("…"), name)
		assert.Less(t, time.Since(start), 2*time.Minute, name) // some ms, on a machine that does nothing else
	}
}

// A text that reads in too many ways to look at them all isn't shown.
func TestTooManySpellings(t *testing.T) {
	assert.Equal(t, removed, Text(strings.Repeat(`%5c%255c \\\\ `, 300), MaxText))
	assert.NotContains(t, Text(strings.Repeat(`C:\Users\ada 100%25 &amp; more; `, 300), MaxText), removed)
}

func TestHolds(t *testing.T) {
	s := New("a-code-of-some-length")
	assert.True(t, s.Holds(`{"a":"a-code-of-some-length"}`))
	assert.True(t, s.Holds(strings.Repeat(" ", 20000)+"a%2Dcode-of-some-length"))
	assert.False(t, s.Holds(`{"access_token":{"nbf":{"essential":true,"value":"1604106651"}}}`))
	assert.True(t, s.Holds(strings.Repeat(" ", maxWindow+1)), "too long to be looked through")
	assert.True(t, HoldsJWT("x eyJhbGciOiJub25lIn0.e30."))
}

func FuzzText(f *testing.F) {
	const secret = "0.AXoAq-1c0de_of.SomeLength~0123456789"
	for name, encode := range encodings {
		r := sameEachTime(name)
		f.Add("before "+encode(r, secret)+" after", MaxText)
		f.Add("before "+encode(r, fixedHeader+".eyJhIjoxfQ.c2lnbmF0dXJl")+" after", MaxShort)
	}
	f.Add("\xff\xfe\u202e eyJ", 1)
	s := New(secret)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		limit = min(max(1, limit), MaxText)
		got := s.Text(text, limit)
		assert.LessOrEqual(t, len(got), limit+len("…"))
		assert.False(t, strings.ContainsAny(got, "\n\r\x00\x1b\u2028\u2029\u202e"), "%q", got)
		for i := 0; i+12 <= len(secret); i++ {
			assert.NotContains(t, got, secret[i:i+12])
		}
	})
}

// FuzzSecrets has secrets that no test has seen, each spelt in two ways.
func FuzzSecrets(f *testing.F) {
	f.Add(uint64(1))
	names := slices.Sorted(maps.Keys(encodings))
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		inner, outer := names[r.IntN(len(names))], names[r.IntN(len(names))]
		if lost(inner, outer) {
			inner = "plain"
		}
		secret := randomSecret(r, 20+r.IntN(100))
		encoded := encodings[outer](r, encodings[inner](r, secret))
		got := New("another", secret).Text(fmt.Sprintf(places[r.IntN(len(places))], encoded), 4*MaxText)
		assertGone(t, got, secret, encoded)
	})
}

// A server that repeats the whole request takes the secrets from the text, and not the
// text from its reader.
func TestARepeatedRequestKeepsItsWords(t *testing.T) {
	r := sameEachTime(t.Name())
	for range 50 {
		random := make([]byte, 256)
		for i := range random {
			random[i] = byte(r.Uint32())
		}
		claims := `{"aud":"https://idp.example/token","iss":"app","jti":"` + hex.EncodeToString(random[:16]) + `"}`
		assertion := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"PS256","typ":"JWT"}`)) + "." +
			base64.RawURLEncoding.EncodeToString([]byte(claims)) + "." + base64.RawURLEncoding.EncodeToString(random)
		form := url.Values{
			"client_assertion": {assertion}, "client_id": {"app"}, "grant_type": {"client_credentials"},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
			"scope":                 {"https://graph.microsoft.com/.default"},
		}
		got := New(assertion).Text("you sent "+assertion+" and "+form.Encode(), MaxText)
		require.Contains(t, got, "you sent "+removed)
		require.Contains(t, got, "grant_type=client_credentials")
	}
}
