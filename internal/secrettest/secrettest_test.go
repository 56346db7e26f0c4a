package secrettest_test

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certtoken/certtoken/internal/secrettest"
)

const secret = "a/secret+of a certain length"

// quiet shows nothing of its secret, but in the way that a type over it gets wrong.
type quiet struct{ reveal func() string }

func (quiet) String() string               { return "quiet" }
func (quiet) Format(f fmt.State, _ rune)   { fmt.Fprint(f, "quiet") }
func (quiet) LogValue() slog.Value         { return slog.StringValue("quiet") }
func (quiet) MarshalText() ([]byte, error) { return []byte("quiet"), nil }

type inLogs struct{ quiet }

func (v inLogs) LogValue() slog.Value { return slog.StringValue(v.reveal()) }

type inDocuments struct{ quiet }

func (v inDocuments) MarshalText() ([]byte, error) { return []byte(v.reveal()), nil }

type inXML struct{ quiet }

func (inXML) MarshalJSON() ([]byte, error)   { return []byte(`"quiet"`), nil }
func (v inXML) MarshalText() ([]byte, error) { return []byte(v.reveal()), nil }

type inOneVerb struct {
	quiet
	verb rune
}

func (v inOneVerb) Format(f fmt.State, verb rune) {
	if verb == v.verb {
		fmt.Fprint(f, v.reveal())
	}
}

type inAnError struct{ quiet }

func (v inAnError) MarshalText() ([]byte, error) {
	return nil, fmt.Errorf("can't write %s", v.reveal())
}

// byPointer has methods that a copy of it hasn't.
type byPointer struct{ text string }

func (*byPointer) Format(f fmt.State, _ rune)   { fmt.Fprint(f, "quiet") }
func (*byPointer) LogValue() slog.Value         { return slog.StringValue("quiet") }
func (*byPointer) MarshalText() ([]byte, error) { return []byte("quiet"), nil }

// inAField is quiet wherever its methods are called.
type inAField struct{ text string }

func (inAField) Format(f fmt.State, _ rune)   { fmt.Fprint(f, "quiet") }
func (inAField) LogValue() slog.Value         { return slog.StringValue("quiet") }
func (inAField) MarshalText() ([]byte, error) { return []byte("quiet"), nil }

func TestPrinted(t *testing.T) {
	q := quiet{func() string { return secret }}
	shown := map[string]string{
		"a text":                  secrettest.Printed(secret),
		"bytes":                   secrettest.Printed([]byte(secret)),
		"in logs":                 secrettest.Printed(inLogs{q}),
		"in JSON and XML":         secrettest.Printed(inDocuments{q}),
		"in XML":                  secrettest.Printed(inXML{q}),
		"in what an encoder says": secrettest.Printed(inAnError{q}),
		"in a copy":               secrettest.Printed(byPointer{secret}),
		"in another's field":      secrettest.Printed(inAField{secret}),
		"in an any":               secrettest.Printed[any](inAField{secret}),
	}
	for _, verb := range "vsqxXdobtUec" {
		shown["by the verb "+string(verb)] = secrettest.Printed(inOneVerb{q, verb})
	}
	for name, text := range shown {
		assert.True(t, secrettest.Shows(text, secret), name)
	}
	for name, text := range map[string]string{
		"a function":    secrettest.Printed(q),
		"behind an any": secrettest.Printed[any](q),
		"a pointer":     secrettest.Printed(&q),
	} {
		assert.Contains(t, text, "quiet", name)
		assert.False(t, secrettest.Shows(text, secret), name)
	}
}

func TestShows(t *testing.T) {
	data := []byte(secret)
	for name, form := range map[string]string{
		"plain":        secret,
		"in a form":    url.Values{"a": {secret}}.Encode(),
		"in hex":       hex.EncodeToString(data),
		"in upper hex": strings.ToUpper(hex.EncodeToString(data)),
		"spaced hex":   fmt.Sprintf("% x", data),
		"numbers":      fmt.Sprint(data),
		"Go syntax":    fmt.Sprintf("%#v", data),
		"base64":       base64.StdEncoding.EncodeToString(data),
		"base64url":    base64.RawURLEncoding.EncodeToString(data),
	} {
		assert.True(t, secrettest.Shows("before "+form+" after", secret), name)
		assert.False(t, secrettest.Shows("before "+form+" after", "another secret"), name)
	}
	for _, short := range []string{"a", "ab", "abc"} {
		assert.False(t, secrettest.Shows("", short))
		assert.False(t, secrettest.Shows("-", short))
		assert.True(t, secrettest.Shows("-"+short, short))
	}
	assert.False(t, secrettest.Shows("text", ""))
}

func TestShowsPart(t *testing.T) {
	const jwt = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2VjcmV0c2VjcmV0"
	for _, part := range strings.Split(jwt, ".") {
		assert.True(t, secrettest.ShowsPart("before "+part+" after", jwt), part)
		assert.True(t, secrettest.ShowsPart(fmt.Sprintf("%X", part), jwt), part)
	}
	assert.True(t, secrettest.ShowsPart("an opaque-token", "opaque-token"))
	for _, none := range []string{"", "..", jwt} {
		assert.False(t, secrettest.ShowsPart("a sentence. Another.", none), none)
	}
}

func TestBeginsJWT(t *testing.T) {
	for text, want := range map[string]bool{
		"token: eyJhbGciOiJub25lIn0.e30.": true,
		"eyJh-_0.":                        true,
		"eyJhbGciOiJub25lIn0":             false,
		"thumbprint abceyJabc":            false,
		"eyJ.":                            false,
		"":                                false,
	} {
		assert.Equal(t, want, secrettest.BeginsJWT(text), text)
	}
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func TestTalkative(t *testing.T) {
	for name, c := range map[string]struct {
		body    io.Reader
		failure error // of the way to the server
		says    string
	}{
		"answered":     {strings.NewReader("a=b"), nil, "connection lost after sending a=b"},
		"unreachable":  {strings.NewReader("a=b"), errors.New("no route"), "no route"},
		"a torn body":  {iotest.ErrReader(errors.New("torn")), nil, "torn"},
		"without body": {http.NoBody, nil, "connection lost after sending "},
	} {
		t.Run(name, func(t *testing.T) {
			transport := secrettest.Talkative{Base: roundTripFunc(func(req *http.Request) (*http.Response, error) {
				form, err := io.ReadAll(req.Body)
				assert.Equal(t, c.body != http.NoBody, string(form) == "a=b")
				return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, cmp.Or(c.failure, err)
			})}
			req, err := http.NewRequest(http.MethodPost, "https://as.example.com/", c.body)
			require.NoError(t, err)
			_, err = transport.RoundTrip(req)
			assert.EqualError(t, err, c.says)
		})
	}
}
