package claims

import (
	"encoding/base64"
	"slices"
	"strings"
)

// Bounds of what is read of the WWW-Authenticate headers of one response. The client
// whose response it is may allow headers of many megabytes, and the server that sends
// them may be hostile, so what is beyond a bound is not looked at. Real challenges have
// up to three schemes and ten parameters, and the longest parameter is the claims, which
// are a third longer in base64 than as JSON.
const (
	maxHeader     = 64 << 10      // bytes of all lines and of their ends
	maxChallenges = 16            // in all lines together
	maxParameters = 64            // of one challenge
	maxValue      = 2 * maxClaims // bytes of one parameter
)

// The schemes under which tokens are sent (RFC 6750 §2.1, RFC 9449 §7.1).
const (
	schemeBearer = "Bearer"
	schemeDPoP   = "DPoP"
)

// Challenge is what a resource's 401 says about the token that it was sent.
type Challenge struct {
	// UseNonce reports that the resource wants a nonce of its own in the proof that goes
	// with a DPoP token (RFC 9449 §9).
	UseNonce bool

	// Claims is the JSON object that a new token must be asked for with, or "".
	Claims string

	// InvalidToken reports that the resource refused the token as such (RFC 6750 §3.1).
	InvalidToken bool
}

// Read reads the WWW-Authenticate headers of a 401 to a token that was sent under a scheme:
// Bearer, or DPoP. Where both are challenged for, those of the token's scheme count; for a
// DPoP token those for Bearer count if there is no other. A challenge asks for claims
// when its error is insufficient_claims, as Microsoft Graph sends it, or invalid_token,
// as Azure Resource Manager does. Of several challenges with claims the first counts.
func Read(header []string, scheme string) Challenge {
	list := parse(header)
	of := func(scheme string) func(challenge) bool {
		return func(ch challenge) bool { return strings.EqualFold(ch.scheme, scheme) }
	}
	isBound := strings.EqualFold(scheme, schemeDPoP)
	if !isBound || !slices.ContainsFunc(list, of(schemeDPoP)) {
		scheme = schemeBearer
	}
	var answer Challenge
	for _, ch := range list {
		if !of(scheme)(ch) {
			continue
		}
		invalid := ch.parameters["error"] == "invalid_token"
		if invalid {
			answer.InvalidToken = true
		}
		if answer.Claims == "" && (invalid || ch.parameters["error"] == "insufficient_claims") {
			answer.Claims = decode(ch.parameters["claims"])
		}
		if isBound && ch.parameters["error"] == "use_dpop_nonce" {
			answer.UseNonce = true
		}
	}
	return answer
}

// decode returns the JSON object that a claims parameter holds, or "" if it holds none.
// It takes base64 with either alphabet, with and without padding.
func decode(encoded string) string {
	encoded = strings.NewReplacer("-", "+", "_", "/", "=", "").Replace(encoded)
	data, err := base64.RawStdEncoding.DecodeString(encoded)
	if err != nil || Check(string(data)) != nil {
		return ""
	}
	return string(data)
}

// challenge is one challenge of a WWW-Authenticate header (RFC 9110 §11.3).
type challenge struct {
	scheme     string
	parameters map[string]string // by name in lower case; nil: none
}

// parse reads WWW-Authenticate headers (RFC 9110 §11.6.1): several lines, each with
// several challenges. A line is read up to the first thing that can't be understood.
func parse(header []string) []challenge {
	var list []challenge
	left := maxHeader
	for _, line := range header {
		if left -= len(line) + 1; left < 0 {
			break
		}
		for len(list) < maxChallenges {
			scheme, rest := cutName(skipSeparators(line))
			if scheme == "" {
				break
			}
			ch := challenge{scheme: scheme}
			line = ch.readParameters(skipToken68(rest))
			list = append(list, ch)
		}
	}
	return list
}

// skipToken68 skips the token68 that some schemes have in place of parameters (RFC 9110
// §11.2), such as Negotiate. It is followed by a comma or by the end: without one of
// them the text is the name of a parameter.
func skipToken68(s string) string {
	rest := skipBlanks(s)
	if len(rest) == len(s) { // a scheme is separated from its token68
		return s
	}
	end := 0
	for end < len(rest) && isToken68(rest[end]) {
		end++
	}
	if end == 0 {
		return s
	}
	rest = skipBlanks(strings.TrimLeft(rest[end:], "="))
	if rest == "" || rest[0] == ',' {
		return rest
	}
	return s
}

// readParameters reads name=value pairs up to the next challenge and returns what
// follows them. Of a name that is there twice, the first value counts.
func (ch *challenge) readParameters(rest string) string {
	for range maxParameters {
		rest = skipSeparators(rest)
		name, tail := cutName(rest)
		tail = skipBlanks(tail)
		if name == "" || tail == "" || tail[0] != '=' {
			return rest // the next challenge, or the end
		}
		value, after, ok := cutValue(skipBlanks(tail[1:]))
		if !ok || len(value) > maxValue {
			return ""
		}
		if ch.parameters == nil {
			ch.parameters = make(map[string]string)
		}
		name = strings.ToLower(name)
		if _, again := ch.parameters[name]; !again {
			ch.parameters[name] = value
		}
		rest = after
	}
	return ""
}

// cutValue cuts a token or a quoted string (RFC 9110 §5.6.4) off s. A token is taken up
// to a blank or comma, since unquoted base64 has characters that no token may have.
func cutValue(s string) (value, rest string, ok bool) {
	if s == "" || s[0] != '"' {
		end := strings.IndexAny(s, " \t,")
		if end < 0 {
			end = len(s)
		}
		return s[:end], s[end:], true
	}
	escaped := false
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			escaped = true
			i++
		case '"':
			if value = s[1:i]; escaped {
				value = unescape(value)
			}
			return value, s[i+1:], true
		}
	}
	return "", "", false
}

// unescape removes the backslashes of a quoted string.
func unescape(s string) string {
	text := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		text = append(text, s[i])
	}
	return string(text)
}

// cutName cuts a token (RFC 9110 §5.6.2) off s.
func cutName(s string) (name, rest string) {
	end := 0
	for end < len(s) && isName(s[end]) {
		end++
	}
	return s[:end], s[end:]
}

func skipBlanks(s string) string     { return strings.TrimLeft(s, " \t") }
func skipSeparators(s string) string { return strings.TrimLeft(s, " \t,") }

// isName reports whether a token may have the character.
func isName(c byte) bool {
	return isLetterOrDigit(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// isToken68 reports whether a token68 may have the character before its padding.
func isToken68(c byte) bool {
	return isLetterOrDigit(c) || strings.IndexByte("-._~+/", c) >= 0
}

func isLetterOrDigit(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
