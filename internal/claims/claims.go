// Package claims reads and writes the claims parameter of a token request: the
// JSON object that a challenge asks for and in which a client says what it can.
package claims

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const (
	maxClaims     = 16 << 10
	maxChallenges = 16 // in one response
)

// Check refuses what is no JSON object of bounded size; nothing is fine.
func Check(claims string) error {
	if claims == "" {
		return nil
	}
	var object map[string]json.RawMessage
	if len(claims) > maxClaims || json.Unmarshal([]byte(claims), &object) != nil || object == nil {
		return fmt.Errorf("claims are not a JSON object of at most %d bytes", maxClaims)
	}
	return nil
}

// WithCapabilities adds the client's capabilities to the claims of a request,
// as {"access_token":{"xms_cc":{"values":[…]}}}, and leaves everything else in
// them as it is.
func WithCapabilities(claims string, capabilities []string) (string, error) {
	if len(capabilities) == 0 {
		return claims, nil
	}
	request, err := object([]byte(claims))
	if err != nil {
		return "", err
	}
	accessToken, err := object(request["access_token"])
	if err != nil {
		return "", err
	}
	accessToken["xms_cc"], err = json.Marshal(map[string][]string{"values": capabilities})
	if err != nil {
		return "", err
	}
	if request["access_token"], err = json.Marshal(accessToken); err != nil {
		return "", err
	}
	merged, err := json.Marshal(request)
	return string(merged), err
}

// object reads a JSON object; nothing and null are an empty one.
func object(data []byte) (map[string]json.RawMessage, error) {
	fields := make(map[string]json.RawMessage)
	if len(data) == 0 {
		return fields, nil
	}
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, errors.New("claims hold something else than a JSON object")
	}
	if fields == nil {
		fields = make(map[string]json.RawMessage)
	}
	return fields, nil
}

// challenge is one of the challenges of a WWW-Authenticate header.
type challenge struct {
	scheme string
	params map[string]string // names in lower case
}

// Asked returns the claims that a resource's 401 asks for, as JSON, or "".
func Asked(header []string) string {
	for _, ch := range parseChallenges(header) {
		if !strings.EqualFold(ch.scheme, "Bearer") || ch.params["error"] != "insufficient_claims" {
			continue
		}
		claims := decodeClaims(ch.params["claims"])
		if claims != "" && Check(claims) == nil {
			return claims
		}
	}
	return ""
}

// InvalidToken reports whether a resource refused the token as such (RFC 6750 §3.1).
func InvalidToken(header []string) bool {
	return slices.ContainsFunc(parseChallenges(header), func(ch challenge) bool {
		return strings.EqualFold(ch.scheme, "Bearer") && ch.params["error"] == "invalid_token"
	})
}

// decodeClaims takes base64 in any of its forms.
func decodeClaims(encoded string) string {
	if len(encoded) > 2*maxClaims {
		return ""
	}
	encoded = strings.NewReplacer("-", "+", "_", "/", "=", "").Replace(encoded)
	data, err := base64.RawStdEncoding.DecodeString(encoded)
	if err != nil {
		return ""
	}
	return string(data)
}

// parseChallenges reads WWW-Authenticate headers (RFC 9110 §11.6.1): several
// lines, each with several challenges. What can't be read ends its line.
func parseChallenges(header []string) []challenge {
	var list []challenge
	for _, line := range header {
		rest := line
		for len(list) < maxChallenges {
			rest = strings.TrimLeft(rest, " \t,")
			scheme, tail := leadingName(rest)
			if scheme == "" {
				break
			}
			ch := challenge{scheme: scheme, params: make(map[string]string)}
			rest = ch.readParams(tail[len(token68.FindString(tail)):])
			list = append(list, ch)
		}
	}
	return list
}

// token68 is what some schemes have in place of parameters (RFC 9110 §11.2).
var token68 = regexp.MustCompile(`^[ \t]+[A-Za-z0-9._~+/-]+=*[ \t]*(,|$)`)

// readParams reads name=value pairs up to the next challenge and returns what
// follows.
func (ch *challenge) readParams(rest string) string {
	for {
		rest = strings.TrimLeft(rest, " \t,")
		name, tail := leadingName(rest)
		tail = strings.TrimLeft(tail, " \t")
		if name == "" || !strings.HasPrefix(tail, "=") {
			return rest // the next scheme, or the end
		}
		value, tail, ok := paramValue(strings.TrimLeft(tail[1:], " \t"))
		if !ok {
			return ""
		}
		name = strings.ToLower(name)
		if _, again := ch.params[name]; !again {
			ch.params[name] = value
		}
		rest = tail
	}
}

// paramValue reads a token or a quoted string.
func paramValue(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexAny(s, " \t,")
		if end < 0 {
			end = len(s)
		}
		return s[:end], s[end:], true
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			if i++; i < len(s) {
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", false
}

// leadingName cuts a leading name (RFC 9110 §5.6.2) off s.
func leadingName(s string) (name, rest string) {
	end := strings.IndexFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
	if end < 0 {
		end = len(s)
	}
	return s[:end], s[end:]
}
