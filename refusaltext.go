package certtoken

import (
	"fmt"
	"log/slog"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/certtoken/certtoken/internal/lazyregexp"
)

// maxGist is how much of a description stands in the line of an error. Entra ID's go on
// for a kilobyte.
const maxGist = 240

// Error describes the refusal in one line and says what to do about it. Of a long
// description it has the first sentences. The correlation id is there for a refusal of
// Entra ID, whose support asks for it, and the certificate or the key where that may be the
// reason.
func (e *TokenError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s answered %d", prefix, e.endpoint, e.StatusCode)
	if e.Code != "" {
		fmt.Fprintf(&b, " %s", e.Code)
	}
	if e.Description != "" {
		fmt.Fprintf(&b, ": %s", gist(e.Description))
	}
	if e.CorrelationID != "" && len(e.AADSTS) > 0 {
		fmt.Fprintf(&b, " (correlation id %s)", e.CorrelationID)
	}
	if e.signedBy != "" && e.blamesCertificate() {
		fmt.Fprintf(&b, " (%s)", e.signedBy)
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, "; asked again in %v at the earliest", e.RetryAfter.Round(time.Millisecond))
	}
	if what := e.Advice(); what != "" {
		fmt.Fprintf(&b, "; %s", what)
	}
	return b.String()
}

// Detail is all that the server said and that Error leaves out, as lines of a name and a
// text: the whole description, the certificate or the key that signed, and the numbers by
// which the server's support finds the request. It may be "".
func (e *TokenError) Detail() string {
	var b strings.Builder
	for _, line := range []struct{ name, text string }{
		{"description", e.Description},
		{"suberror", e.Suberror},
		{"claims", e.Claims},
		{"see", e.URI},
		{"signed by", e.signer()},
		{"trace id", e.TraceID},
		{"correlation id", e.CorrelationID},
	} {
		if line.text != "" {
			fmt.Fprintf(&b, "%s: %s\n", line.name, line.text)
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// signer is the certificate or the key that signed, in words and with its thumbprint.
func (e *TokenError) signer() string {
	if e.signedBy == "" {
		return ""
	}
	return e.signedBy + ", " + e.printOf + " " + e.Thumbprint
}

// Format prints Error, and with %+v the lines of Detail below it.
func (e *TokenError) Format(s fmt.State, verb rune) {
	switch {
	case e == nil:
		fmt.Fprint(s, "<nil>")
	case verb == 'v' && s.Flag('#'):
		type fields TokenError // has no method, so that Format isn't called again
		fmt.Fprintf(s, fmt.FormatString(s, verb), (*fields)(e))
	case verb == 'v' && s.Flag('+'):
		fmt.Fprint(s, e.Error())
		if detail := e.Detail(); detail != "" {
			fmt.Fprint(s, "\n  ", strings.ReplaceAll(detail, "\n", "\n  "))
		}
	default:
		fmt.Fprintf(s, fmt.FormatString(s, verb), e.Error())
	}
}

// LogValue logs Error. Without it [slog.TextHandler] would print %+v, in all its lines.
func (e *TokenError) LogValue() slog.Value {
	if e == nil {
		return slog.StringValue("<nil>")
	}
	return slog.StringValue(e.Error())
}

var (
	// entraTail is what Entra ID appends to every description. Line breaks were escaped.
	entraTail = lazyregexp.New(`(?:\\r|\\n|\s)*Trace ID: .*$`)

	// sentenceEnd is where a sentence ends, also one in the list of reasons that Entra ID
	// puts in brackets.
	sentenceEnd = lazyregexp.New(`[.!?](?:,? |\\r|\\n)`)
)

// gist is as many of a description's first sentences as fit into a line. They hold what
// went wrong; what follows are instructions, for which there is the advice.
func gist(description string) string {
	text := entraTail().ReplaceAllString(description, "")
	if len(text) <= maxGist {
		return text
	}
	end := 0
	for _, at := range sentenceEnd().FindAllStringIndex(text, -1) {
		if at[0]+1 > maxGist {
			break
		}
		end = at[0] + 1
	}
	if end == 0 {
		end = maxGist
		for !utf8.RuneStart(text[end]) {
			end--
		}
		return text[:end] + "…"
	}
	text = text[:end]
	if strings.LastIndexByte(text, '[') > strings.LastIndexByte(text, ']') {
		text += "]"
	}
	return text
}
