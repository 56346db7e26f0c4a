// Package redact makes texts from outside fit for an error or a log: without
// secrets, on one line, and of a bounded length.
package redact

import (
	"errors"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// How much of a foreign text goes into an error.
const (
	MaxText   = 1 << 10 // of a description
	MaxShort  = 64      // of a name or a value
	minSecret = 4       // a shorter one is a word that any text may hold
)

// jwtShape matches the beginning of a JWT in compact form: a JSON object in
// base64url, a dot and what follows. The whole run goes.
var jwtShape = regexp.MustCompile(`(?:eyJ|ey[A-Za-z0-9])[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_=-]*){0,4}`)

// Text makes a text from outside fit for an error or a log: nothing shaped
// like a JWT, no control characters, no more than max bytes.
func Text(text string, max int) string {
	// Cut first, so that a megabyte isn't searched, but leave room for the
	// replaced part, so that a JWT can't survive as a stump at the cut.
	if len(text) > 4*max {
		text = text[:4*max]
	}
	text = jwtShape.ReplaceAllString(text, "[removed]")
	text = escapeControls(text)
	if len(text) > max {
		text = strings.ToValidUTF8(text[:max], "") + "…"
	}
	return text
}

// Form removes the secrets of a form from what a server or a user's
// RoundTripper says about it. A code or a refresh token has no shape of its own.
func Form(text string, form url.Values) string {
	for _, name := range []string{"assertion", "code", "code_verifier", "refresh_token", "client_assertion"} {
		secret := form.Get(name)
		if len(secret) < minSecret {
			continue
		}
		text = strings.ReplaceAll(text, secret, "[removed]")
		if escaped := url.QueryEscape(secret); escaped != secret {
			text = strings.ReplaceAll(text, escaped, "[removed]")
		}
	}
	return text
}

// escapeControls keeps a foreign text on its line and in its reading direction:
// control and formatting characters become Go escapes such as \n.
func escapeControls(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r == ' ' || unicode.IsGraphic(r) && r != utf8.RuneError {
			b.WriteRune(r)
			continue
		}
		b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
	}
	return b.String()
}

// Error wraps an error whose text another party had a say in: a server's
// certificate can have line ends in its names. The cause stays as it is.
func Error(err error) error { return foreign{err} }

type foreign struct{ error }

func (e foreign) Error() string { return Text(e.error.Error(), MaxText) }
func (e foreign) Unwrap() error { return e.error }

// Short is Text for a value that should have been short.
func Short(text string) string { return Text(text, MaxShort) }

// HoldsJWT reports whether a text holds something shaped like a JWT.
func HoldsJWT(text string) bool { return jwtShape.MatchString(text) }

// WithoutJWT passes an error on unless its text holds something shaped like a
// JWT: then the text is redacted and the cause is dropped.
func WithoutJWT(err error) error {
	if !HoldsJWT(err.Error()) {
		return err
	}
	return errors.New(Text(err.Error(), MaxText))
}
