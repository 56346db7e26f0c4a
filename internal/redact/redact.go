// Package redact makes texts from outside fit for an error or a log: without
// secrets, on one line, and of a bounded length. It is for every text that
// somebody else had a say in: headers, bodies, and the errors of the user's own
// parts. It knows nothing of tokens, requests or the network.
//
//	redact.go    what callers use
//	secrets.go   which secrets are looked for, and how they are found
//	spelling.go  the spellings of a text: escapes, base64, hex
//	shapes.go    what is a secret by its shape: a JWT, a user in a URL
//	error.go     an error whose text is scrubbed
package redact

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// How much of a foreign text goes into an error.
const (
	MaxText  = 1 << 10 // of a description
	MaxShort = 64      // of a name or a value
)

// How much of a foreign text is looked at. What is shown comes from there, and
// a secret that is cut off at its end is found by what is left of it.
const (
	minWindow = 4 << 10
	maxWindow = 32 << 10
)

const removed = "[removed]"

// Scrubber takes the secrets that it was made for out of texts, in whatever
// usual spelling they stand there, and everything that is a secret by its shape.
// A nil Scrubber knows the shapes only. It may be used from many goroutines.
type Scrubber struct{ secrets secretSet }

// New makes a Scrubber for some secrets. Those of less than 4 bytes are left
// out: any text may hold them.
func New(secrets ...string) *Scrubber { return &Scrubber{newSecretSet(secrets)} }

// Text makes a text from outside fit for an error or a log: without secrets and
// control characters, and no more than limit bytes, plus an ellipsis.
func (s *Scrubber) Text(text string, limit int) string {
	if window := min(max(4*limit, minWindow), maxWindow); len(text) > window {
		text = text[:window]
	}
	text = escapeControls(s.scrub(text))
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return text
}

// Short is Text for a value that should have been short.
func (s *Scrubber) Short(text string) string { return s.Text(text, MaxShort) }

// Holds reports whether a text holds a secret.
func (s *Scrubber) Holds(text string) bool {
	if len(text) > maxWindow {
		return true // it would take too long to find out
	}
	marks, ok := s.find(text)
	return !ok || marks.any()
}

// Text is [Scrubber.Text] where no secret is known.
func Text(text string, limit int) string { return (*Scrubber)(nil).Text(text, limit) }

// Short is [Scrubber.Short] where no secret is known.
func Short(text string) string { return (*Scrubber)(nil).Short(text) }

// HoldsJWT reports whether a text holds something shaped like a JWT.
func HoldsJWT(text string) bool { return (*Scrubber)(nil).Holds(text) }

// maxRounds is how often a text is scrubbed that has too many spellings. A server that
// repeats a whole request sends such a text: once the secrets in plain sight are gone,
// what is left is short.
const maxRounds = 3

// scrub replaces every secret.
func (s *Scrubber) scrub(text string) string {
	for range maxRounds {
		marks, ok := s.find(text)
		switch {
		case !marks.any() && ok:
			return text
		case !marks.any():
			return removed
		}
		text = replace(text, marks)
		if ok {
			return text
		}
	}
	return removed
}

// replace replaces what is marked.
func replace(text string, marks marked) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		j := i
		for j < len(text) && marks[j] == marks[i] {
			j++
		}
		if marks[i] {
			b.WriteString(removed)
		} else {
			b.WriteString(text[i:j])
		}
		i = j
	}
	return b.String()
}

// marked says of each byte of a text whether it belongs to a secret.
type marked []bool

func (m marked) any() bool {
	for _, is := range m {
		if is {
			return true
		}
	}
	return false
}

// find marks the secrets of a text in each of its spellings. It reports false if
// the text has so many spellings within each other that not all were looked at.
func (s *Scrubber) find(text string) (marked, bool) {
	marks := make(marked, len(text))
	budget := spellingsPerText * (len(text) + minWindow/4)
	next := []spelling{asWritten(text)}
	for len(next) > 0 {
		sp := next[len(next)-1]
		next = next[:len(next)-1]
		if budget -= len(sp.text); budget < 0 {
			return marks, false
		}
		mark := func(first, last int) { // of the spelling's bytes
			for i := sp.from[first]; i < sp.to[last]; i++ {
				marks[i] = true
			}
		}
		if s != nil {
			s.secrets.find(sp.text, mark)
		}
		findJWTs(sp.text, mark)
		findUserinfo(sp.text, mark)
		next = append(next, sp.others()...)
	}
	return marks, true
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
